/* vectors.h - numbers of rows of any float, one or four at a time: a kernel is written once for
 * what can be read in fours and for what cannot. */
#ifndef OCC_COMPRESS_CUDA_VECTORS_H
#define OCC_COMPRESS_CUDA_VECTORS_H

#include "compress/cuda/rows.h"

template <int count> struct __align__(count * sizeof(float)) gpu_vector {
    float of[count];
};

template <int count>
static __device__ inline struct gpu_vector<count> gpu_load(const struct gpu_rows *x, int64_t row,
                                                           int64_t column) {
    if constexpr (count == 4) {
        const float4 v = gpu_get4(x, row, column);
        return {{v.x, v.y, v.z, v.w}};
    } else {
        return {{gpu_get(x, row, column)}};
    }
}

template <int count>
static __device__ inline void gpu_store(const struct gpu_rows *x, int64_t row, int64_t column,
                                        const struct gpu_vector<count> &v) {
    if constexpr (count == 4) {
        gpu_put4(x, row, column, make_float4(v.of[0], v.of[1], v.of[2], v.of[3]));
    } else {
        gpu_put(x, row, column, v.of[0]);
    }
}

/* sum += x, and, as where it is kept is BF16, rounded to that. */
template <int count>
static __device__ inline void gpu_add(struct gpu_vector<count> *sum,
                                      const struct gpu_vector<count> &x, bool bf16) {
    for (int i = 0; i < count; i++) {
        sum->of[i] += x.of[i];
        if (bf16) {
            sum->of[i] = gpu_float_of(gpu_bf16_of(sum->of[i]));
        }
    }
}

#endif
