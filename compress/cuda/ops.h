/* ops.h - which operations CUDA has: each is cuda_NAME, in the .cu file of its name or of its
 * family, with the type that struct ops gives it. */
#ifndef OCC_COMPRESS_CUDA_OPS_H
#define OCC_COMPRESS_CUDA_OPS_H

#include "compress/cuda/gpu.h"

/* A line for each file. */
/* clang-format off */
#define CUDA_OPERATIONS(OP) \
    OP(alloc) OP(release) OP(upload) OP(download) OP(synchronize) \
    OP(fill) OP(copy) OP(accumulate) \
    OP(gather) OP(scatter_add) \
    OP(im2col) OP(im2col_backward) \
    OP(resample) OP(resample_backward) \
    OP(normalize_pixels) \
    OP(pack) OP(packed_close) OP(linear) OP(mlp) \
    OP(pack_frozen) OP(linear_backward) OP(gather_packed) \
    OP(convolve) \
    OP(matmul) \
    OP(add) OP(combine) OP(multiply) OP(multiply_backward) \
    OP(gelu) OP(gelu_backward) OP(quick_gelu) OP(quick_gelu_backward) \
    OP(silu) OP(silu_backward) \
    OP(swiglu) OP(swiglu_backward) \
    OP(sum_rows) \
    OP(layer_norm) OP(layer_norm_backward) \
    OP(rms_norm) OP(rms_norm_backward) \
    OP(softmax) OP(softmax_backward) \
    OP(top_k) OP(top_k_backward) \
    OP(cosine) OP(cosine_backward) \
    OP(rotary) \
    OP(attention) OP(attention_backward) \
    OP(cross_entropy) \
    OP(classify) OP(classify_packed) \
    OP(dropout) \
    OP(square_sum) \
    OP(adamw)
/* clang-format on */

#define CUDA_DECLARE(name) extern __typeof__(*(((struct ops *)NULL)->name)) cuda_##name;
extern "C" {
CUDA_OPERATIONS(CUDA_DECLARE)
}

extern const struct ops CUDA_OPS;

#endif
