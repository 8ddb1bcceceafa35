/* tape_attention.c - attention with the decomposed relative-position bias.
 *
 * A group is one head of one sequence. Scores (tokens, tokens) are held of as many groups at a time
 * as fit SCORES, forward and, computed again, backward. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "train/tape_state.h"

enum { SCORES = 1 << 20 /* numbers: 4 MiB */ };

struct attending {
    struct step step;
    struct tensor *qkv, *y;
    struct tape_attention shape;
};

/* Some groups, taken apart. */
struct groups {
    struct tape *t;
    const struct tape_attention *shape;
    int64_t first, count;      /* groups */
    const void *q, *k, *v;     /* (count, tokens, head_dim), as products read them */
    float *p;                  /* (count, tokens, tokens): softmax of the scores */
    const void *rel_h, *rel_w; /* as products read them */
};

static int64_t groups_at_once(const struct tape_attention *s, int64_t groups) {
    int64_t count = SCORES / (s->tokens * s->tokens);
    return count < 1 ? 1 : count > groups ? groups : count;
}

/* Moves the rows of one of `parts` matrices beside each other in x (sequences * tokens, parts *
 * heads * head_dim) to groups (count, tokens, head_dim); `back` adds them the other way round. */
static void split(const struct groups *g, float *x, int64_t parts, int64_t part, float *group,
                  bool back) {
    const struct tape_attention *s = g->shape;
    int64_t dim = s->heads * s->head_dim;
    for (int64_t i = g->first; i < g->first + g->count; i++) {
        float *from =
            x + i / s->heads * s->tokens * parts * dim + part * dim + i % s->heads * s->head_dim;
        for (int64_t r = 0; r < s->tokens; r++, from += parts * dim, group += s->head_dim) {
            if (back) {
                g->t->kernels->accumulate(from, group, (size_t)s->head_dim);
            } else {
                memcpy(group, from, (size_t)s->head_dim * sizeof *group);
            }
        }
    }
}

static size_t group_numbers(const struct groups *g) {
    return (size_t)(g->count * g->shape->tokens * g->shape->head_dim);
}

/* A part as products read it; NULL: failed. */
static const void *split_operand(const struct groups *g, float *x, int64_t parts, int64_t part) {
    float *group = tape_alloc(g->t, group_numbers(g), sizeof *group);
    if (group == NULL) {
        return NULL;
    }
    split(g, x, parts, part, group, false);
    return tape_convert(g->t, group, group_numbers(g));
}

static void batch_multiply(const struct groups *g, float *out, const void *a, bool a_transposed,
                           const void *b, bool b_transposed, int64_t m, int64_t n, int64_t k,
                           bool accumulate) {
    const struct product_shape shape = {.batch = g->count,
                                        .m = m,
                                        .n = n,
                                        .k = k,
                                        .a_transposed = a_transposed,
                                        .b_transposed = b_transposed,
                                        .accumulate = accumulate,
                                        .type = g->t->compute};
    struct error e;
    int rc = g->t->rc == 0 ? g->t->ops->multiply(g->t->context, out, a, b, &shape, &e) : 0;
    if (rc < 0) {
        tape_fail(g->t, rc, &e);
    }
}

/* q . rel for all positions of a table: (count * tokens, 2 side - 1). */
static float *against(const struct groups *g, const void *rel, int64_t side) {
    int64_t rows = g->count * g->shape->tokens, width = 2 * side - 1;
    float *out = tape_alloc(g->t, (size_t)(rows * width), sizeof *out);
    if (out != NULL) {
        tape_multiply(g->t, out, g->q, false, rel, true, rows, width, g->shape->head_dim, false);
    }
    return out;
}

/* Scores (rows of all groups, tokens) = scale * scores + bias. */
static void scale_and_bias(const struct groups *g, const float *by_h, const float *by_w) {
    const struct tape_attention *s = g->shape;
    float scale = 1.0f / sqrtf((float)s->head_dim);
    for (int64_t row = 0; row < g->count * s->tokens; row++) {
        float *scores = g->p + row * s->tokens;
        if (by_h == NULL) {
            for (int64_t i = 0; i < s->tokens; i++) {
                scores[i] *= scale;
            }
            continue;
        }
        int64_t y = row % s->tokens / s->width, x = row % s->width;
        const float *h = by_h + row * (2 * s->height - 1) + y + s->height - 1;
        const float *w = by_w + row * (2 * s->width - 1) + x + s->width - 1;
        for (int64_t ky = 0; ky < s->height; ky++, scores += s->width) {
            for (int64_t kx = 0; kx < s->width; kx++) {
                scores[kx] = scores[kx] * scale + h[-ky] + w[-kx];
            }
        }
    }
}

/* q, k, v and the softmax. False: failed. */
static bool groups_open(struct groups *g, struct tensor *qkv) {
    const struct tape_attention *s = g->shape;
    struct tape *t = g->t;
    float *by_h = NULL, *by_w = NULL;
    g->q = split_operand(g, qkv->value, 3, 0);
    g->k = split_operand(g, qkv->value, 3, 1);
    g->v = split_operand(g, qkv->value, 3, 2);
    g->p = tape_alloc(t, (size_t)(g->count * s->tokens * s->tokens), sizeof *g->p);
    if (t->rc == 0 && s->rel_h != NULL) {
        g->rel_h = tape_operand(t, s->rel_h);
        g->rel_w = tape_operand(t, s->rel_w);
        by_h = g->rel_h != NULL ? against(g, g->rel_h, s->height) : NULL;
        by_w = g->rel_w != NULL ? against(g, g->rel_w, s->width) : NULL;
    }
    if (t->rc < 0) {
        return false;
    }
    batch_multiply(g, g->p, g->q, false, g->k, true, s->tokens, s->tokens, s->head_dim, false);
    scale_and_bias(g, by_h, by_w);
    t->kernels->softmax(g->p, g->count * s->tokens, s->tokens);
    return t->rc == 0;
}

/* ---- Forward ------------------------------------------------------------------------------ */

static void attend(struct groups *g, struct tensor *qkv, struct tensor *y) {
    const struct tape_attention *s = g->shape;
    struct tape_mark mark = tape_mark(g->t);
    float *out = NULL;
    const void *p = NULL;
    if (groups_open(g, qkv)) {
        out = tape_alloc(g->t, group_numbers(g), sizeof *out);
        p = tape_convert(g->t, g->p, (size_t)(g->count * s->tokens * s->tokens));
    }
    if (out != NULL && p != NULL) {
        batch_multiply(g, out, p, false, g->v, false, s->tokens, s->head_dim, s->tokens, false);
        split(g, y->value, 1, 0, out, true);
    }
    tape_release(g->t, mark);
}

/* ---- Backward ----------------------------------------------------------------------------- */

/* The gradient of the scores, summed over the keys of each relative position. */
static void sum_positions(const struct groups *g, const float *ds, float *by_h, float *by_w) {
    const struct tape_attention *s = g->shape;
    int64_t rows = g->count * s->tokens;
    memset(by_h, 0, (size_t)(rows * (2 * s->height - 1)) * sizeof *by_h);
    memset(by_w, 0, (size_t)(rows * (2 * s->width - 1)) * sizeof *by_w);
    for (int64_t row = 0; row < rows; row++) {
        int64_t y = row % s->tokens / s->width, x = row % s->width;
        float *h = by_h + row * (2 * s->height - 1) + y + s->height - 1;
        float *w = by_w + row * (2 * s->width - 1) + x + s->width - 1;
        for (int64_t ky = 0; ky < s->height; ky++, ds += s->width) {
            for (int64_t kx = 0; kx < s->width; kx++) {
                h[-ky] += ds[kx];
                w[-kx] += ds[kx];
            }
        }
    }
}

/* dq += by rel; drel += by^T q. */
static void position_backward(struct groups *g, float *dq, struct tensor *rel, const void *table,
                              const float *by) {
    int64_t rows = g->count * g->shape->tokens, dim = g->shape->head_dim;
    const void *operand = tape_convert(g->t, by, (size_t)(rows * rel->rows));
    float *drel = tape_gradient(g->t, rel);
    if (operand == NULL) {
        return;
    }
    tape_multiply(g->t, dq, operand, false, table, false, rows, dim, rel->rows, true);
    if (drel != NULL) {
        tape_multiply(g->t, drel, operand, true, g->q, false, rel->rows, dim, rows, true);
    }
}

static void bias_backward(struct groups *g, const float *ds, float *dq) {
    const struct tape_attention *s = g->shape;
    int64_t rows = g->count * s->tokens;
    float *by_h = tape_alloc(g->t, (size_t)(rows * (2 * s->height - 1)), sizeof *by_h);
    float *by_w = tape_alloc(g->t, (size_t)(rows * (2 * s->width - 1)), sizeof *by_w);
    if (by_h != NULL && by_w != NULL) {
        sum_positions(g, ds, by_h, by_w);
        position_backward(g, dq, s->rel_h, g->rel_h, by_h);
        position_backward(g, dq, s->rel_w, g->rel_w, by_w);
    }
}

static void attend_back(struct groups *g, struct tensor *qkv, struct tensor *y, float *dqkv) {
    const struct tape_attention *s = g->shape;
    struct tape *t = g->t;
    size_t numbers = group_numbers(g), scores = (size_t)(g->count * s->tokens * s->tokens);
    if (!groups_open(g, qkv)) {
        return;
    }
    const void *dy = split_operand(g, y->gradient, 1, 0);
    float *ds = tape_alloc(t, scores, sizeof *ds);
    float *dq = tape_alloc(t, numbers, sizeof *dq), *dk = tape_alloc(t, numbers, sizeof *dk);
    float *dv = tape_alloc(t, numbers, sizeof *dv);
    const void *p = tape_convert(t, g->p, scores);
    if (t->rc < 0) {
        return;
    }
    batch_multiply(g, dv, p, true, dy, false, s->tokens, s->head_dim, s->tokens, false);
    batch_multiply(g, ds, dy, false, g->v, true, s->tokens, s->tokens, s->head_dim, false);
    t->kernels->softmax_gradient(ds, g->p, g->count * s->tokens, s->tokens);
    memset(dq, 0, numbers * sizeof *dq);
    if (s->rel_h != NULL) {
        bias_backward(g, ds, dq);
    }
    float scale = 1.0f / sqrtf((float)s->head_dim);
    for (size_t i = 0; i < scores; i++) {
        ds[i] *= scale;
    }
    const void *operand = tape_convert(t, ds, scores);
    if (operand == NULL || dqkv == NULL) {
        return;
    }
    batch_multiply(g, dq, operand, false, g->k, false, s->tokens, s->head_dim, s->tokens, true);
    batch_multiply(g, dk, operand, true, g->q, false, s->tokens, s->head_dim, s->tokens, false);
    split(g, dqkv, 3, 0, dq, true);
    split(g, dqkv, 3, 1, dk, true);
    split(g, dqkv, 3, 2, dv, true);
}

static void attention_backward(struct tape *t, struct step *step) {
    struct attending *s = (struct attending *)step;
    if (s->y->gradient == NULL) {
        return;
    }
    float *dqkv = tape_gradient(t, s->qkv);
    if (s->shape.rel_h != NULL) {
        tape_gradient(t, s->shape.rel_h); /* made before the mark, so that they outlive it */
        tape_gradient(t, s->shape.rel_w);
    }
    int64_t groups = s->y->rows / s->shape.tokens * s->shape.heads;
    int64_t most = groups_at_once(&s->shape, groups);
    for (int64_t i = 0; i < groups && t->rc == 0; i += most) {
        struct groups g = {
            .t = t, .shape = &s->shape, .first = i, .count = most < groups - i ? most : groups - i};
        struct tape_mark mark = tape_mark(t);
        attend_back(&g, s->qkv, s->y, dqkv);
        tape_release(t, mark);
    }
}

struct tensor *tape_attention(struct tape *t, struct tensor *qkv,
                              const struct tape_attention *shape) {
    if (qkv == NULL || t->rc < 0) {
        return NULL;
    }
    int64_t dim = shape->heads * shape->head_dim;
    assert(qkv->width == 3 * dim && qkv->rows % shape->tokens == 0);
    bool biased = shape->rel_h != NULL && shape->rel_w != NULL;
    bool wanted = qkv->wanted || (biased && (shape->rel_h->wanted || shape->rel_w->wanted));
    struct tensor *y = tape_tensor(t, qkv->rows, dim, wanted);
    if (y == NULL) {
        return NULL;
    }
    if (biased) { /* their BF16 outlives the scratch memory below */
        tape_operand(t, shape->rel_h);
        tape_operand(t, shape->rel_w);
    }
    memset(y->value, 0, tensor_count(y) * sizeof *y->value);
    int64_t groups = qkv->rows / shape->tokens * shape->heads;
    int64_t most = groups_at_once(shape, groups);
    for (int64_t i = 0; i < groups && t->rc == 0; i += most) {
        struct groups g = {
            .t = t, .shape = shape, .first = i, .count = most < groups - i ? most : groups - i};
        attend(&g, qkv, y);
    }
    struct attending *s = wanted ? tape_note(t, sizeof *s, attention_backward) : NULL;
    if (s != NULL) {
        s->qkv = qkv;
        s->y = y;
        s->shape = *shape;
    }
    return t->rc == 0 ? y : NULL;
}
