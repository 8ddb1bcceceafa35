/* attention_body.h - fused attention, for every level: included once for each compute type
 * of a level, which has defined
 *
 *     PACK           values of the inner dimension that one 4-byte element holds: 1 (F32), 2 (BF16)
 *     DEPTH_UNIT     elements that the inner dimension of a product is a multiple of
 *     KEY_UNIT       keys that are taken together: a multiple of LANES and of PACK * DEPTH_UNIT
 *     QUERY_BLOCK    queries at a time: a multiple of LANES * PACK and of a tile's rows
 *     multiply_add   (vec sum, element a of all lanes, vector of elements b) -> vec
 *     or, where there are tiles, block_product itself and ROW_UNIT
 *     and for BF16   store_bf16, pair_of
 *
 * Flash attention (Dao et al. 2022): blocks of queries against blocks of keys, with a running
 * maximum and sum for each query, so that no matrix of tokens x tokens exists. Keys that no query
 * of a block sees are not looked at. The bias is put where the product of queries and keys is then
 * added to; what one query does not see gets a score of EXCLUDED, and so a weight of 0. */
#include "compress/cpu/attention.h"
#include "compress/cpu/attention_pack_body.h"

enum { KEY_BLOCK = 256, PAD = 16 /* keeps rows from falling on each other in the cache */ };
#define EXCLUDED (-1e30f)
/* Scores are kept in units of ln 2, so that weights are powers of 2. */
#define LOG2_E 1.44269504f

/* Sizes in floats (elements), and where the parts lie in the scratch memory. */
struct plan {
    int64_t wide, depth, tall; /* of a head: in whole vectors, of elements, in whole tiles */
    int64_t block, blocks;     /* keys */
    int64_t stride, line;      /* of rows of a block of keys: floats or pairs; elements of pairs */
    int64_t places, sides;     /* of the tables of relative positions; height + width */
    size_t table, table_pairs, ones, dtable;        /* of the call */
    size_t keys, values, key_pairs, dkeys, dvalues; /* of a group */
    size_t staged, dstaged, packed, queries, query_turned, douts, dout_turned;
    size_t relative, scores, dscores, weights, dweights, dlines, sums;
    size_t by_side, by_place, by_lines, by_pairs;
    size_t end;
};

static size_t reserve(struct plan *p, int64_t floats) {
    size_t at = p->end;
    p->end += (size_t)round_up(floats, PAD);
    return at;
}

static void plan_tables(struct plan *p, const struct attention_call *c) {
    p->places = c->height > 0 ? round_up(2 * c->height - 1 + 2 * c->width - 1, KEY_UNIT) : 0;
    p->sides = round_up(c->height + c->width, LANES);
    p->table = reserve(p, p->depth * p->places);
    p->relative = reserve(p, QUERY_BLOCK * (p->places + PAD));
    if (c->backward) {
        p->table_pairs = reserve(p, p->places / PACK * p->wide);
        p->ones = reserve(p, round_up(c->height * c->width, KEY_UNIT) / PACK * p->sides);
        p->dtable = reserve(p, p->tall * p->places);
        p->by_side = reserve(p, QUERY_BLOCK * p->sides);
        p->by_place = reserve(p, QUERY_BLOCK * p->places);
        p->by_lines = PACK == 1 ? p->by_place : reserve(p, QUERY_BLOCK * p->places / PACK);
        p->by_pairs = PACK == 1 ? p->by_place : reserve(p, QUERY_BLOCK / PACK * p->places);
    }
}

static void plan_block(struct plan *p, const struct attention_call *c) {
    const int64_t lines = QUERY_BLOCK > KEY_UNIT ? QUERY_BLOCK : KEY_UNIT;
    p->staged = reserve(p, (lines + 1) * p->wide);
    p->packed = reserve(p, lines * p->depth);
    p->queries = reserve(p, QUERY_BLOCK * p->depth);
    p->scores = reserve(p, QUERY_BLOCK * p->stride);
    p->sums = reserve(p, QUERY_BLOCK * p->wide);
    if (!c->backward) {
        p->weights = PACK == 1 ? p->scores : reserve(p, QUERY_BLOCK * p->line);
        return;
    }
    p->dstaged = reserve(p, (QUERY_BLOCK + 1) * p->wide);
    p->query_turned = reserve(p, p->tall * QUERY_BLOCK / PACK);
    p->douts = reserve(p, QUERY_BLOCK * p->depth);
    p->dout_turned = reserve(p, p->tall * QUERY_BLOCK / PACK);
    p->dscores = reserve(p, QUERY_BLOCK * p->stride);
    p->weights = PACK == 1 ? p->scores : reserve(p, QUERY_BLOCK / PACK * p->stride);
    p->dweights = PACK == 1 ? p->dscores : reserve(p, QUERY_BLOCK / PACK * p->stride);
    p->dlines = PACK == 1 ? p->dscores : reserve(p, QUERY_BLOCK * p->line);
}

/* For a group with so many keys; more keys never take less. */
static struct plan make_plan(const struct attention_call *c, int64_t keys) {
    struct plan p = {.wide = round_up(c->dim, LANES * PACK)};
    p.depth = p.wide / PACK;
    p.tall = round_up(p.wide, ROW_UNIT);
    p.block = round_up(keys < KEY_BLOCK ? keys : KEY_BLOCK, KEY_UNIT);
    p.blocks = (keys + p.block - 1) / p.block;
    p.stride = p.block + PAD;
    p.line = PACK == 1 ? p.stride : p.block / PACK + PAD;
    plan_tables(&p, c);
    plan_block(&p, c);
    p.keys = reserve(&p, p.blocks * p.depth * p.stride);
    if (c->backward) {
        p.values = reserve(&p, p.blocks * p.depth * p.stride);
        p.key_pairs = reserve(&p, p.blocks * p.block / PACK * p.wide);
        p.dkeys = reserve(&p, p.blocks * p.tall * p.stride);
        p.dvalues = reserve(&p, p.blocks * p.tall * p.stride);
    } else {
        p.values = reserve(&p, p.blocks * p.block / PACK * p.wide);
    }
    return p;
}

enum {
    FEW_KEYS = 256,   /* at a time */
    FEW_TOGETHER = 4, /* queries and vectors whose sums stay in registers */
    FEW_AHEAD = 1024  /* bytes that are asked for before they are read */
};

/* Of a few queries (attention_few_body.h). */
struct few_plan {
    int64_t wide;
    size_t queries, scores, sums, staged, end;
};

static struct few_plan plan_few(const struct attention_call *c) {
    struct few_plan p = {.wide = round_up(c->dim, FEW_TOGETHER * LANES)};
    p.scores = (size_t)(ATTENTION_FEW * p.wide);
    p.sums = p.scores + ATTENTION_FEW * FEW_KEYS;
    p.staged = p.sums + (size_t)(ATTENTION_FEW * p.wide);
    p.end = p.staged + (size_t)((LANES + 1) * p.wide);
    return p;
}

static size_t attention_scratch(const struct attention_call *c) {
    return (c->few ? plan_few(c).end : make_plan(c, c->keys).end) * sizeof(float);
}

/* ---- Tables of relative positions ------------------------------------------------------------ */

/* Lines `first` to `first + KEY_UNIT` of both tables, backwards, one after the other, over `scale`:
 * then the biases of a query at y are those from height - 1 - y on, in the order of the keys, and
 * likewise across. */
static void stage_places(const struct attention_call *c, const struct plan *p, float *staged,
                         int64_t first) {
    const struct source down = {.rows = &c->rel_h, .dim = c->dim, .wide = p->wide};
    const struct source across = {.rows = &c->rel_w, .dim = c->dim, .wide = p->wide};
    int64_t rows = 2 * c->height - 1, columns = 2 * c->width - 1;
    for (int64_t m = first; m < first + KEY_UNIT; m++, staged += p->wide) {
        if (m < rows) {
            stage_line(staged, &down, rows - 1 - m);
        } else if (m < rows + columns) {
            stage_line(staged, &across, rows + columns - 1 - m);
        } else {
            memset(staged, 0, (size_t)p->wide * sizeof *staged);
        }
        for (int64_t d = 0; d < p->wide; d++) {
            staged[d] *= 1.0f / c->scale;
        }
    }
}

static void pack_places(const struct attention_call *c, const struct plan *p, float *s,
                        int64_t first) {
    const float *lines[KEY_UNIT];
    float *packed = s + p->packed;
    stage_places(c, p, s + p->staged, first);
    dense_lines(lines, s + p->staged, p->wide, KEY_UNIT);
    pack_lines(packed, p->depth, lines, KEY_UNIT, p->wide);
    turn(s + p->table + first, p->places, packed, p->depth, KEY_UNIT, p->depth);
    if (c->backward) {
        pack_pairs(s + p->table_pairs + first / PACK * p->wide, lines, KEY_UNIT, p->wide);
    }
}

/* Which row and which column each key stands in: (keys, sides) of 0 and 1, pairs of keys. */
static void mark_sides(const struct attention_call *c, const struct plan *p, float *ones) {
    int64_t keys = c->height * c->width;
    memset(ones, 0, (size_t)(round_up(keys, KEY_UNIT) / PACK * p->sides) * sizeof *ones);
    for (int64_t t = 0; t < keys; t++) {
        float *row = ones + t / PACK * p->sides;
        float *marks[] = {row + t / c->width, row + c->height + t % c->width};
        for (int i = 0; i < 2; i++) {
#if PACK == 1
            *marks[i] = 1;
#else
            ((uint16_t *)(void *)marks[i])[t % 2] = bf16_of(1);
#endif
        }
    }
}

static void attention_begin(const struct attention_call *c, void *scratch) {
    if (c->few) {
        return;
    }
    struct plan p = make_plan(c, c->keys);
    float *s = scratch;
    /* What no query has written takes part in products, and is never looked at; it must not hold
     * what slows the processor down (denormals, NaN). */
    memset(s, 0, p.keys * sizeof *s);
    for (int64_t m = 0; m < p.places; m += KEY_UNIT) {
        pack_places(c, &p, s, m);
    }
    if (c->backward && c->height > 0) {
        mark_sides(c, &p, s + p.ones);
    }
}

/* ---- One block of queries -------------------------------------------------------------------- */

struct attention_context {
    const struct attention_call *call;
    const struct attention_group *group;
    struct plan plan;
    float *scratch;
    float scale; /* of scores, in units of ln 2 */
    int64_t head, first, rows;
    float largest[QUERY_BLOCK], total[QUERY_BLOCK]; /* before scaling; of weights */
    float log_sum[QUERY_BLOCK + 1];                 /* in units of ln 2 */
    float product[QUERY_BLOCK + 1];                 /* of out and dout */
};

/* The keys that query i of the group sees: [*from, *to). */
static void visible(const struct attention_call *c, const struct attention_group *g, int64_t i,
                    int64_t *from, int64_t *to) {
    int64_t end = g->start + i + 1;
    *to = c->causal && end < g->keys ? end : g->keys;
    *from = c->causal && c->span > 0 && end > c->span ? end - c->span : 0;
}

/* Keys [first, first + count) of block `block`, all of one block: what the queries that are at hand
 * are taken against. */
struct keys {
    int64_t first, count, block, column;
};

/* The next keys that any query at hand sees, from k->first + k->count on; false: none. */
static bool next_keys(const struct attention_context *h, struct keys *k) {
    int64_t from, to, unused, next = k->first + k->count;
    visible(h->call, h->group, h->first, &from, &unused);
    visible(h->call, h->group, h->first + h->rows - 1, &unused, &to);
    from = from / KEY_UNIT * KEY_UNIT;
    k->first = next < from ? from : next;
    k->block = k->first / h->plan.block;
    k->column = k->first % h->plan.block;
    int64_t end = (k->block + 1) * h->plan.block;
    k->count = (to < end ? round_up(to, KEY_UNIT) : end) - k->first;
    return k->first < to;
}

static struct source source_of(const struct attention_context *h, const struct attention_rows *rows,
                               int64_t head) {
    return (struct source){.rows = rows,
                           .place = h->group->place,
                           .head = head,
                           .dim = h->call->dim,
                           .wide = h->plan.wide};
}

static void pack_queries(struct attention_context *h, int64_t count) {
    const struct plan *p = &h->plan;
    const struct source q = source_of(h, &h->group->q, h->head);
    const float *lines[QUERY_BLOCK];
    float *s = h->scratch, *queries = s + p->queries;
    find_lines(lines, s + p->staged, &q, h->first, h->rows, count);
    pack_lines(queries, p->depth, lines, count, p->wide);
    if (h->call->backward) {
        pack_pairs(s + p->packed, lines, count, p->wide);
        turn(s + p->query_turned, QUERY_BLOCK / PACK, s + p->packed, p->wide, count / PACK,
             p->wide);
    }
    if (p->places > 0) {
        block_product(s + p->relative, p->places + PAD, queries, p->depth, s + p->table, p->places,
                      h->rows, p->places, p->depth, false);
    }
}

/* Scores of query i at keys [k->first, k->first + k->count) = bias over scale. Writes up to LANES
 * floats too many. */
static void spread_bias(const struct attention_context *h, int64_t i, const struct keys *k,
                        float *scores) {
    const struct attention_call *c = h->call;
    int64_t place = h->group->start + h->first + i;
    const float *down = h->scratch + h->plan.relative + i * (h->plan.places + PAD);
    const float *across = down + 2 * c->height - 1 + c->width - 1 - place % c->width;
    down += c->height - 1 - place / c->width;
    int64_t y = k->first / c->width, x = k->first % c->width;
    for (int64_t at = 0; at < k->count; y++, x = 0) {
        int64_t count = c->width - x < k->count - at ? c->width - x : k->count - at;
        vec row = all(y < c->height ? down[y] : 0);
        for (int64_t j = 0; j < count; j += LANES) {
            store(scores + at + j, load(across + x + j) + row);
        }
        at += count;
    }
}

/* What query i does not see of these keys. */
static void exclude(const struct attention_context *h, int64_t i, const struct keys *k,
                    float *scores) {
    int64_t from, to;
    visible(h->call, h->group, h->first + i, &from, &to);
    for (int64_t j = k->first; j < from && j < k->first + k->count; j++) {
        scores[j - k->first] = EXCLUDED;
    }
    for (int64_t j = to > k->first ? to : k->first; j < k->first + k->count; j++) {
        scores[j - k->first] = EXCLUDED;
    }
}

/* Scores of the queries at hand at keys k, before scaling. */
static void score(const struct attention_context *h, const struct keys *k) {
    const struct plan *p = &h->plan;
    float *s = h->scratch, *scores = s + p->scores;
    for (int64_t i = 0; i < h->rows && p->places > 0; i++) {
        spread_bias(h, i, k, scores + i * p->stride);
    }
    block_product(scores, p->stride, s + p->queries, p->depth,
                  s + p->keys + k->block * p->depth * p->stride + k->column, p->stride, h->rows,
                  k->count, p->depth, p->places > 0);
    for (int64_t i = 0; i < h->rows; i++) {
        exclude(h, i, k, scores + i * p->stride);
    }
}

/* Scores of query i become weights 2^(score - largest); returns what the sums so far are to be
 * multiplied with. `begun`: there are such. */
static float weigh(struct attention_context *h, int64_t i, int64_t count, bool begun) {
    const struct plan *p = &h->plan;
    float *s = h->scratch, *scores = s + p->scores + i * p->stride;
    vec largest = all(h->largest[i]);
    for (int64_t j = 0; j < count; j += LANES) {
        largest = larger(largest, load(scores + j));
    }
    float now = largest_of(largest), before = h->largest[i], peak = now * h->scale;
    vec total = {0};
#if PACK == 2
    uint16_t *weights = (uint16_t *)(void *)(s + p->weights + i * p->line);
#endif
    for (int64_t j = 0; j < count; j += LANES) {
        vec weight = power_of_two(load(scores + j) * h->scale - peak, PACK == 2);
        total += weight;
#if PACK == 1
        store(scores + j, weight);
#else
        store_bf16(weights + j, weight);
#endif
    }
    float shrink =
        begun && now != before ? power_of_two(all((before - now) * h->scale), false)[0] : 1;
    h->largest[i] = now;
    h->total[i] = h->total[i] * shrink + sum_of(total);
    return shrink;
}

static void attend_block(struct attention_context *h) {
    const struct plan *p = &h->plan;
    float *s = h->scratch, *sums = s + p->sums;
    for (int64_t i = 0; i < h->rows; i++) {
        h->largest[i] = EXCLUDED;
        h->total[i] = 0;
    }
    bool begun = false;
    for (struct keys k = {0}; next_keys(h, &k); begun = true) {
        score(h, &k);
        for (int64_t i = 0; i < h->rows; i++) {
            float shrink = weigh(h, i, k.count, begun), *row = sums + i * p->wide;
            for (int64_t j = 0; j < p->wide && begun && shrink != 1; j += LANES) {
                store(row + j, load(row + j) * shrink);
            }
        }
        block_product(sums, p->wide, s + p->weights, p->line,
                      s + p->values + k.first / PACK * p->wide, p->wide, h->rows, p->wide,
                      k.count / PACK, begun);
    }
}

#include "compress/cpu/attention_few_body.h"

/* ---- One group ----------------------------------------------------------------------------- */

static void pack_keys(const struct attention_context *h) {
    const struct plan *p = &h->plan;
    const struct attention_group *g = h->group;
    const struct source k = source_of(h, &g->k, 0), v = source_of(h, &g->v, 0);
    const float *lines[KEY_UNIT];
    float *s = h->scratch;
    for (int64_t t = 0; t < g->keys; t += KEY_UNIT) {
        int64_t count = g->keys - t < KEY_UNIT ? g->keys - t : KEY_UNIT;
        float *keys = s + p->keys + t / p->block * p->depth * p->stride + t % p->block;
        find_lines(lines, s + p->staged, &k, t, count, KEY_UNIT);
        pack_lines(s + p->packed, p->depth, lines, KEY_UNIT, p->wide);
        turn(keys, p->stride, s + p->packed, p->depth, KEY_UNIT, p->depth);
        find_lines(lines, s + p->staged, &v, t, count, KEY_UNIT);
        pack_pairs(s + p->values + t / PACK * p->wide, lines, KEY_UNIT, p->wide);
    }
}

static void attention_forward(const struct attention_call *c, const struct attention_group *g,
                              void *scratch) {
    if (c->few) {
        attend_few(c, g, scratch);
        return;
    }
    struct attention_context h = {.call = c,
                                  .group = g,
                                  .plan = make_plan(c, g->keys),
                                  .scratch = scratch,
                                  .scale = c->scale * LOG2_E};
    pack_keys(&h);
    for (h.head = 0; h.head < g->heads; h.head++) {
        for (h.first = 0; h.first < g->queries; h.first += QUERY_BLOCK) {
            int64_t rest = g->queries - h.first;
            h.rows = rest < QUERY_BLOCK ? rest : QUERY_BLOCK;
            pack_queries(&h, round_up(h.rows, LANES * PACK));
            attend_block(&h);
            for (int64_t i = 0; i < h.rows; i++) {
                if (g->log_sum_exp != NULL) {
                    g->log_sum_exp[h.head * g->log_head + h.first + i] =
                        h.largest[i] * c->scale + logf(h.total[i]);
                }
                h.total[i] = 1.0f / h.total[i];
            }
            set_rows(&g->out, g->place, h.head, h.first, h.rows, c->dim, h.scratch + h.plan.sums,
                     h.plan.wide, h.total);
        }
    }
}
