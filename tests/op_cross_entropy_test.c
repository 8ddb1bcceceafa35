/* op_cross_entropy_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define LIMIT 2e-6

static const double SCALE = 0.25, BEFORE = 2;

/* Sets `slopes` of a row; returns its cross-entropy. */
static double solve(double *slopes, const double *logits, int64_t width, int64_t label) {
    double largest = logits[0], sum = 0;
    for (int64_t i = 0; i < width; i++) {
        largest = fmax(largest, logits[i]);
    }
    for (int64_t i = 0; i < width; i++) {
        sum += exp(logits[i] - largest);
    }
    for (int64_t i = 0; i < width; i++) {
        slopes[i] = SCALE * (exp(logits[i] - largest) / sum - (i == label));
    }
    return log(sum) + largest - logits[label];
}

/* Slopes are differences of numbers up to SCALE. */
static void check_slopes(const struct array *a, const double *want) {
    const double *got = array_read(a);
    double rounding = a->t.type == DTYPE_BF16 ? 0x1p-8 : 0;
    for (int64_t i = 0; i < tensor_count(&a->t); i++) {
        CHECK_NEAR(got[i], want[i], LIMIT * SCALE + rounding * fabs(want[i]));
    }
}

static void check_spread(struct device *d, const struct op_case *c, double spread) {
    struct array *logits = array_normal(d, c, spread), *dlogits = array_normal(d, c, 1);
    struct array *labels = array_indices(d, c->rows, c->rows > 2 ? -1 : 0, c->width);
    struct array *loss = array_vector(d, 1, 0);
    double *want = array_numbers(logits), sum = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        if (labels->values[r] >= 0) {
            sum += solve(want + r * c->width, logits->values + r * c->width, c->width,
                         (int64_t)labels->values[r]);
        }
    }
    for (int i = 0; i < 3; i++) { /* the gradient elsewhere, nowhere, in place of the logits */
        const struct tensor *to[] = {&dlogits->t, NULL, &logits->t};
        loss->values[0] = BEFORE;
        array_write(d, loss);
        CHECK_NUMBER(
            d->ops->cross_entropy(d, &loss->t, to[i], &logits->t, &labels->t, (float)SCALE, NULL),
            0);
        CHECK_NEAR(array_read(loss)[0], BEFORE + sum, LIMIT * (BEFORE + sum));
    }
    check_slopes(dlogits, want);
    check_slopes(logits, want);
    arrays_release();
}

static void check(struct device *d, const struct op_case *c) {
    check_spread(d, c, 1);
    check_spread(d, c, 30);
}

static void it_adds_up_and_its_gradient_is_set(void) {
    each_case(check);
}

int main(void) {
    RUN(it_adds_up_and_its_gradient_is_set);
    return test_finish();
}
