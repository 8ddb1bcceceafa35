/* op_softmax_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define LIMIT 2e-6

static void solve(double *out, const double *x, int64_t width) {
    double largest = x[0], sum = 0;
    for (int64_t i = 0; i < width; i++) {
        largest = fmax(largest, x[i]);
    }
    for (int64_t i = 0; i < width; i++) {
        out[i] = exp(x[i] - largest);
        sum += out[i];
    }
    for (int64_t i = 0; i < width; i++) {
        out[i] /= sum;
    }
}

static void check_forward(struct device *d, const struct op_case *c) {
    static const double SPREADS[] = {1,
                                     30}; /* of 30: most weights are far below F32's last place */
    for (int s = 0; s < 2; s++) {
        struct array *x = array_normal(d, c, SPREADS[s]), *out = array_normal(d, c, 1);
        double *want = array_numbers(out);
        CHECK_NUMBER(d->ops->softmax(d, &out->t, &x->t, NULL), 0);
        for (int64_t r = 0; r < c->rows; r++) {
            solve(want + r * c->width, x->values + r * c->width, c->width);
        }
        array_near(out, want, LIMIT);
        CHECK_NUMBER(d->ops->softmax(d, &x->t, &x->t, NULL), 0); /* in place */
        array_near(x, want, LIMIT);
    }
}

static void check_backward(struct device *d, const struct op_case *c) {
    struct array *y = array_normal(d, c, 1), *dy = array_normal(d, c, 1);
    struct array *dx = array_normal(d, c, 0.1);
    double *want = array_copy(dx);
    for (int64_t r = 0; r < c->rows; r++) {
        solve(y->values + r * c->width, y->values + r * c->width, c->width);
    }
    array_write(d, y);
    CHECK_NUMBER(d->ops->softmax_backward(d, &dx->t, &y->t, &dy->t, NULL), 0);
    for (int64_t r = 0; r < c->rows; r++) {
        const double *p = y->values + r * c->width, *g = dy->values + r * c->width;
        double dot = 0;
        for (int64_t i = 0; i < c->width; i++) {
            dot += p[i] * g[i];
        }
        for (int64_t i = 0; i < c->width; i++) {
            want[r * c->width + i] += p[i] * (g[i] - dot);
        }
    }
    array_near_sum(dx, want, LIMIT);
}

static void softmax_is_that_of_the_formula(void) {
    each_case(check_forward);
}

static void its_gradient_adds_to_what_is_there(void) {
    each_case(check_backward);
}

int main(void) {
    RUN(softmax_is_that_of_the_formula);
    RUN(its_gradient_adds_to_what_is_there);
    return test_finish();
}
