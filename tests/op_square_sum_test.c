/* op_square_sum_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

static void check(struct device *d, const struct op_case *c) {
    struct array *x = array_normal(d, c, 1), *sum = array_vector(d, 1, 1);
    double *want = array_copy(sum);
    CHECK_NUMBER(d->ops->square_sum(d, &sum->t, &x->t, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[0] += x->values[i] * x->values[i];
    }
    array_near(sum, want, 1e-6);
}

static void check_long(struct device *d) {
    struct array *x = array_vector(d, 100003, 1), *sum = array_vector(d, 1, 0);
    double want = 0;
    CHECK_NUMBER(d->ops->square_sum(d, &sum->t, &x->t, NULL), 0);
    for (int64_t i = 0; i < tensor_count(&x->t); i++) {
        want += x->values[i] * x->values[i];
    }
    array_near(sum, &want, 1e-6);
    arrays_release();
}

static void squares_are_added_to_what_is_there(void) {
    each_case(check);
}

static void long_sums_are_exact_enough(void) {
    each_device(check_long);
}

int main(void) {
    RUN(squares_are_added_to_what_is_there);
    RUN(long_sums_are_exact_enough);
    return test_finish();
}
