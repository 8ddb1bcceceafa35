/* backend_cpu.c - the operations of backend.h on the processor: products by oneDNN, the rest by
 * vector.h. Long inputs are taken in blocks of rows that stay in the cache between the steps of an
 * operation. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compress/backend.h"
#include "compress/cpu/product.h"
#include "compress/cpu/vector.h"

enum { BLOCK = 256 /* rows */, ALIGNMENT = 64 };

/* Memory that grows to the largest that was asked for. */
struct scratch {
    void *data;
    size_t size;
};

struct context {
    enum dtype compute;
    const struct vector_ops *vector;
    struct products *products;
    struct scratch input;  /* a block of what a product reads: BF16, or patches */
    struct scratch hidden; /* a block between the two products of an mlp */
    struct scratch head;   /* of the vector attention */
    struct scratch window; /* q, k, v and the result of one window and head */
};

static int scratch_get(struct scratch *s, size_t size, struct error *e) {
    if (size <= s->size) {
        return 0;
    }
    free(s->data);
    s->size = 0;
    s->data = aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (s->data == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    s->size = size;
    return 0;
}

static bool has_bf16(void) {
    const struct vector_ops *vector = vector_ops_choose(NULL);
    return vector != NULL && vector->has_bf16;
}

static void context_close(struct context *c) {
    if (c == NULL) {
        return;
    }
    free(c->input.data);
    free(c->hidden.data);
    free(c->head.data);
    free(c->window.data);
    products_close(c->products);
    free(c);
}

static int context_open(struct context **out, enum dtype compute, struct error *e) {
    *out = NULL;
    const struct vector_ops *vector = vector_ops_choose(e);
    if (vector == NULL) {
        return ERR_UNSUPPORTED;
    }
    if (compute == DTYPE_BF16 && !vector->has_bf16) {
        return error_set(e, ERR_UNSUPPORTED, "no bf16 products at level %s of this processor",
                         vector->name);
    }
    struct context *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    c->compute = compute;
    c->vector = vector;
    int rc = products_open(&c->products, vector->name, e);
    if (rc < 0) {
        context_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

static float *alloc(struct context *c, size_t count) {
    (void)c;
    if (count > SIZE_MAX / sizeof(float) - ALIGNMENT) {
        return NULL;
    }
    size_t size = count * sizeof(float);
    return aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static void release(struct context *c, float *data) {
    (void)c;
    free(data);
}

static int move(struct context *c, float *to, const float *from, size_t count, struct error *e) {
    (void)c;
    (void)e;
    memcpy(to, from, count * sizeof *to);
    return 0;
}

static int pack(struct context *c, struct weights **out, const void *matrix, enum dtype type,
                int64_t outputs, int64_t inputs, const float *bias, struct error *e) {
    return weights_pack(out, c->products, matrix, type, outputs, inputs, bias, c->compute, e);
}

/* ---- Products ---------------------------------------------------------------- */

static void activate_rows(struct context *c, float *x, size_t count, enum activation activation) {
    switch (activation) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_GELU:
        c->vector->gelu(x, count);
        break;
    case ACTIVATION_QUICK_GELU:
        c->vector->quick_gelu(x, count);
        break;
    }
}

/* x, or what stands for it in the weights' type; *out is valid until the next call. */
static int input_of(struct context *c, const void **out, const float *x, size_t count,
                    const struct weights *w, struct error *e) {
    *out = x;
    if (weights_type(w) != DTYPE_BF16) {
        return 0;
    }
    int rc = scratch_get(&c->input, count * sizeof(uint16_t), e);
    if (rc == 0) {
        c->vector->to_bf16(c->input.data, x, count);
        *out = c->input.data;
    }
    return rc;
}

/* out = input W^T + bias [+ residual]. */
static int product_of(struct context *c, float *out, const void *input, int64_t rows,
                      const struct weights *w, const float *residual, struct error *e) {
    if (residual != NULL && residual != out) {
        memcpy(out, residual, (size_t)(rows * weights_outputs(w)) * sizeof *out);
    }
    return product_run(c->products, out, input, rows, w, residual != NULL, e);
}

/* One block: out = activation(x W^T + bias) [+ residual]. */
static int linear_block(struct context *c, float *out, const float *x, int64_t rows,
                        const struct weights *w, enum activation activation, const float *residual,
                        struct error *e) {
    const void *input;
    assert(residual == NULL || activation == ACTIVATION_NONE);
    size_t count = (size_t)rows * (size_t)weights_inputs(w);
    int rc = input_of(c, &input, x, count, w, e);
    if (rc == 0) {
        rc = product_of(c, out, input, rows, w, residual, e);
    }
    if (rc == 0) {
        activate_rows(c, out, (size_t)rows * (size_t)weights_outputs(w), activation);
    }
    return rc;
}

static int64_t block_rows(int64_t done, int64_t rows) {
    return rows - done < BLOCK ? rows - done : BLOCK;
}

static int linear(struct context *c, float *out, const float *x, int64_t rows,
                  const struct weights *w, enum activation activation, const float *residual,
                  struct error *e) {
    int64_t outputs = weights_outputs(w), inputs = weights_inputs(w);
    for (int64_t r = 0; r < rows; r += BLOCK) {
        int rc = linear_block(c, out + r * outputs, x + r * inputs, block_rows(r, rows), w,
                              activation, residual != NULL ? residual + r * outputs : NULL, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* A block of an mlp whose activation goes to BF16 at once. */
static int mlp_block_bf16(struct context *c, float *out, const float *x, int64_t rows,
                          const struct weights *w1, const struct weights *w2, const float *residual,
                          struct error *e) {
    size_t count = (size_t)rows * (size_t)weights_outputs(w1);
    int rc = linear_block(c, c->hidden.data, x, rows, w1, ACTIVATION_NONE, NULL, e);
    if (rc == 0) {
        rc = scratch_get(&c->input, count * sizeof(uint16_t), e);
    }
    if (rc < 0) {
        return rc;
    }
    c->vector->gelu_to_bf16(c->input.data, c->hidden.data, count);
    return product_of(c, out, c->input.data, rows, w2, residual, e);
}

static int mlp(struct context *c, float *out, const float *x, int64_t rows,
               const struct weights *w1, enum activation activation, const struct weights *w2,
               const float *residual, struct error *e) {
    int64_t inputs = weights_inputs(w1), hidden = weights_outputs(w1);
    int64_t outputs = weights_outputs(w2);
    bool fused = activation == ACTIVATION_GELU && weights_type(w2) == DTYPE_BF16;
    assert(weights_inputs(w2) == hidden);
    int rc = scratch_get(&c->hidden, (size_t)(BLOCK * hidden) * sizeof(float), e);
    for (int64_t r = 0; r < rows && rc == 0; r += BLOCK) {
        int64_t count = block_rows(r, rows);
        if (fused) {
            rc = mlp_block_bf16(c, out + r * outputs, x + r * inputs, count, w1, w2,
                                residual + r * outputs, e);
            continue;
        }
        rc = linear_block(c, c->hidden.data, x + r * inputs, count, w1, activation, NULL, e);
        if (rc == 0) {
            rc = linear_block(c, out + r * outputs, c->hidden.data, count, w2, ACTIVATION_NONE,
                              residual + r * outputs, e);
        }
    }
    return rc;
}

/* ---- Convolution --------------------------------------------------------------- */

/* The patch under output (oy, ox): size * size * channels numbers of `unit` bytes. */
static void gather_patch(char *patch, const char *x, size_t unit, const struct convolution *s,
                         int64_t oy, int64_t ox) {
    int64_t left = ox * s->stride_x - s->pad;
    int64_t begin = left < 0 ? -left : 0; /* columns of the patch that lie in the picture */
    int64_t end = left + s->size > s->width ? s->width - left : s->size;
    size_t pixel = (size_t)s->channels * unit, row = (size_t)s->size * pixel;
    for (int ky = 0; ky < s->size; ky++, patch += row) {
        int64_t y = oy * s->stride_y - s->pad + ky;
        if (y < 0 || y >= s->height) {
            memset(patch, 0, row);
            continue;
        }
        memset(patch, 0, (size_t)begin * pixel);
        memcpy(patch + (size_t)begin * pixel, x + (size_t)(y * s->width + left + begin) * pixel,
               (size_t)(end - begin) * pixel);
        memset(patch + (size_t)end * pixel, 0, (size_t)(s->size - end) * pixel);
    }
}

/* Patches overlap, so the pictures are rounded before they are cut up. */
static int convolve(struct context *c, float *out, const float *x, int64_t batch,
                    const struct convolution *s, const struct weights *w, struct error *e) {
    int64_t height = convolution_out_height(s), width = convolution_out_width(s);
    int64_t patch = s->size * s->size * s->channels, outputs = weights_outputs(w);
    int64_t picture = s->height * s->width * s->channels;
    size_t unit = weights_type(w) == DTYPE_BF16 ? sizeof(uint16_t) : sizeof(float);
    const void *pictures;
    assert(weights_inputs(w) == patch);
    int rc = scratch_get(&c->hidden, (size_t)(BLOCK * patch) * unit, e);
    rc = rc == 0 ? input_of(c, &pictures, x, (size_t)(batch * picture), w, e) : rc;
    for (int64_t r = 0; r < batch * height * width && rc == 0; r += BLOCK) {
        int64_t count = block_rows(r, batch * height * width);
        char *patches = (char *)c->hidden.data;
        for (int64_t i = 0; i < count; i++) {
            int64_t item = (r + i) / (height * width), place = (r + i) % (height * width);
            gather_patch(patches + (size_t)(i * patch) * unit,
                         (const char *)pictures + (size_t)(item * picture) * unit, unit, s,
                         place / width, place % width);
        }
        rc = product_of(c, out + r * outputs, patches, count, w, NULL, e);
    }
    return rc;
}

/* ---- Attention ------------------------------------------------------------------- */

static int attention_global(struct context *c, float *out, const float *qkv, int64_t batch,
                            const struct attention *s, struct error *e) {
    const struct vector_ops *v = c->vector;
    int64_t width = s->heads * s->head_dim, stride = 3 * width;
    int rc = scratch_get(&c->head, v->attention_scratch(s->tokens, s->head_dim, s->position), e);
    if (rc < 0) {
        return rc;
    }
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t h = 0; h < s->heads; h++) {
            const float *q = qkv + b * s->tokens * stride + h * s->head_dim;
            v->attention(out + b * s->tokens * width + h * s->head_dim, width, q, q + width,
                         q + 2 * width, stride, s->tokens, s->head_dim, s->position,
                         c->compute == DTYPE_BF16, c->head.data);
        }
    }
    return 0;
}

/* Copies q, k and v of a window and head to `to` (3, window * window, head_dim), the pads too. */
static void gather_window(float *to, const float *qkv, const struct attention *s, int64_t h,
                          int64_t top, int64_t left) {
    int64_t width = s->heads * s->head_dim;
    size_t bytes = (size_t)s->head_dim * sizeof *to;
    for (int part = 0; part < 3; part++) {
        const float *pad = s->pad + part * width + h * s->head_dim;
        for (int64_t y = top; y < top + s->window; y++) {
            for (int64_t x = left; x < left + s->window; x++) {
                bool inside = y < s->grid_height && x < s->grid_width;
                const float *from =
                    qkv + (y * s->grid_width + x) * 3 * width + part * width + h * s->head_dim;
                memcpy(to, inside ? from : pad, bytes);
                to += s->head_dim;
            }
        }
    }
}

static void scatter_window(float *out, const float *from, const struct attention *s, int64_t h,
                           int64_t top, int64_t left) {
    int64_t width = s->heads * s->head_dim;
    for (int64_t y = top; y < top + s->window && y < s->grid_height; y++) {
        for (int64_t x = left; x < left + s->window && x < s->grid_width; x++) {
            memcpy(out + (y * s->grid_width + x) * width + h * s->head_dim,
                   from + ((y - top) * s->window + x - left) * s->head_dim,
                   (size_t)s->head_dim * sizeof *out);
        }
    }
}

static int attention_windows(struct context *c, float *out, const float *qkv, int64_t batch,
                             const struct attention *s, struct error *e) {
    const struct vector_ops *v = c->vector;
    int64_t tokens = s->window * s->window, part = tokens * s->head_dim;
    int64_t width = s->heads * s->head_dim, grid = s->grid_height * s->grid_width;
    assert(s->tokens == grid);
    int rc = scratch_get(&c->head, v->attention_scratch(tokens, s->head_dim, s->position), e);
    if (rc == 0) {
        rc = scratch_get(&c->window, (size_t)(4 * part) * sizeof(float), e);
    }
    if (rc < 0) {
        return rc;
    }
    float *q = c->window.data, *result = q + 3 * part;
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t top = 0; top < s->grid_height; top += s->window) {
            for (int64_t left = 0; left < s->grid_width; left += s->window) {
                for (int64_t h = 0; h < s->heads; h++) {
                    gather_window(q, qkv + b * grid * 3 * width, s, h, top, left);
                    v->attention(result, s->head_dim, q, q + part, q + 2 * part, s->head_dim,
                                 tokens, s->head_dim, s->position, c->compute == DTYPE_BF16,
                                 c->head.data);
                    scatter_window(out + b * grid * width, result, s, h, top, left);
                }
            }
        }
    }
    return 0;
}

static int attention(struct context *c, float *out, const float *qkv, int64_t batch,
                     const struct attention *s, struct error *e) {
    return s->window > 0 ? attention_windows(c, out, qkv, batch, s, e)
                         : attention_global(c, out, qkv, batch, s, e);
}

/* ---- The rest ---------------------------------------------------------------------- */

static int layer_norm(struct context *c, float *out, const float *x, int64_t rows, int64_t width,
                      const float *gamma, const float *beta, float eps, struct error *e) {
    (void)e;
    c->vector->layer_norm(out, x, rows, width, gamma, beta, eps);
    return 0;
}

static int add(struct context *c, float *out, const float *a, const float *b, int64_t batch,
               size_t count, struct error *e) {
    (void)e;
    for (int64_t i = 0; i < batch; i++) {
        c->vector->add(out + (size_t)i * count, a + (size_t)i * count, b, count);
    }
    return 0;
}

static int activate(struct context *c, float *out, const float *x, size_t count,
                    enum activation activation, struct error *e) {
    (void)e;
    if (out != x) {
        memcpy(out, x, count * sizeof *out);
    }
    activate_rows(c, out, count, activation);
    return 0;
}

static int multiply(struct context *c, float *out, const void *a, const void *b,
                    const struct product_shape *shape, struct error *e) {
    return product_multiply(c->products, out, a, b, shape, e);
}

static int to_bf16(struct context *c, uint16_t *out, const float *x, size_t count,
                   struct error *e) {
    (void)e;
    c->vector->to_bf16(out, x, count);
    return 0;
}

static int copy(struct context *c, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                int64_t rows, int64_t width, struct error *e) {
    (void)c;
    (void)e;
    for (int64_t r = 0; r < rows; r++) {
        memcpy(out + r * out_stride, x + r * x_stride, (size_t)width * sizeof *out);
    }
    return 0;
}

const struct backend_ops BACKEND_CPU = {.name = "cpu",
                                        .context_open = context_open,
                                        .context_close = context_close,
                                        .has_bf16 = has_bf16,
                                        .alloc = alloc,
                                        .release = release,
                                        .upload = move,
                                        .download = move,
                                        .pack = pack,
                                        .weights_close = weights_close,
                                        .linear = linear,
                                        .mlp = mlp,
                                        .convolve = convolve,
                                        .layer_norm = layer_norm,
                                        .attention = attention,
                                        .activate = activate,
                                        .add = add,
                                        .multiply = multiply,
                                        .to_bf16 = to_bf16,
                                        .copy = copy};
