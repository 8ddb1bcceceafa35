/* matmul.c - products of tensors as they are. */
#include <assert.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/product.h"
#include "compress/cpu/walk.h"

enum { OUTER = 0, INNER = 1, ROW = 2, COLUMN = 3 };

/* Strides of the inner batches and of a matrix; where there is but one place, that of a
 * dense one. */
static void strides_of(int64_t out[3], const struct tensor *t, int64_t batch) {
    int64_t rows = t->shape[ROW], columns = t->shape[COLUMN];
    out[2] = columns > 1 ? t->stride[COLUMN] : 1;
    out[1] = rows > 1 ? t->stride[ROW] : out[2] == 1 ? columns : 1;
    assert(out[1] == 1 || out[2] == 1);
    out[0] = batch > 1 ? t->stride[INNER] : rows * columns;
}

/* Batches of one place are repeated. */
static void *batch_at(const struct tensor *t, int64_t outer, int64_t inner) {
    int64_t at = (t->shape[OUTER] > 1 ? outer * t->stride[OUTER] : 0) +
                 (t->shape[INNER] > 1 ? inner * t->stride[INNER] : 0);
    return (char *)t->data + at * (int64_t)dtype_size(t->type);
}

/* Both axes of batches as one, where each of the three can be seen so. */
static void merge(struct tensor *out, struct tensor *a, struct tensor *b) {
    struct tensor *const all[] = {out, a, b};
    for (int i = 0; i < 3; i++) {
        const struct tensor *t = all[i];
        if (t->shape[OUTER] != out->shape[OUTER] || t->shape[INNER] != out->shape[INNER] ||
            (t->shape[INNER] > 1 && t->stride[OUTER] != t->stride[INNER] * t->shape[INNER])) {
            return;
        }
    }
    for (int i = 0; i < 3; i++) {
        struct tensor *t = all[i];
        t->stride[INNER] = t->shape[INNER] > 1 ? t->stride[INNER] : t->stride[OUTER];
        t->shape[INNER] *= t->shape[OUTER];
        t->shape[OUTER] = 1;
    }
}

/* The inner batches at once, unless a or b is repeated; the outer ones one after another. */
static int multiply(struct device *d, const struct tensor *out, const struct tensor *a,
                    const struct tensor *b, const float *bias, bool accumulate, struct error *e) {
    int64_t inner = out->shape[INNER], at_once = inner;
    if (a->shape[INNER] != inner || b->shape[INNER] != inner) {
        at_once = 1;
    }
    struct matmul_shape s = {.batch = at_once,
                             .m = out->shape[ROW],
                             .n = out->shape[COLUMN],
                             .k = a->shape[COLUMN],
                             .type = a->type,
                             .out_type = out->type,
                             .accumulate = accumulate};
    strides_of(s.a_stride, a, at_once);
    strides_of(s.b_stride, b, at_once);
    strides_of(s.out_stride, out, at_once);
    int rc = 0;
    for (int64_t i = 0; i < out->shape[OUTER] && rc == 0; i++) {
        for (int64_t j = 0; j < inner && rc == 0; j += at_once) {
            rc = product_multiply(cpu_device(d)->products, batch_at(out, i, j), batch_at(a, i, j),
                                  batch_at(b, i, j), bias, &s, e);
        }
    }
    return rc;
}

/* Where the level does not multiply in BF16: in F32. */
static int multiply_widened(struct device *d, const struct tensor *out, const struct tensor *a,
                            const struct tensor *b, const float *bias, bool accumulate,
                            struct error *e) {
    size_t first = (size_t)tensor_count(a), second = (size_t)tensor_count(b);
    void *factors = NULL, *result = NULL;
    int rc = cpu_scratch(&factors, d, SCRATCH_INPUT, (first + second) * sizeof(float), e);
    if (rc == 0) {
        rc = cpu_scratch(&result, d, SCRATCH_HIDDEN, (size_t)tensor_count(out) * sizeof(float), e);
    }
    if (rc < 0) {
        return rc;
    }
    struct tensor wide_a = tensor_of(factors, DTYPE_F32, d, a->shape);
    struct tensor wide_b = tensor_of((float *)factors + first, DTYPE_F32, d, b->shape);
    struct tensor wide = tensor_of(result, DTYPE_F32, d, out->shape);
    rc = cpu_copy(d, &wide_a, a, e);
    if (rc == 0) {
        rc = cpu_copy(d, &wide_b, b, e);
    }
    if (rc == 0 && accumulate) {
        rc = cpu_copy(d, &wide, out, e);
    }
    if (rc == 0) {
        rc = multiply(d, &wide, &wide_a, &wide_b, bias, accumulate, e);
    }
    return rc == 0 ? cpu_copy(d, out, &wide, e) : rc;
}

int cpu_matmul(struct device *d, const struct tensor *out, const struct tensor *a,
               const struct tensor *b, const struct tensor *bias, bool accumulate,
               struct error *e) {
    const float *row = vector_of(bias, out->shape[COLUMN]);
    assert(a->type == b->type && (a->type == DTYPE_F32 || a->type == DTYPE_BF16));
    assert(out->type == DTYPE_F32 || out->type == DTYPE_BF16);
    assert(out->shape[ROW] == a->shape[ROW] && out->shape[COLUMN] == b->shape[COLUMN] &&
           a->shape[COLUMN] == b->shape[ROW] && a->shape[COLUMN] > 0);
    if (tensor_count(out) == 0) {
        return 0;
    }
    bool turned = out->shape[COLUMN] > 1 && out->stride[COLUMN] != 1;
    assert(!turned || bias == NULL);
    struct tensor y = turned ? tensor_transpose(out) : *out;
    struct tensor left = turned ? tensor_transpose(b) : *a;
    struct tensor right = turned ? tensor_transpose(a) : *b;
    bool bf16 = left.type == DTYPE_BF16 || y.type == DTYPE_BF16;
    merge(&y, &left, &right);
    return bf16 && !cpu_device(d)->level->has_bf16
               ? multiply_widened(d, &y, &left, &right, row, accumulate, e)
               : multiply(d, &y, &left, &right, row, accumulate, e);
}
