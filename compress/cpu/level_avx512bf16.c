/* level_avx512bf16.c - AVX-512 with dot products of BF16 pairs (Zen 4, Cooper Lake). F32 products
 * are left to the level below. */
#if defined(__x86_64__)
#define LANES 16
#define TILE_ROWS 6
#define TILE_VECTORS 4
#define QUERY_BLOCK 48

#include "compress/cpu/level_body.h"

#define PACK 2
#define DEPTH_UNIT 1
#define KEY_UNIT LANES

static inline vec all_of(const float *element) {
    return all(*element);
}

static inline vec multiply_add(vec sum, vec a, vec b) {
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

static inline void store_bf16(uint16_t *out, vec x) {
    _mm256_storeu_si256((void *)out, (__m256i)_mm512_cvtneps_pbh((__m512)x));
}

#include "compress/cpu/attention_body.h"

static size_t scratch_size(int64_t tokens, int64_t head_dim, const struct head_position *position) {
    size_t f32 = LEVEL_AVX512.attention_scratch(tokens, head_dim, position);
    size_t bf16 = attention_scratch(tokens, head_dim, position);
    return f32 > bf16 ? f32 : bf16;
}

static void attention_either(float *out, int64_t out_stride, const float *q, const float *k,
                             const float *v, int64_t stride, int64_t tokens, int64_t head_dim,
                             const struct head_position *position, bool bf16, void *scratch) {
    if (bf16) {
        attention(out, out_stride, q, k, v, stride, tokens, head_dim, position, scratch);
    } else {
        LEVEL_AVX512.attention(out, out_stride, q, k, v, stride, tokens, head_dim, position, false,
                               scratch);
    }
}

const struct level LEVEL_AVX512BF16 = LEVEL("avx512bf16", true, scratch_size, attention_either);
#endif
