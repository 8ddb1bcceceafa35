/* dry.c - see dry.h: an entry for every operation of struct ops. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "compress/dry.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "compress/ops.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

enum { ALIGNMENT = 64 };

const char *const DRY_FAMILY_NAMES[] = {"products", "attention", "rows",
                                        "moving",   "crossing",  NULL};

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

/* ---- Counting -------------------------------------------------------------------------------- */

struct dry_device {
    struct device head;
    struct backend backend;
    dry_see *see;
    void *context;
};

static int show(struct device *device, const struct dry_operation *o) {
    const struct dry_device *d = (const struct dry_device *)device;
    if (d->see != NULL) {
        d->see(d->context, o);
    }
    return 0;
}

static double bytes_of(const struct tensor *t) {
    return t != NULL ? (double)tensor_bytes(t) : 0;
}

/* Of as many numbers of `t` as `like` has. */
static double bytes_like(const struct tensor *t, const struct tensor *like) {
    return (double)tensor_count(like) * (double)dtype_size(t->type);
}

/* Limited by its bytes; of the sizes of `t`. */
static int show_rows(struct device *d, const char *name, enum dry_family family,
                     const struct tensor *t, double bytes) {
    const struct dry_operation o = {
        .name = name, .family = family, .sizes = {tensor_rows(t), tensor_width(t)}, .bytes = bytes};
    return show(d, &o);
}

/* `products` of these sizes. */
static int show_products(struct device *d, const char *name, double products, int64_t rows,
                         int64_t inputs, int64_t outputs, double bytes) {
    const struct dry_operation o = {.name = name,
                                    .family = DRY_PRODUCTS,
                                    .sizes = {rows, inputs, outputs},
                                    .operations = products * 2 * (double)rows * (double)inputs *
                                                  (double)outputs,
                                    .bytes = bytes};
    return show(d, &o);
}

/* ---- Moving ---------------------------------------------------------------------------------- */

static int dry_upload(struct device *d, const struct tensor *to, const struct tensor *from,
                      struct error *e) {
    return show_rows(d, "upload", DRY_CROSSING, to, bytes_of(from));
}

static int dry_download(struct device *d, const struct tensor *to, const struct tensor *from,
                        struct error *e) {
    return show_rows(d, "download", DRY_CROSSING, to, bytes_of(from));
}

static int dry_fill(struct device *d, const struct tensor *out, float value, struct error *e) {
    return show_rows(d, "fill", DRY_MOVING, out, bytes_of(out));
}

static int dry_copy(struct device *d, const struct tensor *out, const struct tensor *x,
                    struct error *e) {
    return show_rows(d, "copy", DRY_MOVING, out, bytes_of(out) + bytes_of(x));
}

static int dry_accumulate(struct device *d, const struct tensor *out, const struct tensor *x,
                          struct error *e) {
    return show_rows(d, "accumulate", DRY_MOVING, out, 2 * bytes_of(out) + bytes_of(x));
}

static int dry_gather(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct tensor *index, struct error *e) {
    return show_rows(d, "gather", DRY_MOVING, out,
                     bytes_of(out) + bytes_like(x, out) + bytes_of(index));
}

static int dry_scatter_add(struct device *d, const struct tensor *dx, const struct tensor *dy,
                           const struct tensor *index, struct error *e) {
    return show_rows(d, "scatter_add", DRY_MOVING, dy,
                     2 * bytes_like(dx, dy) + bytes_of(dy) + bytes_of(index));
}

static int dry_im2col(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct convolution_options *o, struct error *e) {
    return show_rows(d, "im2col", DRY_MOVING, out, bytes_of(out) + bytes_of(x));
}

static int dry_im2col_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                               const struct convolution_options *o, struct error *e) {
    return show_rows(d, "im2col_backward", DRY_MOVING, dy, 2 * bytes_of(dx) + bytes_of(dy));
}

static int dry_resample(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct resample_options *o, struct error *e) {
    return show_rows(d, "resample", DRY_MOVING, out, bytes_of(out) + bytes_of(x));
}

static int dry_resample_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                                 const struct resample_options *o, struct error *e) {
    return show_rows(d, "resample_backward", DRY_MOVING, dy, 2 * bytes_of(dx) + bytes_of(dy));
}

static int dry_normalize_pixels(struct device *d, const struct tensor *out, const struct tensor *x,
                                const float mean[3], const float deviation[3], struct error *e) {
    return show_rows(d, "normalize_pixels", DRY_MOVING, out, bytes_of(out) + bytes_of(x));
}

/* ---- Products -------------------------------------------------------------------------------- */

static int open_packed(struct device *d, struct packed **out, int64_t outputs, int64_t inputs,
                       size_t bytes, bool frozen, struct error *e) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return error_memory(e, NULL);
    }
    **out = (struct packed){
        .outputs = outputs, .inputs = inputs, .type = d->compute, .bytes = bytes, .frozen = frozen};
    return 0;
}

static int dry_pack(struct device *d, struct packed **out, const struct tensor *matrix,
                    const struct tensor *bias, struct error *e) {
    return open_packed(d, out, tensor_rows(matrix), tensor_width(matrix),
                       (size_t)tensor_count(matrix) * dtype_size(d->compute), false, e);
}

static int dry_pack_frozen(struct device *d, struct packed **out,
                           const struct frozen_matrix *matrix, struct error *e) {
    return open_packed(d, out, matrix->outputs, matrix->inputs, frozen_bytes(matrix), true, e);
}

static void dry_packed_close(struct packed *w) {
    free(w);
}

static int dry_linear(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct packed *w, enum activation activation,
                      const struct tensor *residual, struct error *e) {
    return show_products(d, "linear", 1, tensor_rows(x), w->inputs, w->outputs,
                         bytes_of(out) + bytes_of(x) + (double)w->bytes + bytes_of(residual));
}

static int dry_linear_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                               const struct packed *w, bool accumulate, struct error *e) {
    return show_products(d, "linear_backward", 1, tensor_rows(dy), w->outputs, w->inputs,
                         (accumulate ? 2 : 1) * bytes_of(dx) + bytes_of(dy) + (double)w->bytes);
}

static int dry_gather_packed(struct device *d, const struct tensor *out, const struct packed *w,
                             const struct tensor *index, struct error *e) {
    const double rows = (double)tensor_rows(out) / (double)w->outputs; /* of those of w */
    return show_rows(d, "gather_packed", DRY_MOVING, out,
                     bytes_of(out) + rows * (double)w->bytes + bytes_of(index));
}

static int dry_mlp(struct device *d, const struct tensor *out, const struct tensor *x,
                   const struct packed *w1, enum activation activation, const struct packed *w2,
                   const struct tensor *residual, struct error *e) {
    const double between = (double)(w1->inputs + w2->outputs) / (double)w1->inputs;
    return show_products(d, "mlp", between, tensor_rows(x), w1->inputs, w1->outputs,
                         bytes_of(out) + bytes_of(x) + bytes_of(residual) +
                             (double)(w1->bytes + w2->bytes));
}

static int dry_convolve(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct convolution_options *o, const struct packed *w,
                        struct error *e) {
    return show_products(d, "convolve", 1, tensor_rows(out), w->inputs, w->outputs,
                         bytes_of(out) + bytes_of(x) + (double)w->bytes);
}

static int dry_matmul(struct device *d, const struct tensor *out, const struct tensor *a,
                      const struct tensor *b, const struct tensor *bias, bool accumulate,
                      struct error *e) {
    return show_products(d, "matmul", 1, tensor_rows(out), tensor_width(a), tensor_width(out),
                         (accumulate ? 2 : 1) * bytes_of(out) + bytes_of(a) + bytes_of(b) +
                             bytes_of(bias));
}

/* ---- Element by element, row by row ---------------------------------------------------------- */

/* Sets out. */
#define ROWS_OF_TWO(name)                                                                          \
    static int dry_##name(struct device *d, const struct tensor *out, const struct tensor *x,      \
                          struct error *e) {                                                       \
        return show_rows(d, #name, DRY_ROWS, out, bytes_of(out) + bytes_of(x));                    \
    }
#define ROWS_OF_THREE(name)                                                                        \
    static int dry_##name(struct device *d, const struct tensor *out, const struct tensor *a,      \
                          const struct tensor *b, struct error *e) {                               \
        return show_rows(d, #name, DRY_ROWS, out, bytes_of(out) + bytes_of(a) + bytes_of(b));      \
    }
/* Add to their first one or two. */
#define SUMS_OF_TWO(name)                                                                          \
    static int dry_##name(struct device *d, const struct tensor *sums, const struct tensor *x,     \
                          struct error *e) {                                                       \
        return show_rows(d, #name, DRY_ROWS, x, 2 * bytes_of(sums) + bytes_of(x));                 \
    }
#define SUMS_OF_THREE(name)                                                                        \
    static int dry_##name(struct device *d, const struct tensor *dx, const struct tensor *x,       \
                          const struct tensor *dy, struct error *e) {                              \
        return show_rows(d, #name, DRY_ROWS, dx, 2 * bytes_of(dx) + bytes_of(x) + bytes_of(dy));   \
    }
#define SUMS_OF_FIVE(name)                                                                         \
    static int dry_##name(struct device *d, const struct tensor *da, const struct tensor *db,      \
                          const struct tensor *a, const struct tensor *b, const struct tensor *dy, \
                          struct error *e) {                                                       \
        return show_rows(d, #name, DRY_ROWS, a,                                                    \
                         2 * (bytes_of(da) + bytes_of(db)) + bytes_of(a) + bytes_of(b) +           \
                             bytes_of(dy));                                                        \
    }

ROWS_OF_TWO(gelu)
ROWS_OF_TWO(quick_gelu)
ROWS_OF_TWO(silu)
ROWS_OF_TWO(softmax)
ROWS_OF_THREE(add)
ROWS_OF_THREE(multiply)
ROWS_OF_THREE(swiglu)
ROWS_OF_THREE(cosine)
SUMS_OF_TWO(sum_rows)
SUMS_OF_TWO(square_sum)
SUMS_OF_THREE(gelu_backward)
SUMS_OF_THREE(quick_gelu_backward)
SUMS_OF_THREE(silu_backward)
SUMS_OF_THREE(softmax_backward)
SUMS_OF_FIVE(multiply_backward)
SUMS_OF_FIVE(swiglu_backward)
SUMS_OF_FIVE(cosine_backward)

static int dry_combine(struct device *d, const struct tensor *out, float alpha,
                       const struct tensor *a, float beta, const struct tensor *b,
                       struct error *e) {
    return show_rows(d, "combine", DRY_ROWS, out, bytes_of(out) + bytes_of(a) + bytes_of(b));
}

static int dry_layer_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                          const struct tensor *gamma, const struct tensor *beta, float eps,
                          struct error *e) {
    return show_rows(d, "layer_norm", DRY_ROWS, out,
                     bytes_of(out) + bytes_of(x) + bytes_of(gamma) + bytes_of(beta));
}

static int dry_layer_norm_backward(struct device *d, const struct tensor *dx,
                                   const struct tensor *dgamma, const struct tensor *dbeta,
                                   const struct tensor *x, const struct tensor *gamma,
                                   const struct tensor *dy, float eps, struct error *e) {
    return show_rows(d, "layer_norm_backward", DRY_ROWS, x,
                     2 * (bytes_of(dx) + bytes_of(dgamma) + bytes_of(dbeta)) + bytes_of(x) +
                         bytes_of(gamma) + bytes_of(dy));
}

static int dry_rms_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                        const struct tensor *gamma, float eps, struct error *e) {
    return show_rows(d, "rms_norm", DRY_ROWS, out, bytes_of(out) + bytes_of(x) + bytes_of(gamma));
}

static int dry_rms_norm_backward(struct device *d, const struct tensor *dx,
                                 const struct tensor *dgamma, const struct tensor *x,
                                 const struct tensor *gamma, const struct tensor *dy, float eps,
                                 struct error *e) {
    return show_rows(d, "rms_norm_backward", DRY_ROWS, x,
                     2 * (bytes_of(dx) + bytes_of(dgamma)) + bytes_of(x) + bytes_of(gamma) +
                         bytes_of(dy));
}

static int dry_top_k(struct device *d, const struct tensor *values, const struct tensor *index,
                     const struct tensor *x, struct error *e) {
    return show_rows(d, "top_k", DRY_ROWS, x, bytes_of(values) + bytes_of(index) + bytes_of(x));
}

static int dry_top_k_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                              const struct tensor *index, struct error *e) {
    return show_rows(d, "top_k_backward", DRY_ROWS, dy,
                     2 * bytes_like(dx, dy) + bytes_of(dy) + bytes_of(index));
}

static int dry_rotary(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct tensor *positions, const struct rotary_options *o,
                      struct error *e) {
    return show_rows(d, "rotary", DRY_ROWS, out, bytes_of(out) + bytes_of(x) + bytes_of(positions));
}

/* ---- Attention ------------------------------------------------------------------------------- */

/* Pairs of a query and a key that it sees, of `queries` in a row. */
static double pairs_of(int64_t queries, int64_t keys, const struct attention_options *o) {
    double pairs = 0;
    for (int64_t i = 0; i < queries; i++) {
        int64_t seen = keys;
        if (o->causal) {
            seen = o->start + i + 1 < keys ? o->start + i + 1 : keys;
            seen = o->span > 0 && o->span < seen ? o->span : seen;
        }
        pairs += (double)seen;
    }
    return pairs;
}

/* Of all sequences, for one head; and what they are. */
static double all_pairs(const struct tensor *q, const struct tensor *k,
                        const struct attention_options *o, int64_t sizes[4]) {
    const int64_t batch = q->shape[0], queries = q->shape[1], keys = k->shape[1];
    double pairs = 0;
    sizes[1] = q->shape[2];
    if (o->window > 0) {
        const int64_t area = o->window * o->window;
        const int64_t down = (o->grid_height + o->window - 1) / o->window;
        sizes[0] = batch * down * ((o->grid_width + o->window - 1) / o->window);
        sizes[2] = sizes[3] = area;
        return (double)(batch * queries) * (double)area;
    }
    if (o->offsets == NULL) {
        sizes[0] = batch;
        sizes[2] = queries;
        sizes[3] = keys;
        return (double)batch * pairs_of(queries, keys, o);
    }
    const int32_t *offsets = o->offsets->data;
    sizes[0] = tensor_count(o->offsets) - 1;
    for (int64_t s = 0; s < sizes[0]; s++) {
        const int64_t length = offsets[s + 1] - offsets[s];
        pairs += pairs_of(length, length, o);
        sizes[2] = length > sizes[2] ? length : sizes[2];
    }
    sizes[3] = sizes[2];
    return pairs;
}

/* `products` of each pair, and as many thirds of the relative positions' for each query. */
static int show_attention(struct device *d, const char *name, const struct tensor *q,
                          const struct tensor *k, const struct attention_options *o,
                          double products, double tables, double bytes) {
    struct dry_operation shown = {.name = name, .family = DRY_ATTENTION};
    const double queries = (double)(q->shape[0] * q->shape[1]);
    const double width = (double)(q->shape[2] * q->shape[3]);
    double multiplied = products * all_pairs(q, k, o, shown.sizes);
    multiplied += o->rel_h != NULL ? tables * queries * (double)o->height : 0;
    multiplied += o->rel_w != NULL ? tables * queries * (double)o->width : 0;
    shown.operations = 2 * multiplied * width;
    shown.bytes = bytes + bytes_of(o->rel_h) + bytes_of(o->rel_w) + bytes_of(o->pad);
    return show(d, &shown);
}

static int dry_attention(struct device *d, const struct tensor *out,
                         const struct tensor *log_sum_exp, const struct tensor *q,
                         const struct tensor *k, const struct tensor *v,
                         const struct attention_options *o, struct error *e) {
    enum { PRODUCTS = 2 /* q k^T, and its softmax with v */, TABLES = 1 };
    return show_attention(d, "attention", q, k, o, PRODUCTS, TABLES,
                          bytes_of(out) + bytes_of(log_sum_exp) + bytes_of(q) + bytes_of(k) +
                              bytes_of(v));
}

static int dry_attention_backward(struct device *d, const struct tensor *dq,
                                  const struct tensor *dk, const struct tensor *dv,
                                  const struct tensor *drel_h, const struct tensor *drel_w,
                                  const struct tensor *q, const struct tensor *k,
                                  const struct tensor *v, const struct tensor *out,
                                  const struct tensor *log_sum_exp, const struct tensor *dout,
                                  const struct attention_options *o, struct error *e) {
    enum { PRODUCTS = 5 /* q k^T again, dout v^T, and what comes to dq, dk and dv */ };
    const double tables = 2 + (drel_h != NULL ? 1 : 0); /* again, to dq, to drel */
    return show_attention(
        d, "attention_backward", q, k, o, PRODUCTS, tables,
        2 * (bytes_of(dq) + bytes_of(dk) + bytes_of(dv) + bytes_of(drel_h) + bytes_of(drel_w)) +
            bytes_of(q) + bytes_of(k) + bytes_of(v) + bytes_of(out) + bytes_of(log_sum_exp) +
            bytes_of(dout));
}

/* ---- Losses and training --------------------------------------------------------------------- */

static int dry_cross_entropy(struct device *d, const struct tensor *loss,
                             const struct tensor *dlogits, const struct tensor *logits,
                             const struct tensor *labels, float scale, struct error *e) {
    return show_rows(d, "cross_entropy", DRY_ROWS, logits,
                     2 * bytes_of(loss) + bytes_of(dlogits) + bytes_of(logits) + bytes_of(labels));
}

static int dry_classify(struct device *d, const struct tensor *loss, const struct tensor *dx,
                        const struct tensor *dweight, const struct tensor *dbias,
                        const struct tensor *x, const struct tensor *weight,
                        const struct tensor *bias, const struct tensor *labels, float scale,
                        struct error *e) {
    const double products = 1 + (dx != NULL ? 1 : 0) + (dweight != NULL ? 1 : 0);
    return show_products(d, "classify", products, tensor_rows(x), tensor_width(x),
                         tensor_rows(weight),
                         2 * (bytes_of(loss) + bytes_of(dx) + bytes_of(dweight) + bytes_of(dbias)) +
                             bytes_of(x) + bytes_of(weight) + bytes_of(bias) + bytes_of(labels));
}

static int dry_classify_packed(struct device *d, const struct tensor *loss, const struct tensor *dx,
                               const struct tensor *x, const struct packed *w,
                               const struct tensor *labels, float scale, struct error *e) {
    return show_products(
        d, "classify_packed", dx != NULL ? 2 : 1, tensor_rows(x), w->inputs, w->outputs,
        2 * (bytes_of(loss) + bytes_of(dx)) + bytes_of(x) + (double)w->bytes + bytes_of(labels));
}

static int dry_dropout(struct device *d, const struct tensor *out, const struct tensor *x,
                       float share, uint64_t seed, int64_t first, struct error *e) {
    return show_rows(d, "dropout", DRY_ROWS, out, bytes_of(out) + bytes_of(x));
}

static int dry_adamw(struct device *d, const struct tensor *weight,
                     const struct tensor *first_moment, const struct tensor *second_moment,
                     const struct tensor *gradient, const struct adamw_step *step,
                     struct error *e) {
    return show_rows(d, "adamw", DRY_ROWS, weight,
                     2 * (bytes_of(weight) + bytes_of(first_moment) + bytes_of(second_moment)) +
                         bytes_of(gradient));
}

static const struct ops DRY_OPS = {.alloc = dry_alloc,
                                   .release = dry_release,
                                   .upload = dry_upload,
                                   .download = dry_download,
                                   .synchronize = dry_synchronize,
                                   .fill = dry_fill,
                                   .copy = dry_copy,
                                   .accumulate = dry_accumulate,
                                   .gather = dry_gather,
                                   .scatter_add = dry_scatter_add,
                                   .im2col = dry_im2col,
                                   .im2col_backward = dry_im2col_backward,
                                   .resample = dry_resample,
                                   .resample_backward = dry_resample_backward,
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
                                   .add = dry_add,
                                   .combine = dry_combine,
                                   .multiply = dry_multiply,
                                   .multiply_backward = dry_multiply_backward,
                                   .gelu = dry_gelu,
                                   .gelu_backward = dry_gelu_backward,
                                   .quick_gelu = dry_quick_gelu,
                                   .quick_gelu_backward = dry_quick_gelu_backward,
                                   .silu = dry_silu,
                                   .silu_backward = dry_silu_backward,
                                   .swiglu = dry_swiglu,
                                   .swiglu_backward = dry_swiglu_backward,
                                   .sum_rows = dry_sum_rows,
                                   .layer_norm = dry_layer_norm,
                                   .layer_norm_backward = dry_layer_norm_backward,
                                   .rms_norm = dry_rms_norm,
                                   .rms_norm_backward = dry_rms_norm_backward,
                                   .softmax = dry_softmax,
                                   .softmax_backward = dry_softmax_backward,
                                   .top_k = dry_top_k,
                                   .top_k_backward = dry_top_k_backward,
                                   .cosine = dry_cosine,
                                   .cosine_backward = dry_cosine_backward,
                                   .rotary = dry_rotary,
                                   .attention = dry_attention,
                                   .attention_backward = dry_attention_backward,
                                   .cross_entropy = dry_cross_entropy,
                                   .classify = dry_classify,
                                   .classify_packed = dry_classify_packed,
                                   .dropout = dry_dropout,
                                   .square_sum = dry_square_sum,
                                   .adamw = dry_adamw};

/* ---- Devices --------------------------------------------------------------------------------- */

int dry_open(struct device **out, const struct backend *backend, enum dtype compute,
             struct error *e) {
    struct dry_device *d = calloc(1, sizeof *d);
    *out = NULL;
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    d->backend =
        (struct backend){.name = "dry", .batch = backend->batch, .device_close = dry_close};
    d->head = (struct device){.backend = &d->backend, .ops = &DRY_OPS, .compute = compute};
    *out = &d->head;
    return 0;
}

void dry_close(struct device *d) {
    free(d);
}

void dry_trace(struct device *device, dry_see *see, void *context) {
    struct dry_device *d = (struct dry_device *)device;
    d->see = see;
    d->context = context;
}
