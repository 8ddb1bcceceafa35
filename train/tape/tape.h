/* tape.h - reverse-mode automatic differentiation over compress/ops.h.
 *
 * A call of an operation computes at once; where one of its inputs needs a gradient it also records
 * what its backward pass reads. Operations that no gradient reaches are not recorded. Products run
 * in the type that the device computes in; norms, softmax and sums are F32 always.
 *
 * Everything between two tape_begin lives in the tape's memory and ends with the second. The first
 * failure is kept: operations after it do nothing and return NULL, as they do for an input that is
 * NULL, so that a network is written without a check a line; tape_backward and tape_status return
 * it. Shapes are the caller's promise: they are asserted. A tape belongs to one thread. */
#ifndef OCC_TRAIN_TAPE_TAPE_H
#define OCC_TRAIN_TAPE_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/device.h"
#include "compress/ops.h"
#include "compress/tensor.h"
#include "store/error.h"

/* A value on a tape. Only `value` and `needs_gradient` are for networks to read. */
struct node {
    struct tensor value;
    struct tensor product; /* the same in the type that products read; data NULL: not made */
    bool needs_gradient;
    struct gradient *gradient;     /* NULL until something flows back */
    struct parameter_use *use;     /* of a parameter */
    struct node *owner;            /* whose memory it shows in another shape or part, or NULL */
    const struct node_view *shown; /* how */
};

struct tape; /* opaque */

/* How much of a stack of blocks (tape_blocks) is kept for the backward pass. */
enum tape_recompute {
    RECOMPUTE_NONE,  /* everything */
    RECOMPUTE_BLOCK, /* the input of each block, which runs again before its backward */
    RECOMPUTE_ALL /* the input of each run of about sqrt(blocks) blocks, which runs again, keeping
                     the inputs of its blocks */
};
extern const char *const TAPE_RECOMPUTE_NAMES[]; /* "none", "block", "all", NULL */

struct tape_options {
    /* F32; or BF16: results are stored rounded, except sums, softmax, cosines and resampled tables,
     * which stay F32, as do all gradients. */
    enum dtype storage;
    enum dtype sums; /* the same of sums (tape_add, tape_combine): what runs through all blocks */
    enum tape_recompute recompute;
};

/* On a device of this thread, which outlives the tape. */
int tape_open(struct tape **out, struct device *device, const struct tape_options *options,
              struct error *e);
void tape_close(struct tape *t); /* NULL is allowed */

/* Forgets all nodes, keeps the memory and the index tables. */
void tape_begin(struct tape *t);
/* Most bytes of the device that were in use since the tape was opened. */
size_t tape_peak(const struct tape *t);
struct device *tape_device(const struct tape *t);
/* The first failure since tape_begin, or 0. */
int tape_status(const struct tape *t, struct error *e);
/* For what is computed beside the tape: keeps `rc` and `e` where nothing failed before. */
void tape_fail(struct tape *t, int rc, const struct error *e);

/* ---- What comes in --------------------------------------------------------------------------- */

/* The caller's tensor of the device, dense. `gradient`: where its gradient is added to, F32, of the
 * same shape; NULL: it needs none. */
struct node *tape_input(struct tape *t, const struct tensor *value, const struct tensor *gradient);

/* A parameter, of the device: value F32, or BF16 for a frozen one; `bf16`: the same in BF16, or
 * NULL; `gradient`: as for tape_input, and where its `data` is NULL the tape has memory for it that
 * ends with the sink's call. Calls with the same key between two tape_begin give the same node. */
struct node *tape_parameter(struct tape *t, const struct tensor *value, const struct tensor *bf16,
                            const struct tensor *gradient, const void *key);

/* A parameter, or what tape_input gave, through which no gradient goes back. */
struct node *tape_still(struct tape *t, struct node *x);

/* To be called, in the backward pass, with each parameter that needs a gradient and was used, as
 * soon as its gradient is complete: with its key and its gradient, NULL where nothing came and the
 * memory is the tape's. A negative return fails the tape. */
typedef int tape_sink(void *context, const void *key, const struct tensor *gradient,
                      struct error *e);
void tape_set_sink(struct tape *t, tape_sink *sink, void *context); /* NULL: none */

/* A tensor of the device for this step, of the shape and type of `like`, not filled. data NULL:
 * failed. */
struct tensor tape_space(struct tape *t, const struct tensor *like);
/* The same, filled from a dense one of the host. */
struct tensor tape_upload(struct tape *t, const struct tensor *host);
/* The same of `count` I32. */
struct tensor tape_upload_numbers(struct tape *t, const int32_t *numbers, int64_t count);
/* Memory of the host for this step, zeroed: for what is to be uploaded. NULL: failed. */
void *tape_host(struct tape *t, size_t count, size_t size);

/* An I32 tensor (count) of the device that depends on nothing but `shape`: `fill` makes it the
 * first time that it is asked for; it stays until the tape is closed. */
enum { TAPE_TABLE_SHAPE = 8 };
typedef void tape_table_fill(int32_t *out, int64_t count, const int64_t *shape);
struct tensor tape_table(struct tape *t, tape_table_fill *fill, int64_t count,
                         const int64_t shape[TAPE_TABLE_SHAPE]);
#define TAPE_TABLE(...) ((const int64_t[TAPE_TABLE_SHAPE]){__VA_ARGS__})

/* ---- Views: no copies ------------------------------------------------------------------------ */

struct node *tape_reshape(struct tape *t, struct node *x, const int64_t shape[TENSOR_RANK]);
struct node *tape_matrix(struct tape *t, struct node *x, int64_t rows, int64_t width);
/* `count` rows, or columns, of a matrix. */
struct node *tape_row_range(struct tape *t, struct node *x, int64_t first, int64_t count);
struct node *tape_column_range(struct tape *t, struct node *x, int64_t first, int64_t count);
/* See tensor_heads. */
struct node *tape_heads(struct tape *t, struct node *matrix, int64_t batch, int64_t first,
                        int64_t heads, int64_t head_dim);

/* ---- Products -------------------------------------------------------------------------------- */

/* x W^T + b: weight (outputs, inputs), bias (outputs) or NULL. */
struct node *tape_linear(struct tape *t, struct node *x, struct node *weight, struct node *bias);
/* x (batch * height * width, channels) -> (batch * out_height * out_width, outputs). weight
 * (outputs, channels * size * size), its inputs in the order (channel, ky, kx) of published files;
 * bias (outputs) or NULL. */
struct node *tape_convolve(struct tape *t, struct node *x, int64_t batch,
                           const struct convolution_options *o, struct node *weight,
                           struct node *bias);

/* ---- Frozen matrices: packed by pack_frozen, they outlive the backward pass ------------------ */

/* x W^T. */
struct node *tape_packed_linear(struct tape *t, struct node *x, const struct packed *w);
/* x W^T and what is trained beside W; NULL: not there. */
struct tape_row_run { /* of rows of W */
    int64_t first, rows;
    bool learns; /* false: D is added there, but gets no gradient */
};
struct tape_adapter {
    /* + scale drop(x) A^T B^T, a (rank, inputs), b (outputs, rank): low-rank adaptation (Hu et al.
     * 2021). dropout 0: none. */
    struct node *a, *b;
    float scale, dropout;
    uint64_t seed; /* of the dropout */
    /* + x D^T in the columns of the runs: D's rows are those of the runs, which are in order; they
     * outlive the backward pass. */
    struct node *rows;
    const struct tape_row_run *runs;
    size_t run_count;
    /* (outputs, inputs): where the gradient of W itself goes; the value is not read. */
    struct node *whole;
};
struct node *tape_adapted_linear(struct tape *t, struct node *x, const struct packed *w,
                                 const struct tape_adapter *o);
/* Rows of it: embeddings. index: as in tape_gather. */
struct node *tape_packed_gather(struct tape *t, const struct packed *w, const struct tensor *index);
/* See tape_classify. */
void tape_packed_classify(struct tape *t, struct node *x, const struct packed *w,
                          const struct tensor *labels, float scale, const struct tensor *loss);

/* ---- Element by element ---------------------------------------------------------------------- */

struct node *tape_gelu(struct tape *t, struct node *x);
struct node *tape_quick_gelu(struct tape *t, struct node *x);
struct node *tape_silu(struct tape *t, struct node *x);
/* silu(gate) up. */
struct node *tape_swiglu(struct tape *t, struct node *gate, struct node *up);
/* a + b; b's rows are repeated where a has a multiple of them. */
struct node *tape_add(struct tape *t, struct node *a, struct node *b);
/* alpha a + beta b, of one shape. */
struct node *tape_combine(struct tape *t, float alpha, struct node *a, float beta, struct node *b);
struct node *tape_multiply(struct tape *t, struct node *a, struct node *b);

/* ---- Row by row ------------------------------------------------------------------------------ */

/* gamma, beta (width). */
struct node *tape_layer_norm(struct tape *t, struct node *x, struct node *gamma, struct node *beta,
                             float eps);
struct node *tape_rms_norm(struct tape *t, struct node *x, struct node *gamma, float eps);
struct node *tape_softmax(struct tape *t, struct node *x);
/* The k largest of each row, largest first; *index: their places, I32 (rows, k) of the device, for
 * this step. */
struct node *tape_top_k(struct tape *t, struct node *x, int64_t k, struct tensor *index);
/* Cosines of the rows of a and b: (rows). */
struct node *tape_cosine(struct tape *t, struct node *a, struct node *b);
/* Row i of the result is row index[i] of x; of zeros where index[i] < 0. index: I32 (rows), of the
 * device, that outlives the backward pass (tape_table, tape_upload). */
struct node *tape_gather(struct tape *t, struct node *x, const struct tensor *index);
/* Rows of x put to row index[i] of the result, (rows, width), F32, where several come together; a
 * row that none is put to is zeros. index: as in tape_gather, none negative. */
struct node *tape_scatter(struct tape *t, struct node *x, const struct tensor *index, int64_t rows);
/* Runs of rows of several matrices, one run after another, stored as the tape stores: where the
 * rows of a sequence come from many places. Sources that no run names may be NULL; parameters are
 * among the first TAPE_SOURCES. */
enum { TAPE_SOURCES = 4 };
struct tape_splice_run {
    int source;
    int64_t first, count; /* rows of it */
};
struct node *tape_splice(struct tape *t, struct node *const *sources, int source_count,
                         const struct tape_splice_run *runs, int64_t count);
struct node *tape_concat_rows(struct tape *t, struct node *above, struct node *below);
struct node *tape_concat_columns(struct tape *t, struct node *left, struct node *right);
/* Equal sizes give x itself. */
struct node *tape_resample(struct tape *t, struct node *x, const struct resample_options *o);

/* ---- Attention ------------------------------------------------------------------------------- */

/* See struct attention_options. Sequences gather their windows before. */
struct tape_attention {
    float scale; /* 0: 1 / sqrt(head_dim) */
    bool causal;
    int64_t span;
    const struct tensor *offsets; /* I32 (sequences + 1), of the host, until after the backward */
    int64_t height, width;        /* with rel_h and rel_w */
    struct node *rel_h, *rel_w;   /* (2 height - 1, head_dim), (2 width - 1, head_dim), or NULL */
};
/* q (batch, tokens, heads, head_dim), k, v (batch, tokens, kv_heads, head_dim): mostly views
 * (tape_heads). Gives a matrix (batch * tokens, heads * head_dim). */
struct node *tape_attention(struct tape *t, struct node *q, struct node *k, struct node *v,
                            const struct tape_attention *o);
/* x (batch, tokens, heads, head_dim); positions I32 (batch * tokens), of the device; o->back is
 * false. */
struct node *tape_rotary(struct tape *t, struct node *x, const struct tensor *positions,
                         const struct rotary_options *o);

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* x through blocks 0 to count - 1, of which each gives the next its input, keeping what the option
 * `recompute` says. `forward` computes block i from x, its parameters and what `context` says
 * alone: it may be called more than once, also in the backward pass, and takes no losses. The
 * `size` bytes of context are copied; what they point to must outlive the backward pass. */
typedef struct node *tape_forward(struct tape *t, struct node *x, int64_t i, const void *context);
struct node *tape_blocks(struct tape *t, struct node *x, int64_t count, tape_forward *forward,
                         const void *context, size_t size);
/* The end of a block, whose result it is: x through `forward`, called with `i` and `context` of the
 * block, which treats each row by itself and gives a new node of x's shape. Where the block runs
 * again in the backward pass, this part of it does so a few hundred rows at a time, each going
 * forward and back, so that what lies between x and the result is never all there. */
struct node *tape_tail(struct tape *t, struct node *x, tape_forward *forward, int64_t i,
                       const void *context);

/* x through `forward` some rows at a time, `rows` of them (the last ones may be fewer): it is
 * called with the first row's number as `i`, and gives as many rows of the result for each of x, or
 * one for as many of x, which divide `rows` and the rows of x. Of what lies between, nothing is
 * kept but where the backward pass needs it and the option `recompute` is "none"; else it is
 * computed again, piece by piece. The `size` bytes of context are copied, as in tape_blocks. */
struct node *tape_pieces(struct tape *t, struct node *x, int64_t rows, tape_forward *forward,
                         const void *context, size_t size);
/* x through `forward`; of what it made, the result alone is kept where no gradient comes to it. */
struct node *tape_passing(struct tape *t, struct node *x, tape_forward *forward, int64_t i,
                          const void *context);

/* ---- Losses and the backward pass ------------------------------------------------------------ */

/* Adds the sum of the cross-entropies of rows of logits with their labels (I32, of the device) to
 * `loss`, one F32 of the device, and `scale` times that to what tape_backward goes back from. Rows
 * whose label is negative do not count. */
void tape_cross_entropy(struct tape *t, struct node *logits, const struct tensor *labels,
                        float scale, const struct tensor *loss);
/* The same of x W^T + b, without keeping the logits. */
void tape_classify(struct tape *t, struct node *x, struct node *weight, struct node *bias,
                   const struct tensor *labels, float scale, const struct tensor *loss);
/* A gradient, F32 of x's shape, that starts at x: for losses that are computed elsewhere. */
void tape_backward_from(struct tape *t, struct node *x, const struct tensor *gradient);

/* Goes back over everything recorded. Returns the tape's first failure, or 0. */
int tape_backward(struct tape *t, struct error *e);

#endif
