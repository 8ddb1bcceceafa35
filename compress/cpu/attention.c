/* attention.c - takes an attention apart into groups: one key head of one sequence, or of one
 * window, and the query heads that read it. */
#include "compress/cpu/attention.h"

#include <assert.h>
#include <math.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"

static const struct attention_kernels *kernels_of(struct device *d) {
    const struct level *level = cpu_device(d)->level;
    return d->compute == DTYPE_BF16 ? level->attention_bf16 : level->attention;
}

/* ---- Tensors as the kernels see them ------------------------------------------------------- */

static struct attention_rows rows_at(const struct tensor *x, int64_t batch, int64_t token,
                                     int64_t head) {
    if (x == NULL) {
        return (struct attention_rows){0};
    }
    int64_t offset = batch * x->stride[0] + token * x->stride[1] + head * x->stride[2];
    assert(x->type == DTYPE_F32 || x->type == DTYPE_BF16);
    assert(x->stride[3] == 1 || x->shape[3] == 1);
    return (struct attention_rows){.data = (unsigned char *)x->data +
                                           offset * (int64_t)dtype_size(x->type),
                                   .type = x->type,
                                   .step = x->stride[1],
                                   .head = x->stride[2]};
}

static struct attention_rows rows_of(const struct tensor *table, int64_t rows, int64_t dim) {
    struct attention_rows r = {0};
    if (table != NULL) {
        assert(tensor_rows(table) == rows && tensor_width(table) == dim);
        bool whole = tensor_is_rows(table, &r.step);
        assert(whole);
        (void)whole;
        (void)rows;
        (void)dim;
        r.data = table->data;
        r.type = table->type;
    }
    return r;
}

/* What all groups share. */
struct parts {
    const struct tensor *q, *k, *v, *out, *log_sum_exp;
    const struct tensor *dout, *dq, *dk, *dv;
    const struct attention_options *options;
    struct attention_call call;
    const struct attention_kernels *kernels;
    void *scratch;
};

static int64_t heads_per_key(const struct parts *p) {
    return p->q->shape[2] / p->k->shape[2];
}

static void check(const struct parts *p) {
    const struct tensor *q = p->q, *k = p->k;
    const struct attention_options *o = p->options;
    assert(tensor_same_shape(p->out, q) && tensor_same_shape(k, p->v));
    assert(k->shape[0] == q->shape[0] && k->shape[3] == q->shape[3]);
    assert(q->shape[2] % k->shape[2] == 0 && o->scale >= 0);
    assert(o->span == 0 || o->causal);
    assert((o->rel_h == NULL) == (o->rel_w == NULL));
    assert(o->start == 0 || o->offsets == NULL);
    assert(!o->causal || o->offsets != NULL || o->start + q->shape[1] <= k->shape[1]);
    assert(o->offsets == NULL || (q->shape[0] == 1 && q->shape[1] == k->shape[1]));
    assert(p->log_sum_exp == NULL ||
           (tensor_is_dense(p->log_sum_exp) &&
            tensor_count(p->log_sum_exp) * q->shape[3] == tensor_count(q)));
    (void)q;
    (void)k;
    (void)o;
}

/* ---- Sequences ----------------------------------------------------------------------------- */

static int64_t sequences(const struct parts *p) {
    const struct tensor *offsets = p->options->offsets;
    return offsets != NULL ? tensor_count(offsets) - 1 : p->q->shape[0];
}

/* Where a sequence stands, and its length. */
static void sequence_at(const struct parts *p, int64_t s, int64_t *batch, int64_t *first,
                        int64_t *tokens) {
    *batch = s;
    *first = 0;
    *tokens = p->q->shape[1];
    if (p->options->offsets != NULL) {
        const int32_t *offsets = p->options->offsets->data;
        *batch = 0;
        *first = offsets[s];
        *tokens = offsets[s + 1] - offsets[s];
        assert(*tokens >= 0 && *first >= 0 && offsets[s + 1] <= p->q->shape[1]);
    }
}

static int64_t longest(const struct parts *p) {
    int64_t most = 1, batch, first, tokens;
    for (int64_t s = 0; s < sequences(p); s++) {
        sequence_at(p, s, &batch, &first, &tokens);
        most = tokens > most ? tokens : most;
    }
    return most;
}

/* The group of key head `head`. */
static struct attention_group group_of(const struct parts *p, int64_t s, int64_t head) {
    int64_t batch, first, tokens, heads = heads_per_key(p), query_head = head * heads;
    sequence_at(p, s, &batch, &first, &tokens);
    struct attention_group g = {
        .heads = heads,
        .queries = tokens,
        .keys = p->options->offsets != NULL ? tokens : p->k->shape[1],
        .start = p->options->start,
        .q = rows_at(p->q, batch, first, query_head),
        .k = rows_at(p->k, batch, first, head),
        .v = rows_at(p->v, batch, first, head),
        .out = rows_at(p->out, batch, first, query_head),
        .dout = rows_at(p->dout, batch, first, query_head),
        .dq = rows_at(p->dq, batch, first, query_head),
        .dk = rows_at(p->dk, batch, first, head),
        .dv = rows_at(p->dv, batch, first, head),
        .log_head = p->q->shape[1],
    };
    if (p->log_sum_exp != NULL) {
        g.log_sum_exp = (float *)p->log_sum_exp->data +
                        (batch * p->q->shape[2] + query_head) * p->q->shape[1] + first;
    }
    return g;
}

static void each_sequence(const struct parts *p) {
    for (int64_t s = 0; s < sequences(p); s++) {
        for (int64_t head = 0; head < p->k->shape[2]; head++) {
            struct attention_group g = group_of(p, s, head);
            if (g.queries == 0) {
                continue;
            }
            if (p->call.backward) {
                p->kernels->backward(&p->call, &g, p->scratch);
            } else {
                p->kernels->forward(&p->call, &g, p->scratch);
            }
        }
    }
}

/* ---- Windows ------------------------------------------------------------------------------- */

/* Which token of the grid stands at each place of a window; -1: none. */
static void place_window(int64_t *place, const struct attention_options *o, int64_t top,
                         int64_t left) {
    for (int64_t y = top; y < top + o->window; y++) {
        for (int64_t x = left; x < left + o->window; x++) {
            *place++ = y < o->grid_height && x < o->grid_width ? y * o->grid_width + x : -1;
        }
    }
}

static void attend_window(const struct parts *p, const int64_t *place, int64_t batch) {
    const struct attention_options *o = p->options;
    int64_t heads = p->q->shape[2], dim = p->q->shape[3];
    const float *pad = o->pad != NULL ? o->pad->data : NULL;
    for (int64_t head = 0; head < heads; head++) {
        struct attention_group g = group_of(p, batch, head);
        g.queries = g.keys = o->window * o->window;
        g.place = place;
        if (pad != NULL) {
            g.q.pad = pad + head * dim;
            g.k.pad = pad + (heads + head) * dim;
            g.v.pad = pad + (2 * heads + head) * dim;
        }
        p->kernels->forward(&p->call, &g, p->scratch);
    }
}

static int each_window(struct device *d, const struct parts *p, struct error *e) {
    const struct attention_options *o = p->options;
    int64_t heads = p->q->shape[2], dim = p->q->shape[3];
    void *place = NULL;
    assert(p->log_sum_exp == NULL && o->offsets == NULL && !o->causal && heads_per_key(p) == 1);
    assert(p->q->shape[1] == o->grid_height * o->grid_width && p->k->shape[1] == p->q->shape[1]);
    assert(o->pad == NULL || (o->pad->type == DTYPE_F32 && tensor_is_dense(o->pad) &&
                              tensor_count(o->pad) == 3 * heads * dim));
    assert(o->pad != NULL || (o->grid_height % o->window == 0 && o->grid_width % o->window == 0));
    (void)heads;
    (void)dim;
    int rc = cpu_scratch(&place, d, SCRATCH_WINDOW,
                         (size_t)(o->window * o->window) * sizeof(int64_t), e);
    for (int64_t batch = 0; batch < p->q->shape[0] && rc == 0; batch++) {
        for (int64_t top = 0; top < o->grid_height; top += o->window) {
            for (int64_t left = 0; left < o->grid_width; left += o->window) {
                place_window(place, o, top, left);
                attend_window(p, place, batch);
            }
        }
    }
    return rc;
}

/* ---- The operations
 * ------------------------------------------------------------------------------ */

static int begin(struct parts *p, struct device *d, struct error *e) {
    const struct attention_options *o = p->options;
    struct attention_call *c = &p->call;
    check(p);
    c->dim = p->q->shape[3];
    c->scale = o->scale > 0 ? o->scale : 1.0f / sqrtf((float)c->dim);
    c->causal = o->causal;
    c->span = o->span;
    c->queries = o->window > 0 ? o->window * o->window : longest(p);
    c->keys = o->window > 0 || o->offsets != NULL ? c->queries : p->k->shape[1];
    if (o->rel_h != NULL) {
        c->height = o->height;
        c->width = o->width;
        c->rel_h = rows_of(o->rel_h, 2 * c->height - 1, c->dim);
        c->rel_w = rows_of(o->rel_w, 2 * c->width - 1, c->dim);
        assert(c->keys == c->height * c->width);
    }
    p->kernels = kernels_of(d);
    return cpu_scratch(&p->scratch, d, SCRATCH_HEAD, p->kernels->scratch(c), e);
}

int cpu_attention(struct device *d, const struct tensor *out, const struct tensor *log_sum_exp,
                  const struct tensor *q, const struct tensor *k, const struct tensor *v,
                  const struct attention_options *o, struct error *e) {
    struct parts p = {.out = out, .log_sum_exp = log_sum_exp, .q = q, .k = k, .v = v, .options = o};
    int rc = begin(&p, d, e);
    if (rc < 0) {
        return rc;
    }
    p.kernels->begin(&p.call, p.scratch);
    if (o->window > 0) {
        rc = each_window(d, &p, e);
    } else {
        each_sequence(&p);
    }
    p.kernels->end(&p.call, p.scratch);
    return rc;
}

int cpu_attention_backward(struct device *d, const struct tensor *dq, const struct tensor *dk,
                           const struct tensor *dv, const struct tensor *drel_h,
                           const struct tensor *drel_w, const struct tensor *q,
                           const struct tensor *k, const struct tensor *v, const struct tensor *out,
                           const struct tensor *log_sum_exp, const struct tensor *dout,
                           const struct attention_options *o, struct error *e) {
    struct parts p = {.out = out,
                      .log_sum_exp = log_sum_exp,
                      .q = q,
                      .k = k,
                      .v = v,
                      .dout = dout,
                      .dq = dq,
                      .dk = dk,
                      .dv = dv,
                      .options = o,
                      .call = {.backward = true}};
    assert(o->window == 0 && tensor_same_shape(dout, q) && log_sum_exp != NULL);
    assert(o->rel_h != NULL || (drel_h == NULL && drel_w == NULL));
    int rc = begin(&p, d, e);
    if (rc < 0) {
        return rc;
    }
    p.call.drel_h = rows_of(drel_h, 2 * o->height - 1, p.call.dim);
    p.call.drel_w = rows_of(drel_w, 2 * o->width - 1, p.call.dim);
    p.kernels->begin(&p.call, p.scratch);
    each_sequence(&p);
    p.kernels->end(&p.call, p.scratch);
    return 0;
}
