/* backend_cpu.c - the operations of backend.h by those of compress/ops.h. */
#include <stdlib.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"

#include "compress/backend.h"

static struct device *device_of(struct context *c) {
    return (struct device *)c;
}

static const struct packed *packed_of(const struct weights *w) {
    return (const struct packed *)w;
}

/* Tensors have no const; what is only read stays so. */
static struct tensor matrix_of(struct context *c, const void *data, enum dtype type, int64_t rows,
                               int64_t width) {
    union {
        const void *read;
        void *data;
    } of = {.read = data};
    return tensor_matrix(of.data, type, device_of(c), rows, width);
}

static struct tensor floats_of(struct context *c, const float *data, int64_t rows, int64_t width) {
    return matrix_of(c, data, DTYPE_F32, rows, width);
}

static int context_open(struct context **out, enum dtype compute, struct error *e) {
    struct device *d = NULL;
    int rc = device_open(&d, &CPU_BACKEND, compute, e);
    *out = (struct context *)d;
    return rc;
}

static void context_close(struct context *c) {
    device_close(device_of(c));
}

static bool has_bf16(void) {
    return CPU_BACKEND.has_bf16();
}

static float *alloc(struct context *c, size_t count) {
    (void)c;
    if (count > SIZE_MAX / sizeof(float) - CPU_ALIGNMENT) {
        return NULL;
    }
    size_t size = count * sizeof(float);
    return aligned_alloc(CPU_ALIGNMENT, (size + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT);
}

static void release(struct context *c, float *data) {
    (void)c;
    free(data);
}

static int move(struct context *c, float *to, const float *from, size_t count, struct error *e) {
    struct tensor out = floats_of(c, to, 1, (int64_t)count);
    struct tensor x = floats_of(c, from, 1, (int64_t)count);
    return cpu_upload(device_of(c), &out, &x, e);
}

static int pack(struct context *c, struct weights **out, const void *matrix, enum dtype type,
                int64_t outputs, int64_t inputs, const float *bias, struct error *e) {
    struct tensor m = matrix_of(c, matrix, type, outputs, inputs);
    struct tensor b = floats_of(c, bias, 1, outputs);
    struct packed *packed = NULL;
    int rc = cpu_pack(device_of(c), &packed, &m, bias != NULL ? &b : NULL, e);
    *out = (struct weights *)packed;
    return rc;
}

static void weights_close(struct weights *w) {
    cpu_packed_close((struct packed *)w);
}

static int linear(struct context *c, float *out, const float *x, int64_t rows,
                  const struct weights *w, enum activation activation, const float *residual,
                  struct error *e) {
    const struct packed *p = packed_of(w);
    struct tensor to = floats_of(c, out, rows, p->outputs), in = floats_of(c, x, rows, p->inputs);
    struct tensor rest = floats_of(c, residual, rows, p->outputs);
    return cpu_linear(device_of(c), &to, &in, p, activation, residual != NULL ? &rest : NULL, e);
}

static int mlp(struct context *c, float *out, const float *x, int64_t rows,
               const struct weights *w1, enum activation activation, const struct weights *w2,
               const float *residual, struct error *e) {
    const struct packed *p1 = packed_of(w1), *p2 = packed_of(w2);
    struct tensor to = floats_of(c, out, rows, p2->outputs);
    struct tensor in = floats_of(c, x, rows, p1->inputs);
    struct tensor rest = floats_of(c, residual, rows, p2->outputs);
    return cpu_mlp(device_of(c), &to, &in, p1, activation, p2, &rest, e);
}

static int convolve(struct context *c, float *out, const float *x, int64_t batch,
                    const struct convolution *s, const struct weights *w, struct error *e) {
    const struct convolution_options o = {.height = s->height,
                                          .width = s->width,
                                          .channels = s->channels,
                                          .size = s->size,
                                          .stride_y = s->stride_y,
                                          .stride_x = s->stride_x,
                                          .pad = s->pad};
    int64_t rows = batch * convolution_height(&o) * convolution_width(&o);
    struct tensor to = floats_of(c, out, rows, packed_of(w)->outputs);
    struct tensor in = floats_of(c, x, batch * s->height * s->width, s->channels);
    return cpu_convolve(device_of(c), &to, &in, &o, packed_of(w), e);
}

static int layer_norm(struct context *c, float *out, const float *x, int64_t rows, int64_t width,
                      const float *gamma, const float *beta, float eps, struct error *e) {
    struct tensor to = floats_of(c, out, rows, width), in = floats_of(c, x, rows, width);
    struct tensor gain = floats_of(c, gamma, 1, width), bias = floats_of(c, beta, 1, width);
    return cpu_layer_norm(device_of(c), &to, &in, &gain, &bias, eps, e);
}

static int attention(struct context *c, float *out, const float *qkv, int64_t batch,
                     const struct attention *s, struct error *e) {
    int64_t width = s->heads * s->head_dim, rows = batch * s->tokens;
    struct tensor whole = floats_of(c, qkv, rows, 3 * width), to = floats_of(c, out, rows, width);
    struct tensor y = tensor_heads(&to, batch, 0, s->heads, s->head_dim);
    struct tensor q = tensor_heads(&whole, batch, 0, s->heads, s->head_dim);
    struct tensor k = tensor_heads(&whole, batch, width, s->heads, s->head_dim);
    struct tensor v = tensor_heads(&whole, batch, 2 * width, s->heads, s->head_dim);
    const struct relative_position none = {0}, *p = s->position != NULL ? s->position : &none;
    struct tensor rel_h = floats_of(c, p->rel_h, 2 * p->height - 1, s->head_dim);
    struct tensor rel_w = floats_of(c, p->rel_w, 2 * p->width - 1, s->head_dim);
    struct tensor pad = floats_of(c, s->pad, 1, 3 * width);
    const struct attention_options o = {.height = p->height,
                                        .width = p->width,
                                        .rel_h = p != &none ? &rel_h : NULL,
                                        .rel_w = p != &none ? &rel_w : NULL,
                                        .window = s->window,
                                        .grid_height = s->grid_height,
                                        .grid_width = s->grid_width,
                                        .pad = s->pad != NULL ? &pad : NULL};
    return cpu_attention(device_of(c), &y, NULL, &q, &k, &v, &o, e);
}

static int activate(struct context *c, float *out, const float *x, size_t count,
                    enum activation activation, struct error *e) {
    struct tensor to = floats_of(c, out, 1, (int64_t)count);
    struct tensor in = floats_of(c, x, 1, (int64_t)count);
    switch (activation) {
    case ACTIVATION_GELU:
        return cpu_gelu(device_of(c), &to, &in, e);
    case ACTIVATION_QUICK_GELU:
        return cpu_quick_gelu(device_of(c), &to, &in, e);
    case ACTIVATION_NONE:
    case ACTIVATION_SILU:
        break;
    }
    return cpu_copy(device_of(c), &to, &in, e);
}

static int add(struct context *c, float *out, const float *a, const float *b, int64_t batch,
               size_t count, struct error *e) {
    struct tensor to = floats_of(c, out, batch, (int64_t)count);
    struct tensor first = floats_of(c, a, batch, (int64_t)count);
    struct tensor second = floats_of(c, b, 1, (int64_t)count);
    return cpu_add(device_of(c), &to, &first, &second, e);
}

static struct tensor factor_of(struct context *c, const void *data, const struct product_shape *s,
                               int64_t rows, int64_t columns, bool transposed, enum dtype type) {
    struct tensor t = matrix_of(c, data, type, s->batch * (transposed ? columns : rows),
                                transposed ? rows : columns);
    t = tensor_reshape(
        &t, TENSOR_SHAPE(1, s->batch, transposed ? columns : rows, transposed ? rows : columns));
    return transposed ? tensor_transpose(&t) : t;
}

static int multiply(struct context *c, float *out, const void *a, const void *b,
                    const struct product_shape *s, struct error *e) {
    struct tensor y = factor_of(c, out, s, s->m, s->n, false, DTYPE_F32);
    struct tensor left = factor_of(c, a, s, s->m, s->k, s->a_transposed, s->type);
    struct tensor right = factor_of(c, b, s, s->k, s->n, s->b_transposed, s->type);
    return cpu_matmul(device_of(c), &y, &left, &right, s->accumulate, e);
}

static int to_bf16(struct context *c, uint16_t *out, const float *x, size_t count,
                   struct error *e) {
    struct tensor to = matrix_of(c, out, DTYPE_BF16, 1, (int64_t)count);
    struct tensor in = floats_of(c, x, 1, (int64_t)count);
    return cpu_copy(device_of(c), &to, &in, e);
}

static int copy(struct context *c, float *out, int64_t out_stride, const float *x, int64_t x_stride,
                int64_t rows, int64_t width, struct error *e) {
    struct tensor to = floats_of(c, out, rows, width), in = floats_of(c, x, rows, width);
    to.stride[TENSOR_RANK - 2] = out_stride;
    in.stride[TENSOR_RANK - 2] = x_stride;
    return cpu_copy(device_of(c), &to, &in, e);
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
