/* span_pairs.c - visual tokens and the text tokens under each part of them. */
#include <stdlib.h>

#include "store/array.h"
#include "store/random.h"
#include "train/align/span_plan.h"

/* Where part `part` of `parts` begins, in bytes of the account's text: of a token that holds
 * several stored ones each of these has its share of the parts, whatever the length of its text. */
static double begin_of(const struct span_plan *p, const struct span_piece *piece, int64_t token,
                       int64_t part, int64_t parts) {
    const size_t group = (size_t)1 << p->halvings;
    const double at = (double)part * (double)group / (double)parts;
    const size_t whole = (size_t)at < group ? (size_t)at : group - 1;
    size_t one = (size_t)token * group + whole, from, to;
    const size_t last = piece->count - 1;
    const bool beyond = one > last; /* of an odd number of tokens */
    span_bytes(&p->place, piece->first + (beyond ? last : one), 1, &from, &to);
    return beyond ? (double)to : (double)from + (double)(to - from) * (at - (double)whole);
}

/* A walk over the text tokens of a piece, in step with its parts. */
struct walk {
    const struct span_rows *rows;
    size_t token; /* of rows->text */
    double from;  /* where it begins */
};

static double end_of(const struct walk *w) {
    size_t size = 0;
    tokenizer_bytes(w->rows->options.model->tokenizer, w->rows->text.ids[w->token], &size);
    return w->from + (double)size;
}

/* The text tokens with a byte in [from, to). */
static struct context_pool under(struct walk *w, double from, double to) {
    struct context_pool pool = {.first = 0};
    while (w->token < w->rows->text.count && end_of(w) <= from) {
        w->from = end_of(w);
        w->token++;
    }
    struct walk ahead = *w;
    pool.first = (int64_t)w->token;
    while (ahead.token < w->rows->text.count && ahead.from < to) {
        pool.count++;
        ahead.from = end_of(&ahead);
        ahead.token++;
    }
    return pool;
}

static int add_part(struct span_rows *s, struct span_pairs *pairs, int64_t part,
                    struct context_pool pool, struct error *e) {
    const size_t wanted = (size_t)pairs->count + 1;
    struct context_pool *pools = array_grow(s->pools, &s->pool_capacity, wanted, sizeof *pools, e);
    s->pools = pools != NULL ? pools : s->pools;
    int32_t *parts = array_grow(s->parts, &s->part_capacity, wanted, sizeof *parts, e);
    s->parts = parts != NULL ? parts : s->parts;
    int32_t *inputs = array_grow(s->pool_inputs, &s->input_capacity, wanted, sizeof *inputs, e);
    s->pool_inputs = inputs != NULL ? inputs : s->pool_inputs;
    if (pools == NULL || parts == NULL || inputs == NULL) {
        return ERR_MEMORY;
    }
    pools[pairs->count] = pool;
    parts[pairs->count] = (int32_t)part;
    inputs[pairs->count] = (int32_t)(-1 - pairs->count);
    pairs->count++;
    return 0;
}

static int add_piece(struct span_rows *s, struct span_pairs *pairs, const struct span_piece *piece,
                     int64_t tokens, struct error *e) {
    const struct span_plan *p = &s->plan;
    size_t from, to;
    span_bytes(&p->place, piece->first, piece->count, &from, &to);
    struct walk w = {.rows = s, .token = s->text.count, .from = (double)from};
    int rc = tokenizer_encode(s->state, p->place.account->text + from, to - from,
                              TOKENIZER_ORDINARY, &s->text, e);
    for (int64_t i = 0; i < piece->made * pairs->expand && rc == 0; i++) {
        const int64_t token = i / pairs->expand, part = i % pairs->expand;
        const double begin = begin_of(p, piece, token, part, pairs->expand);
        const double end = begin_of(p, piece, token, part + 1, pairs->expand);
        const struct context_pool pool =
            end > begin ? under(&w, begin, end) : (struct context_pool){.count = 0};
        rc = pool.count > 0 ? add_part(s, pairs, tokens * pairs->expand + i, pool, e) : 0;
    }
    return rc;
}

int span_pairs(struct span_rows *s, enum corpus_set set, int64_t expand, int64_t cells,
               double halved, uint64_t random, struct span_pairs *pairs, struct error *e) {
    int halvings = 0;
    struct material_place place;
    span_draw(s, set, halved, &random, &halvings, &place); /* of none: always */
    int64_t tokens = 0;
    *pairs = (struct span_pairs){.expand = expand};
    for (int i = 0; i < BRIDGE_AGES; i++) {
        s->groups[i].count = 0;
    }
    s->text.count = 0;
    const int bucket = place.account->tokens[place.token].bucket + halvings;
    const int64_t most = cells >> bucket > 0 ? cells >> bucket : 1;
    int rc = span_plan(&s->plan, &place, most, halvings, true, e);
    rc = rc == 0 ? span_load(s, &s->plan, e) : rc;
    for (size_t i = 0; i < s->plan.count && rc == 0; i++) {
        rc = add_piece(s, pairs, &s->plan.pieces[i], tokens, e);
        tokens += s->plan.pieces[i].made;
    }
    if (rc < 0) {
        return rc;
    }
    pairs->visual = (struct context_visual){.bucket = bucket,
                                            .count = tokens,
                                            .numbers = s->groups[bucket].numbers,
                                            .begins = s->groups[bucket].begins};
    pairs->parts = s->parts;
    pairs->text = (struct context_row){.inputs = s->pool_inputs,
                                       .tokens = pairs->count,
                                       .pools = s->pools,
                                       .pool_count = pairs->count,
                                       .pooled = s->text.ids};
    return 0;
}
