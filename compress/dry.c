/* dry.c - see dry.h: an entry for every signature of struct ops. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "compress/dry.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "compress/ops.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

enum { ALIGNMENT = 64 };

/* ---- Memory ---------------------------------------------------------------------------------- */

static size_t whole_bytes(const struct tensor *t) {
    size_t bytes = tensor_bytes(t);
    return bytes > 0 ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
}

static int dry_alloc(struct device *d, struct tensor *out, struct error *e) {
    size_t bytes = whole_bytes(out);
    void *data = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        out->data = NULL;
        return error_memory(e, "addresses");
    }
    *out = tensor_of(data, out->type, d, out->shape);
    d->bytes += bytes;
    d->peak_bytes = d->bytes > d->peak_bytes ? d->bytes : d->peak_bytes;
    return 0;
}

static void dry_release(struct device *d, struct tensor *t) {
    if (t->data != NULL) {
        munmap(t->data, whole_bytes(t));
        d->bytes -= whole_bytes(t);
    }
    t->data = NULL;
}

static int dry_synchronize(struct device *d, struct error *e) {
    return 0;
}

/* ---- What has its signature from how many tensors it takes ----------------------------------- */

static int dry_two(struct device *d, const struct tensor *a, const struct tensor *b,
                   struct error *e) {
    return 0;
}

static int dry_three(struct device *d, const struct tensor *a, const struct tensor *b,
                     const struct tensor *c, struct error *e) {
    return 0;
}

static int dry_five(struct device *d, const struct tensor *da, const struct tensor *db,
                    const struct tensor *a, const struct tensor *b, const struct tensor *dy,
                    struct error *e) {
    return 0;
}

/* ---- The others ------------------------------------------------------------------------------ */

static int dry_fill(struct device *d, const struct tensor *out, float value, struct error *e) {
    return 0;
}

static int dry_im2col(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct convolution_options *o, struct error *e) {
    return 0;
}

static int dry_resample(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct resample_options *o, struct error *e) {
    return 0;
}

static int dry_normalize_pixels(struct device *d, const struct tensor *out, const struct tensor *x,
                                const float mean[3], const float deviation[3], struct error *e) {
    return 0;
}

static int dry_pack(struct device *d, struct packed **out, const struct tensor *matrix,
                    const struct tensor *bias, struct error *e) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return error_memory(e, NULL);
    }
    **out = (struct packed){.outputs = tensor_rows(matrix),
                            .inputs = tensor_width(matrix),
                            .type = d->compute,
                            .bytes = (size_t)tensor_count(matrix) * dtype_size(d->compute)};
    return 0;
}

static int dry_pack_frozen(struct device *d, struct packed **out,
                           const struct frozen_matrix *matrix, struct error *e) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return error_memory(e, NULL);
    }
    **out = (struct packed){.outputs = matrix->outputs,
                            .inputs = matrix->inputs,
                            .type = d->compute,
                            .bytes = frozen_bytes(matrix),
                            .frozen = true};
    return 0;
}

static void dry_packed_close(struct packed *w) {
    free(w);
}

static int dry_linear(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct packed *w, enum activation activation,
                      const struct tensor *residual, struct error *e) {
    return 0;
}

static int dry_linear_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                               const struct packed *w, bool accumulate, struct error *e) {
    return 0;
}

static int dry_gather_packed(struct device *d, const struct tensor *out, const struct packed *w,
                             const struct tensor *index, struct error *e) {
    return 0;
}

static int dry_mlp(struct device *d, const struct tensor *out, const struct tensor *x,
                   const struct packed *w1, enum activation activation, const struct packed *w2,
                   const struct tensor *residual, struct error *e) {
    return 0;
}

static int dry_convolve(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct convolution_options *o, const struct packed *w,
                        struct error *e) {
    return 0;
}

static int dry_matmul(struct device *d, const struct tensor *out, const struct tensor *a,
                      const struct tensor *b, const struct tensor *bias, bool accumulate,
                      struct error *e) {
    return 0;
}

static int dry_combine(struct device *d, const struct tensor *out, float alpha,
                       const struct tensor *a, float beta, const struct tensor *b,
                       struct error *e) {
    return 0;
}

static int dry_layer_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                          const struct tensor *gamma, const struct tensor *beta, float eps,
                          struct error *e) {
    return 0;
}

static int dry_layer_norm_backward(struct device *d, const struct tensor *dx,
                                   const struct tensor *dgamma, const struct tensor *dbeta,
                                   const struct tensor *x, const struct tensor *gamma,
                                   const struct tensor *dy, float eps, struct error *e) {
    return 0;
}

static int dry_rms_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct tensor *gamma, float eps, struct error *e) {
    return 0;
}

static int dry_rms_norm_backward(struct device *d, const struct tensor *dx,
                                 const struct tensor *dgamma, const struct tensor *x,
                                 const struct tensor *gamma, const struct tensor *dy, float eps,
                                 struct error *e) {
    return 0;
}

static int dry_rotary(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct tensor *positions, const struct rotary_options *o,
                      struct error *e) {
    return 0;
}

static int dry_attention(struct device *d, const struct tensor *out,
                         const struct tensor *log_sum_exp, const struct tensor *q,
                         const struct tensor *k, const struct tensor *v,
                         const struct attention_options *o, struct error *e) {
    return 0;
}

static int dry_attention_backward(struct device *d, const struct tensor *dq,
                                  const struct tensor *dk, const struct tensor *dv,
                                  const struct tensor *drel_h, const struct tensor *drel_w,
                                  const struct tensor *q, const struct tensor *k,
                                  const struct tensor *v, const struct tensor *out,
                                  const struct tensor *log_sum_exp, const struct tensor *dout,
                                  const struct attention_options *o, struct error *e) {
    return 0;
}

static int dry_cross_entropy(struct device *d, const struct tensor *loss,
                             const struct tensor *dlogits, const struct tensor *logits,
                             const struct tensor *labels, float scale, struct error *e) {
    return 0;
}

static int dry_classify(struct device *d, const struct tensor *loss, const struct tensor *dx,
                        const struct tensor *dweight, const struct tensor *dbias,
                        const struct tensor *x, const struct tensor *weight,
                        const struct tensor *bias, const struct tensor *labels, float scale,
                        struct error *e) {
    return 0;
}

static int dry_classify_packed(struct device *d, const struct tensor *loss, const struct tensor *dx,
                               const struct tensor *x, const struct packed *w,
                               const struct tensor *labels, float scale, struct error *e) {
    return 0;
}

static int dry_dropout(struct device *d, const struct tensor *out, const struct tensor *x,
                       float share, uint64_t seed, int64_t first, struct error *e) {
    return 0;
}

static int dry_adamw(struct device *d, const struct tensor *weight,
                     const struct tensor *first_moment, const struct tensor *second_moment,
                     const struct tensor *gradient, const struct adamw_step *step,
                     struct error *e) {
    return 0;
}

static const struct ops DRY_OPS = {.alloc = dry_alloc,
                                   .release = dry_release,
                                   .upload = dry_two,
                                   .download = dry_two,
                                   .synchronize = dry_synchronize,
                                   .fill = dry_fill,
                                   .copy = dry_two,
                                   .accumulate = dry_two,
                                   .gather = dry_three,
                                   .scatter_add = dry_three,
                                   .im2col = dry_im2col,
                                   .im2col_backward = dry_im2col,
                                   .resample = dry_resample,
                                   .resample_backward = dry_resample,
                                   .normalize_pixels = dry_normalize_pixels,
                                   .pack = dry_pack,
                                   .pack_frozen = dry_pack_frozen,
                                   .packed_close = dry_packed_close,
                                   .linear = dry_linear,
                                   .linear_backward = dry_linear_backward,
                                   .gather_packed = dry_gather_packed,
                                   .mlp = dry_mlp,
                                   .convolve = dry_convolve,
                                   .matmul = dry_matmul,
                                   .add = dry_three,
                                   .combine = dry_combine,
                                   .multiply = dry_three,
                                   .multiply_backward = dry_five,
                                   .gelu = dry_two,
                                   .gelu_backward = dry_three,
                                   .quick_gelu = dry_two,
                                   .quick_gelu_backward = dry_three,
                                   .silu = dry_two,
                                   .silu_backward = dry_three,
                                   .swiglu = dry_three,
                                   .swiglu_backward = dry_five,
                                   .sum_rows = dry_two,
                                   .layer_norm = dry_layer_norm,
                                   .layer_norm_backward = dry_layer_norm_backward,
                                   .rms_norm = dry_rms_norm,
                                   .rms_norm_backward = dry_rms_norm_backward,
                                   .softmax = dry_two,
                                   .softmax_backward = dry_three,
                                   .top_k = dry_three,
                                   .top_k_backward = dry_three,
                                   .cosine = dry_three,
                                   .cosine_backward = dry_five,
                                   .rotary = dry_rotary,
                                   .attention = dry_attention,
                                   .attention_backward = dry_attention_backward,
                                   .cross_entropy = dry_cross_entropy,
                                   .classify = dry_classify,
                                   .classify_packed = dry_classify_packed,
                                   .dropout = dry_dropout,
                                   .square_sum = dry_two,
                                   .adamw = dry_adamw};

/* ---- Devices --------------------------------------------------------------------------------- */

struct dry_device {
    struct device head;
    struct backend backend;
};

int dry_open(struct device **out, const struct backend *backend, enum dtype compute,
             struct error *e) {
    struct dry_device *d = calloc(1, sizeof *d);
    *out = NULL;
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    d->backend = (struct backend){.name = "dry", .batch = backend->batch};
    d->head = (struct device){.backend = &d->backend, .ops = &DRY_OPS, .compute = compute};
    *out = &d->head;
    return 0;
}

void dry_close(struct device *d) {
    free(d);
}
