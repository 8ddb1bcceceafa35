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

#include "compress/cpu/attention_backward_body.h"
