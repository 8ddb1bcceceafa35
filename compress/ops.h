/* ops.h - what networks are made of: every operation, forward and backward, as one table for each
 * kind of device (compress/cpu/NAME.c is the processor's, tests/op_NAME_test.c the test of all).
 *
 * Eager: a call computes, or has begun to (`synchronize`). Every entry takes the device, what it
 * writes, what it reads, and an error; 0 or a negative code comes back. Numbers are F32; where an
 * entry says "any float" a tensor may be BF16 too, and is rounded to nearest even; numbers below
 * 2^-126 may become zeros. Sums are F32 at least. Rows are dense, and lie any one distance apart
 * (tensor_is_rows), unless strides are spoken of. Shapes are the caller's promise: they are
 * asserted.
 *
 * An entry called _backward ADDS to the gradients that it is given; NULL: that one is not wanted.
 * What reduces ADDS to a tensor of one element. */
#ifndef OCC_COMPRESS_OPS_H
#define OCC_COMPRESS_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/device.h"
#include "compress/tensor.h"

/* A matrix (outputs, inputs) and perhaps a bias, in the order in which a backend multiplies. The
 * head of what each backend calls so; read-only, shared by the devices of a backend. */
struct packed {
    int64_t outputs, inputs;
    enum dtype type; /* of what it is multiplied with */
    size_t bytes;    /* that it takes */
    bool frozen;     /* by pack_frozen */
};

/* How the numbers of a frozen matrix (outputs, inputs) lie in memory and in files, by rows. */
enum frozen_format {
    FROZEN_F32,
    FROZEN_BF16,
    FROZEN_I8, /* scale q: a scale for each `block` inputs of a row */
    FROZEN_U4  /* scale q + minimum, q from 0 to 15, in blocks of 32: the first 16 of a block in the
                  low halves of 16 bytes, the others in the high ones, as GGUF's Q4_1 has them */
};
extern const char *const FROZEN_FORMAT_NAMES[]; /* "f32", "bf16", "int8", "int4", NULL */

struct frozen_matrix {
    enum frozen_format format;
    int64_t outputs, inputs;
    int64_t block;               /* I8: `inputs`, or a multiple of 32 that divides it; U4: 32 */
    enum dtype scale_type;       /* F32 or F16, of scales and minima */
    const void *values;          /* of the host, like the others of any alignment */
    const void *scales, *minima; /* (outputs, inputs / block); NULL where the format has none */
};
size_t frozen_bytes(const struct frozen_matrix *m); /* of all three */
size_t frozen_value_bytes(const struct frozen_matrix *m);

enum activation {
    ACTIVATION_NONE,
    ACTIVATION_GELU,       /* x Phi(x), exact, by erf */
    ACTIVATION_QUICK_GELU, /* x sigmoid(1.702 x) */
    ACTIVATION_SILU        /* x sigmoid(x) */
};

/* Square kernels, zeros around the picture. out_height = (height + 2 pad - size) / stride_y + 1,
 * likewise out_width. */
struct convolution_options {
    int64_t height, width, channels;
    int size, stride_y, stride_x, pad;
};
int64_t convolution_height(const struct convolution_options *c);
int64_t convolution_width(const struct convolution_options *c);

/* out = softmax(scale q k^T + bias) v for each head, and log-sum-exp of each row of what softmax
 * sees. Never holds tokens x tokens.
 *
 * Sequences: without `offsets` as many as q's first size, all of one length; with them q, k and v
 * are (1, total, heads, head_dim), and sequence s is tokens offsets[s] to offsets[s + 1] - 1. Where
 * k has more tokens than q (a key-value cache; without offsets), q's first token stands at `start`
 * of k's. Query head h reads key head h / (heads / kv_heads). */
struct attention_options {
    float scale;                  /* 0: 1 / sqrt(head_dim) */
    bool causal;                  /* a query sees keys up to its own place */
    int64_t span;                 /* and, where > 0, only the last `span` of them; with causal */
    int64_t start;                /* place of the first query among the keys */
    const struct tensor *offsets; /* I32 (sequences + 1), of the host; NULL: none */
    /* Decomposed relative positions (Li et al., MViTv2), on the unscaled q: logit += q . rel_h[y -
     * y' + height - 1] + q . rel_w[x - x' + width - 1], token t at y = t / width, x = t % width.
     * rel_h (2 height - 1, head_dim), rel_w (2 width - 1, head_dim); NULL: no bias. */
    int64_t height, width;
    const struct tensor *rel_h, *rel_w;
    /* Windows: the tokens are a grid, cut into squares of `window` from its upper left corner; each
     * attends within itself. Where a square leaves the grid stand tokens whose q, k and v are `pad`
     * (3 * heads * head_dim), F32; NULL where none does. height and width are then those of a
     * window; key heads are as many as heads, and nothing is causal. 0: no windows. */
    int64_t window, grid_height, grid_width;
    const struct tensor *pad;
};

/* Rotary positions (Su et al. 2021), pairs (i, i + dims / 2) as in the Hugging Face layout: pair i
 * turns by position * frequency[i]. */
struct rotary_options {
    int64_t dims;                   /* of each head, from its first on, even; the rest stays */
    const struct tensor *frequency; /* (dims / 2) */
    bool back;                      /* by the negative angle: the gradient */
};

/* One step of AdamW (Loshchilov and Hutter 2019), with bias corrections. */
struct adamw_step {
    float rate;         /* learning rate / (1 - beta1^step) */
    float decay;        /* learning rate * weight decay */
    float beta1, beta2; /* of the first and second moments */
    float correction;   /* 1 / sqrt(1 - beta2^step) */
    float epsilon;
    float scale; /* of the gradient: clipping, and 1 / number of targets */
};

/* A grid of rows (from_rows * from_columns, width) fitted to another, as PyTorch's interpolate does
 * it: bicubic (antialias, align_corners false, a = -0.5), or linear along rows (from_columns =
 * columns = 1). */
struct resample_options {
    int64_t from_rows, from_columns, rows, columns;
    bool bicubic;
};

struct ops {
    /* ---- Memory ------------------------------------------------------------------ */

    /* Dense memory for out's shape and type, 64-byte aligned, not zeroed: data, stride and home are
     * filled in. The caller's until the same device releases it. ERR_MEMORY. */
    int (*alloc)(struct device *d, struct tensor *out, struct error *e);
    void (*release)(struct device *d, struct tensor *t); /* data NULL is allowed; becomes NULL */
    /* Between dense tensors of one type, the host's and the device's. What was uploaded may be
     * written again at once, unless it is memory of host_alloc (device.h); what was downloaded is
     * there. */
    int (*upload)(struct device *d, const struct tensor *to, const struct tensor *from,
                  struct error *e);
    int (*download)(struct device *d, const struct tensor *to, const struct tensor *from,
                    struct error *e);
    int (*synchronize)(struct device *d, struct error *e);

    /* ---- Moving: any strides, any of F32, BF16, I32, U8 to itself, F32 to BF16 and back ------ */

    int (*fill)(struct device *d, const struct tensor *out, float value, struct error *e);
    int (*copy)(struct device *d, const struct tensor *out, const struct tensor *x,
                struct error *e);
    /* out += x, both any float; sizes of x that are 1 are repeated. */
    int (*accumulate)(struct device *d, const struct tensor *out, const struct tensor *x,
                      struct error *e);
    /* Row i of out is row index[i] of x, of zeros where index[i] < 0. index I32 (rows). x of any
     * float: also the embedding of token numbers. */
    int (*gather)(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct tensor *index, struct error *e);
    /* Row index[i] of dx += row i of dy, one after another. */
    int (*scatter_add)(struct device *d, const struct tensor *dx, const struct tensor *dy,
                       const struct tensor *index, struct error *e);
    /* x (batch, height, width, channels) any float -> out (batch * out_height * out_width, size *
     * size * channels) of the same type, in the order (ky, kx, channel). */
    int (*im2col)(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct convolution_options *o, struct error *e);
    int (*im2col_backward)(struct device *d, const struct tensor *dx, const struct tensor *dy,
                           const struct convolution_options *o, struct error *e);
    int (*resample)(struct device *d, const struct tensor *out, const struct tensor *x,
                    const struct resample_options *o, struct error *e);
    int (*resample_backward)(struct device *d, const struct tensor *dx, const struct tensor *dy,
                             const struct resample_options *o, struct error *e);
    /* U8 pixels (batch, height, width, channels) -> (x / 255 - mean[channel]) / deviation[channel];
     * mean and deviation (3). One channel with the means of three gives three. */
    int (*normalize_pixels)(struct device *d, const struct tensor *out, const struct tensor *x,
                            const float mean[3], const float deviation[3], struct error *e);

    /* ---- Products ------------------------------------------------------------------ */

    /* matrix (outputs, inputs) of the host, F32, F16 or BF16, any alignment; bias (outputs) F32 of
     * the host, or NULL. */
    int (*pack)(struct device *d, struct packed **out, const struct tensor *matrix,
                const struct tensor *bias, struct error *e);
    /* A frozen matrix, which stays in its format: products take it apart a panel at a time. Without
     * bias. Where the device reads the host's memory it may be read where it lies, and must
     * then outlive the result. */
    int (*pack_frozen)(struct device *d, struct packed **out, const struct frozen_matrix *matrix,
                       struct error *e);
    void (*packed_close)(struct packed *w); /* NULL is allowed */
    /* out (rows, outputs) = activation(x (rows, inputs) W^T + bias) [+ residual, of out's shape, or
     * NULL; may be `out`; not with an activation]. All any float. */
    int (*linear)(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct packed *w, enum activation activation, const struct tensor *residual,
                  struct error *e);
    /* dx (rows, inputs) F32 [+]= dy (rows, outputs) W, dy any float. Of frozen matrices. */
    int (*linear_backward)(struct device *d, const struct tensor *dx, const struct tensor *dy,
                           const struct packed *w, bool accumulate, struct error *e);
    /* Row i of out, any float, is row index[i] of a frozen matrix: embeddings. index I32 (rows). */
    int (*gather_packed)(struct device *d, const struct tensor *out, const struct packed *w,
                         const struct tensor *index, struct error *e);
    /* out = residual + activation(x W1^T + b1) W2^T + b2, without keeping what is between. All any
     * float; residual may be NULL. */
    int (*mlp)(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct packed *w1, enum activation activation, const struct packed *w2,
               const struct tensor *residual, struct error *e);
    /* x (batch, height, width, channels) -> out (batch, out_height, out_width, outputs), any float;
     * the weights' inputs are in the order (ky, kx, channel). */
    int (*convolve)(struct device *d, const struct tensor *out, const struct tensor *x,
                    const struct convolution_options *o, const struct packed *w, struct error *e);
    /* out (.., m, n) = [out +] a (.., m, k) b (.., k, n) + bias, nothing packed. Each is any float
     * with rows or columns that are dense; the product is one of F32 where a and b both are. First
     * sizes of a and b that are 1 are repeated. bias F32 (n), or NULL; out's rows are dense then. k
     * may be 0: a b is zeros. */
    int (*matmul)(struct device *d, const struct tensor *out, const struct tensor *a,
                  const struct tensor *b, const struct tensor *bias, bool accumulate,
                  struct error *e);

    /* ---- Element by element: any float -------------------------------------------------- */

    /* out = a + b; b's rows are repeated where a has a multiple of them. */
    int (*add)(struct device *d, const struct tensor *out, const struct tensor *a,
               const struct tensor *b, struct error *e);
    /* out = alpha a + beta b, of one shape; b NULL: alpha a. */
    int (*combine)(struct device *d, const struct tensor *out, float alpha, const struct tensor *a,
                   float beta, const struct tensor *b, struct error *e);
    int (*multiply)(struct device *d, const struct tensor *out, const struct tensor *a,
                    const struct tensor *b, struct error *e);
    int (*multiply_backward)(struct device *d, const struct tensor *da, const struct tensor *db,
                             const struct tensor *a, const struct tensor *b,
                             const struct tensor *dy, struct error *e);
    int (*gelu)(struct device *d, const struct tensor *out, const struct tensor *x,
                struct error *e);
    int (*gelu_backward)(struct device *d, const struct tensor *dx, const struct tensor *x,
                         const struct tensor *dy, struct error *e);
    int (*quick_gelu)(struct device *d, const struct tensor *out, const struct tensor *x,
                      struct error *e);
    int (*quick_gelu_backward)(struct device *d, const struct tensor *dx, const struct tensor *x,
                               const struct tensor *dy, struct error *e);
    int (*silu)(struct device *d, const struct tensor *out, const struct tensor *x,
                struct error *e);
    int (*silu_backward)(struct device *d, const struct tensor *dx, const struct tensor *x,
                         const struct tensor *dy, struct error *e);
    /* out = silu(gate) up (Shazeer 2020). */
    int (*swiglu)(struct device *d, const struct tensor *out, const struct tensor *gate,
                  const struct tensor *up, struct error *e);
    int (*swiglu_backward)(struct device *d, const struct tensor *dgate, const struct tensor *dup,
                           const struct tensor *gate, const struct tensor *up,
                           const struct tensor *dy, struct error *e);

    /* ---- Row by row: any float; gains and biases (width) F32 -------------------------------- */

    /* sums (width) += the sum of the rows of x: the gradient of a bias. */
    int (*sum_rows)(struct device *d, const struct tensor *sums, const struct tensor *x,
                    struct error *e);
    /* out = (x - mean) / sqrt(variance + eps) * gamma + beta. May be in place. */
    int (*layer_norm)(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct tensor *gamma, const struct tensor *beta, float eps,
                      struct error *e);
    int (*layer_norm_backward)(struct device *d, const struct tensor *dx,
                               const struct tensor *dgamma, const struct tensor *dbeta,
                               const struct tensor *x, const struct tensor *gamma,
                               const struct tensor *dy, float eps, struct error *e);
    /* out = x / sqrt(mean of squares + eps) * gamma (Zhang and Sennrich 2019). May be in place. */
    int (*rms_norm)(struct device *d, const struct tensor *out, const struct tensor *x,
                    const struct tensor *gamma, float eps, struct error *e);
    int (*rms_norm_backward)(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
                             const struct tensor *x, const struct tensor *gamma,
                             const struct tensor *dy, float eps, struct error *e);
    int (*softmax)(struct device *d, const struct tensor *out, const struct tensor *x,
                   struct error *e);
    /* y: the softmax. */
    int (*softmax_backward)(struct device *d, const struct tensor *dx, const struct tensor *y,
                            const struct tensor *dy, struct error *e);
    /* The k largest of each row, largest first (of equal ones the first): values (rows, k) or NULL,
     * index I32 (rows, k). */
    int (*top_k)(struct device *d, const struct tensor *values, const struct tensor *index,
                 const struct tensor *x, struct error *e);
    /* Numbers of dy (rows, k) go back to where the index of each says that it stood. */
    int (*top_k_backward)(struct device *d, const struct tensor *dx, const struct tensor *dy,
                          const struct tensor *index, struct error *e);
    /* cosine (rows) of rows of a and b; 0 for a row of zeros. */
    int (*cosine)(struct device *d, const struct tensor *out, const struct tensor *a,
                  const struct tensor *b, struct error *e);
    int (*cosine_backward)(struct device *d, const struct tensor *da, const struct tensor *db,
                           const struct tensor *a, const struct tensor *b, const struct tensor *dy,
                           struct error *e);
    /* x, out (batch, tokens, heads, head_dim), any strides of the first three; positions I32 (batch
     * * tokens). May be in place. Its backward is itself with `back`. */
    int (*rotary)(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct tensor *positions, const struct rotary_options *o, struct error *e);

    /* ---- Attention ------------------------------------------------------------------------ */

    /* q, out (batch, tokens, heads, head_dim), k, v (batch, key tokens, kv_heads, head_dim), any
     * float, any strides of the first three sizes: views of projections. log_sum_exp (batch, heads,
     * tokens) F32, natural; or NULL, as with windows. */
    int (*attention)(struct device *d, const struct tensor *out, const struct tensor *log_sum_exp,
                     const struct tensor *q, const struct tensor *k, const struct tensor *v,
                     const struct attention_options *o, struct error *e);
    /* Gradients have the shapes of what they are of; drel_h and drel_w may be NULL. Without
     * windows: who trains gathers windows into sequences. */
    int (*attention_backward)(struct device *d, const struct tensor *dq, const struct tensor *dk,
                              const struct tensor *dv, const struct tensor *drel_h,
                              const struct tensor *drel_w, const struct tensor *q,
                              const struct tensor *k, const struct tensor *v,
                              const struct tensor *out, const struct tensor *log_sum_exp,
                              const struct tensor *dout, const struct attention_options *o,
                              struct error *e);

    /* ---- Losses and training ---------------------------------------------------------------- */

    /* loss F32 (1) += the sum of the cross-entropies of rows of logits with their labels (I32,
     * rows; a negative one does not count). dlogits: scale * (softmax - one-hot label), not added
     * but set; may be `logits`, or NULL. */
    int (*cross_entropy)(struct device *d, const struct tensor *loss, const struct tensor *dlogits,
                         const struct tensor *logits, const struct tensor *labels, float scale,
                         struct error *e);
    /* The same of x (rows, inputs) W^T + bias, W (outputs, inputs) any float, bias F32 (outputs) or
     * NULL, a chunk of rows at a time: memory does not grow with rows x outputs. Adds to dx,
     * dweight and dbias; each may be NULL. */
    int (*classify)(struct device *d, const struct tensor *loss, const struct tensor *dx,
                    const struct tensor *dweight, const struct tensor *dbias,
                    const struct tensor *x, const struct tensor *weight, const struct tensor *bias,
                    const struct tensor *labels, float scale, struct error *e);
    /* The same of a frozen matrix W, which has no gradient; dx may be NULL. */
    int (*classify_packed)(struct device *d, const struct tensor *loss, const struct tensor *dx,
                           const struct tensor *x, const struct packed *w,
                           const struct tensor *labels, float scale, struct error *e);
    /* Dropout (Srivastava et al. 2014): out = x / (1 - share), or 0 with probability `share` (below
     * 1), by a hash of `seed` and of the element's place in the dense tensor, `first` being that of
     * the first (dropout_keeps). May be in place. Its backward is itself on dy. */
    int (*dropout)(struct device *d, const struct tensor *out, const struct tensor *x, float share,
                   uint64_t seed, int64_t first, struct error *e);
    /* sum F32 (1) += the squares of x. */
    int (*square_sum)(struct device *d, const struct tensor *sum, const struct tensor *x,
                      struct error *e);
    int (*adamw)(struct device *d, const struct tensor *weight, const struct tensor *first_moment,
                 const struct tensor *second_moment, const struct tensor *gradient,
                 const struct adamw_step *step, struct error *e);
};

/* How many rows are best classified at a time, and the bytes that so many take where the matrix is
 * as products read it. Who has memory to spare lends it (device.h); where it is for fewer rows,
 * fewer are taken. */
enum { CLASSIFY_MOST_ROWS = 512 };
int64_t classify_rows(int64_t rows, int64_t outputs);
size_t classify_bytes(int64_t rows, int64_t inputs, int64_t outputs);

#endif
