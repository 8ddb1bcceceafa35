/* op_im2col_test.c - what each place of a convolution sees, and back. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

enum { BATCH = 2 };

static const struct convolution_options SHAPES[] = {
    {.height = 8, .width = 12, .channels = 3, .size = 4, .stride_y = 4, .stride_x = 4, .pad = 0},
    {.height = 5, .width = 7, .channels = 6, .size = 3, .stride_y = 2, .stride_x = 2, .pad = 1},
    {.height = 4, .width = 3, .channels = 17, .size = 3, .stride_y = 1, .stride_x = 1, .pad = 1},
    {.height = 5, .width = 6, .channels = 8, .size = 3, .stride_y = 1, .stride_x = 2, .pad = 1},
    {.height = 4, .width = 8, .channels = 1, .size = 4, .stride_y = 4, .stride_x = 2, .pad = 0},
    {.height = 4, .width = 8, .channels = 1, .size = 4, .stride_y = 4, .stride_x = 4, .pad = 2},
    {.height = 1, .width = 1, .channels = 1, .size = 3, .stride_y = 1, .stride_x = 1, .pad = 1},
    {.height = 6, .width = 9, .channels = 2, .size = 1, .stride_y = 1, .stride_x = 3, .pad = 0},
    {.height = 9, .width = 4, .channels = 5, .size = 5, .stride_y = 2, .stride_x = 1, .pad = 2}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

/* The element of the pictures that column `column` of row `row` is; -1: it lies beside them. */
static int64_t source(const struct convolution_options *o, int64_t row, int64_t column) {
    int64_t width = convolution_width(o), places = convolution_height(o) * width;
    int64_t channel = column % o->channels, tap = column / o->channels;
    int64_t y = row % places / width * o->stride_y - o->pad + tap / o->size;
    int64_t x = row % width * o->stride_x - o->pad + tap % o->size;
    if (y < 0 || y >= o->height || x < 0 || x >= o->width) {
        return -1;
    }
    return ((row / places * o->height + y) * o->width + x) * o->channels + channel;
}

static void check_shape(struct device *d, const struct convolution_options *o, enum dtype type,
                        int64_t gap) {
    int64_t rows = BATCH * convolution_height(o) * convolution_width(o);
    int64_t columns = (int64_t)o->size * o->size * o->channels;
    const int64_t *picture = TENSOR_SHAPE(BATCH, o->height, o->width, o->channels);
    struct array *x = array_random(d, type, 0, picture, 1);
    struct array *dx = array_random(d, type, 0, picture, 1);
    struct array *out = array_random(d, type, gap, TENSOR_SHAPE(1, 1, rows, columns), 1);
    struct array *dy = array_random(d, type, gap, TENSOR_SHAPE(1, 1, rows, columns), 1);
    double *want = array_numbers(out), *want_dx = array_copy(dx);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < columns; i++) {
            int64_t from = source(o, r, i), to = r * columns + i;
            want[to] = from < 0 ? 0 : x->values[from];
            if (from >= 0) {
                want_dx[from] = op_rounded(want_dx[from] + dy->values[to], type);
            }
        }
    }
    CHECK_NUMBER(d->ops->im2col(d, &out->t, &x->t, o, NULL), 0);
    CHECK_NUMBER(d->ops->im2col_backward(d, &dx->t, &dy->t, o, NULL), 0);
    array_near(out, want, 0);
    array_near(dx, want_dx, 5e-7);
    arrays_release();
}

static void check(struct device *d) {
    for (int i = 0; i < SHAPE_COUNT; i++) {
        for (int k = 0; k < 4; k++) {
            check_shape(d, &SHAPES[i], k % 2 == 0 ? DTYPE_F32 : DTYPE_BF16, k / 2 * 3);
        }
    }
}

static void patches_are_cut_out_and_added_back(void) {
    each_device(check);
}

int main(void) {
    RUN(patches_are_cut_out_and_added_back);
    return test_finish();
}
