/* attention_f32.h - attention_body.h with F32 products. */
#define PACK 1
#define DEPTH_UNIT 1
#define KEY_UNIT LANES

static inline vec all_of(const float *element) {
    return all(*element);
}

static inline vec multiply_add(vec sum, vec a, vec b) {
    return sum + a * b;
}

#include "compress/cpu/attention_body.h"

static void attention_f32(float *out, int64_t out_stride, const float *q, const float *k,
                          const float *v, int64_t stride, int64_t tokens, int64_t head_dim,
                          const struct head_position *position, bool bf16, void *scratch) {
    (void)bf16;
    attention(out, out_stride, q, k, v, stride, tokens, head_dim, position, scratch);
}
