/* attention_backward_body.h - the backward pass, included after attention_body.h.
 *
 * FlashAttention-2 (Dao 2023): the weights of a block come again from queries, keys and
 * log-sum-exp; with D = rowsum(dout out), dscores = weights (dout v^T - D). Sums of keys and values
 * lie turned over, (dim, keys), so that weights are multiplied with as they lie: in pairs of
 * queries. */

static void pack_keys_backward(const struct attention_context *h) {
    const struct plan *p = &h->plan;
    const struct attention_group *g = h->group;
    const struct source k = source_of(h, &g->k, 0), v = source_of(h, &g->v, 0);
    const float *lines[KEY_UNIT];
    float *s = h->scratch;
    for (int64_t t = 0; t < g->keys; t += KEY_UNIT) {
        int64_t count = g->keys - t < KEY_UNIT ? g->keys - t : KEY_UNIT;
        int64_t at = t / p->block * p->depth * p->stride + t % p->block;
        find_lines(lines, s + p->staged, &k, t, count, KEY_UNIT);
        pack_lines(s + p->packed, p->depth, lines, KEY_UNIT, p->wide);
        turn(s + p->keys + at, p->stride, s + p->packed, p->depth, KEY_UNIT, p->depth);
        pack_pairs(s + p->key_pairs + t / PACK * p->wide, lines, KEY_UNIT, p->wide);
        find_lines(lines, s + p->staged, &v, t, count, KEY_UNIT);
        pack_lines(s + p->packed, p->depth, lines, KEY_UNIT, p->wide);
        turn(s + p->values + at, p->stride, s + p->packed, p->depth, KEY_UNIT, p->depth);
    }
    size_t sums = (size_t)(p->blocks * p->tall * p->stride) * sizeof *s;
    memset(s + p->dkeys, 0, sums);
    memset(s + p->dvalues, 0, sums);
}

static void pack_outs(struct attention_context *h, int64_t count) {
    const struct plan *p = &h->plan;
    const struct attention_group *g = h->group;
    const struct source out = source_of(h, &g->out, h->head);
    const struct source dout = source_of(h, &g->dout, h->head);
    const float *lines[QUERY_BLOCK], *dlines[QUERY_BLOCK];
    float *s = h->scratch;
    find_lines(lines, s + p->staged, &out, h->first, h->rows, count);
    find_lines(dlines, s + p->dstaged, &dout, h->first, h->rows, count);
    for (int64_t i = 0; i < h->rows; i++) {
        vec sum = {0};
        for (int64_t d = 0; d < p->wide; d += LANES) {
            sum += load(lines[i] + d) * rounded(load(dlines[i] + d));
        }
        h->product[i] = sum_of(sum);
        h->log_sum[i] = g->log_sum_exp[h->head * g->log_head + h->first + i] * LOG2_E;
    }
    /* Weights of a query after the last are 0. */
    h->product[h->rows] = 0;
    h->log_sum[h->rows] = -EXCLUDED;
    pack_lines(s + p->douts, p->depth, dlines, count, p->wide);
    pack_pairs(s + p->packed, dlines, count, p->wide);
    turn(s + p->dout_turned, QUERY_BLOCK / PACK, s + p->packed, p->wide, count / PACK, p->wide);
}

/* Scores and products of dout and values become weights and dscores. */
#if PACK == 1
static void differentiate(const struct attention_context *h, int64_t i, int64_t count) {
    const struct plan *p = &h->plan;
    float *scores = h->scratch + p->scores + i * p->stride;
    float *dscores = h->scratch + p->dscores + i * p->stride;
    for (int64_t j = 0; j < count; j += LANES) {
        vec weight = power_of_two(load(scores + j) * h->scale - h->log_sum[i], false);
        store(scores + j, weight);
        store(dscores + j, weight * (load(dscores + j) - h->product[i]));
    }
}
#else
/* Of queries i and i + 1; one after the last reads what the last has. */
static void differentiate(const struct attention_context *h, int64_t i, int64_t count) {
    const struct plan *p = &h->plan;
    float *s = h->scratch;
    int64_t next = i + 1 < h->rows ? p->stride : 0;
    const float *scores = s + p->scores + i * p->stride;
    const float *dscores = s + p->dscores + i * p->stride;
    float *weights = s + p->weights + i / 2 * p->stride;
    float *dweights = s + p->dweights + i / 2 * p->stride;
    uint16_t *line = (uint16_t *)(void *)(s + p->dlines + i * p->line);
    for (int64_t j = 0; j < count; j += LANES) {
        vec a = power_of_two(load(scores + j) * h->scale - h->log_sum[i], true);
        vec b = power_of_two(load(scores + next + j) * h->scale - h->log_sum[i + 1], true);
        vec da = a * (load(dscores + j) - h->product[i]);
        vec db = b * (load(dscores + next + j) - h->product[i + 1]);
        store(weights + j, pair_of(a, b));
        store(dweights + j, pair_of(da, db));
        store_bf16(line + j, da);
        store_bf16(line + 2 * p->line + j, db);
    }
}
#endif

/* c (dim, columns) += turned (dim, queries) b (queries, columns). */
static void add_turned_product(const struct attention_context *h, float *c, int64_t c_stride,
                               const float *turned, const float *b, int64_t b_stride,
                               int64_t columns) {
    block_product(c, c_stride, turned, QUERY_BLOCK / PACK, b, b_stride, h->plan.wide, columns,
                  round_up(h->rows, PACK * DEPTH_UNIT) / PACK, true);
}

/* Columns [first, end) of by_side += dscores by ones. */
static void add_side_range(const struct attention_context *h, const struct keys *k, int64_t first,
                           int64_t end) {
    const struct plan *p = &h->plan;
    float *s = h->scratch;
    block_product(s + p->by_side + first, p->sides, s + p->dlines, p->line,
                  s + p->ones + k->first / PACK * p->sides + first, p->sides, h->rows, end - first,
                  k->count / PACK, true);
}

/* Sums dscores over the keys of each row of the grid, of which keys k meet only some, and of each
 * column. */
static void add_sides(const struct attention_context *h, const struct keys *k) {
    const struct attention_call *c = h->call;
    int64_t last = (k->first + k->count - 1) / c->width;
    int64_t first = k->first / c->width / LANES * LANES;
    int64_t end = round_up((last < c->height ? last : c->height - 1) + 1, LANES);
    int64_t across = c->height / LANES * LANES;
    if (end < across) {
        add_side_range(h, k, first, end);
        first = across;
    }
    add_side_range(h, k, first, h->plan.sides);
}

/* The queries at hand against keys k; `begun`: not the first keys. */
static void differentiate_keys(const struct attention_context *h, const struct keys *k,
                               bool begun) {
    const struct plan *p = &h->plan;
    const struct attention_group *g = h->group;
    float *s = h->scratch;
    int64_t at = k->block * p->depth * p->stride + k->column;
    int64_t sum_at = k->block * p->tall * p->stride + k->column;
    score(h, k);
    block_product(s + p->dscores, p->stride, s + p->douts, p->depth, s + p->values + at, p->stride,
                  h->rows, k->count, p->depth, false);
    for (int64_t i = 0; i < h->rows; i += PACK) {
        differentiate(h, i, k->count);
    }
    for (int64_t i = (h->rows + PACK - 1) / PACK; i < round_up(h->rows, PACK * DEPTH_UNIT) / PACK;
         i++) {
        memset(s + p->weights + i * p->stride, 0, (size_t)k->count * sizeof *s);
        memset(s + p->dweights + i * p->stride, 0, (size_t)k->count * sizeof *s);
    }
    if (g->dv.data != NULL) {
        add_turned_product(h, s + p->dvalues + sum_at, p->stride, s + p->dout_turned,
                           s + p->weights, p->stride, k->count);
    }
    if (g->dk.data != NULL) {
        add_turned_product(h, s + p->dkeys + sum_at, p->stride, s + p->query_turned,
                           s + p->dweights, p->stride, k->count);
    }
    if (g->dq.data != NULL) {
        block_product(s + p->sums, p->wide, s + p->dlines, p->line,
                      s + p->key_pairs + k->first / PACK * p->wide, p->wide, h->rows, p->wide,
                      k->count / PACK, begun);
    }
    if (p->places > 0) {
        add_sides(h, k);
    }
}

/* From sums over rows and columns of keys to relative positions, to dq and to the tables. */
static void differentiate_bias(const struct attention_context *h, int64_t count) {
    const struct plan *p = &h->plan;
    const float *lines[QUERY_BLOCK];
    const struct attention_call *c = h->call;
    float *s = h->scratch, *by_place = s + p->by_place;
    memset(by_place, 0, (size_t)(count * p->places) * sizeof *by_place);
    for (int64_t i = 0; i < h->rows; i++) {
        int64_t place = h->group->start + h->first + i;
        const float *side = s + p->by_side + i * p->sides;
        float *down = by_place + i * p->places, *across = down + 2 * c->height - 1;
        memcpy(down + c->height - 1 - place / c->width, side, (size_t)c->height * sizeof *side);
        memcpy(across + c->width - 1 - place % c->width, side + c->height,
               (size_t)c->width * sizeof *side);
    }
    if (PACK == 2) {
        dense_lines(lines, by_place, p->places, count);
        pack_lines(s + p->by_lines, p->places / PACK, lines, count, p->places);
        pack_pairs(s + p->by_pairs, lines, count, p->places);
    }
    if (h->group->dq.data != NULL) {
        block_product(s + p->sums, p->wide, s + p->by_lines, p->places / PACK, s + p->table_pairs,
                      p->wide, h->rows, p->wide, p->places / PACK, true);
    }
    if (c->drel_h.data != NULL || c->drel_w.data != NULL) {
        add_turned_product(h, s + p->dtable, p->places, s + p->query_turned, s + p->by_pairs,
                           p->places, p->places);
    }
}

/* Adds `factor` times sums (dim, keys) of blocks to rows. */
static void add_keys(const struct attention_context *h, const struct attention_rows *to,
                     const float *sums, float factor) {
    const struct plan *p = &h->plan;
    float *staged = h->scratch + p->staged;
    for (int64_t t = 0; t < h->group->keys && to->data != NULL; t += KEY_UNIT) {
        int64_t rest = h->group->keys - t;
        turn(staged, p->wide, sums + t / p->block * p->tall * p->stride + t % p->block, p->stride,
             p->wide, KEY_UNIT);
        add_rows(to, 0, t, rest < KEY_UNIT ? rest : KEY_UNIT, h->call->dim, staged, p->wide,
                 factor);
    }
}

static void attention_backward(const struct attention_call *c, const struct attention_group *g,
                               void *scratch) {
    struct attention_context h = {.call = c,
                                  .group = g,
                                  .plan = make_plan(c, g->keys),
                                  .scratch = scratch,
                                  .scale = c->scale * LOG2_E};
    const struct plan *p = &h.plan;
    pack_keys_backward(&h);
    for (h.head = 0; h.head < g->heads; h.head++) {
        for (h.first = 0; h.first < g->queries; h.first += QUERY_BLOCK) {
            int64_t rest = g->queries - h.first;
            h.rows = rest < QUERY_BLOCK ? rest : QUERY_BLOCK;
            int64_t count = round_up(h.rows, LANES * PACK);
            pack_queries(&h, count);
            pack_outs(&h, count);
            memset(h.scratch + p->by_side, 0, (size_t)(QUERY_BLOCK * p->sides) * sizeof(float));
            bool begun = false;
            for (struct keys k = {0}; next_keys(&h, &k); begun = true) {
                differentiate_keys(&h, &k, begun);
            }
            if (p->places > 0) {
                differentiate_bias(&h, count);
            }
            if (g->dq.data != NULL) {
                add_rows(&g->dq, h.head, h.first, h.rows, c->dim, h.scratch + p->sums, p->wide,
                         c->scale);
            }
        }
    }
    add_keys(&h, &g->dk, h.scratch + p->dkeys, c->scale);
    add_keys(&h, &g->dv, h.scratch + p->dvalues, 1);
}

/* Adds the tables' gradient, which all groups have added to. */
static void attention_end(const struct attention_call *c, void *scratch) {
    struct plan p = make_plan(c, c->keys);
    float *s = scratch, *staged = s + p.staged;
    int64_t down = 2 * c->height - 1, across = 2 * c->width - 1;
    for (int64_t m = 0; m < p.places && c->backward; m += KEY_UNIT) {
        turn(staged, p.wide, s + p.dtable + m, p.places, p.wide, KEY_UNIT);
        for (int64_t i = 0; i < KEY_UNIT; i++) {
            bool is_down = m + i < down;
            const struct attention_rows *to = is_down ? &c->drel_h : &c->drel_w;
            int64_t row = is_down ? down - 1 - (m + i) : across - 1 - (m + i - down);
            if (to->data != NULL && row >= 0) {
                add_rows(to, 0, row, 1, c->dim, staged + i * p.wide, p.wide, 1);
            }
        }
    }
}

#define ATTENTION                                                                                  \
    {                                                                                              \
        .scratch = attention_scratch, .begin = attention_begin, .forward = attention_forward,      \
        .backward = attention_backward, .end = attention_end                                       \
    }
