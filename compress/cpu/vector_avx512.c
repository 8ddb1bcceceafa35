/* vector_avx512.c - AVX-512 (F, BW, DQ, VL), products in F32. */
#if defined(__x86_64__)
#define LANES 16
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define QUERY_BLOCK 48

#include "compress/cpu/vector_body.h"

#include "compress/cpu/attention_f32.h"

static void attention_f32(float *out, int64_t out_stride, const float *q, const float *k,
                          const float *v, int64_t stride, int64_t tokens, int64_t head_dim,
                          const struct relative_position *position, bool bf16, void *scratch) {
    (void)bf16;
    attention(out, out_stride, q, k, v, stride, tokens, head_dim, position, scratch);
}

const struct vector_ops VECTOR_AVX512 = {.name = "avx512",
                                         .gelu = gelu,
                                         .quick_gelu = quick_gelu,
                                         .gelu_to_bf16 = gelu_to_bf16,
                                         .layer_norm = layer_norm,
                                         .add = add,
                                         .to_bf16 = to_bf16,
                                         .attention_scratch = attention_scratch,
                                         .attention = attention_f32};
#endif
