/* product.h - products of matrices: by cuBLASLt, or, where it has no algorithm, by a plain kernel.
 * Operations are made of them. */
#ifndef OCC_COMPRESS_CUDA_PRODUCT_H
#define OCC_COMPRESS_CUDA_PRODUCT_H

#include "compress/cuda/gpu.h"

/* A matrix for each of a batch: element (i, j) at i * stride + j, or, turned, at j * stride + i. */
struct product_matrix {
    const void *data;
    enum dtype type; /* F32 or BF16 */
    bool turned;
    int64_t stride;
    int64_t step; /* from a matrix of the batch to the next; 0: one for all */
};

/* out (m, n) = a (m, k) b (k, n) [+ add] [+ bias], `batch` times, with sums of F32. a and b have
 * one type; out is F32, or BF16 if they are. Products of F32 are not rounded to less. */
struct product {
    int64_t m, n, k, batch; /* k 0: a b is zeros */
    struct product_matrix a, b;
    struct product_matrix out; /* not turned */
    struct product_matrix add; /* like out, and may be out; data NULL: none */
    /* (n), for each row; NULL: none. Where out is BF16 cuBLASLt adds the rounded one, which must
     * then be there unless k is 0. */
    const float *bias;
    const uint16_t *rounded_bias;
};

/* A single one, of which the matrices are still to be said. */
static inline struct product product_of(int64_t m, int64_t n, int64_t k) {
    struct product p = {};
    p.m = m;
    p.n = n;
    p.k = k;
    p.batch = 1;
    return p;
}

/* What is single lies any distance from the next: one that keeps 16 bytes aligned. */
static inline int64_t product_stride(int64_t width) {
    enum { UNIT = 8 };
    return (width / UNIT + 1) * UNIT;
}

/* The last two sizes of a tensor as rows, which are dense. */
static inline struct product_matrix product_rows_of(const struct tensor *t) {
    const int64_t rows = t->shape[2], columns = t->shape[3];
    assert(columns <= 1 || t->stride[3] == 1);
    return {t->data, t->type, false, rows > 1 ? t->stride[2] : product_stride(columns), 0};
}

/* The same, or turned if columns are dense. */
static inline struct product_matrix product_matrix_of(const struct tensor *t) {
    const int64_t rows = t->shape[2], columns = t->shape[3];
    if (columns > 1 ? t->stride[3] == 1 : rows <= 1 || t->stride[2] != 1) {
        return product_rows_of(t);
    }
    assert(rows <= 1 || t->stride[2] == 1);
    return {t->data, t->type, true, columns > 1 ? t->stride[3] : product_stride(rows), 0};
}

int cuda_product(struct device *d, const struct product *p, struct error *e);

#endif
