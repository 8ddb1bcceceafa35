/* linear.c - products by packed weights, in blocks of rows that stay in the cache between the
 * steps of an operation. */
#include "compress/cpu/linear.h"

#include <assert.h>
#include <string.h>

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
    product_packed_close(w);
}

int linear_input(struct device *d, struct rows *out, const struct rows *x, int64_t count,
                 const struct packed *w, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    void *scratch = NULL;
    *out = *x;
    if (w->type != DTYPE_BF16) {
        return 0;
    }
    int rc =
        cpu_scratch(&scratch, d, SCRATCH_INPUT, (size_t)(count * w->inputs) * sizeof(uint16_t), e);
    if (rc < 0) {
        return rc;
    }
    uint16_t *to = scratch;
    if (x->stride == w->inputs) {
        level->to_bf16(to, x->data, (size_t)(count * w->inputs));
    }
    for (int64_t r = 0; r < count && x->stride != w->inputs; r++) {
        level->to_bf16(to + r * w->inputs, rows_at(x, r).data, (size_t)w->inputs);
    }
    *out = (struct rows){to, w->inputs};
    return 0;
}

int linear_product(struct device *d, const struct rows *out, const struct rows *input,
                   int64_t count, const struct packed *w, const struct rows *residual,
                   struct error *e) {
    size_t row = (size_t)w->outputs * sizeof(float);
    for (int64_t r = 0; residual != NULL && residual->data != out->data && r < count; r++) {
        memcpy(rows_at(out, r).data, rows_at(residual, r).data, row);
    }
    return product_run(cpu_device(d)->products, out->data, out->stride, input->data, input->stride,
                       count, w, residual != NULL, e);
}

static void activate(const struct level *level, float *x, size_t count,
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
        assert(activation != ACTIVATION_SILU);
        break;
    }
}

/* One block: out = activation(x W^T + bias) [+ residual]. */
static int linear_block(struct device *d, const struct rows *out, const struct rows *x,
                        int64_t count, const struct packed *w, enum activation activation,
                        const struct rows *residual, struct error *e) {
    struct rows input;
    assert(residual == NULL || activation == ACTIVATION_NONE);
    int rc = linear_input(d, &input, x, count, w, e);
    if (rc == 0) {
        rc = linear_product(d, out, &input, count, w, residual, e);
    }
    if (rc == 0 && out->stride == w->outputs) {
        activate(cpu_device(d)->level, out->data, (size_t)(count * w->outputs), activation);
        return 0;
    }
    for (int64_t r = 0; r < count && rc == 0; r++) {
        activate(cpu_device(d)->level, rows_at(out, r).data, (size_t)w->outputs, activation);
    }
    return rc;
}

struct rows rows_of(const struct tensor *t, int64_t rows, int64_t width) {
    struct rows of = {.data = t->data};
    bool whole = tensor_is_rows(t, &of.stride);
    assert(whole && t->type == DTYPE_F32 && tensor_rows(t) == rows && tensor_width(t) == width);
    (void)whole;
    (void)rows;
    (void)width;
    return of;
}

int cpu_linear(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct packed *w, enum activation activation, const struct tensor *residual,
               struct error *e) {
    int64_t rows = tensor_rows(x);
    struct rows to = rows_of(out, rows, w->outputs), from = rows_of(x, rows, w->inputs);
    struct rows rest = residual != NULL ? rows_of(residual, rows, w->outputs) : (struct rows){0};
    int rc = 0;
    for (int64_t r = 0; r < rows && rc == 0; r += LINEAR_BLOCK) {
        struct rows to_block = rows_at(&to, r), from_block = rows_at(&from, r);
        struct rows rest_block = rows_at(&rest, r);
        rc = linear_block(d, &to_block, &from_block, block_rows(r, rows), w, activation,
                          residual != NULL ? &rest_block : NULL, e);
    }
    return rc;
}

/* A block of an mlp whose activation goes to BF16 at once. */
static int mlp_block_bf16(struct device *d, const struct rows *out, const struct rows *x,
                          const struct rows *hidden, int64_t count, const struct packed *w1,
                          const struct packed *w2, const struct rows *residual, struct error *e) {
    void *input = NULL;
    int rc = linear_block(d, hidden, x, count, w1, ACTIVATION_NONE, NULL, e);
    if (rc == 0) {
        rc = cpu_scratch(&input, d, SCRATCH_INPUT, (size_t)(count * w2->inputs) * sizeof(uint16_t),
                         e);
    }
    if (rc < 0) {
        return rc;
    }
    const struct rows rounded = {input, w2->inputs};
    cpu_device(d)->level->gelu_to_bf16(input, hidden->data, (size_t)(count * w2->inputs));
    return linear_product(d, out, &rounded, count, w2, residual, e);
}

int cpu_mlp(struct device *d, const struct tensor *out, const struct tensor *x,
            const struct packed *w1, enum activation activation, const struct packed *w2,
            const struct tensor *residual, struct error *e) {
    int64_t rows = tensor_rows(x);
    struct rows to = rows_of(out, rows, w2->outputs), from = rows_of(x, rows, w1->inputs);
    struct rows rest = rows_of(residual, rows, w2->outputs);
    bool fused = activation == ACTIVATION_GELU && w2->type == DTYPE_BF16;
    void *scratch = NULL;
    assert(w2->inputs == w1->outputs);
    int rc = cpu_scratch(&scratch, d, SCRATCH_HIDDEN,
                         (size_t)(LINEAR_BLOCK * w2->inputs) * sizeof(float), e);
    const struct rows hidden = {scratch, w2->inputs};
    for (int64_t r = 0; r < rows && rc == 0; r += LINEAR_BLOCK) {
        struct rows to_block = rows_at(&to, r), from_block = rows_at(&from, r);
        struct rows rest_block = rows_at(&rest, r);
        int64_t count = block_rows(r, rows);
        if (fused) {
            rc = mlp_block_bf16(d, &to_block, &from_block, &hidden, count, w1, w2, &rest_block, e);
            continue;
        }
        rc = linear_block(d, &hidden, &from_block, count, w1, activation, NULL, e);
        if (rc == 0) {
            rc = linear_block(d, &to_block, &hidden, count, w2, ACTIVATION_NONE, &rest_block, e);
        }
    }
    return rc;
}
