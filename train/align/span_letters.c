/* span_letters.c - where the text tokens under visual tokens begin: at which character of which
 * cell. */
#include <stdlib.h>

#include "store/array.h"
#include "train/align/span_plan.h"

/* A character begins there (UTF-8). */
static bool is_begin(char byte) {
    return ((unsigned char)byte & 0xC0) != 0x80;
}

static int add_cell(struct span_rows *s, const char *text, size_t size, struct error *e) {
    int32_t *characters =
        array_grow(s->characters, &s->character_capacity, s->cell_count + 1, sizeof *characters, e);
    if (characters == NULL) {
        return ERR_MEMORY;
    }
    s->characters = characters;
    characters[s->cell_count] = 0;
    for (size_t i = 0; i < size; i++) {
        characters[s->cell_count] += is_begin(text[i]);
    }
    s->cell_count++;
    return 0;
}

/* Cells of a piece; those that an odd number of tokens lacks have no text. */
static int add_cells(struct span_rows *s, const struct span_piece *piece, struct error *e) {
    const size_t cells = (size_t)piece->made << piece->bucket;
    int rc = 0;
    for (size_t i = 0; i < cells && rc == 0; i++) {
        size_t from = 0, to = 0;
        if (i < piece->count) {
            span_bytes(&s->plan.place, piece->first + i, 1, &from, &to);
        }
        rc = add_cell(s, s->plan.place.account->text + from, to - from, e);
    }
    return rc;
}

static int add_start(struct span_rows *s, const struct span_start *start, struct error *e) {
    struct span_start *starts =
        array_grow(s->starts, &s->start_capacity, s->start_count + 1, sizeof *starts, e);
    if (starts == NULL) {
        return ERR_MEMORY;
    }
    s->starts = starts;
    starts[s->start_count++] = *start;
    return 0;
}

/* Tokens of a piece, whose first cell is `cell`. */
static int add_starts(struct span_rows *s, const struct span_piece *piece, size_t cell,
                      struct error *e) {
    const struct tokenizer *tokenizer = s->options.model->tokenizer;
    const char *text = s->plan.place.account->text;
    size_t from, to, at, one = 0, end;
    span_bytes(&s->plan.place, piece->first, piece->count, &from, &to);
    span_bytes(&s->plan.place, piece->first, 1, &at, &end);
    s->text.count = 0;
    int rc = tokenizer_encode(s->state, text + from, to - from, TOKENIZER_ORDINARY, &s->text, e);
    int32_t character = -1; /* that byte `at` is of */
    size_t begin = from;    /* of the token */
    for (size_t i = 0; i < s->text.count && rc == 0; i++) {
        size_t size = 0;
        while (at <= begin && begin < to) {
            if (at == end) {
                one++;
                span_bytes(&s->plan.place, piece->first + one, 1, &at, &end);
                character = -1;
            }
            character += is_begin(text[at++]);
        }
        const struct span_start start = {.id = s->text.ids[i],
                                         .cell = (int32_t)(cell + one),
                                         .character = character > 0 ? character : 0};
        tokenizer_bytes(tokenizer, s->text.ids[i], &size);
        rc = begin < to ? add_start(s, &start, e) : 0;
        begin += size;
    }
    return rc;
}

int span_letters(struct span_rows *s, enum corpus_set set, int64_t cells, double halved,
                 uint64_t random, struct span_letters *out, struct error *e) {
    int halvings = 0;
    struct material_place place;
    span_draw(s, set, halved, &random, &halvings, &place); /* of none: always */
    *out = (struct span_letters){.count = 0};
    for (int i = 0; i < BRIDGE_AGES; i++) {
        s->groups[i].count = 0;
    }
    s->cell_count = s->start_count = 0;
    if (place.account->tokens[place.token].bucket > 0) {
        return 0; /* which cell has which part of its text is not known any more */
    }
    const int64_t most = cells >> halvings > 0 ? cells >> halvings : 1;
    int rc = span_plan(&s->plan, &place, most, halvings, true, e);
    rc = rc == 0 ? span_load(s, &s->plan, e) : rc;
    for (size_t i = 0; i < s->plan.count && rc == 0; i++) {
        const size_t cell = s->cell_count;
        rc = add_cells(s, &s->plan.pieces[i], e);
        rc = rc == 0 ? add_starts(s, &s->plan.pieces[i], cell, e) : rc;
    }
    if (rc == 0) {
        const struct span_group *g = &s->groups[halvings];
        *out = (struct span_letters){.visual = {.bucket = halvings,
                                                .count = g->count,
                                                .numbers = g->numbers,
                                                .begins = g->begins},
                                     .cells = (int64_t)s->cell_count,
                                     .characters = s->characters,
                                     .starts = s->starts,
                                     .count = (int64_t)s->start_count};
    }
    return rc;
}
