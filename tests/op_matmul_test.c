/* op_matmul_test.c - products of tensors as they are. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

/* (batch, heads, m, n, k) */
static const int64_t SHAPES[][5] = {{1, 1, 1, 1, 1},   {1, 1, 1, 5, 3},   {1, 1, 6, 1, 2},
                                    {1, 1, 5, 7, 1},   {1, 1, 33, 17, 9}, {1, 4, 3, 5, 16},
                                    {3, 1, 8, 2, 31},  {2, 3, 16, 19, 5}, {2, 2, 1, 64, 64},
                                    {1, 1, 300, 4, 7}, {2, 2, 9, 1, 3}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

/* A matrix for each of (batch, heads), whose rows lie in `how`: 0 dense, 1 turned, 2 as
 * heads of one matrix (batch * rows, heads * columns), 3 apart and turned. values[] is in
 * the view's order. */
static struct array *factor(struct device *d, enum dtype type, const int64_t shape[TENSOR_RANK],
                            int how) {
    int64_t batch = shape[0], heads = shape[1], rows = shape[2], columns = shape[3];
    struct array *a;
    if (how == 2) {
        a = array_new(d, type, 1, TENSOR_SHAPE(1, 1, batch * rows, heads * columns));
        struct tensor t = tensor_heads(&a->t, batch, 0, heads, columns);
        a->t = t;
        a->t.shape[1] = heads;
        a->t.shape[2] = rows;
        a->t.stride[1] = t.stride[2];
        a->t.stride[2] = t.stride[1];
    } else if (how == 0) {
        a = array_new(d, type, 0, shape);
    } else {
        a = array_new(d, type, how == 3 ? 2 : 0, TENSOR_SHAPE(batch, heads, columns, rows));
        a->t = tensor_transpose(&a->t);
    }
    for (int64_t i = 0; i < batch * heads * rows * columns; i++) {
        a->values[i] = op_normal();
    }
    array_write(d, a);
    return a;
}

static void solve(double *out, const struct array *a, const struct array *b, const int64_t s[5]) {
    int64_t m = s[2], n = s[3], k = s[4];
    for (int64_t i = 0; i < s[0] * s[1] * m * n; i++) {
        int64_t matrix = i / (m * n), batch = matrix / s[1], head = matrix % s[1];
        const double *left = a->values, *right = b->values;
        left += (batch % a->t.shape[0] * a->t.shape[1] + head % a->t.shape[1]) * m * k;
        right += (batch % b->t.shape[0] * b->t.shape[1] + head % b->t.shape[1]) * k * n;
        for (int64_t j = 0; j < k; j++) {
            out[i] += left[i / n % m * k + j] * right[j * n + i % n];
        }
    }
}

static void check_views(struct device *d, const int64_t s[5], enum dtype type, enum dtype out_type,
                        int how) {
    struct array *a = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[2], s[4]), how % 4);
    struct array *b = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[4], s[3]), how / 4 % 4);
    struct array *out = factor(d, out_type, TENSOR_SHAPE(s[0], s[1], s[2], s[3]), how / 16);
    double *want = array_numbers(out), *sums = array_copy(out);
    solve(want, a, b, s);
    solve(sums, a, b, s);
    CHECK_NUMBER(d->ops->matmul(d, &out->t, &a->t, &b->t, NULL, true, NULL), 0);
    bool ok = array_near_sum(out, sums, out_type == DTYPE_BF16 ? 4e-3 : 1e-6);
    CHECK_NUMBER(d->ops->matmul(d, &out->t, &a->t, &b->t, NULL, false, NULL), 0);
    ok = array_near(out, want, 1e-6) && ok;
    if (!ok) {
        printf("# (%d, %d) of %d x %d x %d, views %d\n", (int)s[0], (int)s[1], (int)s[2], (int)s[3],
               (int)s[4], how);
    }
    arrays_release();
}

static void check(struct device *d) {
    for (int i = 0; i < SHAPE_COUNT; i++) {
        for (int how = i % 3; how < 64; how += 3) {
            check_views(d, SHAPES[i], DTYPE_F32, DTYPE_F32, how);
            check_views(d, SHAPES[i], DTYPE_BF16, DTYPE_F32, how);
            check_views(d, SHAPES[i], DTYPE_BF16, DTYPE_BF16, how);
        }
    }
}

static void products_of_any_views_are_those_of_the_formula(void) {
    each_device(check);
}

/* Longer than what is taken at a time: inner dimensions of more than 512 elements, rows of more
 * than 96, columns of more than 64 to 512; and narrow ones, which are turned over. Of numbers that
 * BF16 has, so that it does not matter in which type they are multiplied. */
static void check_types(struct device *d) {
    static const int64_t LARGE[][5] = {
        {1, 1, 100, 70, 1100}, {1, 1, 97, 530, 33}, {1, 1, 200, 16, 75}, {1, 1, 7, 300, 520}};
    for (int i = 0; i < 16; i++) {
        const int64_t *s = LARGE[i / 4];
        const enum dtype types[] = {i % 2 == 0 ? DTYPE_F32 : DTYPE_BF16,
                                    i / 2 % 2 == 0 ? DTYPE_F32 : DTYPE_BF16};
        struct array *a = factor(d, DTYPE_BF16, TENSOR_SHAPE(1, 1, s[2], s[4]), i % 3 % 2);
        struct array *b = factor(d, DTYPE_BF16, TENSOR_SHAPE(1, 1, s[4], s[3]), i % 2);
        struct array *wide_a = factor(d, types[0], TENSOR_SHAPE(1, 1, s[2], s[4]), i % 3 % 2);
        struct array *wide_b = factor(d, types[1], TENSOR_SHAPE(1, 1, s[4], s[3]), i % 2);
        struct array *out = factor(d, DTYPE_F32, TENSOR_SHAPE(1, 1, s[2], s[3]), i % 3 / 2);
        double *want = array_copy(out);
        solve(want, a, b, s);
        CHECK_NUMBER(d->ops->copy(d, &wide_a->t, &a->t, NULL), 0);
        CHECK_NUMBER(d->ops->copy(d, &wide_b->t, &b->t, NULL), 0);
        CHECK_NUMBER(d->ops->matmul(d, &out->t, &wide_a->t, &wide_b->t, NULL, true, NULL), 0);
        array_near(out, want, 2e-6);
        arrays_release();
    }
}

static void large_ones_of_any_types_are_put_together(void) {
    each_device_of(check_types, true);
}

static void check_repeated(struct device *d) {
    static const int64_t SHAPE[5] = {2, 3, 4, 5, 6};
    for (int which = 0; which < 8; which++) {
        bool left = which % 2 == 0, batch = which / 2 % 2 == 0, heads = which / 4 == 0;
        int64_t sizes[2] = {batch ? 1 : SHAPE[0], heads ? 1 : SHAPE[1]};
        struct array *a = factor(d, DTYPE_F32,
                                 TENSOR_SHAPE(left ? sizes[0] : SHAPE[0],
                                              left ? sizes[1] : SHAPE[1], SHAPE[2], SHAPE[4]),
                                 0);
        struct array *b = factor(d, DTYPE_F32,
                                 TENSOR_SHAPE(left ? SHAPE[0] : sizes[0],
                                              left ? SHAPE[1] : sizes[1], SHAPE[4], SHAPE[3]),
                                 1);
        struct array *out =
            factor(d, DTYPE_F32, TENSOR_SHAPE(SHAPE[0], SHAPE[1], SHAPE[2], SHAPE[3]), which % 3);
        double *want = array_numbers(out);
        solve(want, a, b, SHAPE);
        CHECK_NUMBER(d->ops->matmul(d, &out->t, &a->t, &b->t, NULL, false, NULL), 0);
        array_near(out, want, 1e-6);
        arrays_release();
    }
}

static void batches_of_one_are_repeated(void) {
    each_device(check_repeated);
}

/* Rows of batches that are one and more, of a product that is rounded. */
static void check_bias(struct device *d) {
    static const int64_t SHAPES_OF_IT[][5] = {{1, 1, 33, 17, 9}, {2, 3, 16, 19, 5}};
    for (int i = 0; i < 4; i++) {
        const int64_t *s = SHAPES_OF_IT[i / 2];
        const enum dtype type = i % 2 == 0 ? DTYPE_F32 : DTYPE_BF16;
        struct array *a = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[2], s[4]), 0);
        struct array *b = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[4], s[3]), 1);
        struct array *bias = factor(d, DTYPE_F32, TENSOR_SHAPE(1, 1, 1, s[3]), 0);
        struct array *out = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[2], s[3]), 0);
        double *want = array_numbers(out);
        for (int64_t k = 0; k < s[0] * s[1] * s[2] * s[3]; k++) {
            want[k] = bias->values[k % s[3]];
        }
        solve(want, a, b, s);
        CHECK_NUMBER(d->ops->matmul(d, &out->t, &a->t, &b->t, &bias->t, false, NULL), 0);
        array_near(out, want, type == DTYPE_BF16 ? 4e-3 : 1e-6);
        arrays_release();
    }
}

static void a_bias_is_added_to_each_row(void) {
    each_device(check_bias);
}

/* Nothing to multiply, or nothing to write: out keeps what it is added to, or becomes the bias. */
static void check_nothing(struct device *d) {
    static const int64_t SIZES[][5] = {
        {1, 1, 0, 5, 3}, {1, 1, 5, 0, 3}, {1, 1, 7, 70, 0}, {2, 3, 100, 5, 0}, {0, 2, 4, 5, 6}};
    for (int i = 0; i < 5 * 8; i++) {
        const int64_t *s = SIZES[i / 8];
        const enum dtype type = i % 2 == 0 ? DTYPE_F32 : DTYPE_BF16;
        const bool biased = i / 2 % 2 == 0;
        const int how = biased ? 0 : i / 4 % 2;
        struct array *a = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[2], s[4]), how);
        struct array *b = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[4], s[3]), how);
        struct array *bias = factor(d, DTYPE_F32, TENSOR_SHAPE(1, 1, 1, s[3]), 0);
        struct array *out = factor(d, type, TENSOR_SHAPE(s[0], s[1], s[2], s[3]), how);
        double *want = array_numbers(out), *sums = array_copy(out);
        for (int64_t k = 0; k < s[0] * s[1] * s[2] * s[3] && biased; k++) {
            want[k] = bias->values[k % s[3]];
            sums[k] += want[k];
        }
        const struct tensor *row = biased ? &bias->t : NULL;
        CHECK_NUMBER(d->ops->matmul(d, &out->t, &a->t, &b->t, row, true, NULL), 0);
        array_near(out, sums, 1e-6);
        CHECK_NUMBER(d->ops->matmul(d, &out->t, &a->t, &b->t, row, false, NULL), 0);
        array_near(out, want, 1e-6);
        arrays_release();
    }
}

static void sizes_may_be_0(void) {
    each_device_of(check_nothing, true);
}

int main(void) {
    RUN(products_of_any_views_are_those_of_the_formula);
    RUN(large_ones_of_any_types_are_put_together);
    RUN(batches_of_one_are_repeated);
    RUN(a_bias_is_added_to_each_row);
    RUN(sizes_may_be_0);
    return test_finish();
}
