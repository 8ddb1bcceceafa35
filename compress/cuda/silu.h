/* silu.h - x sigmoid(x) and its slope, for what is gated too. */
#ifndef OCC_COMPRESS_CUDA_SILU_H
#define OCC_COMPRESS_CUDA_SILU_H

#include "compress/cuda/gpu.h"

struct silu {
    static __device__ inline float of(float x) {
        return x / (1 + expf(-x));
    }
    /* (x s(x))' = s (1 + x (1 - s)) */
    static __device__ inline float slope(float x) {
        const float s = 1 / (1 + expf(-x));
        return s * (1 + x * (1 - s));
    }
};

#endif
