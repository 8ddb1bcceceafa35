/* linear.h - products by packed weights, of which operations are made. Tensors are matrices, whose
 * rows may lie apart. */
#ifndef OCC_COMPRESS_CUDA_LINEAR_H
#define OCC_COMPRESS_CUDA_LINEAR_H

#include "compress/cuda/device.h"
#include "compress/cuda/product.h"

struct cuda_packed {
    struct packed head;
    void *memory; /* that all below lies in */
    /* Not frozen: the matrix turned, (inputs, outputs), of head.type; and its bias, in F32 and as
     * products of BF16 add it. NULL: none. */
    struct product_matrix matrix;
    const float *bias;
    const uint16_t *rounded_bias;
    struct frozen_matrix frozen; /* over memory of the GPU */
};

static inline const struct cuda_packed *cuda_packed(const struct packed *w) {
    return (const struct cuda_packed *)w;
}

/* A tensor of rows as a matrix; NULL stays NULL. */
static inline const struct tensor *linear_matrix(struct tensor *matrix, const struct tensor *t) {
    int64_t stride = 0;
    if (t == NULL) {
        return NULL;
    }
    const bool whole = tensor_is_rows(t, &stride);
    assert(whole);
    (void)whole;
    *matrix = tensor_matrix(t->data, t->type, t->home, tensor_rows(t), tensor_width(t));
    matrix->stride[2] = stride;
    matrix->stride[1] = matrix->stride[0] = stride * matrix->shape[2];
    return matrix;
}

static inline struct tensor linear_rows_of(const struct tensor *matrix, int64_t first,
                                           int64_t count) {
    return tensor_slice(matrix, 2, first, count);
}

/* Bytes of scratch memory that rows on their way through products may take. */
enum { LINEAR_SCRATCH = 1 << 26 };

/* How many of `rows` are taken at a time if each needs so many bytes of `most`: nearly as many each
 * time, and whole tiles of a product. */
int64_t linear_rows_at_once(int64_t rows, int64_t row_bytes, int64_t most);

/* A copy of x in SCRATCH_INPUT, whose rows are aligned. */
int linear_copy(struct device *d, struct tensor *out, const struct tensor *x, enum dtype type,
                struct error *e);
/* x itself, or, if it is of another type, such a copy. */
int linear_input(struct device *d, struct tensor *out, const struct tensor *x, enum dtype type,
                 struct error *e);

/* out = activation(x w + bias) [+ residual, which may be out; not with an activation]: x of w's
 * type, w (inputs, outputs); bias in F32 and in BF16, or NULL. */
int linear_product(struct device *d, const struct tensor *out, const struct tensor *x,
                   const struct product_matrix *w, const float *bias, const uint16_t *rounded_bias,
                   enum activation activation, const struct tensor *residual, struct error *e);

/* out = activation(result) [+ residual]: what is left to do after a product. */
int linear_finish(struct device *d, const struct tensor *out, const struct tensor *result,
                  enum activation activation, const struct tensor *residual, struct error *e);

/* The operation of a matrix of rows, in scratch memory that grows with them. */
int linear_rows(struct device *d, const struct tensor *out, const struct tensor *x,
                const struct packed *w, enum activation activation, const struct tensor *residual,
                struct error *e);
/* The same, a frozen matrix (frozen.cu). */
int frozen_linear(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct packed *w, enum activation activation, const struct tensor *residual,
                  struct error *e);

#endif
