/* op_sum_rows_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

static void check_within(struct device *d, const struct op_case *c, double limit) {
    struct array *x = array_normal(d, c, 1), *sums = array_vector(d, c->width, 1);
    double *want = array_copy(sums);
    CHECK_NUMBER(d->ops->sum_rows(d, &sums->t, &x->t, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i % c->width] += x->values[i];
    }
    array_near_sum(sums, want, limit);
}

static void check(struct device *d, const struct op_case *c) {
    check_within(d, c, 1e-6);
}

static void sums_are_added_to_what_is_there(void) {
    each_case(check);
}

/* Rows may be added one after another, in F32. */
static void check_many(struct device *d) {
    for (int64_t width = 24; width <= 25; width++) {
        const struct op_case c = {1000, width, DTYPE_F32, 0};
        check_within(d, &c, 5e-6);
        arrays_release();
    }
}

static void many_rows_are_exact_enough(void) {
    each_device(check_many);
}

int main(void) {
    RUN(sums_are_added_to_what_is_there);
    RUN(many_rows_are_exact_enough);
    return test_finish();
}
