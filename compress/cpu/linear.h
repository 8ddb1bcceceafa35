/* linear.h - blocks of rows on their way through products. */
#ifndef OCC_COMPRESS_CPU_LINEAR_H
#define OCC_COMPRESS_CPU_LINEAR_H

#include "compress/cpu/device.h"
#include "compress/tensor.h"

enum { LINEAR_BLOCK = 256 /* rows */ };

/* Rows of F32 or BF16, `stride` elements apart. data NULL: there are none. */
struct rows {
    void *data;
    int64_t stride;
    enum dtype type;
};

/* From row r on. */
static inline struct rows rows_at(const struct rows *x, int64_t r) {
    struct rows rest = *x;
    if (rest.data != NULL) {
        rest.data = (char *)rest.data + r * x->stride * (int64_t)dtype_size(x->type);
    }
    return rest;
}

static inline int64_t block_rows(int64_t done, int64_t rows) {
    return rows - done < LINEAR_BLOCK ? rows - done : LINEAR_BLOCK;
}

static inline int64_t round_up(int64_t count, int64_t unit) {
    return (count + unit - 1) / unit * unit;
}

/* Of a tensor; t NULL: none. */
struct rows rows_of(const struct tensor *t, int64_t rows, int64_t width);
/* `count` rows of x into those of out. */
void rows_copy(const struct level *level, const struct rows *out, const struct rows *x,
               int64_t count, int64_t width);

/* In place, of F32. */
void rows_activate(const struct level *level, const struct rows *x, int64_t count, int64_t width,
                   enum activation activation);

/* out = activation(x W^T + bias) [+ residual, which may be out; not with an activation]. At most
 * LINEAR_BLOCK rows. */
int linear_block(struct device *d, const struct rows *out, const struct rows *x, int64_t count,
                 const struct packed *w, enum activation activation, const struct rows *residual,
                 struct error *e);

#endif
