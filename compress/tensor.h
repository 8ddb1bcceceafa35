/* tensor.h - an array of numbers: where it lies, its sizes and its strides.
 *
 * A tensor is a value of a few words that owns nothing: whoever made the memory releases it, and a
 * view is a copy with other sizes and strides. Sizes stand outermost first and are filled with 1
 * from the left, so that a matrix is (1, 1, rows, width) and a vector (1, 1, 1, width). Strides
 * count elements. Shapes are the caller's promise: they are asserted, not reported. */
#ifndef OCC_COMPRESS_TENSOR_H
#define OCC_COMPRESS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/dtype.h"

enum { TENSOR_RANK = 4 };

struct device;

struct tensor {
    void *data; /* of `home`: only its operations may look at it */
    int64_t shape[TENSOR_RANK], stride[TENSOR_RANK];
    enum dtype type;
    struct device *home; /* NULL: memory of the host */
};

/* ---- Making ---------------------------------------------------------------------- */

/* Dense. */
struct tensor tensor_of(void *data, enum dtype type, struct device *home,
                        const int64_t shape[TENSOR_RANK]);
struct tensor tensor_matrix(void *data, enum dtype type, struct device *home, int64_t rows,
                            int64_t width);
struct tensor tensor_vector(void *data, enum dtype type, struct device *home, int64_t width);

/* ---- Asking ---------------------------------------------------------------------- */

int64_t tensor_count(const struct tensor *t); /* elements */
size_t tensor_bytes(const struct tensor *t);  /* of as many dense elements */
int64_t tensor_width(const struct tensor *t); /* the last size */
int64_t tensor_rows(const struct tensor *t);  /* the product of the others */
bool tensor_is_dense(const struct tensor *t);
/* Each row is dense, and all rows lie the same distance apart, which is put into *stride. */
bool tensor_is_rows(const struct tensor *t, int64_t *stride);
bool tensor_same_shape(const struct tensor *a, const struct tensor *b);

/* ---- Views ----------------------------------------------------------------------- */

/* `count` places from `first` on of one axis (0 .. TENSOR_RANK - 1). */
struct tensor tensor_slice(const struct tensor *t, int axis, int64_t first, int64_t count);
/* Rows of a dense tensor, as a matrix; columns of a matrix. */
struct tensor tensor_row_range(const struct tensor *t, int64_t first, int64_t count);
struct tensor tensor_column_range(const struct tensor *t, int64_t first, int64_t count);
/* The same elements of a dense tensor in another shape. */
struct tensor tensor_reshape(const struct tensor *t, const int64_t shape[TENSOR_RANK]);
struct tensor tensor_as_matrix(const struct tensor *t); /* (rows, width) */
/* Rows and columns change places, without moving anything. */
struct tensor tensor_transpose(const struct tensor *t);
/* (batch, tokens, heads, head_dim) of columns [first, first + heads * head_dim) of a matrix (batch
 * * tokens, width): q, k and v of one projection. */
struct tensor tensor_heads(const struct tensor *matrix, int64_t batch, int64_t first, int64_t heads,
                           int64_t head_dim);

#define TENSOR_SHAPE(...) ((const int64_t[TENSOR_RANK]){__VA_ARGS__})

#endif
