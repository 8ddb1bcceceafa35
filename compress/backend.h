/* backend.h - what networks are made of, as a table of operations for each kind of device.
 *
 * Eager: a call computes. Activations are F32, row-major and dense, outermost dimension first;
 * pictures are (height, width, channels). What a product multiplies with is packed once (struct
 * weights) in the type that the backend computes in: F32, or BF16 with F32 sums where the processor
 * has it. Shapes are the caller's promise: they are asserted, not reported. A context belongs to
 * one thread; contexts of one backend share weights. */
#ifndef OCC_COMPRESS_BACKEND_H
#define OCC_COMPRESS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/ops.h"
#include "store/dtype.h"
#include "store/error.h"

/* Where queries and keys of an attention stand, for the decomposed relative-position bias
 * (Li et al., MViTv2): logit += q . rel_h[y - y' + height - 1] + q . rel_w[x - x' + width - 1],
 * with the unscaled q. Token t stands at y = t / width, x = t % width. */
struct relative_position {
    int64_t height, width;
    const float *rel_h; /* (2 height - 1, head_dim) */
    const float *rel_w; /* (2 width - 1, head_dim) */
};

/* out (batch, tokens, heads * head_dim) = softmax(q k^T / sqrt(head_dim) + bias) v, for each head.
 * Input: qkv (batch, tokens, 3 * heads * head_dim), q, k, v behind each other, heads-major in each.
 */
struct attention {
    int64_t heads, head_dim, tokens;
    const struct relative_position *position; /* NULL: no bias */
    /* Windows: the tokens are a grid, cut into squares of `window` from its upper left corner; each
     * attends within itself. Where a square leaves the grid stand tokens whose qkv is `pad`.
     * window 0: no windows. With windows, `position` is of one square. */
    int64_t window, grid_height, grid_width;
    const float *pad; /* (3 * heads * head_dim) */
};

/* out (batch, m, n) = [out +] a (batch, m, k) b (batch, k, n), with nothing packed; a transposed a
 * lies as (k, m), a transposed b as (n, k). */
struct product_shape {
    int64_t batch, m, n, k;
    bool a_transposed, b_transposed, accumulate;
    enum dtype type; /* of a and b: F32 or BF16; out is F32 */
};

/* A convolution of square kernels with zeros around the picture. out_height = (height + 2 pad -
 * size) / stride_y + 1, likewise out_width. */
struct convolution {
    int64_t height, width, channels;
    int size, stride_y, stride_x, pad;
};
int64_t convolution_out_height(const struct convolution *c);
int64_t convolution_out_width(const struct convolution *c);

struct weights; /* a matrix (outputs, inputs) and a bias, packed by a backend */
struct context; /* scratch memory and state of a thread */

struct backend_ops {
    const char *name;
    /* `compute`: DTYPE_F32 or DTYPE_BF16; ERR_UNSUPPORTED where the device lacks it. To be opened
     * by the thread that uses it. */
    int (*context_open)(struct context **out, enum dtype compute, struct error *e);
    void (*context_close)(struct context *c);
    bool (*has_bf16)(void);

    /* Memory of the device: 64-byte aligned, the caller's until released. NULL: out of memory. */
    float *(*alloc)(struct context *c, size_t count);
    void (*release)(struct context *c, float *data);
    int (*upload)(struct context *c, float *to, const float *from, size_t count, struct error *e);
    int (*download)(struct context *c, float *to, const float *from, size_t count, struct error *e);

    /* matrix (outputs, inputs) of `type`, any alignment; bias (outputs) or NULL. Read-only
     * afterwards. */
    int (*pack)(struct context *c, struct weights **out, const void *matrix, enum dtype type,
                int64_t outputs, int64_t inputs, const float *bias, struct error *e);
    void (*weights_close)(struct weights *w);

    /* out (rows, outputs) = activation(x (rows, inputs) W^T + bias) [+ residual (rows, outputs), or
     * NULL; may be `out`]. */
    int (*linear)(struct context *c, float *out, const float *x, int64_t rows,
                  const struct weights *w, enum activation activation, const float *residual,
                  struct error *e);
    /* out = residual + activation(x W1^T + b1) W2^T + b2, without keeping what is between. */
    int (*mlp)(struct context *c, float *out, const float *x, int64_t rows,
               const struct weights *w1, enum activation activation, const struct weights *w2,
               const float *residual, struct error *e);
    /* x (batch, height, width, channels) -> out (batch, out_height, out_width, outputs); the
     * weights' inputs are in the order (ky, kx, channel). */
    int (*convolve)(struct context *c, float *out, const float *x, int64_t batch,
                    const struct convolution *shape, const struct weights *w, struct error *e);
    /* out (rows, width) = (x - mean) / sqrt(variance + eps) * gamma + beta, over each row. May be
     * in place. */
    int (*layer_norm)(struct context *c, float *out, const float *x, int64_t rows, int64_t width,
                      const float *gamma, const float *beta, float eps, struct error *e);
    /* Never holds tokens x tokens. */
    int (*attention)(struct context *c, float *out, const float *qkv, int64_t batch,
                     const struct attention *shape, struct error *e);
    /* out = activation(x), element by element. May be in place. */
    int (*activate)(struct context *c, float *out, const float *x, size_t count,
                    enum activation activation, struct error *e);
    /* out (batch, count) = a (batch, count) + b (count). May be in place. */
    int (*add)(struct context *c, float *out, const float *a, const float *b, int64_t batch,
               size_t count, struct error *e);
    int (*multiply)(struct context *c, float *out, const void *a, const void *b,
                    const struct product_shape *shape, struct error *e);
    int (*to_bf16)(struct context *c, uint16_t *out, const float *x, size_t count, struct error *e);
    /* rows of `width` floats: out[r * out_stride ...] = x[r * x_stride ...]. */
    int (*copy)(struct context *c, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                int64_t rows, int64_t width, struct error *e);
};

extern const struct backend_ops BACKEND_CPU;

#endif
