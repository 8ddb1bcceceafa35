/* op_gelu_test.c - GELU, its approximation by a sigmoid, and their gradients. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

/* Of values relative to max(1, |x|), of gradients to the largest. */
#define LIMIT 4e-7
#define GRADIENT_LIMIT 1e-6

typedef int (*forward)(struct device *d, const struct tensor *out, const struct tensor *x,
                       struct error *e);
typedef int (*backward)(struct device *d, const struct tensor *dx, const struct tensor *x,
                        const struct tensor *dy, struct error *e);

static double gelu_of(double x) {
    return 0.5 * x * erfc(-x / sqrt(2));
}

static double gelu_slope(double x) {
    return 0.5 * erfc(-x / sqrt(2)) + x * exp(-x * x / 2) / sqrt(2 * acos(-1));
}

static double quick_gelu_of(double x) {
    return x / (1 + exp(-1.702 * x));
}

static double quick_gelu_slope(double x) {
    double s = 1 / (1 + exp(-1.702 * x));
    return s + 1.702 * x * s * (1 - s);
}

static void check_values(const struct array *out, const struct array *x, double (*of)(double)) {
    const double *got = array_read(out);
    double rounding = out->t.type == DTYPE_BF16 ? 0x1p-8 : 0;
    for (int64_t i = 0; i < tensor_count(&x->t); i++) {
        double want = of(x->values[i]);
        if (!CHECK_NEAR(got[i], want,
                        LIMIT * fmax(1, fabs(x->values[i])) + rounding * fabs(want))) {
            printf("# %s of %g\n", op_device, x->values[i]);
        }
    }
}

static void check_forward(struct device *d, const struct op_case *c, forward op,
                          double (*of)(double)) {
    static const double SPECIAL[] = {0,    -0.0, 1e-40, -1e-40, 1e-20, 3,   -3,  5.5,
                                     -5.5, 9.2,  -9.2,  30,     -30,   1e5, -1e5};
    struct array *x = array_normal(d, c, 4), *out = array_normal(d, c, 1);
    for (size_t i = 0; i < sizeof SPECIAL / sizeof *SPECIAL && c->rows * c->width > 40; i++) {
        x->values[i] = SPECIAL[i];
    }
    array_write(d, x);
    CHECK_NUMBER(op(d, &out->t, &x->t, NULL), 0);
    check_values(out, x, of);
    CHECK_NUMBER(op(d, &x->t, &x->t, NULL), 0); /* in place */
    const double *got = array_read(out), *in_place = array_read(x);
    CHECK(memcmp(got, in_place, (size_t)(c->rows * c->width) * sizeof *got) == 0);
}

static void check_backward(struct device *d, const struct op_case *c, backward op,
                           double (*slope)(double)) {
    struct array *x = array_normal(d, c, 2), *dy = array_normal(d, c, 1);
    struct array *dx = array_normal(d, c, 1);
    CHECK_NUMBER(op(d, &dx->t, &x->t, &dy->t, NULL), 0);
    double *want = array_copy(dx);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i] += dy->values[i] * slope(x->values[i]);
    }
    array_near_sum(dx, want, GRADIENT_LIMIT);
}

static void check_gelu(struct device *d, const struct op_case *c) {
    check_forward(d, c, d->ops->gelu, gelu_of);
    check_backward(d, c, d->ops->gelu_backward, gelu_slope);
}

static void check_quick_gelu(struct device *d, const struct op_case *c) {
    check_forward(d, c, d->ops->quick_gelu, quick_gelu_of);
    check_backward(d, c, d->ops->quick_gelu_backward, quick_gelu_slope);
}

static void gelu_is_exact(void) {
    each_case(check_gelu);
}

static void quick_gelu_is_exact(void) {
    each_case(check_quick_gelu);
}

int main(void) {
    RUN(gelu_is_exact);
    RUN(quick_gelu_is_exact);
    return test_finish();
}
