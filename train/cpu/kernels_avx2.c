/* kernels_avx2.c - AVX2 and FMA. */
#if defined(__x86_64__)
#define LANES 8
#include "train/cpu/kernels_body.h"

const struct kernels KERNELS_AVX2 = KERNELS("avx2");
#endif
