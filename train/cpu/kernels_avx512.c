/* kernels_avx512.c - AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#define LANES 16
#include "train/cpu/kernels_body.h"

const struct kernels KERNELS_AVX512 = KERNELS("avx512");
#endif
