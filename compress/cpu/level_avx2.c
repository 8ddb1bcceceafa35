/* level_avx2.c - AVX2 with FMA. */
#if defined(__x86_64__)
#define LANES 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define QUERY_BLOCK 48

#include "compress/cpu/level_body.h"

#include "compress/cpu/attention_f32.h"

const struct attention_kernels ATTENTION_AVX2 = ATTENTION;
const struct gemm_kernels GEMM_AVX2 = GEMM;
const struct level LEVEL_AVX2 = LEVEL("avx2", false, ATTENTION_AVX2, NULL, GEMM_AVX2, NULL);
#endif
