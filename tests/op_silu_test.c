/* op_silu_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

/* Of values relative to max(1, |x|), of gradients to the largest. */
#define LIMIT 4e-7
#define GRADIENT_LIMIT 1e-6

static double silu_of(double x) {
    return x / (1 + exp(-x));
}

static double silu_slope(double x) {
    double s = 1 / (1 + exp(-x));
    return s * (1 + x * (1 - s));
}

static void check_forward(struct device *d, const struct op_case *c) {
    static const double SPECIAL[] = {0, -0.0, 1e-40, -1e-40, 3, -3, 30, -30, 88, -88, 1e5, -1e5};
    struct array *x = array_normal(d, c, 4), *out = array_normal(d, c, 1);
    for (size_t i = 0; i < sizeof SPECIAL / sizeof *SPECIAL && c->rows * c->width > 40; i++) {
        x->values[i] = SPECIAL[i];
    }
    array_write(d, x);
    CHECK_NUMBER(d->ops->silu(d, &out->t, &x->t, NULL), 0);
    const double *got = array_read(out);
    double rounding = c->type == DTYPE_BF16 ? 0x1p-8 : 0;
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        double want = silu_of(x->values[i]);
        CHECK_NEAR(got[i], want, LIMIT * fmax(1, fabs(x->values[i])) + rounding * fabs(want));
    }
    CHECK_NUMBER(d->ops->silu(d, &x->t, &x->t, NULL), 0); /* in place */
    CHECK(memcmp(got, array_read(x), (size_t)(c->rows * c->width) * sizeof *got) == 0);
}

static void check_backward(struct device *d, const struct op_case *c) {
    struct array *x = array_normal(d, c, 2), *dy = array_normal(d, c, 1);
    struct array *dx = array_normal(d, c, 1);
    CHECK_NUMBER(d->ops->silu_backward(d, &dx->t, &x->t, &dy->t, NULL), 0);
    double *want = array_copy(dx);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i] += dy->values[i] * silu_slope(x->values[i]);
    }
    array_near_sum(dx, want, GRADIENT_LIMIT);
}

static void silu_is_exact(void) {
    each_case(check_forward);
}

static void its_gradient_adds_to_what_is_there(void) {
    each_case(check_backward);
}

int main(void) {
    RUN(silu_is_exact);
    RUN(its_gradient_adds_to_what_is_there);
    return test_finish();
}
