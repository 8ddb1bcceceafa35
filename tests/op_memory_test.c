/* op_memory_test.c - memory of a device, and the way there and back. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

static void check_memory(struct device *d) {
    struct tensor a = tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(2, 3, 5, 7));
    struct tensor b = tensor_vector(NULL, DTYPE_U8, NULL, 1), none = {.data = NULL};
    struct tensor empty = tensor_matrix(NULL, DTYPE_F32, NULL, 0, 5);
    size_t before = d->bytes;
    CHECK_NUMBER(d->ops->alloc(d, &a, NULL), 0);
    CHECK_NUMBER(d->ops->alloc(d, &b, NULL), 0);
    CHECK_NUMBER(d->ops->alloc(d, &empty, NULL), 0);
    CHECK(a.home == d && tensor_is_dense(&a) && (uintptr_t)a.data % 64 == 0);
    CHECK((uintptr_t)b.data % 64 == 0 && empty.data != NULL);
    size_t taken = d->bytes - before;
    CHECK(taken >= 2 * 3 * 5 * 7 * sizeof(float) + 1 && taken < 2048);
    CHECK(d->peak_bytes >= d->bytes);
    d->ops->release(d, &a);
    CHECK(a.data == NULL);
    d->ops->release(d, &a);
    d->ops->release(d, &b);
    d->ops->release(d, &empty);
    d->ops->release(d, &none);
    CHECK_NUMBER(d->bytes, before);
    CHECK(d->peak_bytes >= before + taken);
}

static void memory_is_aligned_and_counted(void) {
    each_device(check_memory);
}

static void check_too_much(struct device *d) {
    const int64_t most = INT64_MAX / 8;
    struct tensor a = tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(1, 1, 1, most));
    struct error e;
    a.shape[2] = most; /* more bytes than a size_t counts */
    CHECK_NUMBER(d->ops->alloc(d, &a, &e), ERR_MEMORY);
    CHECK(a.data == NULL);
    CHECK_TEXT(e.text, "out of memory");
    CHECK_NUMBER(d->bytes, 0);
}

static void too_much_is_an_error(void) {
    each_device(check_too_much);
}

static void check_moves(struct device *d, const struct op_case *c) {
    struct array *x = array_normal(d, c, 1); /* uploads */
    array_near(x, x->values, 0);             /* downloads */
}

static void what_goes_up_comes_back(void) {
    each_case(check_moves);
}

int main(void) {
    RUN(memory_is_aligned_and_counted);
    RUN(too_much_is_an_error);
    RUN(what_goes_up_comes_back);
    return test_finish();
}
