/* linear.h - blocks of rows on their way through products. */
#ifndef OCC_COMPRESS_CPU_LINEAR_H
#define OCC_COMPRESS_CPU_LINEAR_H

#include "compress/cpu/device.h"
#include "compress/tensor.h"

enum { LINEAR_BLOCK = 256 /* rows */ };

/* Rows of floats, `stride` apart; or of BF16, where a product reads them. */
struct rows {
    void *data;
    int64_t stride;
};

/* From row r on, of floats. */
static inline struct rows rows_at(const struct rows *x, int64_t r) {
    return (struct rows){x->data != NULL ? (float *)x->data + r * x->stride : NULL, x->stride};
}

static inline int64_t block_rows(int64_t done, int64_t rows) {
    return rows - done < LINEAR_BLOCK ? rows - done : LINEAR_BLOCK;
}

struct rows rows_of(const struct tensor *t, int64_t rows, int64_t width);

/* `count` rows of x, or what stands for them in the weights' type: valid until the next call. */
int linear_input(struct device *d, struct rows *out, const struct rows *x, int64_t count,
                 const struct packed *w, struct error *e);
/* out = input W^T + bias [+ residual, which may be out]. */
int linear_product(struct device *d, const struct rows *out, const struct rows *input,
                   int64_t count, const struct packed *w, const struct rows *residual,
                   struct error *e);

#endif
