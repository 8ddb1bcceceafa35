/* matmul.cu - products of tensors as they are. */
#include "compress/cuda/device.h"
#include "compress/cuda/product.h"
#include "compress/cuda/rows.h"

enum { OUTER = 0, INNER = 1, ROW = 2, COLUMN = 3 };

/* From a matrix of a batch to the next along an axis; batches of one place are repeated. */
static int64_t step_of(const struct tensor *t, int axis) {
    return t->shape[axis] > 1 ? t->stride[axis] : 0;
}

/* Whether both axes of batches are one of evenly spaced matrices. */
static bool is_even(const struct tensor *t, int64_t inner) {
    return step_of(t, OUTER) == inner * step_of(t, INNER);
}

static const void *moved(const struct tensor *t, int axis, int64_t place) {
    return (const char *)t->data + place * step_of(t, axis) * (int64_t)dtype_size(t->type);
}

/* The longer axis of batches is left to a product, or both. */
static int multiply(struct device *d, const struct tensor *out, const struct tensor *a,
                    const struct tensor *b, const float *bias, const uint16_t *rounded_bias,
                    bool accumulate, struct error *e) {
    const int64_t outer = out->shape[OUTER], inner = out->shape[INNER];
    const bool even = is_even(out, inner) && is_even(a, inner) && is_even(b, inner);
    const bool whole = even || outer == 1 || inner == 1;
    const int axis =
        outer == 1 || (even && inner > 1) || (!whole && inner >= outer) ? INNER : OUTER;
    const int other = axis == INNER ? OUTER : INNER;
    struct product p = product_of(out->shape[ROW], out->shape[COLUMN], a->shape[COLUMN]);
    int rc = 0;
    p.batch = whole ? outer * inner : out->shape[axis];
    p.a = product_matrix_of(a);
    p.b = product_matrix_of(b);
    p.out = product_rows_of(out);
    p.a.step = step_of(a, axis);
    p.b.step = step_of(b, axis);
    p.out.step = step_of(out, axis);
    p.bias = bias;
    p.rounded_bias = rounded_bias;
    for (int64_t i = 0; i < (whole ? 1 : out->shape[other]) && rc == 0; i++) {
        p.a.data = moved(a, other, i);
        p.b.data = moved(b, other, i);
        p.out.data = moved(out, other, i);
        if (accumulate) {
            p.add = p.out;
        }
        rc = cuda_product(d, &p, e);
    }
    return rc;
}

/* t itself, or what stands for it in another type, with the same sizes dense. */
static int converted(struct device *d, struct tensor *out, const struct tensor *t, enum dtype type,
                     enum scratch which, struct error *e) {
    const bool turned = product_matrix_of(t).turned;
    void *data = NULL;
    *out = *t;
    if (t->type == type) {
        return 0;
    }
    const struct tensor from = turned ? tensor_transpose(t) : *t;
    int rc = cuda_scratch(&data, d, which, (size_t)tensor_count(t) * dtype_size(type), e);
    if (rc < 0) {
        return rc;
    }
    const struct tensor to = tensor_of(data, type, d, from.shape);
    *out = turned ? tensor_transpose(&to) : to;
    return d->ops->copy(d, &to, &from, e);
}

/* A product of F32 that becomes BF16. */
static int multiply_rounded(struct device *d, const struct tensor *out, const struct tensor *a,
                            const struct tensor *b, const float *bias, bool accumulate,
                            struct error *e) {
    void *data = NULL;
    int rc = cuda_scratch(&data, d, SCRATCH_RESULT, (size_t)tensor_count(out) * sizeof(float), e);
    const struct tensor result = tensor_of(data, DTYPE_F32, d, out->shape);
    if (rc == 0) {
        rc = multiply(d, &result, a, b, bias, NULL, false, e);
    }
    if (rc < 0) {
        return rc;
    }
    return accumulate ? d->ops->accumulate(d, out, &result, e) : d->ops->copy(d, out, &result, e);
}

static int multiply_any(struct device *d, const struct tensor *out, const struct tensor *a,
                        const struct tensor *b, const struct tensor *bias, bool accumulate,
                        struct error *e) {
    const bool exact = a->type == DTYPE_F32 && b->type == DTYPE_F32;
    const enum dtype type = exact ? DTYPE_F32 : DTYPE_BF16;
    const float *row = gpu_vector_of(bias);
    struct tensor left, right, rounded;
    int rc = converted(d, &left, a, type, SCRATCH_INPUT, e);
    if (rc == 0) {
        rc = converted(d, &right, b, type, SCRATCH_WEIGHTS, e);
    }
    if (rc == 0 && exact && out->type == DTYPE_BF16) {
        return multiply_rounded(d, out, &left, &right, row, accumulate, e);
    }
    if (rc < 0 || row == NULL || out->type == DTYPE_F32) {
        return rc == 0 ? multiply(d, out, &left, &right, row, NULL, accumulate, e) : rc;
    }
    rc = converted(d, &rounded, bias, DTYPE_BF16, SCRATCH_TABLE, e);
    return rc == 0
               ? multiply(d, out, &left, &right, row, (const uint16_t *)rounded.data, accumulate, e)
               : rc;
}

int cuda_matmul(struct device *d, const struct tensor *out, const struct tensor *a,
                const struct tensor *b, const struct tensor *bias, bool accumulate,
                struct error *e) {
    const bool turned = out->shape[COLUMN] > 1 && out->stride[COLUMN] != 1;
    assert(out->shape[ROW] == a->shape[ROW] && out->shape[COLUMN] == b->shape[COLUMN] &&
           a->shape[COLUMN] == b->shape[ROW]);
    assert(!turned || bias == NULL);
    if (tensor_count(out) == 0) {
        return 0;
    }
    if (!turned) {
        return multiply_any(d, out, a, b, bias, accumulate, e);
    }
    const struct tensor y = tensor_transpose(out), left = tensor_transpose(b);
    const struct tensor right = tensor_transpose(a);
    return multiply_any(d, &y, &left, &right, NULL, accumulate, e);
}
