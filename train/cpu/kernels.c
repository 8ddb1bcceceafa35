/* kernels.c - the functions of kernels.h by those of compress/cpu/level.h. */
#include "compress/cpu/level.h"

#include <stdlib.h>
#include <string.h>

#include "train/kernels.h"

/* dp = (dp - dp . p) p */
static void softmax_gradient(const struct level *level, float *dp, const float *p, int64_t rows,
                             int64_t width) {
    float *sums = calloc((size_t)width, sizeof *sums);
    for (int64_t r = 0; r < rows && sums != NULL; r++) {
        memset(sums, 0, (size_t)width * sizeof *sums);
        level->softmax_backward(sums, p + r * width, dp + r * width, (size_t)width);
        memcpy(dp + r * width, sums, (size_t)width * sizeof *sums);
    }
    free(sums);
}

static double cross_entropy(const struct level *level, float *logits, const int32_t *labels,
                            int64_t rows, int64_t width, float scale) {
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * width;
        if (labels[r] < 0) {
            memset(row, 0, (size_t)width * sizeof *row);
        } else {
            loss += level->cross_entropy(row, row, labels[r], (size_t)width, scale);
        }
    }
    return loss;
}

#define FUNCTIONS(suffix, level)                                                                   \
    static void gelu_backward_##suffix(float *dx, const float *x, const float *dy, size_t count) { \
        level.gelu_backward(dx, x, dy, count);                                                     \
    }                                                                                              \
    static void quick_gelu_backward_##suffix(float *dx, const float *x, const float *dy,           \
                                             size_t count) {                                       \
        level.quick_gelu_backward(dx, x, dy, count);                                               \
    }                                                                                              \
    static void layer_norm_backward_##suffix(float *dx, float *dgamma, float *dbeta,               \
                                             const float *x, const float *dy, const float *gamma,  \
                                             int64_t rows, int64_t width, float eps) {             \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            level.layer_norm_backward(dx != NULL ? dx + r * width : NULL, dgamma, dbeta,           \
                                      x + r * width, gamma, dy + r * width, (size_t)width, eps);   \
        }                                                                                          \
    }                                                                                              \
    static void softmax_##suffix(float *x, int64_t rows, int64_t width) {                          \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            level.softmax(x + r * width, x + r * width, (size_t)width);                            \
        }                                                                                          \
    }                                                                                              \
    static void softmax_gradient_##suffix(float *dp, const float *p, int64_t rows,                 \
                                          int64_t width) {                                         \
        softmax_gradient(&level, dp, p, rows, width);                                              \
    }                                                                                              \
    static double cross_entropy_##suffix(float *logits, const int32_t *labels, int64_t rows,       \
                                         int64_t width, float scale) {                             \
        return cross_entropy(&level, logits, labels, rows, width, scale);                          \
    }                                                                                              \
    static void add_rows_##suffix(float *sums, const float *x, int64_t rows, int64_t width) {      \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            level.accumulate(sums, x + r * width, (size_t)width);                                  \
        }                                                                                          \
    }                                                                                              \
    static void accumulate_##suffix(float *to, const float *x, size_t count) {                     \
        level.accumulate(to, x, count);                                                            \
    }                                                                                              \
    static double square_sum_##suffix(const float *x, size_t count) {                              \
        return level.square_sum(x, count);                                                         \
    }                                                                                              \
    static void adamw_##suffix(float *weight, float *mean, float *variance, const float *gradient, \
                               size_t count, const struct adamw_step *step) {                      \
        level.adamw(weight, mean, variance, gradient, count, step);                                \
    }                                                                                              \
    static const struct kernels KERNELS_##suffix = {                                               \
        .name = #suffix,                                                                           \
        .gelu_backward = gelu_backward_##suffix,                                                   \
        .quick_gelu_backward = quick_gelu_backward_##suffix,                                       \
        .layer_norm_backward = layer_norm_backward_##suffix,                                       \
        .softmax = softmax_##suffix,                                                               \
        .softmax_gradient = softmax_gradient_##suffix,                                             \
        .cross_entropy = cross_entropy_##suffix,                                                   \
        .add_rows = add_rows_##suffix,                                                             \
        .accumulate = accumulate_##suffix,                                                         \
        .square_sum = square_sum_##suffix,                                                         \
        .adamw = adamw_##suffix};

FUNCTIONS(portable, LEVEL_PORTABLE)
#if defined(__x86_64__)
FUNCTIONS(avx2, LEVEL_AVX2)
FUNCTIONS(avx512, LEVEL_AVX512)
#endif

const struct kernels *kernels_choose(struct error *e) {
    const struct level *level = level_choose(e);
    if (level == NULL) {
        return NULL;
    }
#if defined(__x86_64__)
    if (level == &LEVEL_AVX2) {
        return &KERNELS_avx2;
    }
    if (level != &LEVEL_PORTABLE) {
        return &KERNELS_avx512;
    }
#endif
    return &KERNELS_portable;
}
