/* op_gather_test.c - rows by number, and back. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

enum { FROM = 6 };

static struct array *table_of(struct device *d, const struct op_case *c) {
    const struct op_case table = {FROM, c->width, c->type, c->gap};
    return array_normal(d, &table, 1);
}

static void check_gather(struct device *d, const struct op_case *c) {
    struct array *x = table_of(d, c), *index = array_indices(d, c->rows, -1, FROM);
    const struct op_case f32 = {c->rows, c->width, DTYPE_F32, 0};
    struct array *same = array_normal(d, c, 1), *wide = array_normal(d, &f32, 1);
    double *want = array_numbers(same);
    CHECK_NUMBER(d->ops->gather(d, &same->t, &x->t, &index->t, NULL), 0);
    CHECK_NUMBER(d->ops->gather(d, &wide->t, &x->t, &index->t, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        int64_t row = (int64_t)index->values[i / c->width];
        want[i] = row < 0 ? 0 : x->values[row * c->width + i % c->width];
    }
    array_near(same, want, 0);
    array_near(wide, want, 0);
}

static void scatter(struct device *d, const struct op_case *c, int64_t rows) {
    const struct op_case many = {rows, c->width, c->type, c->gap};
    struct array *dx = table_of(d, c), *dy = array_normal(d, &many, 1);
    struct array *index = array_indices(d, many.rows, -1, FROM);
    double *want = array_copy(dx);
    CHECK_NUMBER(d->ops->scatter_add(d, &dx->t, &dy->t, &index->t, NULL), 0);
    for (int64_t r = 0; r < many.rows; r++) {
        int64_t row = (int64_t)index->values[r];
        for (int64_t i = 0; i < c->width && row >= 0; i++) {
            double *to = want + row * c->width + i;
            *to = op_rounded(*to + dy->values[r * c->width + i], c->type);
        }
    }
    array_near_sum(dx, want, 1e-7);
}

/* Several rows go to one: more rows than the table has. */
static void check_scatter(struct device *d, const struct op_case *c) {
    scatter(d, c, c->rows + FROM);
}

static void check_scatter_of_many(struct device *d) {
    static const enum dtype TYPES[] = {DTYPE_F32, DTYPE_BF16};
    for (int i = 0; i < 2; i++) {
        const struct op_case c = {FROM, 3, TYPES[i], 3};
        scatter(d, &c, 2500);
        arrays_release();
    }
}

static void rows_are_found_by_number_and_missing_ones_are_zeros(void) {
    each_case(check_gather);
}

static void rows_of_one_number_are_added_up(void) {
    each_case(check_scatter);
    each_device(check_scatter_of_many);
}

int main(void) {
    RUN(rows_are_found_by_number_and_missing_ones_are_zeros);
    RUN(rows_of_one_number_are_added_up);
    return test_finish();
}
