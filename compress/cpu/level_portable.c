/* level_portable.c - what every processor can do (SSE2 on x86-64). */

#define LANES 4
#define TILE_ROWS 4
#define TILE_VECTORS 2
#define QUERY_BLOCK 48

#include "compress/cpu/level_body.h"

#include "compress/cpu/attention_f32.h"

const struct attention_kernels ATTENTION_PORTABLE = ATTENTION;
const struct gemm_kernels GEMM_PORTABLE = GEMM;
const struct level LEVEL_PORTABLE =
    LEVEL("portable", false, ATTENTION_PORTABLE, NULL, GEMM_PORTABLE, NULL);
