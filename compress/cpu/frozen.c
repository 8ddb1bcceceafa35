/* frozen.c - see frozen.h: products with matrices that are taken apart a panel at a time. */
#include "compress/cpu/frozen.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "compress/cpu/gemm.h"
#include "compress/cpu/ops.h"

/* ---- Matrices -------------------------------------------------------------------------------- */

int cpu_pack_frozen(struct device *d, struct packed **out, const struct frozen_matrix *matrix,
                    struct error *e) {
    struct frozen *w = calloc(1, sizeof *w);
    *out = NULL;
    if (w == NULL) {
        return error_memory(e, NULL);
    }
    assert(matrix->outputs > 0 && matrix->inputs > 0);
    assert(matrix->format != FROZEN_U4 || matrix->block == 32);
    w->matrix = *matrix;
    w->head = (struct packed){.outputs = matrix->outputs,
                              .inputs = matrix->inputs,
                              .type = d->compute,
                              .bytes = frozen_bytes(matrix),
                              .frozen = true};
    *out = &w->head;
    return 0;
}

static const void *moved(const void *data, int64_t bytes) {
    return data != NULL ? (const char *)data + bytes : NULL;
}

struct frozen frozen_part(const struct packed *w, int64_t first, int64_t count) {
    struct frozen part = *frozen_of(w);
    struct frozen_matrix *m = &part.matrix, one = part.matrix;
    assert(w->frozen && first >= 0 && count > 0 && first + count <= m->outputs);
    one.outputs = first;
    one.scales = one.minima = NULL;
    m->values = moved(m->values, (int64_t)frozen_value_bytes(&one));
    if (m->scales != NULL) {
        const int64_t scales = first * (m->inputs / m->block) * (int64_t)dtype_size(m->scale_type);
        m->scales = moved(m->scales, scales);
        m->minima = moved(m->minima, scales);
    }
    m->outputs = part.head.outputs = count;
    part.head.bytes = frozen_bytes(m);
    return part;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static struct tensor tensor_of_rows(struct device *d, const struct rows *x, int64_t count,
                                    int64_t width) {
    struct tensor t = tensor_matrix(x->data, x->type, d, count, width);
    t.stride[2] = x->stride;
    t.stride[1] = t.stride[0] = x->stride * count;
    return t;
}

/* From column c on. */
static struct rows columns_at(const struct rows *x, int64_t c) {
    struct rows rest = *x;
    if (rest.data != NULL) {
        rest.data = (char *)rest.data + c * (int64_t)dtype_size(x->type);
    }
    return rest;
}

/* out = activation(result) + residual. */
static int finish(struct device *d, const struct rows *out, const struct rows *result,
                  int64_t count, int64_t width, enum activation activation,
                  const struct rows *residual, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    rows_activate(level, result, count, width, activation);
    if (residual == NULL) {
        rows_copy(level, out, result, count, width);
        return 0;
    }
    const struct tensor to = tensor_of_rows(d, out, count, width);
    const struct tensor from = tensor_of_rows(d, result, count, width);
    const struct tensor rest = tensor_of_rows(d, residual, count, width);
    return cpu_add(d, &to, &from, &rest, e);
}

/* ---- Products with many rows ----------------------------------------------------------------- */

static struct gemm_factor factor_of_rows(const struct rows *x) {
    return (struct gemm_factor){
        .data = x->data, .type = x->type, .outer_step = x->stride, .inner_step = 1};
}

/* Its inputs are the inner dimension of the product, or its outputs. */
static struct gemm_factor factor_of_matrix(const struct frozen *w, bool inner_inputs) {
    const struct frozen_matrix *m = &w->matrix;
    const bool bf16 = m->format == FROZEN_BF16;
    return (struct gemm_factor){.data = m->values,
                                .type = bf16 ? DTYPE_BF16 : DTYPE_F32,
                                .outer_step = inner_inputs ? m->inputs : 1,
                                .inner_step = inner_inputs ? 1 : m->inputs,
                                .frozen = m};
}

static int many_rows(struct device *d, const struct rows *out, const struct rows *x, int64_t count,
                     const struct frozen *w, enum activation activation,
                     const struct rows *residual, struct error *e) {
    const struct gemm g = {.compute = w->head.type,
                           .m = count,
                           .n = w->head.outputs,
                           .k = w->head.inputs,
                           .a = factor_of_rows(x),
                           .b = factor_of_matrix(w, true),
                           .out = *out,
                           .activation = activation,
                           .residual = residual != NULL ? *residual : (struct rows){0}};
    return gemm_run(d, &g, e);
}

/* ---- Products with a few rows ---------------------------------------------------------------- */

enum {
    FEW_ROWS = 2 * FROZEN_DOT_ROWS, /* for which unpacking takes longer than reading twice */
    DOT_OUTPUTS = 512               /* at a time */
};

enum { PIECE = 32, SUMS = 16, HALVES = 128 };

/* Sums of each 32 numbers of a row, of every eighth first. */
static void sum_pieces(float *out, const float *x, int64_t pieces) {
    enum { LANES = 8 };
    for (int64_t p = 0; p < pieces; p++, x += PIECE) {
        float sums[LANES] = {0};
        for (int i = 0; i < PIECE; i += LANES) {
            for (int k = 0; k < LANES; k++) {
                sums[k] += x[i + k];
            }
        }
        for (int k = 0; k < LANES; k++) {
            out[p] += sums[k];
        }
    }
}

/* x (count, inputs) as the kernels read it, with rows of zeros up to dots->rows. */
static int prepare(struct device *d, struct frozen_dots *dots, const struct rows *x, int64_t count,
                   const struct frozen *w, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    const bool four_bits = w->matrix.format == FROZEN_U4;
    const int64_t inputs = w->head.inputs, stride = round_up(inputs, HALVES);
    const int64_t sums = four_bits ? round_up(inputs / PIECE, SUMS) : 0;
    const bool ordered = four_bits && w->head.type == DTYPE_BF16 && level->order_halves != NULL;
    const int64_t halved = ordered ? stride / 2 : 0; /* floats */
    const size_t numbers = (size_t)(dots->rows * (stride + sums + halved + DOT_OUTPUTS));
    void *scratch = NULL;
    int rc = cpu_scratch(&scratch, d, SCRATCH_GEMM, numbers * sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    float *floats = memset(scratch, 0, numbers * sizeof(float));
    float *totals = floats + dots->rows * stride, *halves = totals + dots->rows * sums;
    const struct rows to = {.data = floats, .stride = stride, .type = DTYPE_F32};
    rows_copy(level, &to, x, count, inputs);
    for (int64_t r = 0; r < count && four_bits; r++) {
        if (ordered) {
            level->order_halves((uint16_t *)(void *)(halves + r * halved), floats + r * stride,
                                stride);
        }
        sum_pieces(totals + r * sums, floats + r * stride, inputs / PIECE);
    }
    dots->x = floats;
    dots->x_stride = stride;
    dots->sums = totals;
    dots->sums_stride = sums;
    dots->halves = ordered ? (const uint16_t *)(const void *)halves : NULL;
    dots->halves_stride = 2 * halved;
    dots->out = halves + dots->rows * halved;
    dots->out_stride = DOT_OUTPUTS;
    return 0;
}

/* FROZEN_DOT_ROWS at most. */
static int few_rows(struct device *d, const struct rows *out, const struct rows *x, int64_t count,
                    const struct frozen *w, enum activation activation, const struct rows *residual,
                    struct error *e) {
    struct frozen_dots dots = {.rows = 1};
    while (dots.rows < count) {
        dots.rows *= 2;
    }
    int rc = prepare(d, &dots, x, count, w, e);
    const struct rows result = {.data = dots.out, .stride = DOT_OUTPUTS, .type = DTYPE_F32};
    for (int64_t first = 0; first < w->head.outputs && rc == 0; first += DOT_OUTPUTS) {
        const int64_t left = w->head.outputs - first;
        const int64_t outputs = left < DOT_OUTPUTS ? left : DOT_OUTPUTS;
        const struct rows to = columns_at(out, first);
        const struct rows rest = residual != NULL ? columns_at(residual, first) : (struct rows){0};
        cpu_device(d)->level->frozen_dots(&dots, &w->matrix, first, outputs);
        rc =
            finish(d, &to, &result, count, outputs, activation, residual != NULL ? &rest : NULL, e);
    }
    return rc;
}

static int64_t blocks_of(const struct packed *w) {
    const struct frozen_matrix *m = &frozen_of(w)->matrix;
    return m->scales != NULL ? m->inputs / m->block : 0;
}

bool frozen_by_outputs(const struct packed *w, int64_t rows) {
    return rows <= FEW_ROWS && blocks_of(w) <= FROZEN_DOT_BLOCKS;
}

int frozen_linear(struct device *d, const struct rows *out, const struct rows *x, int64_t count,
                  const struct packed *w, enum activation activation, const struct rows *residual,
                  struct error *e) {
    int rc = 0;
    if (!frozen_by_outputs(w, count)) {
        return many_rows(d, out, x, count, frozen_of(w), activation, residual, e);
    }
    for (int64_t r = 0; r < count && rc == 0; r += FROZEN_DOT_ROWS) {
        const int64_t rows = count - r < FROZEN_DOT_ROWS ? count - r : FROZEN_DOT_ROWS;
        const struct rows to = rows_at(out, r), from = rows_at(x, r);
        const struct rows rest = residual != NULL ? rows_at(residual, r) : (struct rows){0};
        rc = few_rows(d, &to, &from, rows, frozen_of(w), activation,
                      residual != NULL ? &rest : NULL, e);
    }
    return rc;
}

int cpu_linear_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                        const struct packed *w, bool accumulate, struct error *e) {
    const int64_t rows = tensor_rows(dy);
    const struct rows from = rows_of(dy, rows, w->outputs);
    const struct gemm g = {.compute = w->type,
                           .m = rows,
                           .n = w->inputs,
                           .k = w->outputs,
                           .a = factor_of_rows(&from),
                           .b = factor_of_matrix(frozen_of(w), false),
                           .out = rows_of(dx, rows, w->inputs),
                           .accumulate = accumulate};
    assert(w->frozen && dx->type == DTYPE_F32);
    return gemm_run(d, &g, e);
}

/* ---- Rows by number -------------------------------------------------------------------------- */

int cpu_gather_packed(struct device *d, const struct tensor *out, const struct packed *w,
                      const struct tensor *index, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    const int64_t rows = tensor_rows(out);
    const int32_t *numbers = index->data;
    struct rows to = rows_of(out, rows, w->inputs);
    void *line = NULL;
    assert(w->frozen && index->type == DTYPE_I32 && tensor_is_dense(index));
    assert(tensor_count(index) == rows);
    int rc = cpu_scratch(&line, d, SCRATCH_GEMM, (size_t)w->inputs * sizeof(float), e);
    for (int64_t r = 0; r < rows && rc == 0; r++) {
        const struct rows from = {.data = line, .stride = w->inputs, .type = DTYPE_F32};
        const struct rows row = rows_at(&to, r);
        assert(numbers[r] < w->outputs);
        if (numbers[r] >= 0) {
            level->unpack(line, &frozen_of(w)->matrix, numbers[r], 0, w->inputs);
        } else {
            memset(line, 0, (size_t)w->inputs * sizeof(float));
        }
        rows_copy(level, &row, &from, 1, w->inputs);
    }
    return rc;
}
