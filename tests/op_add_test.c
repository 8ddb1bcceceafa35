/* op_add_test.c - sums and products, element by element. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define LIMIT 2e-7

static void check_add(struct device *d, const struct op_case *c) {
    struct array *a = array_normal(d, c, 1), *b = array_normal(d, c, 1);
    struct array *out = array_normal(d, c, 1);
    double *want = array_numbers(out);
    CHECK_NUMBER(d->ops->add(d, &out->t, &a->t, &b->t, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i] = a->values[i] + b->values[i];
    }
    array_near(out, want, LIMIT);
    CHECK_NUMBER(d->ops->add(d, &a->t, &a->t, &b->t, NULL), 0); /* in place */
    array_near(a, want, LIMIT);
}

/* a has three times as many rows as b; both types at once. */
static void check_repeated(struct device *d, const struct op_case *c) {
    struct op_case more = {c->rows * 3, c->width, DTYPE_F32, c->gap};
    struct array *a = array_normal(d, &more, 1), *b = array_normal(d, c, 1);
    double *want = array_copy(a);
    CHECK_NUMBER(d->ops->add(d, &a->t, &a->t, &b->t, NULL), 0);
    for (int64_t i = 0; i < 3 * c->rows * c->width; i++) {
        want[i] += b->values[i % (c->rows * c->width)];
    }
    array_near(a, want, LIMIT);
}

static void check_combine(struct device *d, const struct op_case *c) {
    struct array *a = array_normal(d, c, 1), *b = array_normal(d, c, 1);
    struct array *both = array_normal(d, c, 1), *one = array_normal(d, c, 1);
    double *want = array_numbers(both), *want_one = array_numbers(one);
    CHECK_NUMBER(d->ops->combine(d, &both->t, 0.5f, &a->t, -1.25f, &b->t, NULL), 0);
    CHECK_NUMBER(d->ops->combine(d, &one->t, -3, &a->t, 7, NULL, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i] = 0.5 * a->values[i] - 1.25 * b->values[i];
        want_one[i] = -3 * a->values[i];
    }
    array_near(both, want, LIMIT);
    array_near(one, want_one, LIMIT);
}

static void check_multiply(struct device *d, const struct op_case *c) {
    struct array *a = array_normal(d, c, 1), *b = array_normal(d, c, 1);
    struct array *out = array_normal(d, c, 1);
    double *want = array_numbers(out);
    CHECK_NUMBER(d->ops->multiply(d, &out->t, &a->t, &b->t, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i] = a->values[i] * b->values[i];
    }
    array_near(out, want, LIMIT);
}

static void check_multiply_backward(struct device *d, const struct op_case *c) {
    struct array *a = array_normal(d, c, 1), *b = array_normal(d, c, 1);
    struct array *dy = array_normal(d, c, 1), *da = array_normal(d, c, 1);
    struct array *db = array_normal(d, c, 1), *alone = array_normal(d, c, 1);
    double *want_a = array_copy(da), *want_b = array_copy(db), *want_alone = array_copy(alone);
    CHECK_NUMBER(d->ops->multiply_backward(d, &da->t, &db->t, &a->t, &b->t, &dy->t, NULL), 0);
    CHECK_NUMBER(d->ops->multiply_backward(d, NULL, &alone->t, &a->t, &b->t, &dy->t, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want_a[i] += b->values[i] * dy->values[i];
        want_b[i] += a->values[i] * dy->values[i];
        want_alone[i] += a->values[i] * dy->values[i];
    }
    array_near_sum(da, want_a, LIMIT);
    array_near_sum(db, want_b, LIMIT);
    array_near_sum(alone, want_alone, LIMIT);
}

static void add_is_a_sum_and_may_be_in_place(void) {
    each_case(check_add);
}

static void rows_of_the_smaller_are_repeated(void) {
    each_case(check_repeated);
}

static void combine_weighs_one_or_two(void) {
    each_case(check_combine);
}

static void multiply_and_its_gradients(void) {
    each_case(check_multiply);
    each_case(check_multiply_backward);
}

int main(void) {
    RUN(add_is_a_sum_and_may_be_in_place);
    RUN(rows_of_the_smaller_are_repeated);
    RUN(combine_weighs_one_or_two);
    RUN(multiply_and_its_gradients);
    return test_finish();
}
