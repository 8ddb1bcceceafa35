/* level_avx512.c - AVX-512 (F, BW, DQ, VL), products in F32. */
#if defined(__x86_64__)
#define LANES 16
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define QUERY_BLOCK 48

#include "compress/cpu/level_body.h"

#include "compress/cpu/attention_f32.h"

const struct attention_kernels ATTENTION_AVX512 = ATTENTION;
const struct gemm_kernels GEMM_AVX512 = GEMM;
const struct level LEVEL_AVX512 = LEVEL("avx512", false, ATTENTION_AVX512, NULL, GEMM_AVX512, NULL);
#endif
