/* halves.h - numbers of F16, which only files have. */
#ifndef OCC_COMPRESS_CUDA_HALVES_H
#define OCC_COMPRESS_CUDA_HALVES_H

#include "compress/cuda/gpu.h"

static __device__ inline float gpu_float_of_f16(uint16_t half) {
    float value;
#ifdef __CUDA_ARCH__
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
#else
    dtype_to_float(&value, &half, DTYPE_F16, 1);
#endif
    return value;
}

#endif
