/* gemm.h - products of matrices that are packed as they are needed: any floats in any order, frozen
 * ones too, without a copy of either as a whole and without anything that is made for a size (the
 * rows of training are never as many twice).
 *
 * As in BLIS (Van Zee and van de Geijn 2015): a panel of b is packed once, then blocks of rows of a
 * meet it; a block's sums are finished - added to, activated, rounded - while they are in the
 * cache. */
#ifndef OCC_COMPRESS_CPU_GEMM_H
#define OCC_COMPRESS_CPU_GEMM_H

#include "compress/cpu/linear.h"
#include "compress/ops.h"

/* What a level multiplies with, in one type. An element is 4 bytes: `pack` numbers of the inner
 * dimension, 1 (F32) or 2 (BF16). Lines are rows of numbers that lie beside each other; NULL: one
 * of zeros. */
struct gemm_kernels {
    int64_t pack;
    int64_t row_unit, column_unit, depth_unit; /* of which products are multiples; elements */
    int64_t square;                            /* side of what `turn` turns */
    /* One line whose numbers are of the inner dimension: `elements` of them, zeros after `width`
     * numbers. */
    void (*pack_line)(float *out, int64_t elements, const void *line, enum dtype type,
                      int64_t width);
    /* `pack` lines one after the other along the inner dimension: `elements`, likewise. */
    void (*pack_pair)(float *out, int64_t elements, const void *const lines[2], enum dtype type,
                      int64_t width);
    /* out (columns, rows) = in (rows, columns), both multiples of `square`. */
    void (*turn)(float *out, int64_t out_stride, const float *in, int64_t in_stride, int64_t rows,
                 int64_t columns);
    /* c (rows, columns) [+]= a (rows, depth) b (depth, columns). */
    void (*multiply)(float *c, int64_t c_stride, const float *a, int64_t a_stride, const float *b,
                     int64_t b_stride, int64_t rows, int64_t columns, int64_t depth,
                     bool accumulate);
};

extern const struct gemm_kernels GEMM_PORTABLE, GEMM_AVX2, GEMM_AVX512, GEMM_AVX512BF16, GEMM_AMX;

/* a or b: `outer` is a's rows and b's columns. One of the two steps is 1. */
struct gemm_factor {
    const void *data; /* any alignment */
    enum dtype type;  /* F32 or BF16 */
    int64_t outer_step, inner_step;
    const struct frozen_matrix *frozen; /* instead of data; outer_step 1: its inputs are outer */
};

/* out (m, n) = activation([out +] a (m, k) b (k, n) + bias) + residual. */
struct gemm {
    enum dtype compute; /* BF16: where the level has it, or else F32 */
    int64_t m, n, k;
    struct gemm_factor a, b;
    struct rows out;
    bool accumulate;
    const float *bias; /* (n), or NULL */
    enum activation activation;
    struct rows residual; /* data NULL: none; may be out */
};
int gemm_run(struct device *d, const struct gemm *g, struct error *e);

#endif
