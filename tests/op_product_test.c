/* op_product_test.c - which way a GPU computes products: algorithms are looked for once, and where
 * there is none, products are the same. On other devices these are products like any other. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/kernels/cublas.h"
#include "tests/ops.h"

static int64_t searches(void) {
    return gpu_blas_searches != NULL ? gpu_blas_searches() : 0;
}

/* out (m, n) = a (m, k) b (k, n) of numbers of BF16; rows lie `gap` elements apart, after as many.
 */
static void multiply(struct device *d, const int64_t s[3], enum dtype type, int64_t gap) {
    struct array *a = array_random(d, type, gap, TENSOR_SHAPE(1, 1, s[0], s[2]), 1);
    struct array *b = array_random(d, type, gap, TENSOR_SHAPE(1, 1, s[2], s[1]), 1);
    struct array *out = array_random(d, DTYPE_F32, gap, TENSOR_SHAPE(1, 1, s[0], s[1]), 1);
    double *want = array_numbers(out);
    for (int64_t i = 0; i < s[0] * s[1]; i++) {
        for (int64_t j = 0; j < s[2]; j++) {
            want[i] += a->values[i / s[1] * s[2] + j] * b->values[j * s[1] + i % s[1]];
        }
    }
    CHECK_NUMBER(d->ops->matmul(d, &out->t, &a->t, &b->t, NULL, false, NULL), 0);
    array_near(out, want, 1e-6);
    arrays_release();
}

/* More than a tile of the plain kernel, and less. */
static const int64_t SHAPES[][3] = {{8, 16, 24}, {70, 130, 33}, {1, 65, 100}, {129, 1, 17}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static void check_places(struct device *d) {
    for (int i = 0; i < SHAPE_COUNT; i++) {
        for (int64_t gap = 0; gap < 4; gap++) {
            multiply(d, SHAPES[i], DTYPE_BF16, gap);
            multiply(d, SHAPES[i], DTYPE_F32, gap);
        }
    }
}

static void products_do_not_depend_on_where_their_factors_lie(void) {
    each_device(check_places);
}

/* Each is a shape, type or place that was not met before; then nothing is. More of them than are
 * kept are found again. */
static void check_searches(struct device *d) {
    enum { MOST = 1100 };
    const int64_t shape[3] = {8, 16, 24}, other[3] = {8, 16, 32};
    const int64_t before = searches(), new_ones = gpu_blas_searches != NULL ? 1 : 0;
    multiply(d, shape, DTYPE_BF16, 0);
    CHECK_NUMBER(searches() - before, new_ones);
    multiply(d, other, DTYPE_BF16, 0);
    multiply(d, shape, DTYPE_F32, 0);
    multiply(d, shape, DTYPE_BF16, 8);
    CHECK_NUMBER(searches() - before, 4 * new_ones);
    for (int i = 0; i < 3; i++) {
        multiply(d, shape, DTYPE_BF16, 0);
        multiply(d, other, DTYPE_BF16, 0);
        multiply(d, shape, DTYPE_F32, 0);
        multiply(d, shape, DTYPE_BF16, 8);
    }
    CHECK_NUMBER(searches() - before, 4 * new_ones);
    for (int64_t m = 1; m <= MOST; m++) {
        const int64_t small[3] = {m, 2, 3};
        multiply(d, small, DTYPE_F32, 0);
    }
    multiply(d, shape, DTYPE_BF16, 0);
}

static void algorithms_are_looked_for_once(void) {
    op_run("cuda", NULL, DTYPE_F32, check_searches);
}

int main(void) {
    RUN(products_do_not_depend_on_where_their_factors_lie);
    RUN(algorithms_are_looked_for_once);
    return test_finish();
}
