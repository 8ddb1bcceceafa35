/* material.c - see material.h. */
#include "train/align/material.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/array.h"
#include "train/context/apart.h"

/* Tokens one after the other that show text. */
struct run {
    struct material_place place; /* of the first */
    int64_t before;              /* tokens of the set's runs before it */
};
struct run_list {
    struct run *runs;
    size_t count, capacity;
    struct material_counts counts;
};
struct material {
    struct run_list sets[CORPUS_SETS];
    struct store_encoder encoder;
    uint64_t hash;
    size_t bytes;
};

/* ---- Which accounts are held out ------------------------------------------------------------- */

/* An account that has text. */
struct candidate {
    const struct history *history;
    const struct history_account *account;
};
struct candidates {
    struct candidate *list;
    size_t count, capacity;
};

static size_t tokens_with_text(const struct history_account *a) {
    size_t count = 0;
    for (size_t i = 0; i < a->token_count; i++) {
        count += a->tokens[i].size > 0;
    }
    return count;
}

static int take_history(struct candidates *all, const struct history *h, struct error *e) {
    for (size_t i = 0; i < history_count(h); i++) {
        const struct history_account *a = history_get(h, i);
        if (tokens_with_text(a) == 0) {
            continue;
        }
        struct candidate *list =
            array_grow(all->list, &all->capacity, all->count + 1, sizeof *list, e);
        if (list == NULL) {
            return ERR_MEMORY;
        }
        all->list = list;
        list[all->count++] = (struct candidate){h, a};
    }
    return 0;
}

/* apart[i]: all of candidate i is held out. Of accounts none of which is, each one's newest tokens
 * are: *newest. */
static int choose(const struct candidates *all, double share, bool **apart, bool *newest,
                  struct error *e) {
    const char **names = calloc(all->count, sizeof *names);
    *apart = calloc(all->count, sizeof **apart);
    *newest = share > 0;
    int rc = names != NULL && *apart != NULL ? 0 : error_memory(e, NULL);
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        names[i] = all->list[i].account->name;
    }
    if (rc == 0) {
        apart_choose(names, all->count, share, *apart);
    }
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        *newest = *newest && !(*apart)[i];
    }
    free(names);
    return rc;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static int add_run(struct run_list *l, const struct material_place *place, size_t count,
                   struct error *e) {
    struct run *runs = array_grow(l->runs, &l->capacity, l->count + 1, sizeof *runs, e);
    if (runs == NULL) {
        return ERR_MEMORY;
    }
    l->runs = runs;
    runs[l->count++] = (struct run){.place = *place, .before = l->counts.tokens};
    l->counts.tokens += (int64_t)count;
    return 0;
}

/* Tokens [first, end) of an account. */
static int add_runs(struct run_list *l, const struct candidate *c, size_t first, size_t end,
                    struct error *e) {
    const struct history_token *tokens = c->account->tokens;
    const int64_t before = l->counts.tokens;
    int rc = 0;
    for (size_t i = first, next; i < end && rc == 0; i = next) {
        for (next = i; next < end && tokens[next].size > 0; next++) {
        }
        const struct material_place place = {c->history, c->account, i, end};
        rc = next > i ? add_run(l, &place, next - i, e) : 0;
        next = next > i ? next : i + 1;
    }
    l->counts.accounts += l->counts.tokens > before;
    return rc;
}

/* Where the newest share of an account's tokens with text begins: not at its first. */
static size_t newest(const struct history_account *a, double share) {
    const size_t all = tokens_with_text(a);
    size_t left = (size_t)(share * (double)all), at = a->token_count;
    left = left > 0 || share <= 0 ? left : 1;
    left = left < all ? left : all - 1;
    while (left > 0) {
        left -= a->tokens[--at].size > 0;
    }
    return at;
}

static int add_all(struct material *m, const struct candidates *all, double share,
                   struct error *e) {
    bool *apart = NULL, of_each;
    int rc = choose(all, share, &apart, &of_each, e);
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        const struct candidate *c = &all->list[i];
        const size_t end = c->account->token_count;
        const size_t from = of_each ? newest(c->account, share) : apart[i] ? 0 : end;
        rc = add_runs(&m->sets[CORPUS_TRAINING], c, 0, from, e);
        if (rc == 0) {
            rc = add_runs(&m->sets[CORPUS_HELD_OUT], c, from, end, e);
        }
        const uint64_t name = XXH3_64bits(c->account->name, strlen(c->account->name));
        const uint64_t numbers[3] = {m->hash, name, from};
        m->hash = XXH3_64bits(numbers, sizeof numbers);
    }
    free(apart);
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int check_encoder(struct material *m, const struct history *h, size_t index,
                         struct error *e) {
    const struct store_encoder *encoder = history_encoder(h);
    if (index > 0 && encoder->fingerprint != m->encoder.fingerprint) {
        return error_set(
            e, ERR_FORMAT,
            "the stores were made by several encoders: %s (%016" PRIx64 ") and %s (%016" PRIx64 ")",
            m->encoder.name, m->encoder.fingerprint, encoder->name, encoder->fingerprint);
    }
    m->encoder = *encoder;
    return 0;
}

int material_open(struct material **out, struct history *const *histories, size_t count,
                  double held_out, struct error *e) {
    struct material *m = calloc(1, sizeof *m);
    struct candidates all = {.list = NULL};
    int rc = m != NULL ? 0 : error_memory(e, NULL);
    *out = NULL;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = check_encoder(m, histories[i], i, e);
        if (rc == 0) {
            const uint64_t numbers[2] = {m->hash, history_hash(histories[i])};
            m->hash = XXH3_64bits(numbers, sizeof numbers);
            m->bytes += history_bytes(histories[i]);
            rc = take_history(&all, histories[i], e);
        }
    }
    if (rc == 0 && all.count == 0) {
        rc = error_set(e, ERR_FORMAT, "no token shows text: it takes pages that are set in cells");
    }
    if (rc == 0) {
        rc = add_all(m, &all, held_out, e);
    }
    free(all.list);
    if (rc < 0) {
        material_close(m);
        return rc;
    }
    *out = m;
    return 0;
}

void material_close(struct material *m) {
    if (m != NULL) {
        for (int i = 0; i < CORPUS_SETS; i++) {
            free(m->sets[i].runs);
        }
        free(m);
    }
}

struct material_counts material_counts(const struct material *m, enum corpus_set set) {
    return m->sets[set].counts;
}

const struct store_encoder *material_encoder(const struct material *m) {
    return &m->encoder;
}

uint64_t material_hash(const struct material *m) {
    return m->hash;
}

size_t material_bytes(const struct material *m) {
    size_t bytes = m->bytes;
    for (int i = 0; i < CORPUS_SETS; i++) {
        bytes += m->sets[i].capacity * sizeof *m->sets[i].runs;
    }
    return bytes;
}

struct material_place material_place(const struct material *m, enum corpus_set set,
                                     int64_t number) {
    const struct run_list *l = &m->sets[set];
    size_t low = 0, high = l->count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        low = l->runs[middle].before <= number ? middle : low;
        high = l->runs[middle].before <= number ? high : middle;
    }
    struct material_place place = l->runs[low].place;
    place.token += (size_t)(number - l->runs[low].before);
    return place;
}
