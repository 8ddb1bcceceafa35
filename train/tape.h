/* tape.h - reverse-mode automatic differentiation over compress/backend.h.
 *
 * A call of an operation computes at once; where one of its inputs wants a gradient it also notes
 * what its backward pass needs. What no gradient reaches is not noted and keeps nothing. Tensors
 * are matrices (rows, width) in F32; products run in the type that the tape was opened with, F32 or
 * BF16 with F32 sums; norms, softmax and sums are F32 always.
 *
 * Everything between two tape_begin lives in the tape's memory and ends with the second. The first
 * failure is kept: operations after it do nothing and return NULL, as they do for an input that is
 * NULL, so that a network is written without a check a line; tape_backward returns it. A tape
 * belongs to one thread. */
#ifndef OCC_TRAIN_TAPE_H
#define OCC_TRAIN_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/backend.h"
#include "store/error.h"

struct tensor {
    float *value;         /* (rows, width) */
    const uint16_t *half; /* the same in BF16, where it was needed; else NULL */
    float *gradient;      /* NULL until something flows back */
    int64_t rows, width;
    bool wanted;          /* a gradient is to flow through it */
    struct tensor *whole; /* the tensor whose memory it shows in another shape, or NULL */
};

struct tape; /* opaque */

/* To be opened by the thread that uses it. */
int tape_open(struct tape **out, const struct backend_ops *ops, enum dtype compute,
              struct error *e);
void tape_close(struct tape *t); /* NULL is allowed */

/* Forgets all tensors, keeps the memory. */
void tape_begin(struct tape *t);
/* Most bytes that were in use since the tape was opened. */
size_t tape_peak(const struct tape *t);

/* Memory until the next tape_begin, 64-byte aligned, not zeroed; NULL: failed. */
void *tape_alloc(struct tape *t, size_t count, size_t size);

/* The caller's memory as a tensor. `gradient`: where its gradient is added to, (rows, width); NULL:
 * it wants none. `half`: its value in BF16, or NULL. */
struct tensor *tape_input(struct tape *t, float *value, const uint16_t *half, int64_t rows,
                          int64_t width, float *gradient);

/* ---- Operations -------------------------------------------------------------------- */

/* x W^T + b: weight (outputs, inputs), bias (1, outputs) or NULL. */
struct tensor *tape_linear(struct tape *t, struct tensor *x, struct tensor *weight,
                           struct tensor *bias);
struct tensor *tape_gelu(struct tape *t, struct tensor *x);
struct tensor *tape_quick_gelu(struct tape *t, struct tensor *x);
/* gamma, beta (1, width). */
struct tensor *tape_layer_norm(struct tape *t, struct tensor *x, struct tensor *gamma,
                               struct tensor *beta, float eps);
/* a + b; b's rows are repeated where a has a multiple of them. */
struct tensor *tape_add(struct tape *t, struct tensor *a, struct tensor *b);
/* (a + b) / 2, of equal shapes. */
struct tensor *tape_mean(struct tape *t, struct tensor *a, struct tensor *b);
/* Row i of the result is row index[i] of x; of zeros where index[i] < 0. `index` must outlive the
 * backward pass. */
struct tensor *tape_gather(struct tape *t, struct tensor *x, const int32_t *index, int64_t rows);
struct tensor *tape_stack(struct tape *t, struct tensor *above, struct tensor *below);
struct tensor *tape_beside(struct tape *t, struct tensor *left, struct tensor *right);
/* The same numbers in another shape. */
struct tensor *tape_shape(struct tape *t, struct tensor *x, int64_t rows, int64_t width);
/* See compress/resample.h: x (from_rows * from_columns, width) -> (rows * columns, width), and x
 * (any, width) -> (rows, width). Equal sizes give x itself. */
struct tensor *tape_resample_bicubic(struct tape *t, struct tensor *x, int64_t from_rows,
                                     int64_t from_columns, int64_t rows, int64_t columns);
struct tensor *tape_resample_linear(struct tape *t, struct tensor *x, int64_t rows);
/* x (batch * height * width, channels) -> (batch * out_height * out_width, outputs). weight
 * (outputs, channels * size * size), its inputs in the order (channel, ky, kx) of published files;
 * bias (1, outputs) or NULL. */
struct tensor *tape_convolve(struct tape *t, struct tensor *x, int64_t batch,
                             const struct convolution *shape, struct tensor *weight,
                             struct tensor *bias);
/* See struct attention, of which heads, head_dim and tokens count: qkv (batch * tokens, 3 * heads *
 * head_dim). With a bias: rel_h (2 height - 1, head_dim), rel_w (2 width - 1, head_dim), tokens =
 * height * width; else NULL and 0. Scores are kept of a few sequences at a time and computed again
 * on the way back. */
struct tape_attention {
    int64_t heads, head_dim, tokens;
    int64_t height, width;
    struct tensor *rel_h, *rel_w;
};
struct tensor *tape_attention(struct tape *t, struct tensor *qkv,
                              const struct tape_attention *shape);

/* Adds `scale` times the sum of the cross-entropies of rows of logits with their labels to the
 * loss that tape_backward goes back from. Returns the sum, not scaled; 0 when the tape has failed.
 * Rows whose label is negative do not count. `logits` hold its gradient afterwards. */
double tape_cross_entropy(struct tape *t, struct tensor *logits, const int32_t *labels,
                          float scale);
/* The same of x W^T + b, without keeping the logits. Rows whose label is negative do not count. */
double tape_classify(struct tape *t, struct tensor *x, struct tensor *weight, struct tensor *bias,
                     const int32_t *labels, float scale);
/* Starts a gradient (rows, width) at x: for losses that are computed elsewhere. */
void tape_seed(struct tape *t, struct tensor *x, const float *gradient);

/* Goes back over everything noted. Returns the tape's first failure, or 0. */
int tape_backward(struct tape *t, struct error *e);

#endif
