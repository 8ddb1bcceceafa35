/* attention.c - takes an attention apart into groups: one key head of one sequence, or of one
 * window, and the query heads that read it. */
#include "compress/cpu/attention.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/team.h"

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
    /* Shared by a team: each group is cut into as many pieces by its queries. Pieces but the first
     * have sums of their own for dk and dv, (keys, head_dim) each. */
    int64_t cuts;
    float *sums;
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

static void attend(const struct parts *p, const struct attention_group *g, void *scratch) {
    if (g->queries == 0) {
        return;
    }
    if (p->call.backward) {
        p->kernels->backward(&p->call, g, scratch);
    } else {
        p->kernels->forward(&p->call, g, scratch);
    }
}

static void each_sequence(const struct parts *p) {
    for (int64_t s = 0; s < sequences(p); s++) {
        for (int64_t head = 0; head < p->k->shape[2]; head++) {
            const struct attention_group g = group_of(p, s, head);
            attend(p, &g, p->scratch);
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

/* ---- Shared by a team ---------------------------------------------------------------------- */

enum { CUT = 64 /* queries: pieces begin at a multiple, as the kernels' blocks do */ };

/* Keys that the first `count` queries of a group see, all together. */
static double seen(const struct attention_call *c, const struct attention_group *g, int64_t count) {
    const double n = (double)count, start = (double)g->start, span = (double)c->span;
    if (!c->causal) {
        return n * (double)g->keys;
    }
    if (c->span > 0 && start + n > span) {
        const double rising = start < span ? span - start : 0;
        return rising * (start + (rising + 1) / 2) + (n - rising) * span;
    }
    return n * (start + (n + 1) / 2);
}

/* Where piece `i` of `cuts` begins, so that all see about as many keys. */
static int64_t cut_at(const struct attention_call *c, const struct attention_group *g, int64_t i,
                      int64_t cuts) {
    const double wanted = seen(c, g, g->queries) * (double)i / (double)cuts;
    int64_t low = 0, high = g->queries;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (seen(c, g, middle) < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low = (low + CUT / 2) / CUT * CUT;
    return i == cuts || low > g->queries ? g->queries : low;
}

static void move_rows(struct attention_rows *r, int64_t first) {
    if (r->data != NULL) {
        r->data = (char *)r->data + first * r->step * (int64_t)dtype_size(r->type);
    }
}

/* Queries [first, end) of a group. */
static void cut_group(const struct attention_call *c, struct attention_group *g, int64_t first,
                      int64_t end) {
    move_rows(&g->q, first);
    move_rows(&g->out, first);
    move_rows(&g->dout, first);
    move_rows(&g->dq, first);
    g->log_sum_exp = g->log_sum_exp != NULL ? g->log_sum_exp + first : NULL;
    g->queries = end - first;
    if (c->causal) {
        g->keys = g->start + end < g->keys ? g->start + end : g->keys;
    }
    g->start += first;
}

/* A sum of a piece's own in the place of dk (0) or dv (1). */
static struct attention_rows own_sum(const struct parts *p, int64_t piece, int which) {
    const int64_t size = p->call.keys * p->call.dim, group = piece / p->cuts;
    const int64_t at = group * (p->cuts - 1) + piece % p->cuts - 1;
    return (struct attention_rows){.data = p->sums + (2 * at + which) * size,
                                   .type = DTYPE_F32,
                                   .step = p->call.dim,
                                   .head = p->call.dim};
}

static int attend_piece(struct device *d, int64_t i, void *context, struct error *e) {
    const struct parts *p = context;
    const int64_t heads = p->k->shape[2], cut = i % p->cuts;
    struct attention_group g = group_of(p, i / p->cuts / heads, i / p->cuts % heads);
    const int64_t first = cut_at(&p->call, &g, cut, p->cuts);
    const int64_t end = cut_at(&p->call, &g, cut + 1, p->cuts);
    void *scratch = NULL;
    int rc = cpu_scratch(&scratch, d, SCRATCH_HEAD, p->kernels->scratch(&p->call), e);
    if (rc < 0 || first >= end) {
        return rc;
    }
    cut_group(&p->call, &g, first, end);
    if (p->call.backward && cut > 0) {
        g.dk = g.dk.data != NULL ? own_sum(p, i, 0) : g.dk;
        g.dv = g.dv.data != NULL ? own_sum(p, i, 1) : g.dv;
    }
    p->kernels->begin(&p->call, scratch);
    attend(p, &g, scratch);
    p->kernels->end(&p->call, scratch);
    return 0;
}

/* The sums of a group's pieces, in order; see add_piece. */
static void add_sums(struct device *d, const struct parts *p, int64_t group, int which) {
    const struct tensor *whole = which == 0 ? p->dk : p->dv;
    const int64_t heads = p->k->shape[2];
    const struct attention_group g = group_of(p, group / heads, group % heads);
    const struct attention_rows to = which == 0 ? g.dk : g.dv;
    if (whole == NULL) {
        return;
    }
    const struct tensor sum = {.data = to.data,
                               .shape = {1, 1, g.keys, p->call.dim},
                               .stride = {0, 0, to.step, 1},
                               .type = to.type};
    for (int64_t cut = 1; cut < p->cuts; cut++) {
        const struct attention_rows own = own_sum(p, group * p->cuts + cut, which);
        const struct tensor part = tensor_matrix(own.data, DTYPE_F32, NULL, g.keys, p->call.dim);
        cpu_accumulate(d, &sum, &part, NULL);
    }
}

static int add_piece(struct device *d, int64_t i, void *context, struct error *e) {
    (void)e;
    add_sums(d, context, i / 2, (int)(i % 2));
    return 0;
}

/* As few cuts as keep all threads at work, and no more than their sums have room for: `sum` bytes
 * for each cut but the first. */
static int64_t cuts_of(const struct parts *p, const struct device *d, int64_t groups, int64_t sum) {
    enum { PIECES_EACH = 3, MOST_BYTES = 32 << 20 };
    const int64_t wanted = (int64_t)cpu_threads(d) * PIECES_EACH;
    int64_t most = (p->call.queries + CUT - 1) / CUT;
    if (p->call.backward && sum > 0 && most > 1 + MOST_BYTES / sum) {
        most = 1 + MOST_BYTES / sum;
    }
    const int64_t cuts = groups > 0 ? (wanted + groups - 1) / groups : 1;
    return cuts < most ? cuts : most;
}

static int share_sequences(struct device *d, struct parts *p, struct error *e) {
    const int64_t groups = sequences(p) * p->k->shape[2];
    const int64_t sum = groups * 2 * p->call.keys * p->call.dim * (int64_t)sizeof(float);
    void *sums = NULL;
    int rc = 0;
    p->cuts = cuts_of(p, d, groups, sum);
    if (p->call.backward && p->cuts > 1) {
        const size_t bytes = (size_t)((p->cuts - 1) * sum);
        rc = cpu_scratch(&sums, d, SCRATCH_HEAD, bytes, e);
        if (rc == 0) {
            memset(sums, 0, bytes);
        }
    }
    p->sums = sums;
    if (rc == 0) {
        rc = cpu_share(d, groups * p->cuts, attend_piece, p, e);
    }
    if (rc == 0 && sums != NULL) {
        rc = cpu_share(d, groups * 2, add_piece, p, e);
    }
    return rc;
}

/* ---- The operations ------------------------------------------------------------------------ */

static void begin(struct parts *p, struct device *d) {
    const struct attention_options *o = p->options;
    struct attention_call *c = &p->call;
    check(p);
    c->dim = p->q->shape[3];
    c->scale = o->scale > 0 ? o->scale : 1.0f / sqrtf((float)c->dim);
    c->causal = o->causal;
    c->span = o->span;
    c->queries = o->window > 0 ? o->window * o->window : longest(p);
    c->keys = o->window > 0 || o->offsets != NULL ? c->queries : p->k->shape[1];
    c->few = !c->backward && o->window == 0 && o->rel_h == NULL &&
             heads_per_key(p) * c->queries <= ATTENTION_FEW;
    if (o->rel_h != NULL) {
        c->height = o->height;
        c->width = o->width;
        c->rel_h = rows_of(o->rel_h, 2 * c->height - 1, c->dim);
        c->rel_w = rows_of(o->rel_w, 2 * c->width - 1, c->dim);
        assert(c->keys == c->height * c->width);
    }
    p->kernels = kernels_of(d);
}

/* By one thread: windows, and what adds to tables that all groups share. */
static int attend_alone(struct device *d, struct parts *p, struct error *e) {
    int rc = cpu_scratch(&p->scratch, d, SCRATCH_HEAD, p->kernels->scratch(&p->call), e);
    if (rc < 0) {
        return rc;
    }
    p->kernels->begin(&p->call, p->scratch);
    if (p->options->window > 0) {
        rc = each_window(d, p, e);
    } else {
        each_sequence(p);
    }
    p->kernels->end(&p->call, p->scratch);
    return rc;
}

static int attend_all(struct device *d, struct parts *p, struct error *e) {
    const bool alone = p->options->window > 0 || p->options->rel_h != NULL || cpu_threads(d) == 1;
    return alone ? attend_alone(d, p, e) : share_sequences(d, p, e);
}

int cpu_attention(struct device *d, const struct tensor *out, const struct tensor *log_sum_exp,
                  const struct tensor *q, const struct tensor *k, const struct tensor *v,
                  const struct attention_options *o, struct error *e) {
    struct parts p = {.out = out, .log_sum_exp = log_sum_exp, .q = q, .k = k, .v = v, .options = o};
    begin(&p, d);
    return attend_all(d, &p, e);
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
    begin(&p, d);
    p.call.drel_h = rows_of(drel_h, 2 * o->height - 1, p.call.dim);
    p.call.drel_w = rows_of(drel_w, 2 * o->width - 1, p.call.dim);
    return attend_all(d, &p, e);
}
