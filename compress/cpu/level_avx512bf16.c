/* level_avx512bf16.c - AVX-512 with dot products of BF16 pairs (Zen 4, Cooper Lake). F32 products
 * are left to the level below. */
#if defined(__x86_64__)
#define LANES 16
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define QUERY_BLOCK 96

#include "compress/cpu/level_body.h"

#define DEPTH_UNIT 1
#define KEY_UNIT LANES

static inline vec all_of(const float *element) {
    return all(*element);
}

static inline vec multiply_add(vec sum, vec a, vec b) {
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

#include "compress/cpu/attention_bf16.h"

const struct attention_kernels ATTENTION_AVX512BF16 = ATTENTION;
const struct gemm_kernels GEMM_AVX512BF16 = GEMM;
const struct level LEVEL_AVX512BF16 = LEVEL("avx512bf16", true, ATTENTION_AVX512,
                                            &ATTENTION_AVX512BF16, GEMM_AVX512, &GEMM_AVX512BF16);
#endif
