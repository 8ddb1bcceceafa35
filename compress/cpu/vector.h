/* vector.h - what the CPU backend computes besides products: one table a level of instruction set.
 *
 * All levels stay within the limits stated in tests/cpu_test.c of a double-precision reference; a
 * level gives the same bytes on every machine that has it. OCC_CPU = portable | avx2 | avx512 |
 * avx512bf16 | amx forces one (ERR_UNSUPPORTED where the processor or the kernel lacks it);
 * otherwise the best there is. No libm call per element. */
#ifndef OCC_COMPRESS_CPU_VECTOR_H
#define OCC_COMPRESS_CPU_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/backend.h"

struct vector_ops {
    const char *name;
    bool has_bf16;                              /* attention can multiply in BF16 */
    void (*gelu)(float *x, size_t count);       /* in place, exact by erf */
    void (*quick_gelu)(float *x, size_t count); /* in place */
    /* For what a BF16 product reads next: both as precise as BF16 asks for. */
    void (*gelu_to_bf16)(uint16_t *out, const float *x, size_t count);
    void (*layer_norm)(float *out, const float *x, int64_t rows, int64_t width, const float *gamma,
                       const float *beta, float eps);
    void (*add)(float *out, const float *a, const float *b, size_t count);
    void (*to_bf16)(uint16_t *out, const float *x, size_t count);
    /* One batch item, one head: q, k, v have `stride` floats from token to token, out `out_stride`.
     * `bf16`: products in BF16 where has_bf16. scratch: attention_scratch bytes, 64-byte
     * aligned. */
    size_t (*attention_scratch)(int64_t tokens, int64_t head_dim,
                                const struct relative_position *position);
    void (*attention)(float *out, int64_t out_stride, const float *q, const float *k,
                      const float *v, int64_t stride, int64_t tokens, int64_t head_dim,
                      const struct relative_position *position, bool bf16, void *scratch);
};

/* NULL with `e` filled when OCC_CPU names what is unknown or not there. */
const struct vector_ops *vector_ops_choose(struct error *e);

extern const struct vector_ops VECTOR_PORTABLE, VECTOR_AVX2, VECTOR_AVX512, VECTOR_AVX512BF16,
    VECTOR_AMX;

#endif
