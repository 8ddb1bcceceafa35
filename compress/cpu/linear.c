/* linear.c - products by packed weights, in blocks of rows that stay in the cache between the
 * steps of an operation. */
#include "compress/cpu/linear.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compress/cpu/frozen.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/product.h"
#include "compress/cpu/walk.h"

int cpu_pack(struct device *d, struct packed **out, const struct tensor *matrix,
             const struct tensor *bias, struct error *e) {
    int64_t outputs = tensor_rows(matrix);
    assert(tensor_is_dense(matrix));
    return product_pack(out, cpu_device(d)->products, matrix->data, matrix->type, outputs,
                        tensor_width(matrix), vector_of(bias, outputs), d->compute, e);
}

void cpu_packed_close(struct packed *w) {
    if (w != NULL && w->frozen) {
        free(w);
    } else {
        product_packed_close(w);
    }
}

/* ---- Rows ---------------------------------------------------------------------------- */

struct rows rows_of(const struct tensor *t, int64_t rows, int64_t width) {
    struct rows of = {.data = NULL};
    if (t != NULL) {
        bool whole = tensor_is_rows(t, &of.stride);
        assert(whole && tensor_rows(t) == rows && tensor_width(t) == width);
        assert(t->type == DTYPE_F32 || t->type == DTYPE_BF16);
        of.data = t->data;
        of.type = t->type;
        (void)whole;
        (void)rows;
        (void)width;
    }
    return of;
}

static void copy_row(const struct level *level, void *out, enum dtype out_type, const void *x,
                     enum dtype type, size_t count) {
    if (out_type == type) {
        memcpy(out, x, count * dtype_size(type));
    } else if (out_type == DTYPE_BF16) {
        level->to_bf16(out, x, count);
    } else {
        level->from_bf16(out, x, count);
    }
}

void rows_copy(const struct level *level, const struct rows *out, const struct rows *x,
               int64_t count, int64_t width) {
    if (out->stride == width && x->stride == width) {
        copy_row(level, out->data, out->type, x->data, x->type, (size_t)(count * width));
        return;
    }
    for (int64_t r = 0; r < count; r++) {
        copy_row(level, rows_at(out, r).data, out->type, rows_at(x, r).data, x->type,
                 (size_t)width);
    }
}

static void activate_part(const struct level *level, float *x, size_t count,
                          enum activation activation) {
    switch (activation) {
    case ACTIVATION_NONE:
        break;
    case ACTIVATION_GELU:
        level->gelu(x, x, count);
        break;
    case ACTIVATION_QUICK_GELU:
        level->quick_gelu(x, x, count);
        break;
    case ACTIVATION_SILU:
        level->silu(x, x, count);
        break;
    }
}

void rows_activate(const struct level *level, const struct rows *x, int64_t count, int64_t width,
                   enum activation activation) {
    if (x->stride == width) {
        activate_part(level, x->data, (size_t)(count * width), activation);
        return;
    }
    for (int64_t r = 0; r < count; r++) {
        activate_part(level, rows_at(x, r).data, (size_t)width, activation);
    }
}

/* ---- Linear -------------------------------------------------------------------------- */

/* x, or what stands for it in the weights' type, which is valid until the next call. */
static int input_of(struct device *d, struct rows *out, const struct rows *x, int64_t count,
                    const struct packed *w, struct error *e) {
    *out = *x;
    if (x->type == w->type) {
        return 0;
    }
    *out = (struct rows){.stride = w->inputs, .type = w->type};
    int rc = cpu_scratch(&out->data, d, SCRATCH_INPUT,
                         (size_t)(count * w->inputs) * dtype_size(w->type), e);
    if (rc == 0) {
        rows_copy(cpu_device(d)->level, out, x, count, w->inputs);
    }
    return rc;
}

/* out = input W^T + bias [+ residual, which may be out]. */
static int product_of(struct device *d, const struct rows *out, const struct rows *input,
                      int64_t count, const struct packed *w, const struct rows *residual,
                      struct error *e) {
    if (residual != NULL && residual->data != out->data) {
        rows_copy(cpu_device(d)->level, out, residual, count, w->outputs);
    }
    return product_run(cpu_device(d)->products, out->data, out->type, out->stride, input->data,
                       input->stride, count, w, residual != NULL, e);
}

/* Products give F32; a level without BF16 gives nothing else, and activations are made of it. */
static int widened_block(struct device *d, const struct rows *out, const struct rows *x,
                         int64_t count, const struct packed *w, enum activation activation,
                         const struct rows *residual, struct error *e) {
    struct rows wide = {.stride = w->outputs, .type = DTYPE_F32};
    int rc =
        cpu_scratch(&wide.data, d, SCRATCH_RESULT, (size_t)(count * w->outputs) * sizeof(float), e);
    if (rc == 0) {
        rc = linear_block(d, &wide, x, count, w, activation, residual, e);
    }
    if (rc == 0) {
        rows_copy(cpu_device(d)->level, out, &wide, count, w->outputs);
    }
    return rc;
}

int linear_block(struct device *d, const struct rows *out, const struct rows *x, int64_t count,
                 const struct packed *w, enum activation activation, const struct rows *residual,
                 struct error *e) {
    struct rows input;
    assert(residual == NULL || activation == ACTIVATION_NONE);
    if (w->frozen) {
        return frozen_linear(d, out, x, count, w, activation, residual, e);
    }
    if (out->type == DTYPE_BF16 && (w->type != DTYPE_BF16 || activation != ACTIVATION_NONE)) {
        return widened_block(d, out, x, count, w, activation, residual, e);
    }
    int rc = input_of(d, &input, x, count, w, e);
    if (rc == 0) {
        rc = product_of(d, out, &input, count, w, residual, e);
    }
    if (rc == 0) {
        rows_activate(cpu_device(d)->level, out, count, w->outputs, activation);
    }
    return rc;
}

int cpu_linear(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct packed *w, enum activation activation, const struct tensor *residual,
               struct error *e) {
    int64_t rows = tensor_rows(x);
    struct rows to = rows_of(out, rows, w->outputs), from = rows_of(x, rows, w->inputs);
    struct rows rest = rows_of(residual, rows, w->outputs);
    int rc = 0;
    if (w->frozen) {
        return frozen_linear(d, &to, &from, rows, w, activation, residual != NULL ? &rest : NULL,
                             e);
    }
    for (int64_t r = 0; r < rows && rc == 0; r += LINEAR_BLOCK) {
        struct rows to_block = rows_at(&to, r), from_block = rows_at(&from, r);
        struct rows rest_block = rows_at(&rest, r);
        rc = linear_block(d, &to_block, &from_block, block_rows(r, rows), w, activation,
                          residual != NULL ? &rest_block : NULL, e);
    }
    return rc;
}

/* ---- Two of them --------------------------------------------------------------------- */

/* One block of an mlp. An exact GELU that a BF16 product reads is rounded at once. */
static int mlp_block(struct device *d, const struct rows *out, const struct rows *x, int64_t count,
                     const struct packed *w1, enum activation activation, const struct packed *w2,
                     const struct rows *residual, struct error *e) {
    bool fused = activation == ACTIVATION_GELU && w2->type == DTYPE_BF16;
    struct rows hidden = {.stride = w2->inputs, .type = DTYPE_F32};
    size_t elements = (size_t)(count * w2->inputs);
    int rc = cpu_scratch(&hidden.data, d, SCRATCH_HIDDEN, elements * sizeof(float), e);
    if (rc == 0) {
        rc = linear_block(d, &hidden, x, count, w1, fused ? ACTIVATION_NONE : activation, NULL, e);
    }
    if (rc == 0 && fused) {
        struct rows rounded = {.stride = w2->inputs, .type = DTYPE_BF16};
        rc = cpu_scratch(&rounded.data, d, SCRATCH_INPUT, elements * sizeof(uint16_t), e);
        if (rc == 0) {
            cpu_device(d)->level->gelu_to_bf16(rounded.data, hidden.data, elements);
        }
        hidden = rounded;
    }
    if (rc == 0) {
        rc = linear_block(d, out, &hidden, count, w2, ACTIVATION_NONE, residual, e);
    }
    return rc;
}

int cpu_mlp(struct device *d, const struct tensor *out, const struct tensor *x,
            const struct packed *w1, enum activation activation, const struct packed *w2,
            const struct tensor *residual, struct error *e) {
    int64_t rows = tensor_rows(x);
    struct rows to = rows_of(out, rows, w2->outputs), from = rows_of(x, rows, w1->inputs);
    struct rows rest = rows_of(residual, rows, w2->outputs);
    int rc = 0;
    assert(w2->inputs == w1->outputs);
    for (int64_t r = 0; r < rows && rc == 0; r += LINEAR_BLOCK) {
        struct rows to_block = rows_at(&to, r), from_block = rows_at(&from, r);
        struct rows rest_block = rows_at(&rest, r);
        rc = mlp_block(d, &to_block, &from_block, block_rows(r, rows), w1, activation, w2,
                       residual != NULL ? &rest_block : NULL, e);
    }
    return rc;
}
