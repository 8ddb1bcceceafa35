/* op_cosine_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define LIMIT 2e-6
#define GRADIENT_LIMIT 1e-5

static double dot(const double *x, const double *y, int64_t width) {
    double sum = 0;
    for (int64_t i = 0; i < width; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

static double cosine_of(const double *x, const double *y, int64_t width) {
    double lengths = sqrt(dot(x, x, width) * dot(y, y, width));
    return lengths > 0 ? dot(x, y, width) / lengths : 0;
}

/* The first row of a is of zeros. */
static struct array *with_zeros(struct device *d, const struct op_case *c) {
    struct array *a = array_normal(d, c, 2);
    memset(a->values, 0, (size_t)c->width * sizeof *a->values);
    array_write(d, a);
    return a;
}

static void check_forward(struct device *d, const struct op_case *c) {
    struct array *a = with_zeros(d, c), *b = array_normal(d, c, 1);
    struct array *out = array_vector(d, c->rows, 1);
    double *want = array_numbers(out);
    for (int64_t r = 0; r < c->rows; r++) {
        want[r] = cosine_of(a->values + r * c->width, b->values + r * c->width, c->width);
    }
    CHECK_NUMBER(d->ops->cosine(d, &out->t, &a->t, &b->t, NULL), 0);
    const double *got = array_read(out);
    CHECK(got[0] == 0);
    for (int64_t r = 0; r < c->rows; r++) {
        CHECK_NEAR(got[r], want[r], LIMIT);
    }
}

/* wanted += slope times the gradient of x's cosine with y */
static void add_gradient(double *want, const double *x, const double *y, double slope,
                         int64_t width) {
    double xx = dot(x, x, width), yy = dot(y, y, width), cosine = cosine_of(x, y, width);
    for (int64_t i = 0; i < width && xx > 0 && yy > 0; i++) {
        want[i] += slope * (y[i] / sqrt(xx * yy) - cosine * x[i] / xx);
    }
}

/* wanted: 1 of a, 2 of b, 3 both. */
static void check_wanted(struct device *d, const struct op_case *c, int wanted) {
    struct array *a = with_zeros(d, c), *b = array_normal(d, c, 1);
    struct array *da = array_normal(d, c, 1), *db = array_normal(d, c, 1);
    struct array *dy = array_vector(d, c->rows, 1);
    double *want_a = array_copy(da), *want_b = array_copy(db);
    for (int64_t at = 0; at < c->rows * c->width; at += c->width) {
        const double *x = a->values + at, *y = b->values + at;
        double slope = dy->values[at / c->width];
        add_gradient(want_a + at, x, y, (wanted & 1) != 0 ? slope : 0, c->width);
        add_gradient(want_b + at, y, x, (wanted & 2) != 0 ? slope : 0, c->width);
    }
    CHECK_NUMBER(d->ops->cosine_backward(d, (wanted & 1) != 0 ? &da->t : NULL,
                                         (wanted & 2) != 0 ? &db->t : NULL, &a->t, &b->t, &dy->t,
                                         NULL),
                 0);
    array_near_sum(da, want_a, (wanted & 1) != 0 ? GRADIENT_LIMIT : 0);
    array_near_sum(db, want_b, (wanted & 2) != 0 ? GRADIENT_LIMIT : 0);
}

static void check_backward(struct device *d, const struct op_case *c) {
    for (int wanted = 1; wanted <= 3; wanted++) {
        check_wanted(d, c, wanted);
        arrays_release();
    }
}

static void cosine_is_that_of_the_formula(void) {
    each_case(check_forward);
}

static void gradients_that_are_wanted_add_to_what_is_there(void) {
    each_case(check_backward);
}

int main(void) {
    RUN(cosine_is_that_of_the_formula);
    RUN(gradients_that_are_wanted_add_to_what_is_there);
    return test_finish();
}
