/* mma.h - what a warp does with tensor cores: products of BF16 with sums of F32, loads of what they
 * multiply, and copies to shared memory that go on while others are multiplied.
 *
 * Fragments, g = lane / 4 and t = lane % 4, two numbers to a register:
 *     a (16, 16): rows g, g + 8, g, g + 8 at columns 2 t and 2 t + 1; the last two 8 further right
 *     b (16, 8):  column g at rows 2 t and 2 t + 1, and 8 further down
 *     d (16, 8):  row g at columns 2 t and 2 t + 1, then row g + 8
 * so that two d side by side, rounded, are an a. */
#ifndef OCC_COMPRESS_CUDA_MMA_H
#define OCC_COMPRESS_CUDA_MMA_H

#include "compress/cuda/gpu.h"

#if defined(__CUDA_ARCH__)
#define MMA_SHARED(address) ((unsigned)__cvta_generic_to_shared(address))
#endif

/* d (16, 8) += a (16, 16) b (16, 8). */
static __device__ inline void mma_bf16(float d[4], const unsigned a[4], unsigned b0, unsigned b1) {
#if defined(__CUDA_ARCH__)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif !defined(__CUDACC__)
    gpu_mma_bf16(d, a, b0, b1);
#endif
}

/* Four matrices (8, 8) of 16-bit numbers; lane i gives the address of row i % 8 of matrix i / 8, 16
 * bytes aligned to as many, and gets of each matrix the pair at row g, columns 2 t and 2 t + 1. */
static __device__ inline void mma_load(unsigned out[4], const uint16_t *row) {
#if defined(__CUDA_ARCH__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(MMA_SHARED(row))
                 : "memory");
#elif !defined(__CUDACC__)
    gpu_load_matrices(out, row, false);
#endif
}

/* The pair at rows 2 t and 2 t + 1, column g. */
static __device__ inline void mma_load_turned(unsigned out[4], const uint16_t *row) {
#if defined(__CUDA_ARCH__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(MMA_SHARED(row))
                 : "memory");
#elif !defined(__CUDACC__)
    gpu_load_matrices(out, row, true);
#endif
}

/* 16 bytes of global to shared memory, zeros where nothing is `there`. A thread waits for what it
 * has asked for itself; a barrier after that shows it to the others. */
static __device__ inline void mma_copy(void *shared, const void *global, bool there) {
#if defined(__CUDA_ARCH__)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(MMA_SHARED(shared)), "l"(global), "r"(there ? 16 : 0)
                 : "memory");
#elif !defined(__CUDACC__)
    gpu_copy_async(shared, global, there);
#endif
}

static __device__ inline void mma_copies_wait(void) {
#if defined(__CUDA_ARCH__)
    asm volatile("cp.async.wait_all;" : : : "memory");
#elif !defined(__CUDACC__)
    gpu_copies_wait();
#endif
}

/* Rounded to nearest even, `low` in the lower half. */
static __device__ inline unsigned mma_pair(float low, float high) {
#if defined(__CUDA_ARCH__)
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return gpu_bf16_of(low) | (unsigned)gpu_bf16_of(high) << 16;
#endif
}

/* 2^x, about as exact as what it is rounded to. */
static __device__ inline float mma_power_of_two(float x) {
#if defined(__CUDA_ARCH__)
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
#else
    return exp2f(x);
#endif
}

#endif
