/* elements.h - functions of one number, and their gradients, over all elements of tensors: a
 * function is a type with `of` and `slope`. */
#ifndef OCC_COMPRESS_CUDA_ELEMENTS_H
#define OCC_COMPRESS_CUDA_ELEMENTS_H

#include "compress/cuda/device.h"
#include "compress/cuda/rows.h"

template <class function>
__global__ void elements_kernel(struct gpu_rows out, struct gpu_rows x, int64_t count,
                                int64_t width) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const int64_t row = i / width, column = i % width;
        gpu_put(&out, row, column, function::of(gpu_get(&x, row, column)));
    }
}

template <class function>
__global__ void elements_backward_kernel(struct gpu_rows dx, struct gpu_rows x, struct gpu_rows dy,
                                         int64_t count, int64_t width) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const int64_t row = i / width, column = i % width;
        gpu_put(&dx, row, column,
                gpu_get(&dx, row, column) +
                    gpu_get(&dy, row, column) * function::slope(gpu_get(&x, row, column)));
    }
}

/* out = of(x) */
template <class function>
static inline int elements_map(struct device *d, const struct tensor *out, const struct tensor *x,
                               const char *name, struct error *e) {
    const int64_t count = tensor_count(out);
    if (count == 0) {
        return 0;
    }
    GPU_LAUNCH((elements_kernel<function>), cuda_blocks(d, count, GPU_BLOCK), GPU_BLOCK, 0,
               cuda_stream(d), gpu_rows_of(out), gpu_rows_of(x), count, tensor_width(out));
    return cuda_launched(name, e);
}

/* dx += slope(x) dy */
template <class function>
static inline int elements_map_backward(struct device *d, const struct tensor *dx,
                                        const struct tensor *x, const struct tensor *dy,
                                        const char *name, struct error *e) {
    const int64_t count = tensor_count(dx);
    if (count == 0) {
        return 0;
    }
    GPU_LAUNCH((elements_backward_kernel<function>), cuda_blocks(d, count, GPU_BLOCK), GPU_BLOCK, 0,
               cuda_stream(d), gpu_rows_of(dx), gpu_rows_of(x), gpu_rows_of(dy), count,
               tensor_width(dx));
    return cuda_launched(name, e);
}

#endif
