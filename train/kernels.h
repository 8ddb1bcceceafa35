/* kernels.h - what training computes besides products and what compress/backend.h has: the
 * gradients of element-wise operations and of norms, softmax, cross-entropy and AdamW's update.
 *
 * One table a level of instruction set, chosen as in compress/cpu/level.h (OCC_CPU). Matrices are
 * F32, row-major, dense. Every function named _backward adds to the gradients it is given. */
#ifndef OCC_TRAIN_KERNELS_H
#define OCC_TRAIN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

#ifndef OCC_COMPRESS_OPS_H
/* Constants of one step of AdamW (Loshchilov and Hutter 2019), bias corrections included. */
struct adamw_step {
    float rate;         /* learning rate / (1 - beta1^step) */
    float decay;        /* learning rate * weight decay */
    float beta1, beta2; /* of the running means */
    float correction;   /* 1 / sqrt(1 - beta2^step) */
    float epsilon;
    float scale; /* of the gradient: clipping, and 1 / number of targets */
};
#endif

struct kernels {
    const char *name;
    void (*gelu_backward)(float *dx, const float *x, const float *dy, size_t count);
    void (*quick_gelu_backward)(float *dx, const float *x, const float *dy, size_t count);
    /* x is the norm's input. dx, and dgamma and dbeta (each may be NULL). */
    void (*layer_norm_backward)(float *dx, float *dgamma, float *dbeta, const float *x,
                                const float *dy, const float *gamma, int64_t rows, int64_t width,
                                float eps);
    /* Each row becomes exp(x) / sum(exp(x)). */
    void (*softmax)(float *x, int64_t rows, int64_t width);
    /* dp (rows, width), the gradient of a softmax's result p, becomes that of its input. */
    void (*softmax_gradient)(float *dp, const float *p, int64_t rows, int64_t width);
    /* Each row of logits becomes scale * (softmax - one-hot label): the gradient of scale times the
     * cross-entropy. Returns the sum of the cross-entropies, without `scale`. Of a row with a
     * negative label nothing is counted, and it becomes zeros. */
    double (*cross_entropy)(float *logits, const int32_t *labels, int64_t rows, int64_t width,
                            float scale);
    /* sums (width) += the sum of the rows of x. */
    void (*add_rows)(float *sums, const float *x, int64_t rows, int64_t width);
    void (*accumulate)(float *to, const float *x, size_t count);
    double (*square_sum)(const float *x, size_t count);
    void (*adamw)(float *weight, float *mean, float *variance, const float *gradient, size_t count,
                  const struct adamw_step *step);
};

/* NULL with `e` filled when OCC_CPU names what is unknown or not there. */
const struct kernels *kernels_choose(struct error *e);

#endif
