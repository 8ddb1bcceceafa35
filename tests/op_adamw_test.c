/* op_adamw_test.c - steps are those of the paper. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

static void check(struct device *d, const struct op_case *c) {
    enum { STEPS = 5 };
    const double rate = 1e-2, decay = 0.1, beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8;
    struct op_case f32 = {c->rows, c->width, DTYPE_F32, c->gap};
    struct array *weight = array_normal(d, &f32, 1), *first = array_normal(d, &f32, 0);
    struct array *second = array_normal(d, &f32, 0), *gradient = array_normal(d, c, 1);
    double *w = array_copy(weight), *m = array_copy(first), *v = array_copy(second);
    for (int step = 1; step <= STEPS; step++) {
        double c1 = 1 - pow(beta1, step), c2 = 1 - pow(beta2, step);
        const struct adamw_step s = {.rate = (float)(rate / c1),
                                     .decay = (float)(rate * decay),
                                     .beta1 = (float)beta1,
                                     .beta2 = (float)beta2,
                                     .correction = (float)(1 / sqrt(c2)),
                                     .epsilon = (float)epsilon,
                                     .scale = 0.5f};
        for (int64_t i = 0; i < c->rows * c->width; i++) {
            double g = 0.5 * gradient->values[i];
            m[i] = beta1 * m[i] + (1 - beta1) * g;
            v[i] = beta2 * v[i] + (1 - beta2) * g * g;
            w[i] -= rate * decay * w[i] + rate * (m[i] / c1) / (sqrt(v[i] / c2) + epsilon);
        }
        CHECK_NUMBER(d->ops->adamw(d, &weight->t, &first->t, &second->t, &gradient->t, &s, NULL),
                     0);
    }
    array_near_sum(weight, w, 2e-6); /* steps may end near 0 */
    array_near(first, m, 2e-6);
    array_near(second, v, 2e-6);
}

static void adamw_is_that_of_the_paper(void) {
    each_case(check);
}

int main(void) {
    RUN(adamw_is_that_of_the_paper);
    return test_finish();
}
