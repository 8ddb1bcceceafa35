/* tape_loss.c - cross-entropy, also behind a linear layer whose outputs are never all there at
 * once. */
#include <assert.h>
#include <string.h>

#include "train/tape_state.h"

double tape_cross_entropy(struct tape *t, struct tensor *logits, const int32_t *labels,
                          float scale) {
    if (logits == NULL || t->rc < 0) {
        return 0;
    }
    double loss =
        t->kernels->cross_entropy(logits->value, labels, logits->rows, logits->width, scale);
    tape_seed(t, logits, logits->value);
    return loss;
}

/* ---- Classification ------------------------------------------------------------------------ */

/* Rows at a time: their logits stay in the cache, and products have one shape. */
enum { CHUNK = 256 };

struct classifying {
    struct step step;
    struct tensor *x;
    float *dx; /* computed on the way forward */
};

static void classify_backward(struct tape *t, struct step *step) {
    struct classifying *s = (struct classifying *)step;
    float *dx = tape_gradient(t, s->x);
    if (dx != NULL) {
        t->kernels->accumulate(dx, s->dx, tensor_count(s->x));
    }
}

/* What the chunks share. */
struct classifier {
    struct tape *t;
    struct tensor *x, *weight, *bias;
    const int32_t *labels;
    float scale;
    const void *matrix; /* the weight as products read it */
    float *rows, *logits, *dx;
    int32_t *chunk_labels;
};

static double classify_chunk(struct classifier *c, int64_t first, float *dx) {
    struct tape *t = c->t;
    int64_t width = c->x->width, classes = c->weight->rows;
    int64_t rest = c->x->rows - first, count = rest < CHUNK ? rest : CHUNK;
    size_t numbers = (size_t)(CHUNK * classes);
    memset(c->rows, 0, (size_t)(CHUNK * width) * sizeof *c->rows);
    memcpy(c->rows, c->x->value + first * width, (size_t)(count * width) * sizeof *c->rows);
    for (int64_t i = 0; i < CHUNK; i++) {
        c->chunk_labels[i] = i < count ? c->labels[first + i] : -1;
    }
    struct tape_mark mark = tape_mark(t);
    const void *rows = tape_convert(t, c->rows, (size_t)(CHUNK * width));
    if (rows == NULL) {
        return 0;
    }
    tape_multiply(t, c->logits, rows, false, c->matrix, true, CHUNK, classes, width, false);
    for (int64_t i = 0; i < CHUNK && c->bias != NULL; i++) {
        t->kernels->accumulate(c->logits + i * classes, c->bias->value, (size_t)classes);
    }
    double loss = t->kernels->cross_entropy(c->logits, c->chunk_labels, CHUNK, classes, c->scale);
    const void *gradient = tape_convert(t, c->logits, numbers);
    if (gradient != NULL && dx != NULL) {
        tape_multiply(t, c->dx, gradient, false, c->matrix, false, CHUNK, width, classes, false);
        memcpy(dx + first * width, c->dx, (size_t)(count * width) * sizeof *dx);
    }
    float *dweight = tape_gradient(t, c->weight);
    if (gradient != NULL && dweight != NULL) {
        tape_multiply(t, dweight, gradient, true, rows, false, classes, width, CHUNK, true);
    }
    float *dbias = c->bias != NULL ? tape_gradient(t, c->bias) : NULL;
    if (dbias != NULL) {
        t->kernels->add_rows(dbias, c->logits, CHUNK, classes);
    }
    tape_release(t, mark);
    return loss;
}

double tape_classify(struct tape *t, struct tensor *x, struct tensor *weight, struct tensor *bias,
                     const int32_t *labels, float scale) {
    if (x == NULL || weight == NULL || t->rc < 0) {
        return 0;
    }
    assert(x->width == weight->width);
    struct classifier c = {
        .t = t, .x = x, .weight = weight, .bias = bias, .labels = labels, .scale = scale};
    c.matrix = tape_operand(t, weight);
    struct classifying *s = x->wanted ? tape_note(t, sizeof *s, classify_backward) : NULL;
    float *dx = x->wanted ? tape_alloc(t, tensor_count(x), sizeof *dx) : NULL;
    tape_gradient(t, weight); /* made before the mark, so that it outlives it */
    if (bias != NULL) {
        tape_gradient(t, bias);
    }
    if (s != NULL) {
        s->x = x;
        s->dx = dx;
    }
    struct tape_mark mark = tape_mark(t);
    c.rows = tape_alloc(t, (size_t)(CHUNK * x->width), sizeof *c.rows);
    c.dx = tape_alloc(t, (size_t)(CHUNK * x->width), sizeof *c.dx);
    c.logits = tape_alloc(t, (size_t)(CHUNK * weight->rows), sizeof *c.logits);
    c.chunk_labels = tape_alloc(t, CHUNK, sizeof *c.chunk_labels);
    double loss = 0;
    for (int64_t i = 0; i < x->rows && t->rc == 0; i += CHUNK) {
        loss += classify_chunk(&c, i, dx);
    }
    tape_release(t, mark);
    return loss;
}
