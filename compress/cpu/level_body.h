/* level_body.h - all kernels but attention: included once by each level_LEVEL.c, which is compiled
 * for its instruction set and has defined
 *
 *     LANES          floats in a vector: 4, 8, 16
 *     TILE_ROWS, TILE_VECTORS  of the block of a product that is kept in registers
 *     QUERY_BLOCK    queries that an attention takes at a time, a multiple of TILE_ROWS
 *
 * and makes its table by LEVEL, after an attention. */
#include "compress/cpu/gemm.h"
#include "compress/cpu/level.h"
#include "compress/cpu/vector_math.h"
#include "compress/dropout.h"
#include "compress/ops.h"
#include "store/dtype.h"

#include "compress/cpu/adamw_body.h"
#include "compress/cpu/add_body.h"
#include "compress/cpu/copy_body.h"
#include "compress/cpu/dot_body.h"
#include "compress/cpu/dropout_body.h"
#include "compress/cpu/frozen_body.h"
#include "compress/cpu/gelu_body.h"
#include "compress/cpu/layer_norm_body.h"
#include "compress/cpu/rotary_body.h"
#include "compress/cpu/silu_body.h"
#include "compress/cpu/softmax_body.h"
#include "compress/cpu/square_sum_body.h"
/* need those above */
#include "compress/cpu/cross_entropy_body.h"
#include "compress/cpu/rms_norm_body.h"

#define LEVEL(level, bf16, f32_attention, bf16_attention, f32_gemm, bf16_gemm)                     \
    {                                                                                              \
        .name = level, .has_bf16 = bf16, .to_bf16 = to_bf16, .from_bf16 = from_bf16,               \
        .accumulate = accumulate, .add = add, .combine = combine, .multiply = multiply,            \
        .multiply_backward = multiply_backward, .gelu = gelu, .gelu_backward = gelu_backward,      \
        .gelu_to_bf16 = gelu_to_bf16, .quick_gelu = quick_gelu,                                    \
        .quick_gelu_backward = quick_gelu_backward, .square_sum = square_sum, .adamw = adamw,      \
        .layer_norm = layer_norm, .layer_norm_backward = layer_norm_backward, .softmax = softmax,  \
        .softmax_backward = softmax_backward, .cross_entropy = cross_entropy, .silu = silu,        \
        .silu_backward = silu_backward, .swiglu = swiglu,                                          \
        .swiglu_gate_backward = swiglu_gate_backward, .swiglu_up_backward = swiglu_up_backward,    \
        .rms_norm = rms_norm, .rms_norm_backward = rms_norm_backward,                              \
        .rms_norm_gain_backward = rms_norm_gain_backward, .dot = dot, .add_scaled = add_scaled,    \
        .rotary = rotary, .dropout = dropout, .unpack = unpack, .frozen_dots = frozen_dots,        \
        .order_halves = ORDER_HALVES, .attention = &f32_attention,                                 \
        .attention_bf16 = bf16_attention, .gemm = &f32_gemm, .gemm_bf16 = bf16_gemm                \
    }
