/* span_plan.h - which tokens a span has, and their text; what rows are gathered in. Private to
 * span*.c. */
#ifndef OCC_TRAIN_ALIGN_SPAN_PLAN_H
#define OCC_TRAIN_ALIGN_SPAN_PLAN_H

#include "train/align/spans.h"

/* Tokens of a page, one after the other: what follows one mark. */
struct span_piece {
    size_t first, count; /* of the account's tokens */
    int64_t made;        /* visual tokens that they become */
    int bucket;          /* of these */
};
struct span_plan {
    struct material_place place;
    struct span_piece *pieces; /* owned */
    size_t count, capacity;
    int halvings;  /* beyond those that are stored */
    int64_t made;  /* visual tokens of all pieces */
    int64_t cells; /* that these hold */
    size_t next;   /* the account's first token after them */
};
/* Up to `most` visual tokens from `place` on, each halved `halvings` times. `alike`: of the bucket
 * of the first one alone. */
int span_plan(struct span_plan *p, const struct material_place *place, int64_t most, int halvings,
              bool alike, struct error *e);
void span_plan_close(struct span_plan *p);
/* The bytes of the account's text under tokens [first, first + count) of a piece. */
void span_bytes(const struct material_place *place, size_t first, size_t count, size_t *from,
                size_t *to);

/* Visual tokens of one bucket. */
struct span_group {
    float *numbers; /* owned, as what follows */
    bool *begins;   /* a piece begins there */
    size_t capacity, begins_capacity;
    int64_t count; /* tokens */
};

struct span_rows {
    struct span_options options;
    int64_t dim;
    int32_t begin, end; /* tokens around a text; -1: none */
    struct tokenizer_state *state;

    const struct span_lesson *lesson; /* while a row is made */
    /* Of the row in hand: (options.row) of each, owned. */
    int32_t *inputs, *labels, *positions, *offsets;
    int8_t *buckets; /* of the soft token that an input is; -1: it is something else */
    struct context_row row;
    int64_t used, cells; /* positions that its sequences were given; cells of their visual tokens */
    struct span_group groups[BRIDGE_AGES];
    struct context_visual visual[BRIDGE_AGES];

    struct span_plan plan, following;
    struct token_list own, text; /* under the span in hand; what is foreseen */
    struct bytes bytes;

    /* Of pairs, owned. */
    struct context_pool *pools;
    int32_t *parts;
    size_t pool_capacity, part_capacity, input_capacity;
    int32_t *pool_inputs;

    /* Of letters, owned. */
    int32_t *characters;
    struct span_start *starts;
    size_t cell_count, character_capacity, start_count, start_capacity;
};

/* Appends the tokens' numbers to their group. */
int span_load(struct span_rows *s, const struct span_plan *plan, struct error *e);
/* A place, by `random`; and how often tokens are halved there: as often as *halvings says, or, in
 * that share of the cases, once or more. False: they cannot be halved so often. */
bool span_draw(const struct span_rows *s, enum corpus_set set, double halved, uint64_t *random,
               int *halvings, struct material_place *place);

#endif
