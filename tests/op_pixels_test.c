/* op_pixels_test.c - bytes of pictures as numbers. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

static void check_channels(struct device *d, int64_t from, int64_t to) {
    static const float MEAN[3] = {0.5f, 0.25f, 0.48f}, DEVIATION[3] = {0.5f, 0.26f, 0.27f};
    struct array *x = array_new(d, DTYPE_U8, 0, TENSOR_SHAPE(2, 5, 31, from));
    struct array *out = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(2, 5, 31, to), 1);
    for (int64_t i = 0; i < tensor_count(&x->t); i++) {
        x->values[i] = (double)(i % 256);
    }
    array_write(d, x);
    double *want = array_numbers(out);
    for (int64_t i = 0; i < tensor_count(&out->t); i++) {
        double byte = x->values[i / to * from + (from == 1 ? 0 : i % to)];
        want[i] = (byte / 255 - (double)MEAN[i % to]) / (double)DEVIATION[i % to];
    }
    CHECK_NUMBER(d->ops->normalize_pixels(d, &out->t, &x->t, MEAN, DEVIATION, NULL), 0);
    array_near(out, want, 2e-7);
    arrays_release();
}

static void check(struct device *d) {
    check_channels(d, 3, 3);
    check_channels(d, 1, 1);
    check_channels(d, 1, 3);
}

static void bytes_become_numbers_of_one_channel_or_three(void) {
    each_device(check);
}

int main(void) {
    RUN(bytes_become_numbers_of_one_channel_or_three);
    return test_finish();
}
