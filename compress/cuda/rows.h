/* rows.h - tensors of any float as rows, which is how most kernels see them. */
#ifndef OCC_COMPRESS_CUDA_ROWS_H
#define OCC_COMPRESS_CUDA_ROWS_H

#include "compress/cuda/gpu.h"

/* Rows of F32 or BF16, `stride` elements apart. data NULL: there are none. */
struct gpu_rows {
    void *data;
    int64_t stride;
    bool bf16;
};

/* Of a tensor whose rows are dense and lie one distance apart; NULL: none. */
static inline struct gpu_rows gpu_rows_of(const struct tensor *t) {
    struct gpu_rows rows = {NULL, 0, false};
    if (t != NULL) {
        const bool whole = tensor_is_rows(t, &rows.stride);
        assert(whole && (t->type == DTYPE_F32 || t->type == DTYPE_BF16));
        (void)whole;
        rows.data = t->data;
        rows.bf16 = t->type == DTYPE_BF16;
    }
    return rows;
}

/* The numbers of a dense vector of F32; NULL of NULL. */
static inline float *gpu_vector_of(const struct tensor *t) {
    assert(t == NULL || (t->type == DTYPE_F32 && tensor_is_dense(t)));
    return t != NULL ? (float *)t->data : NULL;
}

static __device__ inline float gpu_get(const struct gpu_rows *x, int64_t row, int64_t column) {
    const int64_t at = row * x->stride + column;
    return x->bf16 ? gpu_float_of(((const uint16_t *)x->data)[at]) : ((const float *)x->data)[at];
}

static __device__ inline void gpu_put(const struct gpu_rows *x, int64_t row, int64_t column,
                                      float value) {
    const int64_t at = row * x->stride + column;
    if (x->bf16) {
        ((uint16_t *)x->data)[at] = gpu_bf16_of(value);
    } else {
        ((float *)x->data)[at] = value;
    }
}

/* Whether rows of `width` can be read and written four elements at a time. */
static inline bool gpu_rows_in_fours(const struct gpu_rows *x, int64_t width) {
    const uintptr_t unit = x->bf16 ? 8 : 16;
    return x->data == NULL ||
           (width % 4 == 0 && x->stride % 4 == 0 && (uintptr_t)x->data % unit == 0);
}

static __device__ inline float4 gpu_get4(const struct gpu_rows *x, int64_t row, int64_t column) {
    const int64_t at = row * x->stride + column;
    if (!x->bf16) {
        return *(const float4 *)((const float *)x->data + at);
    }
    const uint2 two = *(const uint2 *)((const uint16_t *)x->data + at);
    return make_float4(__uint_as_float(two.x << 16), __uint_as_float(two.x & 0xFFFF0000u),
                       __uint_as_float(two.y << 16), __uint_as_float(two.y & 0xFFFF0000u));
}

static __device__ inline void gpu_put4(const struct gpu_rows *x, int64_t row, int64_t column,
                                       float4 v) {
    const int64_t at = row * x->stride + column;
    if (!x->bf16) {
        *(float4 *)((float *)x->data + at) = v;
        return;
    }
    *(uint2 *)((uint16_t *)x->data + at) =
        make_uint2(gpu_bf16_of(v.x) | (unsigned)gpu_bf16_of(v.y) << 16,
                   gpu_bf16_of(v.z) | (unsigned)gpu_bf16_of(v.w) << 16);
}

#endif
