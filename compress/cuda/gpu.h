/* gpu.h - the one include of every .cu file: CUDA's own header, the engine's, and what both kinds
 * of build spell differently.
 *
 * A .cu file is written in the common part of C and C++ and is compiled twice: by nvcc, and by any
 * C++ compiler with tests/kernels/cuda_runtime.h in the place of CUDA's, which runs each thread of
 * a kernel as a fiber. So kernels are launched by GPU_LAUNCH, and all shared memory is dynamic
 * (GPU_SHARED), which the emulation can poison and fence. */
#ifndef OCC_COMPRESS_CUDA_GPU_H
#define OCC_COMPRESS_CUDA_GPU_H

#include <assert.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "compress/device.h"
#include "compress/ops.h"
#include "compress/tensor.h"
#include "store/error.h"
}

#ifdef __CUDACC__
/* kernel: in parentheses where it has commas. The arguments are copied. */
#define GPU_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                 \
    kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)
/* type *name: the shared memory of the launch. */
#define GPU_SHARED(type, name)                                                                     \
    extern __shared__ __align__(16) unsigned char gpu_shared[];                                    \
    type *const name = (type *)gpu_shared
/* Before a loop over registers: arrays that are indexed otherwise would lie in memory. */
#define GPU_UNROLL _Pragma("unroll")
#define GPU_ROLLED _Pragma("unroll 1") /* what is unrolled takes registers */
#else
#define GPU_UNROLL
#define GPU_ROLLED
#endif

enum { GPU_WARP = 32, GPU_BLOCK = 256 /* threads of a block, where nothing says otherwise */ };
#define GPU_ALL_LANES 0xFFFFFFFFu

/* Threads of a block that has `count` things to do at a time: whole warps, at most GPU_BLOCK. */
static inline unsigned gpu_threads(int64_t count) {
    const int64_t warps = (count + GPU_WARP - 1) / GPU_WARP, most = GPU_BLOCK / GPU_WARP;
    return (unsigned)(warps < most ? warps : most) * GPU_WARP;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

/* To nearest even, NaN stays NaN, as bf16_of (store/dtype.h). */
static __device__ inline uint16_t gpu_bf16_of(float value) {
#ifdef __CUDA_ARCH__
    uint16_t half;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(half) : "f"(value));
    return half;
#else
    return bf16_of(value);
#endif
}

static __device__ inline float gpu_float_of(uint16_t half) {
#ifdef __CUDA_ARCH__
    return __uint_as_float((unsigned)half << 16);
#else
    return float_of_bf16(half);
#endif
}

/* ---- Sums of a warp and of a block ----------------------------------------------------------- */

/* Every lane has the result. */
static __device__ inline float warp_sum(float x) {
    for (int step = GPU_WARP / 2; step > 0; step /= 2) {
        x += __shfl_xor_sync(GPU_ALL_LANES, x, step);
    }
    return x;
}

static __device__ inline float warp_largest(float x) {
    for (int step = GPU_WARP / 2; step > 0; step /= 2) {
        x = fmaxf(x, __shfl_xor_sync(GPU_ALL_LANES, x, step));
    }
    return x;
}

/* Every thread has the result, in the same order of sums whatever else runs. `shared`: GPU_WARP
 * floats, free again on return. Blocks are whole warps, of one dimension. */
static __device__ inline float block_sum(float x, float *shared) {
    const int lane = (int)threadIdx.x % GPU_WARP, warp = (int)threadIdx.x / GPU_WARP;
    const int warps = (int)blockDim.x / GPU_WARP;
    x = warp_sum(x);
    if (lane == 0) {
        shared[warp] = x;
    }
    __syncthreads();
    x = warp_sum(lane < warps ? shared[lane] : 0);
    __syncthreads();
    return x;
}

static __device__ inline float block_largest(float x, float *shared) {
    const int lane = (int)threadIdx.x % GPU_WARP, warp = (int)threadIdx.x / GPU_WARP;
    const int warps = (int)blockDim.x / GPU_WARP;
    x = warp_largest(x);
    if (lane == 0) {
        shared[warp] = x;
    }
    __syncthreads();
    x = warp_largest(lane < warps ? shared[lane] : -INFINITY);
    __syncthreads();
    return x;
}

#endif
