/* attention.c - attention over views of projections, and rotary positions. */
#include <assert.h>

#include "train/tape/state.h"

enum { Q, K, V, REL_H, REL_W };

struct attention_record {
    struct record record;
    struct tape_attention options;
    struct tensor log_sum_exp;
};

static struct attention_options options_of(const struct tape_attention *o) {
    return (struct attention_options){.scale = o->scale,
                                      .causal = o->causal,
                                      .span = o->span,
                                      .offsets = o->offsets,
                                      .height = o->height,
                                      .width = o->width,
                                      .rel_h = o->rel_h != NULL ? &o->rel_h->value : NULL,
                                      .rel_w = o->rel_w != NULL ? &o->rel_w->value : NULL};
}

/* The heads of a matrix of results, as those of q. */
static struct tensor like_q(const struct tensor *matrix, const struct node *q) {
    return tensor_reshape(matrix, q->value.shape);
}

static void attention_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct attention_record *r = (const struct attention_record *)record;
    const struct attention_options o = options_of(&r->options);
    const struct tensor *gradients[RECORD_INPUTS];
    for (int i = 0; i < RECORD_INPUTS; i++) {
        gradients[i] = tape_gradient(t, record->x[i]);
    }
    const struct tensor out = like_q(&record->y->value, record->x[Q]);
    const struct tensor dout = like_q(dy, record->x[Q]);
    CALL(t, attention_backward, gradients[Q], gradients[K], gradients[V], gradients[REL_H],
         gradients[REL_W], &record->x[Q]->value, &record->x[K]->value, &record->x[V]->value, &out,
         &r->log_sum_exp, &dout, &o);
}

struct node *tape_attention(struct tape *t, struct node *q, struct node *k, struct node *v,
                            const struct tape_attention *options) {
    if (!tape_ready(t, q) || k == NULL || v == NULL) {
        return NULL;
    }
    assert((options->rel_h == NULL) == (options->rel_w == NULL));
    struct node *const inputs[RECORD_INPUTS] = {q, k, v, options->rel_h, options->rel_w};
    const int64_t *size = q->value.shape;
    struct node *y = tape_rows(t, t->options.storage, size[0] * size[1], size[2] * size[3], inputs);
    struct attention_record *r =
        y != NULL ? tape_record(t, sizeof *r, attention_backward, y, inputs) : NULL;
    if (r != NULL) {
        r->options = *options;
        r->log_sum_exp =
            tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(1, size[0], size[2], size[1]));
        tape_keep(t, &r->log_sum_exp);
    }
    if (tape_ready(t, y)) {
        const struct tensor out = like_q(&y->value, q);
        const struct attention_options o = options_of(options);
        CALL(t, attention, &out, r != NULL ? &r->log_sum_exp : NULL, &q->value, &k->value,
             &v->value, &o);
    }
    return tape_done(t, y);
}

/* ---- Rotary positions ------------------------------------------------------------------------ */

struct rotary_record {
    struct record record;
    struct tensor positions;
    struct rotary_options options;
};

static void rotary_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct rotary_record *r = (const struct rotary_record *)record;
    struct rotary_options back = r->options;
    bool holds = false;
    const struct tensor *dx = tape_gradient_to_set(t, record->x[0], &holds);
    back.back = true;
    if (dx == NULL) {
        return;
    }
    if (!holds) {
        CALL(t, rotary, dx, dy, &r->positions, &back);
        return;
    }
    struct tensor turned = tape_scratch(t, DTYPE_F32, dy->shape);
    CALL(t, rotary, &turned, dy, &r->positions, &back);
    CALL(t, accumulate, dx, &turned);
    tape_scratch_end(t, &turned);
}

struct node *tape_rotary(struct tape *t, struct node *x, const struct tensor *positions,
                         const struct rotary_options *o) {
    struct node *y =
        tape_ready(t, x) ? tape_node(t, t->options.storage, x->value.shape, INPUTS(x)) : NULL;
    if (y == NULL) {
        return NULL;
    }
    CALL(t, rotary, &y->value, &x->value, positions, o);
    struct rotary_record *r = tape_record(t, sizeof *r, rotary_backward, y, INPUTS(x));
    if (r != NULL) {
        r->positions = *positions;
        r->options = *o;
    }
    return tape_done(t, y);
}
