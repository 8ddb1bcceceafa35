/* op_swiglu_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define LIMIT 1e-6

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static void check_forward(struct device *d, const struct op_case *c) {
    struct array *gate = array_normal(d, c, 3), *up = array_normal(d, c, 1);
    struct array *out = array_normal(d, c, 1);
    double *want = array_numbers(out);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i] = gate->values[i] * sigmoid(gate->values[i]) * up->values[i];
    }
    CHECK_NUMBER(d->ops->swiglu(d, &out->t, &gate->t, &up->t, NULL), 0);
    array_near(out, want, LIMIT);
    CHECK_NUMBER(d->ops->swiglu(d, &gate->t, &gate->t, &up->t, NULL), 0); /* in place */
    array_near(gate, want, LIMIT);
}

/* A gradient so far that what is added does not nearly cancel. */
static struct array *gradient_so_far(struct device *d, const struct op_case *c) {
    struct array *a = array_normal(d, c, 1);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        a->values[i] += 8;
    }
    array_write(d, a);
    return a;
}

/* wanted: 1 the gate's gradient, 2 the other one's, 3 both. */
static void check_wanted(struct device *d, const struct op_case *c, int wanted) {
    struct array *gate = array_normal(d, c, 2), *up = array_normal(d, c, 1);
    struct array *dgate = gradient_so_far(d, c), *dup = gradient_so_far(d, c);
    struct array *dy = array_normal(d, c, 1);
    double *want_gate = array_copy(dgate), *want_up = array_copy(dup);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        double x = gate->values[i], s = sigmoid(x), slope = dy->values[i];
        want_gate[i] += (wanted & 1) != 0 ? slope * up->values[i] * s * (1 + x * (1 - s)) : 0;
        want_up[i] += (wanted & 2) != 0 ? slope * x * s : 0;
    }
    CHECK_NUMBER(d->ops->swiglu_backward(d, (wanted & 1) != 0 ? &dgate->t : NULL,
                                         (wanted & 2) != 0 ? &dup->t : NULL, &gate->t, &up->t,
                                         &dy->t, NULL),
                 0);
    array_near_sum(dgate, want_gate, (wanted & 1) != 0 ? LIMIT : 0);
    array_near_sum(dup, want_up, (wanted & 2) != 0 ? LIMIT : 0);
}

static void check_backward(struct device *d, const struct op_case *c) {
    for (int wanted = 1; wanted <= 3; wanted++) {
        check_wanted(d, c, wanted);
        arrays_release();
    }
}

static void swiglu_is_that_of_the_formula(void) {
    each_case(check_forward);
}

static void gradients_that_are_wanted_add_to_what_is_there(void) {
    each_case(check_backward);
}

int main(void) {
    RUN(swiglu_is_that_of_the_formula);
    RUN(gradients_that_are_wanted_add_to_what_is_there);
    return test_finish();
}
