/* op_rms_norm_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define LIMIT 2e-6
#define GRADIENT_LIMIT 1e-5
#define EPS 1e-6

static double scale_of(const double *x, int64_t width) {
    double squares = 0;
    for (int64_t i = 0; i < width; i++) {
        squares += x[i] * x[i] / (double)width;
    }
    return 1 / sqrt(squares + (double)(float)EPS);
}

static void check_forward(struct device *d, const struct op_case *c) {
    struct array *x = array_normal(d, c, 3), *out = array_normal(d, c, 1);
    struct array *gamma = array_vector(d, c->width, 1);
    double *want = array_numbers(out);
    for (int64_t r = 0; r < c->rows; r++) {
        const double *row = x->values + r * c->width;
        double scale = scale_of(row, c->width);
        for (int64_t i = 0; i < c->width; i++) {
            want[r * c->width + i] = row[i] * scale * gamma->values[i];
        }
    }
    CHECK_NUMBER(d->ops->rms_norm(d, &out->t, &x->t, &gamma->t, (float)EPS, NULL), 0);
    array_near(out, want, LIMIT);
    CHECK_NUMBER(d->ops->rms_norm(d, &x->t, &x->t, &gamma->t, (float)EPS, NULL), 0);
    const double *got = array_read(out), *in_place = array_read(x);
    CHECK(memcmp(got, in_place, (size_t)(c->rows * c->width) * sizeof *got) == 0);
}

/* wanted: 1 of x, 2 of gamma, 3 both. */
static void check_wanted(struct device *d, const struct op_case *c, int wanted) {
    struct array *x = array_normal(d, c, 1), *dy = array_normal(d, c, 1);
    struct array *gamma = array_vector(d, c->width, 1), *dx = array_normal(d, c, 1);
    struct array *dgamma = array_vector(d, c->width, 1);
    double *want = array_copy(dx), *want_gamma = array_copy(dgamma);
    bool of_x = (wanted & 1) != 0, of_gamma = (wanted & 2) != 0;
    for (int64_t r = 0; r < c->rows; r++) {
        const double *row = x->values + r * c->width, *slope = dy->values + r * c->width;
        double scale = scale_of(row, c->width), weighted = 0;
        for (int64_t i = 0; i < c->width; i++) {
            weighted += slope[i] * gamma->values[i] * row[i] * scale / (double)c->width;
        }
        for (int64_t i = 0; i < c->width; i++) {
            double h = row[i] * scale;
            want[r * c->width + i] +=
                of_x ? (slope[i] * gamma->values[i] - h * weighted) * scale : 0;
            want_gamma[i] += of_gamma ? slope[i] * h : 0;
        }
    }
    CHECK_NUMBER(d->ops->rms_norm_backward(d, of_x ? &dx->t : NULL, of_gamma ? &dgamma->t : NULL,
                                           &x->t, &gamma->t, &dy->t, (float)EPS, NULL),
                 0);
    if (c->width > 1) { /* else a slope of nearly 0 from numbers that are not */
        array_near_sum(dx, want, of_x ? GRADIENT_LIMIT : 0);
    }
    array_near_sum(dgamma, want_gamma, of_gamma ? GRADIENT_LIMIT : 0);
}

static void check_backward(struct device *d, const struct op_case *c) {
    for (int wanted = 1; wanted <= 3; wanted++) {
        check_wanted(d, c, wanted);
        arrays_release();
    }
}

static void rms_norm_is_accurate_in_place_too(void) {
    each_case(check_forward);
}

static void gradients_that_are_wanted_add_to_what_is_there(void) {
    each_case(check_backward);
}

int main(void) {
    RUN(rms_norm_is_accurate_in_place_too);
    RUN(gradients_that_are_wanted_add_to_what_is_there);
    return test_finish();
}
