/* team_ops.h - operations that a team shares: team_NAME, with the type that struct ops gives it. */
#ifndef OCC_COMPRESS_CPU_TEAM_OPS_H
#define OCC_COMPRESS_CPU_TEAM_OPS_H

#include "compress/ops.h"

/* A line for each file: team_elements.c, team_rows.c, team_sums.c, team_products.c. Attention,
 * classification and products of plain or frozen matrices share their work themselves. */
/* clang-format off */
#define TEAM_OPERATIONS(OP) \
    OP(fill) OP(copy) OP(accumulate) \
    OP(add) OP(combine) OP(multiply) OP(multiply_backward) \
    OP(gelu) OP(gelu_backward) OP(quick_gelu) OP(quick_gelu_backward) OP(silu) OP(silu_backward) \
    OP(swiglu) OP(swiglu_backward) OP(adamw) \
    OP(gather) OP(scatter_add) OP(sum_rows) OP(layer_norm) OP(rms_norm) OP(softmax) \
    OP(softmax_backward) OP(rotary) OP(gather_packed) OP(dropout) \
    OP(layer_norm_backward) OP(rms_norm_backward) OP(cross_entropy) OP(square_sum) \
    OP(linear)
/* clang-format on */

#define TEAM_DECLARE(name) extern __typeof__(*(((struct ops *)NULL)->name)) team_##name;
TEAM_OPERATIONS(TEAM_DECLARE)

#endif
