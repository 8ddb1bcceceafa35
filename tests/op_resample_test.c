/* op_resample_test.c - grids fitted to others; that the numbers are PyTorch's is tested with the
 * encoder's goldens. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

static const struct resample_options SHAPES[] = {
    {.from_rows = 4, .from_columns = 4, .rows = 4, .columns = 4, .bicubic = true},
    {.from_rows = 4, .from_columns = 6, .rows = 7, .columns = 3, .bicubic = true},
    {.from_rows = 9, .from_columns = 8, .rows = 2, .columns = 15, .bicubic = true},
    {.from_rows = 5, .from_columns = 1, .rows = 12, .columns = 1},
    {.from_rows = 13, .from_columns = 1, .rows = 4, .columns = 1}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    return x < 1   ? (a + 2) * x * x * x - (a + 3) * x * x + 1
           : x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a
                   : 0;
}

/* How much of input j is in output i. */
static double weight(int64_t i, int64_t j, int64_t to, int64_t from, bool bicubic) {
    double scale = (double)from / (double)to, sum = 0;
    if (!bicubic) {
        double at = fmin(fmax(scale * ((double)i + 0.5) - 0.5, 0), (double)from - 1);
        return fmax(1 - fabs(at - (double)j), 0);
    }
    double wide = fmax(scale, 1), centre = scale * ((double)i + 0.5);
    for (int64_t k = 0; k < from; k++) {
        sum += cubic(((double)k - centre + 0.5) / wide);
    }
    return cubic(((double)j - centre + 0.5) / wide) / sum;
}

static void check_shape(struct device *d, const struct resample_options *o, int64_t width) {
    int64_t from = o->from_rows * o->from_columns, to = o->rows * o->columns;
    struct array *x = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, from, width), 1);
    struct array *dx = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, from, width), 1);
    struct array *out = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, to, width), 1);
    struct array *dy = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, to, width), 1);
    double *want = array_numbers(out), *want_dx = array_copy(dx);
    for (int64_t i = 0; i < to; i++) {
        for (int64_t j = 0; j < from; j++) {
            double share =
                weight(i / o->columns, j / o->from_columns, o->rows, o->from_rows, o->bicubic);
            if (o->from_columns > 1) {
                share *= weight(i % o->columns, j % o->from_columns, o->columns, o->from_columns,
                                o->bicubic);
            }
            for (int64_t k = 0; k < width; k++) {
                want[i * width + k] += share * x->values[j * width + k];
                want_dx[j * width + k] += share * dy->values[i * width + k];
            }
        }
    }
    CHECK_NUMBER(d->ops->resample(d, &out->t, &x->t, o, NULL), 0);
    CHECK_NUMBER(d->ops->resample_backward(d, &dx->t, &dy->t, o, NULL), 0);
    array_near(out, want, 1e-6);
    array_near(dx, want_dx, 1e-6);
    arrays_release();
}

static void check(struct device *d) {
    for (int i = 0; i < SHAPE_COUNT; i++) {
        check_shape(d, &SHAPES[i], 1);
        check_shape(d, &SHAPES[i], 37);
    }
}

static void grids_are_fitted_and_gradients_go_back(void) {
    each_device(check);
}

int main(void) {
    RUN(grids_are_fitted_and_gradients_go_back);
    return test_finish();
}
