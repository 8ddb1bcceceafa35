/* tensor_test.c - views of tensors. */
#include "compress/tensor.h"

#include "tests/test.h"

static float NUMBERS[2 * 3 * 4 * 5];

static struct tensor four(void) {
    for (int i = 0; i < 120; i++) {
        NUMBERS[i] = (float)i;
    }
    return tensor_of(NUMBERS, DTYPE_F32, NULL, TENSOR_SHAPE(2, 3, 4, 5));
}

static double at(const struct tensor *t, int64_t a, int64_t b, int64_t c, int64_t d) {
    return (double)((const float *)t->data)[a * t->stride[0] + b * t->stride[1] + c * t->stride[2] +
                                            d * t->stride[3]];
}

static void sizes_are_asked_for(void) {
    struct tensor t = four(), row = tensor_vector(NUMBERS, DTYPE_BF16, NULL, 9);
    CHECK_NUMBER(tensor_count(&t), 120);
    CHECK_NUMBER(tensor_bytes(&t), 480);
    CHECK_NUMBER(tensor_rows(&t), 24);
    CHECK_NUMBER(tensor_width(&t), 5);
    CHECK(tensor_is_dense(&t));
    CHECK_NUMBER(tensor_rows(&row), 1);
    CHECK_NUMBER(tensor_bytes(&row), 18);
    CHECK(row.shape[0] == 1 && row.shape[1] == 1);
    CHECK(tensor_same_shape(&t, &t) && !tensor_same_shape(&t, &row));
}

static void a_slice_keeps_strides(void) {
    struct tensor t = four();
    for (int axis = 0; axis < TENSOR_RANK; axis++) {
        struct tensor s = tensor_slice(&t, axis, 1, t.shape[axis] - 1);
        CHECK_NUMBER(s.shape[axis], t.shape[axis] - 1);
        CHECK(at(&s, 0, 0, 0, 0) == (double)t.stride[axis]);
        CHECK(tensor_is_dense(&s) == (axis == 0));
        CHECK(memcmp(s.stride, t.stride, sizeof t.stride) == 0);
    }
    struct tensor none = tensor_slice(&t, 2, 4, 0);
    CHECK_NUMBER(tensor_count(&none), 0);
}

static void rows_lie_one_distance_apart_or_not(void) {
    struct tensor t = four();
    int64_t stride = 0;
    CHECK(tensor_is_rows(&t, &stride) && stride == 5);
    struct tensor columns = tensor_column_range(&t, 1, 3);
    CHECK(tensor_is_rows(&columns, &stride) && stride == 5);
    struct tensor inner = tensor_slice(&t, 2, 0, 2), middle = tensor_slice(&t, 1, 0, 2);
    CHECK(!tensor_is_rows(&inner, &stride));
    CHECK(!tensor_is_rows(&middle, &stride));
    struct tensor one = tensor_slice(&inner, 0, 0, 1), flat = tensor_slice(&one, 1, 0, 1);
    CHECK(tensor_is_rows(&flat, &stride) && stride == 5);
    struct tensor every = tensor_slice(&t, 2, 1, 1);
    CHECK(tensor_is_rows(&every, &stride) && stride == 20);
    struct tensor turned = tensor_transpose(&t);
    CHECK(!tensor_is_rows(&turned, &stride));
    struct tensor single = tensor_vector(NUMBERS, DTYPE_F32, NULL, 7);
    CHECK(tensor_is_rows(&single, &stride) && stride == 7);
}

static void a_matrix_is_seen_in_all_that_has_rows(void) {
    struct tensor t = four(), columns = tensor_column_range(&t, 2, 2);
    struct tensor m = tensor_as_matrix(&columns);
    CHECK(m.shape[0] == 1 && m.shape[1] == 1 && m.shape[2] == 24 && m.shape[3] == 2);
    CHECK(at(&m, 0, 0, 7, 1) == 7 * 5 + 3);
    struct tensor part = tensor_row_range(&columns, 20, 3);
    CHECK(part.shape[2] == 3 && at(&part, 0, 0, 0, 0) == 20 * 5 + 2);
    struct tensor all = tensor_reshape(&t, TENSOR_SHAPE(1, 6, 2, 10));
    CHECK(at(&all, 0, 5, 1, 9) == 119 && tensor_is_dense(&all));
}

static void a_transposed_view_moves_nothing(void) {
    struct tensor t = four(), turned = tensor_transpose(&t), back = tensor_transpose(&turned);
    CHECK(turned.shape[2] == 5 && turned.shape[3] == 4 && turned.data == t.data);
    for (int64_t i = 0; i < 120; i++) {
        int64_t a = i / 60, b = i / 20 % 3, c = i / 5 % 4, d = i % 5;
        CHECK(at(&turned, a, b, d, c) == (double)i);
    }
    CHECK(tensor_same_shape(&back, &t) && memcmp(back.stride, t.stride, sizeof t.stride) == 0);
}

/* Queries, keys and values of two sequences of three tokens, two heads of two. */
static void heads_are_views_of_a_projection(void) {
    struct tensor qkv = tensor_matrix(NUMBERS, DTYPE_F32, NULL, 6, 12);
    four();
    for (int part = 0; part < 3; part++) {
        struct tensor x = tensor_heads(&qkv, 2, part * 4, 2, 2);
        CHECK(x.shape[0] == 2 && x.shape[1] == 3 && x.shape[2] == 2 && x.shape[3] == 2);
        CHECK(at(&x, 1, 2, 1, 1) == 5 * 12 + part * 4 + 3);
        CHECK(at(&x, 0, 1, 0, 1) == 12 + part * 4 + 1);
    }
}

int main(void) {
    RUN(sizes_are_asked_for);
    RUN(a_slice_keeps_strides);
    RUN(rows_lie_one_distance_apart_or_not);
    RUN(a_matrix_is_seen_in_all_that_has_rows);
    RUN(a_transposed_view_moves_nothing);
    RUN(heads_are_views_of_a_projection);
    return test_finish();
}
