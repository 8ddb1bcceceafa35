/* tape_rows.c - what works element by element or row by row. */
#include <assert.h>
#include <string.h>

#include "train/tape_state.h"

/* Of operations with at most three inputs. */
struct simple {
    struct step step;
    struct tensor *a, *b, *c, *y;
    const int32_t *index;
    float eps;
};

static struct tensor *note(struct tape *t, struct tensor *y, struct tensor *a, struct tensor *b,
                           struct tensor *c, void (*backward)(struct tape *, struct step *)) {
    struct simple *s = y != NULL && y->wanted ? tape_note(t, sizeof *s, backward) : NULL;
    if (s != NULL) {
        s->a = a;
        s->b = b;
        s->c = c;
        s->y = y;
    }
    return t->rc == 0 ? y : NULL;
}

/* ---- GELU ------------------------------------------------------------------------------ */

static void gelu_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    float *dx = dy != NULL ? tape_gradient(t, s->a) : NULL;
    if (dx != NULL) {
        t->kernels->gelu_backward(dx, s->a->value, dy, tensor_count(s->y));
    }
}

static void quick_gelu_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    float *dx = dy != NULL ? tape_gradient(t, s->a) : NULL;
    if (dx != NULL) {
        t->kernels->quick_gelu_backward(dx, s->a->value, dy, tensor_count(s->y));
    }
}

static struct tensor *activate(struct tape *t, struct tensor *x, enum activation activation,
                               void (*backward)(struct tape *, struct step *)) {
    struct tensor *y =
        x != NULL && t->rc == 0 ? tape_tensor(t, x->rows, x->width, x->wanted) : NULL;
    if (y == NULL) {
        return NULL;
    }
    struct error e;
    int rc = t->ops->activate(t->context, y->value, x->value, tensor_count(x), activation, &e);
    if (rc < 0) {
        tape_fail(t, rc, &e);
    }
    return note(t, y, x, NULL, NULL, backward);
}

struct tensor *tape_gelu(struct tape *t, struct tensor *x) {
    return activate(t, x, ACTIVATION_GELU, gelu_backward);
}

struct tensor *tape_quick_gelu(struct tape *t, struct tensor *x) {
    return activate(t, x, ACTIVATION_QUICK_GELU, quick_gelu_backward);
}

/* ---- Layer norm -------------------------------------------------------------------------- */

static void layer_norm_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    if (dy == NULL) {
        return;
    }
    float *dx = tape_gradient(t, s->a), *dgamma = tape_gradient(t, s->b);
    float *dbeta = tape_gradient(t, s->c);
    if (t->rc == 0) {
        t->kernels->layer_norm_backward(dx, dgamma, dbeta, s->a->value, dy, s->b->value, s->y->rows,
                                        s->y->width, s->eps);
    }
}

struct tensor *tape_layer_norm(struct tape *t, struct tensor *x, struct tensor *gamma,
                               struct tensor *beta, float eps) {
    if (x == NULL || gamma == NULL || beta == NULL || t->rc < 0) {
        return NULL;
    }
    assert(gamma->wanted == beta->wanted);
    struct tensor *y = tape_tensor(t, x->rows, x->width, x->wanted || gamma->wanted);
    struct error e;
    int rc = y != NULL ? t->ops->layer_norm(t->context, y->value, x->value, x->rows, x->width,
                                            gamma->value, beta->value, eps, &e)
                       : 0;
    if (rc < 0) {
        tape_fail(t, rc, &e);
    }
    y = note(t, y, x, gamma, beta, layer_norm_backward);
    if (y != NULL && y->wanted) {
        ((struct simple *)t->last)->eps = eps;
    }
    return y;
}

/* ---- Sums ---------------------------------------------------------------------------------- */

static void add_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    if (dy == NULL) {
        return;
    }
    float *da = tape_gradient(t, s->a), *db = tape_gradient(t, s->b);
    if (da != NULL) {
        t->kernels->accumulate(da, dy, tensor_count(s->y));
    }
    size_t part = tensor_count(s->b);
    for (size_t i = 0; i < tensor_count(s->y) && db != NULL; i += part) {
        t->kernels->accumulate(db, dy + i, part);
    }
}

struct tensor *tape_add(struct tape *t, struct tensor *a, struct tensor *b) {
    if (a == NULL || b == NULL || t->rc < 0) {
        return NULL;
    }
    assert(a->width == b->width && a->rows % b->rows == 0);
    struct tensor *y = tape_tensor(t, a->rows, a->width, a->wanted || b->wanted);
    struct error e;
    int rc = y != NULL ? t->ops->add(t->context, y->value, a->value, b->value, a->rows / b->rows,
                                     tensor_count(b), &e)
                       : 0;
    if (rc < 0) {
        tape_fail(t, rc, &e);
    }
    return note(t, y, a, b, NULL, add_backward);
}

static void mean_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    if (dy == NULL) {
        return;
    }
    float *da = tape_gradient(t, s->a), *db = tape_gradient(t, s->b);
    for (size_t i = 0; i < tensor_count(s->y) && t->rc == 0; i++) {
        if (da != NULL) {
            da[i] += 0.5f * dy[i];
        }
        if (db != NULL) {
            db[i] += 0.5f * dy[i];
        }
    }
}

struct tensor *tape_mean(struct tape *t, struct tensor *a, struct tensor *b) {
    if (a == NULL || b == NULL || t->rc < 0) {
        return NULL;
    }
    assert(a->width == b->width && a->rows == b->rows);
    struct tensor *y = tape_tensor(t, a->rows, a->width, a->wanted || b->wanted);
    for (size_t i = 0; y != NULL && i < tensor_count(y); i++) {
        y->value[i] = 0.5f * (a->value[i] + b->value[i]);
    }
    return note(t, y, a, b, NULL, mean_backward);
}

/* ---- Rows in another order -------------------------------------------------------------- */

static void gather_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    float *dx = dy != NULL ? tape_gradient(t, s->a) : NULL;
    int64_t width = s->y->width;
    for (int64_t i = 0; i < s->y->rows && dx != NULL; i++) {
        if (s->index[i] >= 0) {
            t->kernels->accumulate(dx + s->index[i] * width, dy + i * width, (size_t)width);
        }
    }
}

struct tensor *tape_gather(struct tape *t, struct tensor *x, const int32_t *index, int64_t rows) {
    struct tensor *y = x != NULL && t->rc == 0 ? tape_tensor(t, rows, x->width, x->wanted) : NULL;
    if (y == NULL) {
        return NULL;
    }
    size_t size = (size_t)x->width * sizeof *x->value;
    for (int64_t i = 0; i < rows; i++) {
        assert(index[i] < x->rows);
        if (index[i] >= 0) {
            memcpy(y->value + i * x->width, x->value + index[i] * x->width, size);
        } else {
            memset(y->value + i * x->width, 0, size);
        }
    }
    y = note(t, y, x, NULL, NULL, gather_backward);
    if (y != NULL && y->wanted) {
        ((struct simple *)t->last)->index = index;
    }
    return y;
}

static void stack_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    if (dy == NULL) {
        return;
    }
    float *da = tape_gradient(t, s->a), *db = tape_gradient(t, s->b);
    if (da != NULL) {
        t->kernels->accumulate(da, dy, tensor_count(s->a));
    }
    if (db != NULL) {
        t->kernels->accumulate(db, dy + tensor_count(s->a), tensor_count(s->b));
    }
}

struct tensor *tape_stack(struct tape *t, struct tensor *above, struct tensor *below) {
    if (above == NULL || below == NULL || t->rc < 0) {
        return NULL;
    }
    assert(above->width == below->width);
    struct tensor *y =
        tape_tensor(t, above->rows + below->rows, above->width, above->wanted || below->wanted);
    if (y != NULL) {
        memcpy(y->value, above->value, tensor_count(above) * sizeof *y->value);
        memcpy(y->value + tensor_count(above), below->value,
               tensor_count(below) * sizeof *y->value);
    }
    return note(t, y, above, below, NULL, stack_backward);
}

static void beside_backward(struct tape *t, struct step *step) {
    struct simple *s = (struct simple *)step;
    const float *dy = tape_arrived(s->y);
    if (dy == NULL) {
        return;
    }
    float *da = tape_gradient(t, s->a), *db = tape_gradient(t, s->b);
    for (int64_t r = 0; r < s->y->rows && t->rc == 0; r++, dy += s->y->width) {
        if (da != NULL) {
            t->kernels->accumulate(da + r * s->a->width, dy, (size_t)s->a->width);
        }
        if (db != NULL) {
            t->kernels->accumulate(db + r * s->b->width, dy + s->a->width, (size_t)s->b->width);
        }
    }
}

struct tensor *tape_beside(struct tape *t, struct tensor *left, struct tensor *right) {
    if (left == NULL || right == NULL || t->rc < 0) {
        return NULL;
    }
    assert(left->rows == right->rows);
    int64_t a = left->width, b = right->width;
    struct tensor *y = tape_tensor(t, left->rows, a + b, left->wanted || right->wanted);
    for (int64_t r = 0; y != NULL && r < y->rows; r++) {
        memcpy(y->value + r * (a + b), left->value + r * a, (size_t)a * sizeof *y->value);
        memcpy(y->value + r * (a + b) + a, right->value + r * b, (size_t)b * sizeof *y->value);
    }
    return note(t, y, left, right, NULL, beside_backward);
}
