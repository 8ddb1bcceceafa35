/* halves.h - numbers of F16: scales in files, and tables where BF16 would be too coarse. */
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

/* To nearest even. */
static __device__ inline uint16_t gpu_f16_of(float value) {
    uint16_t half;
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
#else
    dtype_from_float(&half, DTYPE_F16, &value, 1);
#endif
    return half;
}

#endif
