/* classify.c - cross-entropy after a linear layer whose outputs are never all there at once: a
 * chunk of rows at a time. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"

enum {
    FEWEST_ROWS = 32, /* of a chunk: and their number is a multiple of it, for few shapes */
    MOST_ROWS = 256,
    LOGITS = 1 << 23 /* of a chunk, unless FEWEST_ROWS have more */
};

/* What the chunks share. */
struct classifier {
    struct device *d;
    const struct level *level;
    const struct tensor *x, *bias, *dx, *dweight, *dbias;
    const int32_t *labels;
    struct tensor weight; /* as products read it */
    int64_t rows, inputs, outputs;
    int64_t chunk; /* rows */
    float scale;
    /* Of a chunk; `inputs` and `slopes` as products read them. */
    void *input, *slopes;
    float *logits, *dinput;
    double loss;
};

static int64_t rounded_up(int64_t rows) {
    return (rows + FEWEST_ROWS - 1) / FEWEST_ROWS * FEWEST_ROWS;
}

static int64_t chunk_of(int64_t rows, int64_t outputs) {
    int64_t chunk = LOGITS / outputs / FEWEST_ROWS * FEWEST_ROWS;
    chunk = chunk > MOST_ROWS ? MOST_ROWS : chunk < FEWEST_ROWS ? FEWEST_ROWS : chunk;
    return rounded_up(rows) < chunk ? rounded_up(rows) : chunk;
}

static size_t rounded_bytes(int64_t count, size_t size) {
    return ((size_t)count * size + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT;
}

/* Scratch memory, and the weight in it where it is not as products read it. */
static int make_room(struct classifier *c, const struct tensor *weight, struct error *e) {
    enum dtype compute = c->d->compute;
    size_t unit = dtype_size(compute);
    bool converted = weight->type != compute;
    size_t input = rounded_bytes(c->chunk * c->inputs, unit);
    size_t logits = rounded_bytes(c->chunk * c->outputs, sizeof(float));
    size_t slopes = compute == DTYPE_F32 ? 0 : rounded_bytes(c->chunk * c->outputs, unit);
    size_t dinput = rounded_bytes(c->chunk * c->inputs, sizeof(float));
    size_t matrix = converted ? rounded_bytes(c->outputs * c->inputs, unit) : 0;
    void *scratch = NULL;
    int rc =
        cpu_scratch(&scratch, c->d, SCRATCH_CHUNK, input + logits + slopes + dinput + matrix, e);
    if (rc < 0) {
        return rc;
    }
    char *at = scratch;
    c->input = at;
    c->logits = (float *)(void *)(at + input);
    c->slopes = slopes > 0 ? at + input + logits : (char *)(void *)c->logits;
    c->dinput = (float *)(void *)(at + input + logits + slopes);
    c->weight = *weight;
    if (converted) {
        c->weight = tensor_matrix(at + input + logits + slopes + dinput, compute, c->d, c->outputs,
                                  c->inputs);
        rc = cpu_copy(c->d, &c->weight, weight, e);
    }
    return rc;
}

/* Logits become slopes of the loss. */
static void differentiate(struct classifier *c, int64_t first, int64_t count, int64_t padded) {
    size_t outputs = (size_t)c->outputs;
    float *dbias = c->dbias != NULL ? c->dbias->data : NULL;
    for (int64_t i = 0; i < padded; i++) {
        float *row = c->logits + i * c->outputs;
        if (i >= count || c->labels[first + i] < 0) {
            memset(row, 0, outputs * sizeof *row);
            continue;
        }
        assert(c->labels[first + i] < c->outputs);
        if (c->bias != NULL) {
            c->level->accumulate(row, c->bias->data, outputs);
        }
        c->loss += c->level->cross_entropy(row, row, c->labels[first + i], outputs, c->scale);
        if (dbias != NULL) {
            c->level->accumulate(dbias, row, outputs);
        }
    }
    if (c->d->compute == DTYPE_BF16) {
        c->level->to_bf16(c->slopes, c->logits, (size_t)padded * outputs);
    }
}

static int classify_chunk(struct classifier *c, int64_t first, struct error *e) {
    int64_t rest = c->rows - first, count = rest < c->chunk ? rest : c->chunk;
    int64_t padded = rounded_up(count);
    enum dtype compute = c->d->compute;
    const struct tensor rows = tensor_row_range(c->x, first, count);
    struct tensor input = tensor_matrix(c->input, compute, c->d, padded, c->inputs);
    struct tensor slopes = tensor_matrix(c->slopes, compute, c->d, padded, c->outputs);
    struct tensor logits = tensor_matrix(c->logits, DTYPE_F32, c->d, padded, c->outputs);
    struct tensor dinput = tensor_matrix(c->dinput, DTYPE_F32, c->d, padded, c->inputs);
    struct tensor held = tensor_row_range(&input, 0, count);
    struct tensor turned = tensor_transpose(&c->weight);
    memset(c->input, 0, tensor_bytes(&input));
    int rc = cpu_copy(c->d, &held, &rows, e);
    if (rc == 0) {
        rc = cpu_matmul(c->d, &logits, &input, &turned, NULL, false, e);
    }
    if (rc < 0) {
        return rc;
    }
    differentiate(c, first, count, padded);
    if (c->dx != NULL) {
        rc = cpu_matmul(c->d, &dinput, &slopes, &c->weight, NULL, false, e);
        const struct tensor from = tensor_row_range(&dinput, 0, count);
        const struct tensor to = tensor_row_range(c->dx, first, count);
        if (rc == 0) {
            rc = cpu_accumulate(c->d, &to, &from, e);
        }
    }
    if (rc == 0 && c->dweight != NULL) {
        const struct tensor by_output = tensor_transpose(&slopes);
        rc = cpu_matmul(c->d, c->dweight, &by_output, &input, NULL, true, e);
    }
    return rc;
}

static void check_vector(const struct tensor *t, int64_t width) {
    assert(t == NULL || (t->type == DTYPE_F32 && tensor_is_dense(t) && tensor_count(t) == width));
    (void)t;
    (void)width;
}

int cpu_classify(struct device *d, const struct tensor *loss, const struct tensor *dx,
                 const struct tensor *dweight, const struct tensor *dbias, const struct tensor *x,
                 const struct tensor *weight, const struct tensor *bias,
                 const struct tensor *labels, float scale, struct error *e) {
    struct classifier c = {.d = d,
                           .level = cpu_device(d)->level,
                           .x = x,
                           .bias = bias,
                           .dx = dx,
                           .dweight = dweight,
                           .dbias = dbias,
                           .labels = labels->data,
                           .rows = tensor_rows(x),
                           .inputs = tensor_width(x),
                           .outputs = tensor_rows(weight),
                           .scale = scale};
    assert(tensor_width(weight) == c.inputs && labels->type == DTYPE_I32);
    assert(tensor_is_dense(labels) && tensor_count(labels) == c.rows);
    check_vector(loss, 1);
    check_vector(bias, c.outputs);
    check_vector(dbias, c.outputs);
    c.chunk = chunk_of(c.rows, c.outputs);
    int rc = make_room(&c, weight, e);
    for (int64_t first = 0; first < c.rows && rc == 0; first += c.chunk) {
        rc = classify_chunk(&c, first, e);
    }
    if (rc == 0) {
        *(float *)loss->data += (float)c.loss;
    }
    return rc;
}
