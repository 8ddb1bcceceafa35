/* op_layer_norm_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

/* Relative to the largest, where the mean is not far from 0. */
#define LIMIT 2e-6
#define GRADIENT_LIMIT 1e-5
#define EPS 1e-6

/* Mean and 1 / deviation of a row. */
static void measure(const double *x, int64_t width, double *mean, double *scale) {
    double variance = 0;
    *mean = 0;
    for (int64_t i = 0; i < width; i++) {
        *mean += x[i] / (double)width;
    }
    for (int64_t i = 0; i < width; i++) {
        variance += (x[i] - *mean) * (x[i] - *mean) / (double)width;
    }
    *scale = 1 / sqrt(variance + (double)(float)EPS);
}

static void check_at(struct device *d, const struct op_case *c, double offset) {
    struct array *x = array_normal(d, c, 1), *out = array_normal(d, c, 1);
    struct array *gamma = array_vector(d, c->width, 1), *beta = array_vector(d, c->width, 1);
    double *want = array_numbers(out), condition = 1;
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        x->values[i] += offset;
    }
    array_write(d, x);
    CHECK_NUMBER(d->ops->layer_norm(d, &out->t, &x->t, &gamma->t, &beta->t, (float)EPS, NULL), 0);
    for (int64_t r = 0; r < c->rows; r++) {
        const double *row = x->values + r * c->width;
        double mean, scale;
        measure(row, c->width, &mean, &scale);
        /* the mean is rounded: values that lie close together far from 0 cost precision in any
         * order of sums */
        condition = fmax(condition, fabs(mean) * scale);
        for (int64_t i = 0; i < c->width; i++) {
            want[r * c->width + i] = (row[i] - mean) * scale * gamma->values[i] + beta->values[i];
        }
    }
    array_near(out, want, LIMIT * condition);
    CHECK_NUMBER(d->ops->layer_norm(d, &x->t, &x->t, &gamma->t, &beta->t, (float)EPS, NULL), 0);
    const double *got = array_read(out), *in_place = array_read(x);
    CHECK(memcmp(got, in_place, (size_t)(c->rows * c->width) * sizeof *got) == 0);
}

static void check_forward(struct device *d, const struct op_case *c) {
    check_at(d, c, 0);
    arrays_release();
    check_at(d, c, 10);
}

struct gradients {
    double *x, *gamma, *beta;
};

/* Adds the gradients of sum(dy * out). */
static void solve(const struct gradients *g, const struct op_case *c, const double *x,
                  const double *gamma, const double *dy) {
    for (int64_t r = 0; r < c->rows; r++, x += c->width, dy += c->width) {
        double mean, scale, sum = 0, weighted = 0;
        measure(x, c->width, &mean, &scale);
        for (int64_t i = 0; i < c->width; i++) {
            double h = (x[i] - mean) * scale;
            sum += dy[i] * gamma[i] / (double)c->width;
            weighted += dy[i] * gamma[i] * h / (double)c->width;
            g->gamma[i] += dy[i] * h;
            g->beta[i] += dy[i];
        }
        for (int64_t i = 0; i < c->width; i++) {
            double h = (x[i] - mean) * scale;
            g->x[r * c->width + i] += (dy[i] * gamma[i] - sum - h * weighted) * scale;
        }
    }
}

static void check_backward(struct device *d, const struct op_case *c) {
    struct array *x = array_normal(d, c, 1), *dy = array_normal(d, c, 1);
    struct array *gamma = array_vector(d, c->width, 1), *dx = array_normal(d, c, 1);
    struct array *dgamma = array_vector(d, c->width, 1), *dbeta = array_vector(d, c->width, 1);
    const struct gradients g = {array_copy(dx), array_copy(dgamma), array_copy(dbeta)};
    if (c->width < 3) {
        return; /* a slope of nearly 0 times a scale of nearly 1000 */
    }
    solve(&g, c, x->values, gamma->values, dy->values);
    CHECK_NUMBER(d->ops->layer_norm_backward(d, &dx->t, &dgamma->t, &dbeta->t, &x->t, &gamma->t,
                                             &dy->t, (float)EPS, NULL),
                 0);
    array_near(dx, g.x, GRADIENT_LIMIT);
    array_near(dgamma, g.gamma, GRADIENT_LIMIT);
    array_near(dbeta, g.beta, GRADIENT_LIMIT);
}

/* What is not wanted changes nothing of the rest. */
static void check_some(struct device *d, const struct op_case *c) {
    struct array *x = array_normal(d, c, 1), *dy = array_normal(d, c, 1);
    struct array *gamma = array_vector(d, c->width, 1);
    struct array *all[3], *alone[3];
    for (int i = 0; i < 3; i++) {
        const int64_t *shape = i == 0 ? x->t.shape : gamma->t.shape;
        all[i] = array_random(d, i == 0 ? c->type : DTYPE_F32, 0, shape, 0);
        alone[i] = array_random(d, i == 0 ? c->type : DTYPE_F32, 0, shape, 0);
    }
    CHECK_NUMBER(d->ops->layer_norm_backward(d, &all[0]->t, &all[1]->t, &all[2]->t, &x->t,
                                             &gamma->t, &dy->t, (float)EPS, NULL),
                 0);
    for (int i = 0; i < 3; i++) {
        CHECK_NUMBER(d->ops->layer_norm_backward(
                         d, i == 0 ? &alone[0]->t : NULL, i == 1 ? &alone[1]->t : NULL,
                         i == 2 ? &alone[2]->t : NULL, &x->t, &gamma->t, &dy->t, (float)EPS, NULL),
                     0);
        array_near(alone[i], array_read(all[i]), 1e-7);
    }
}

static void layer_norm_is_accurate_in_place_too(void) {
    each_case(check_forward);
}

static void gradients_are_those_of_the_formula(void) {
    each_case(check_backward);
}

static void check_many(struct device *d) {
    const struct op_case c = {500, 24, DTYPE_BF16, 0};
    check_backward(d, &c);
    arrays_release();
    check_some(d, &c);
    arrays_release();
}

static void gradients_of_many_rows_are_exact_enough(void) {
    each_device(check_many);
}

static void each_gradient_may_be_left_out(void) {
    each_case(check_some);
}

int main(void) {
    RUN(layer_norm_is_accurate_in_place_too);
    RUN(gradients_are_those_of_the_formula);
    RUN(gradients_of_many_rows_are_exact_enough);
    RUN(each_gradient_may_be_left_out);
    return test_finish();
}
