/* sums.h - sums over more than a block sees: blocks leave parts of them in scratch memory, which a
 * second pass adds in an order that is always the same. */
#ifndef OCC_COMPRESS_CUDA_SUMS_H
#define OCC_COMPRESS_CUDA_SUMS_H

#include "compress/cuda/device.h"
#include "compress/cuda/rows.h"

/* What a norm takes a row of x by: h = (x - mean) * scale. */
struct row_moments {
    float mean, scale;
};

/* Gradients of a gain and a bias (width) from those of rows: gain += the sum of the rows of dy h,
 * bias += that of dy. NULL: not wanted; without gain x and moments (rows, of the device) are not
 * read. Uses SCRATCH_PARTS. */
int cuda_column_sums(struct device *d, float *gain, float *bias, const struct tensor *x,
                     const struct row_moments *moments, const struct tensor *dy, struct error *e);

/* *sum += the sum of `count` parts, all of the device. */
int cuda_total(struct device *d, float *sum, const float *parts, int64_t count, struct error *e);

#endif
