/* classify.c - cross-entropy after a linear layer whose outputs are never all there at once: a
 * chunk of rows at a time. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/team.h"

/* What the chunks share. */
struct classifier {
    struct device *d;
    const struct tensor *x, *bias, *dx, *dweight, *dbias;
    const int32_t *labels;
    const struct packed *packed; /* NULL: */
    struct tensor weight;        /* as products read it */
    int64_t rows, inputs, outputs;
    int64_t chunk; /* rows */
    float scale;
    /* Of a chunk. Slopes of the loss take the place of the logits that they are of, row by row, as
     * products read them. */
    void *input;
    float *logits, *dinput;
    int32_t places[CLASSIFY_MOST_ROWS]; /* of its rows in x; -1: none */
    int64_t padded, pieces;             /* rows, and how many threads differentiate them */
    double losses[CLASSIFY_MOST_ROWS], loss;
};

static size_t rounded_bytes(int64_t count, size_t size) {
    return ((size_t)count * size + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT;
}

/* As many rows as are best, or as lent memory has room for. */
static int64_t chunk_of(const struct classifier *c) {
    int64_t chunk = classify_rows(c->rows, c->outputs);
    while (c->d->lent != NULL && chunk > 1 &&
           classify_bytes(chunk, c->inputs, c->outputs) > c->d->lent_bytes) {
        chunk--;
    }
    return chunk;
}

/* Memory that is lent, or scratch memory; the weight in the latter where it is not as products read
 * it. */
static int make_room(struct classifier *c, const struct tensor *weight, struct error *e) {
    enum dtype compute = c->d->compute;
    size_t unit = dtype_size(compute);
    bool converted = weight != NULL && weight->type != compute;
    size_t input = rounded_bytes(c->chunk * c->inputs, unit);
    size_t logits = rounded_bytes(c->chunk * c->outputs, sizeof(float));
    size_t dinput = rounded_bytes(c->chunk * c->inputs, sizeof(float));
    size_t matrix = converted ? rounded_bytes(c->outputs * c->inputs, unit) : 0;
    void *scratch = c->d->lent;
    int rc = 0;
    if (scratch == NULL || c->d->lent_bytes < input + logits + dinput + matrix) {
        rc = cpu_scratch(&scratch, c->d, SCRATCH_CHUNK, input + logits + dinput + matrix, e);
    }
    if (rc < 0) {
        return rc;
    }
    char *at = scratch;
    c->input = at;
    c->logits = (float *)(void *)(at + input);
    c->dinput = (float *)(void *)(at + input + logits);
    if (converted) {
        c->weight =
            tensor_matrix(at + input + logits + dinput, compute, c->d, c->outputs, c->inputs);
        rc = c->d->ops->copy(c->d, &c->weight, weight, e);
    } else if (weight != NULL) {
        c->weight = *weight;
    }
    return rc;
}

/* The last chunk's number of rows is made one that is met more often. */
static int64_t padded_rows(const struct classifier *c, int64_t count) {
    const int64_t rows = classify_rows(count, c->outputs);
    return rows < c->chunk ? rows : c->chunk;
}

/* The next rows that count, from *next on: at most a chunk. */
static int64_t choose(struct classifier *c, int64_t *next) {
    int64_t count = 0;
    for (; *next < c->rows && count < c->chunk; ++*next) {
        if (c->labels[*next] >= 0) {
            c->places[count++] = (int32_t)*next;
        }
    }
    for (int64_t i = count; i < padded_rows(c, count); i++) {
        c->places[i] = -1;
    }
    return count;
}

/* The logits of row i of the chunk become slopes of its loss. */
static void differentiate(struct classifier *c, const struct level *level, int64_t i) {
    const size_t outputs = (size_t)c->outputs;
    float *row = c->logits + i * c->outputs;
    c->losses[i] = 0;
    if (c->places[i] < 0) {
        memset(row, 0, outputs * sizeof *row);
        return;
    }
    const int32_t label = c->labels[c->places[i]];
    assert(label < c->outputs);
    if (c->bias != NULL) {
        level->accumulate(row, c->bias->data, outputs);
    }
    c->losses[i] = level->cross_entropy(row, row, label, outputs, c->scale);
    if (c->dbias != NULL) {
        level->accumulate(c->dbias->data, row, outputs);
    }
    if (c->d->compute == DTYPE_BF16) {
        level->to_bf16((uint16_t *)(void *)row, row, outputs);
    }
}

static int differentiate_piece(struct device *d, int64_t piece, void *context, struct error *e) {
    struct classifier *c = context;
    const struct share rows = share_at(c->padded, 1, piece, c->pieces);
    (void)e;
    for (int64_t i = rows.first; i < rows.first + rows.count; i++) {
        differentiate(c, cpu_device(d)->level, i);
    }
    return 0;
}

/* All rows of the chunk; the bias's gradient is a sum over them. */
static int differentiate_rows(struct classifier *c, int64_t padded, struct error *e) {
    c->padded = padded;
    c->pieces = c->dbias == NULL ? cpu_pieces(c->d, padded, padded * c->outputs) : 1;
    int rc = cpu_share(c->d, c->pieces, differentiate_piece, c, e);
    for (int64_t i = 0; i < padded && rc == 0; i++) {
        c->loss += c->losses[i];
    }
    return rc;
}

static int logits_of(struct classifier *c, const struct tensor *logits, const struct tensor *input,
                     struct error *e) {
    if (c->packed != NULL) {
        return c->d->ops->linear(c->d, logits, input, c->packed, ACTIVATION_NONE, NULL, e);
    }
    const struct tensor turned = tensor_transpose(&c->weight);
    return c->d->ops->matmul(c->d, logits, input, &turned, NULL, false, e);
}

static int input_gradient(struct classifier *c, const struct tensor *dinput,
                          const struct tensor *slopes, struct error *e) {
    if (c->packed != NULL) {
        return c->d->ops->linear_backward(c->d, dinput, slopes, c->packed, false, e);
    }
    return c->d->ops->matmul(c->d, dinput, slopes, &c->weight, NULL, false, e);
}

static int classify_chunk(struct classifier *c, int64_t count, struct error *e) {
    const int64_t padded = padded_rows(c, count);
    const enum dtype compute = c->d->compute;
    const struct tensor places = tensor_vector(c->places, DTYPE_I32, c->d, padded);
    const struct tensor input = tensor_matrix(c->input, compute, c->d, padded, c->inputs);
    const struct tensor logits = tensor_matrix(c->logits, DTYPE_F32, c->d, padded, c->outputs);
    const struct tensor dinput = tensor_matrix(c->dinput, DTYPE_F32, c->d, padded, c->inputs);
    const int64_t apart = c->outputs * (int64_t)(sizeof(float) / dtype_size(compute));
    const struct tensor wide = tensor_matrix(c->logits, compute, c->d, padded, apart);
    const struct tensor slopes = tensor_column_range(&wide, 0, c->outputs);
    int rc = c->d->ops->gather(c->d, &input, c->x, &places, e);
    if (rc == 0) {
        rc = logits_of(c, &logits, &input, e);
    }
    if (rc == 0) {
        rc = differentiate_rows(c, padded, e);
    }
    if (rc == 0 && c->dx != NULL) {
        rc = input_gradient(c, &dinput, &slopes, e);
        if (rc == 0) {
            rc = c->d->ops->scatter_add(c->d, c->dx, &dinput, &places, e);
        }
    }
    if (rc == 0 && c->dweight != NULL) {
        const struct tensor by_output = tensor_transpose(&slopes);
        rc = c->d->ops->matmul(c->d, c->dweight, &by_output, &input, NULL, true, e);
    }
    return rc;
}

/* Rows that do not count cost nothing. */
static int classify(struct classifier *c, const struct tensor *loss, const struct tensor *weight,
                    const struct tensor *labels, struct error *e) {
    assert(labels->type == DTYPE_I32 && tensor_is_dense(labels));
    assert(tensor_count(labels) == c->rows && c->rows <= INT32_MAX);
    c->labels = labels->data;
    c->chunk = chunk_of(c);
    int rc = make_room(c, weight, e);
    for (int64_t next = 0; next < c->rows && rc == 0;) {
        const int64_t count = choose(c, &next);
        rc = count > 0 ? classify_chunk(c, count, e) : 0;
    }
    if (rc == 0) {
        *(float *)loss->data += (float)c->loss;
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
                           .x = x,
                           .bias = bias,
                           .dx = dx,
                           .dweight = dweight,
                           .dbias = dbias,
                           .rows = tensor_rows(x),
                           .inputs = tensor_width(x),
                           .outputs = tensor_rows(weight),
                           .scale = scale};
    assert(tensor_width(weight) == c.inputs);
    check_vector(loss, 1);
    check_vector(bias, c.outputs);
    check_vector(dbias, c.outputs);
    return classify(&c, loss, weight, labels, e);
}

int cpu_classify_packed(struct device *d, const struct tensor *loss, const struct tensor *dx,
                        const struct tensor *x, const struct packed *w, const struct tensor *labels,
                        float scale, struct error *e) {
    struct classifier c = {.d = d,
                           .x = x,
                           .dx = dx,
                           .packed = w,
                           .rows = tensor_rows(x),
                           .inputs = w->inputs,
                           .outputs = w->outputs,
                           .scale = scale};
    assert(w->frozen && tensor_width(x) == w->inputs);
    check_vector(loss, 1);
    return classify(&c, loss, NULL, labels, e);
}
