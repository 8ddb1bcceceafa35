/* matmul.c - products of tensors as they are. */
#include <assert.h>

#include "compress/cpu/gemm.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

enum { OUTER = 0, INNER = 1, ROW = 2, COLUMN = 3 };

/* The matrix of a batch; batches of one place are repeated. */
static void *batch_at(const struct tensor *t, int64_t outer, int64_t inner) {
    int64_t at = (t->shape[OUTER] > 1 ? outer * t->stride[OUTER] : 0) +
                 (t->shape[INNER] > 1 ? inner * t->stride[INNER] : 0);
    return (char *)t->data + at * (int64_t)dtype_size(t->type);
}

/* `inner`, `outer`: which axes are. */
static struct gemm_factor factor_of(const struct tensor *t, int outer, int inner) {
    struct gemm_factor f = {
        .type = t->type, .outer_step = t->stride[outer], .inner_step = t->stride[inner]};
    const bool along = t->shape[inner] > 1 && t->stride[inner] == 1;
    if (!along && (t->shape[outer] == 1 || t->stride[outer] == 1)) {
        f.outer_step = 1;
        f.inner_step = t->shape[inner] > 1 ? f.inner_step : 0;
    } else {
        assert(along || t->shape[inner] <= 1);
        f.inner_step = 1;
    }
    return f;
}

/* out, with dense columns, = [out +] a b + bias. */
static int multiply(struct device *d, const struct tensor *out, const struct tensor *a,
                    const struct tensor *b, const float *bias, bool accumulate, struct error *e) {
    const bool exact = a->type == DTYPE_F32 && b->type == DTYPE_F32;
    struct gemm g = {.compute = exact ? DTYPE_F32 : DTYPE_BF16,
                     .m = out->shape[ROW],
                     .n = out->shape[COLUMN],
                     .k = a->shape[COLUMN],
                     .a = factor_of(a, ROW, COLUMN),
                     .b = factor_of(b, COLUMN, ROW),
                     .out = {.stride = out->stride[ROW], .type = out->type},
                     .accumulate = accumulate,
                     .bias = bias};
    int rc = 0;
    for (int64_t i = 0; i < out->shape[OUTER] && rc == 0; i++) {
        for (int64_t j = 0; j < out->shape[INNER] && rc == 0; j++) {
            g.a.data = batch_at(a, i, j);
            g.b.data = batch_at(b, i, j);
            g.out.data = batch_at(out, i, j);
            rc = gemm_run(d, &g, e);
        }
    }
    return rc;
}

int cpu_matmul(struct device *d, const struct tensor *out, const struct tensor *a,
               const struct tensor *b, const struct tensor *bias, bool accumulate,
               struct error *e) {
    const float *row = vector_of(bias, out->shape[COLUMN]);
    const bool turned = out->shape[COLUMN] > 1 && out->stride[COLUMN] != 1;
    assert(a->type == DTYPE_F32 || a->type == DTYPE_BF16);
    assert(b->type == DTYPE_F32 || b->type == DTYPE_BF16);
    assert(out->type == DTYPE_F32 || out->type == DTYPE_BF16);
    assert(out->shape[ROW] == a->shape[ROW] && out->shape[COLUMN] == b->shape[COLUMN] &&
           a->shape[COLUMN] == b->shape[ROW]);
    assert(!turned || bias == NULL);
    if (!turned) {
        return multiply(d, out, a, b, row, accumulate, e);
    }
    const struct tensor y = tensor_transpose(out), left = tensor_transpose(b);
    const struct tensor right = tensor_transpose(a);
    return multiply(d, &y, &left, &right, row, accumulate, e);
}
