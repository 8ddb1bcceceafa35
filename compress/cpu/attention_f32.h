/* attention_f32.h - attention_body.h with F32 products, for levels without tiles. Not a header of
 * declarations, so it has no guard: it defines the kernels that ATTENTION makes a table of, and a
 * level_LEVEL.c includes it once, after level_body.h. */
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

#include "compress/cpu/attention_backward_body.h"

#include "compress/cpu/gemm_body.h"
