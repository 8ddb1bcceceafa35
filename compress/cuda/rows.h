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

/* From row `first` on. */
static inline struct gpu_rows gpu_rows_from(const struct gpu_rows *x, int64_t first) {
    struct gpu_rows rest = *x;
    const int64_t bytes = x->bf16 ? sizeof(uint16_t) : sizeof(float);
    rest.data = (unsigned char *)x->data + first * x->stride * bytes;
    return rest;
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

/* LANES (1 or 4) numbers as they lie in memory, of BF16 two in each float: loads of several
 * operands come first and are unpacked after, so that none waits for another. */
template <int LANES>
static __device__ inline void gpu_load(float *to, const struct gpu_rows *x, int64_t row,
                                       int64_t column) {
    const int64_t at = row * x->stride + column;
    if constexpr (LANES == 1) {
        to[0] = x->bf16 ? __uint_as_float(((const uint16_t *)x->data)[at])
                        : ((const float *)x->data)[at];
    } else if (x->bf16) {
        const uint2 two = *(const uint2 *)((const uint16_t *)x->data + at);
        to[0] = __uint_as_float(two.x);
        to[1] = __uint_as_float(two.y);
    } else {
        const float4 four = *(const float4 *)((const float *)x->data + at);
        to[0] = four.x;
        to[1] = four.y;
        to[2] = four.z;
        to[3] = four.w;
    }
}

template <int LANES> static __device__ inline void gpu_unpack(float *v, bool bf16) {
    if (!bf16) {
        return;
    }
    const unsigned first = __float_as_uint(v[0]);
    v[0] = __uint_as_float(first << 16);
    if constexpr (LANES == 4) {
        const unsigned second = __float_as_uint(v[1]);
        v[1] = __uint_as_float(first & 0xFFFF0000u);
        v[2] = __uint_as_float(second << 16);
        v[3] = __uint_as_float(second & 0xFFFF0000u);
    }
}

template <int LANES>
static __device__ inline void gpu_store(const struct gpu_rows *x, int64_t row, int64_t column,
                                        const float *v) {
    if constexpr (LANES == 4) {
        gpu_put4(x, row, column, make_float4(v[0], v[1], v[2], v[3]));
    } else {
        gpu_put(x, row, column, v[0]);
    }
}

#endif
