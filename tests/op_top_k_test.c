/* op_top_k_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

/* How many of a row stand before place i, k at most: they are larger, or equal and first. */
static int64_t rank_of(const double *row, int64_t width, int64_t i, int64_t k) {
    int64_t before = 0;
    for (int64_t j = 0; j < width && before < k; j++) {
        before += row[j] > row[i] || (row[j] == row[i] && j < i);
    }
    return before;
}

/* k of rows in which numbers come more than once. */
static void check_of(struct device *d, const struct op_case *c, int64_t k) {
    struct array *x = array_normal(d, c, 1);
    struct op_case narrow = *c;
    narrow.width = k;
    struct array *values = array_normal(d, &narrow, 1);
    struct array *index = array_new(d, DTYPE_I32, c->gap, TENSOR_SHAPE(1, 1, c->rows, k));
    double *want = array_numbers(values), *want_index = array_numbers(values);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        x->values[i] = floor(8 * x->values[i]) / 8;
    }
    array_write(d, x);
    array_write(d, index);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        const double *row = x->values + i / c->width * c->width;
        int64_t rank = rank_of(row, c->width, i % c->width, k);
        if (rank < k) {
            want[i / c->width * k + rank] = x->values[i];
            want_index[i / c->width * k + rank] = (double)(i % c->width);
        }
    }
    CHECK_NUMBER(d->ops->top_k(d, &values->t, &index->t, &x->t, NULL), 0);
    array_near(values, want, 0);
    array_near(index, want_index, 0);
    array_write(d, index);
    CHECK_NUMBER(d->ops->top_k(d, NULL, &index->t, &x->t, NULL), 0);
    array_near(index, want_index, 0);
    for (int64_t i = 0; i < c->rows * k; i++) {
        x->values[i / k * c->width + (int64_t)want_index[i]] += want[i];
    }
    CHECK_NUMBER(d->ops->top_k_backward(d, &x->t, &values->t, &index->t, NULL), 0);
    array_near(x, x->values, 0);
}

static void check(struct device *d, const struct op_case *c) {
    static const int64_t COUNTS[] = {1, 2, 7, 50};
    for (int i = 0; i < 4; i++) {
        if (COUNTS[i] <= c->width) {
            check_of(d, c, COUNTS[i]);
            arrays_release();
        }
    }
}

static void the_largest_come_first_and_go_back_to_their_places(void) {
    each_case(check);
}

int main(void) {
    RUN(the_largest_come_first_and_go_back_to_their_places);
    return test_finish();
}
