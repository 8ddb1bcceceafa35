/* span_plan.c - see span_plan.h. */
#include "train/align/span_plan.h"

#include <stdlib.h>

#include "store/array.h"
#include "store/random.h"

/* ---- Which tokens ---------------------------------------------------------------------------- */

void span_plan_close(struct span_plan *p) {
    free(p->pieces);
    *p = (struct span_plan){.pieces = NULL};
}

/* Neighbours on one page, in its text, too. */
static bool together(const struct history_token *a, const struct history_token *b) {
    return a->page == b->page && a->bucket == b->bucket && a->text + a->size == b->text;
}

static int add_piece(struct span_plan *p, size_t first, size_t count, struct error *e) {
    struct span_piece *pieces =
        array_grow(p->pieces, &p->capacity, p->count + 1, sizeof *pieces, e);
    if (pieces == NULL) {
        return ERR_MEMORY;
    }
    p->pieces = pieces;
    struct span_piece *one = &pieces[p->count++];
    *one = (struct span_piece){.first = first,
                               .count = count,
                               .made = ((int64_t)count + (1 << p->halvings) - 1) >> p->halvings,
                               .bucket = p->place.account->tokens[first].bucket + p->halvings};
    p->made += one->made;
    p->cells += one->made << one->bucket;
    return 0;
}

static bool can_be_halved(const struct material_place *place, size_t token, int halvings) {
    const struct history_token *one = &place->account->tokens[token];
    return halvings == 0 ||
           one->bucket + halvings <= history_page(place->history, one->page)->levels;
}

int span_plan(struct span_plan *p, const struct material_place *place, int64_t most, int halvings,
              bool alike, struct error *e) {
    const struct history_token *tokens = place->account->tokens;
    size_t at = place->token;
    int rc = 0;
    p->place = *place;
    p->count = 0;
    p->made = p->cells = 0;
    p->halvings = halvings;
    while (at < place->end && p->made < most && rc == 0) {
        const size_t first = at, room = (size_t)(most - p->made) << halvings;
        if (tokens[first].size == 0) {
            at++;
            continue;
        }
        if ((alike && tokens[first].bucket != tokens[place->token].bucket) ||
            !can_be_halved(place, first, halvings)) {
            break;
        }
        at++;
        while (at < place->end && at - first < room && together(&tokens[at - 1], &tokens[at]) &&
               tokens[at].size > 0) {
            at++;
        }
        rc = add_piece(p, first, at - first, e);
    }
    p->next = at;
    return rc;
}

void span_bytes(const struct material_place *place, size_t first, size_t count, size_t *from,
                size_t *to) {
    const struct history_token *tokens = place->account->tokens, *last = &tokens[first + count - 1];
    *from = tokens[first].text;
    *to = (size_t)last->text + last->size;
}

bool span_draw(const struct span_rows *s, enum corpus_set set, double halved, uint64_t *random,
               int *halvings, struct material_place *place) {
    const struct material *m = s->options.material;
    *place = material_place(m, set, random_below(random, material_counts(m, set).tokens));
    const struct history_token *token = &place->account->tokens[place->token];
    const int levels = history_page(place->history, token->page)->levels - token->bucket;
    const int most = levels < SPAN_HALVINGS ? levels : SPAN_HALVINGS;
    if (random_unit(random) < halved && most > 0) {
        *halvings = 1 + (int)random_below(random, most);
    }
    return *halvings == 0 || *halvings <= levels;
}

/* ---- Their numbers --------------------------------------------------------------------------- */

static int load_piece(struct span_rows *s, const struct span_plan *plan,
                      const struct span_piece *piece, struct error *e) {
    struct span_group *g = &s->groups[piece->bucket];
    const size_t dim = (size_t)s->dim;
    /* what is halved is first there whole */
    const size_t wanted = ((size_t)g->count + piece->count) * dim;
    size_t made = 0;
    float *numbers = array_grow(g->numbers, &g->capacity, wanted, sizeof *numbers, e);
    g->numbers = numbers != NULL ? numbers : g->numbers;
    bool *begins = array_grow(g->begins, &g->begins_capacity, (size_t)g->count + piece->count,
                              sizeof *begins, e);
    g->begins = begins != NULL ? begins : g->begins;
    if (numbers == NULL || begins == NULL) {
        return ERR_MEMORY;
    }
    for (int64_t i = 0; i < piece->made; i++) {
        begins[g->count + i] = i == 0;
    }
    int rc = history_load(plan->place.history, plan->place.account, piece->first, piece->count,
                          piece->bucket, numbers + (size_t)g->count * dim, &made, e);
    if (rc == 0 && (int64_t)made != piece->made) {
        rc = error_set(e, ERR_FORMAT, "%s: %zu tokens became %zu of bucket %d",
                       plan->place.account->name, piece->count, made, piece->bucket);
    }
    g->count += rc == 0 ? piece->made : 0;
    return rc;
}

int span_load(struct span_rows *s, const struct span_plan *plan, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < plan->count && rc == 0; i++) {
        rc = load_piece(s, plan, &plan->pieces[i], e);
    }
    return rc;
}
