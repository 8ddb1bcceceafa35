/* level.h - the kernels of the CPU's operations, one table for each level of instruction set.
 *
 * Kernels see F32 in memory, elements or one row at a time; who calls them (walk.h) knows of types,
 * strides and blocks. Out may be one of the inputs unless it is called d-something, which is added
 * to. All levels stay within the limits that tests/op_NAME_test.c states of a double-precision
 * reference; a level gives the same bytes on every machine that has it. OCC_CPU = portable | avx2 |
 * avx512 | avx512bf16 | amx forces one (ERR_UNSUPPORTED where the processor or the operating system
 * lacks it); otherwise the best there is. No libm call per element. */
#ifndef OCC_COMPRESS_CPU_LEVEL_H
#define OCC_COMPRESS_CPU_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

struct adamw_step; /* of compress/ops.h */
struct frozen_matrix;

/* A few rows for products with a frozen matrix. */
struct frozen_dots {
    int rows; /* FROZEN_DOT_ROWS at most, a power of 2 */
    /* (rows, inputs), and zeros up to a multiple of 32; for 4 bits also the sums of each 32, and
     * zeros up to a multiple of 16. */
    const float *x, *sums;
    /* Of 4 bits, by order_halves: x rounded to BF16, and zeros up to a multiple of 128; NULL: not.
     * `sums` are then those of the rounded numbers. */
    const uint16_t *halves;
    float *out;
    int64_t x_stride, sums_stride, halves_stride, out_stride;
};
enum { FROZEN_DOT_ROWS = 4, FROZEN_DOT_BLOCKS = 2048 /* of a row, at most */ };

struct level {
    const char *name;
    bool has_bf16; /* products and attention can multiply in BF16 */

    /* ---- Elements ---- */
    void (*to_bf16)(uint16_t *out, const float *x, size_t count);
    void (*from_bf16)(float *out, const uint16_t *x, size_t count);
    void (*accumulate)(float *to, const float *x, size_t count);
    void (*add)(float *out, const float *a, const float *b, size_t count);
    /* out = alpha a + beta b; b NULL: alpha a */
    void (*combine)(float *out, float alpha, const float *a, float beta, const float *b,
                    size_t count);
    void (*multiply)(float *out, const float *a, const float *b, size_t count);
    void (*multiply_backward)(float *da, const float *b, const float *dy, size_t count);
    void (*gelu)(float *out, const float *x, size_t count);
    void (*gelu_backward)(float *dx, const float *x, const float *dy, size_t count);
    /* For what a BF16 product reads next: as precise as BF16 asks for. */
    void (*gelu_to_bf16)(uint16_t *out, const float *x, size_t count);
    void (*quick_gelu)(float *out, const float *x, size_t count);
    void (*quick_gelu_backward)(float *dx, const float *x, const float *dy, size_t count);
    void (*silu)(float *out, const float *x, size_t count);
    void (*silu_backward)(float *dx, const float *x, const float *dy, size_t count);
    void (*swiglu)(float *out, const float *gate, const float *up, size_t count);
    void (*swiglu_gate_backward)(float *dgate, const float *gate, const float *up, const float *dy,
                                 size_t count);
    void (*swiglu_up_backward)(float *dup, const float *gate, const float *dy, size_t count);
    double (*square_sum)(const float *x, size_t count);
    void (*adamw)(float *weight, float *first, float *second, const float *gradient, size_t count,
                  const struct adamw_step *step);

    /* x / (1 - share), or 0: see compress/dropout.h. The places of a run differ in their low 32
     * bits alone. */
    void (*dropout)(float *out, const float *x, size_t count, uint64_t place, uint64_t seed,
                    float share);

    /* ---- One row ---- */
    void (*layer_norm)(float *out, const float *x, size_t width, const float *gamma,
                       const float *beta, float eps);
    /* Each of dx, dgamma and dbeta may be NULL. */
    void (*layer_norm_backward)(float *dx, float *dgamma, float *dbeta, const float *x,
                                const float *gamma, const float *dy, size_t width, float eps);
    void (*rms_norm)(float *out, const float *x, size_t width, const float *gamma, float eps);
    void (*rms_norm_backward)(float *dx, const float *x, const float *gamma, const float *dy,
                              size_t width, float eps);
    void (*rms_norm_gain_backward)(float *dgamma, const float *x, const float *dy, size_t width,
                                   float eps);
    float (*dot)(const float *a, const float *b, size_t width);
    void (*add_scaled)(float *to, const float *x, float factor, size_t width);
    /* Pairs (i, i + pairs) of x turn by angles of these cosines and sines. May be in place. */
    void (*rotary)(float *out, const float *x, const float *cosine, const float *sine,
                   size_t pairs);
    /* Inputs [first, first + count) of a row of a frozen matrix, the first a multiple of 32. */
    void (*unpack)(float *out, const struct frozen_matrix *m, int64_t row, int64_t first,
                   int64_t count);
    /* Rounds x, and puts it into the order in which 4 bits are taken out of bytes; count: a
     * multiple of 128. NULL: the level multiplies them in F32. */
    void (*order_halves)(uint16_t *out, float *x, int64_t count);
    /* out (rows, count) = x by rows [first, first + count) of the matrix. */
    void (*frozen_dots)(const struct frozen_dots *d, const struct frozen_matrix *m, int64_t first,
                        int64_t count);
    void (*softmax)(float *out, const float *x, size_t width);
    void (*softmax_backward)(float *dx, const float *y, const float *dy, size_t width);
    /* dlogits = scale (softmax - one-hot label), may be logits; returns the cross-entropy. */
    double (*cross_entropy)(float *dlogits, const float *logits, int32_t label, size_t width,
                            float scale);

    const struct attention_kernels *attention, *attention_bf16; /* NULL without has_bf16 */
    const struct gemm_kernels *gemm, *gemm_bf16;                /* likewise */
};

/* NULL with `e` filled when OCC_CPU names what is unknown or not there. */
const struct level *level_choose(struct error *e);

extern const struct level LEVEL_PORTABLE, LEVEL_AVX2, LEVEL_AVX512, LEVEL_AVX512BF16, LEVEL_AMX;

#endif
