/* corpus_rows.c - documents become sequences of at most a row's tokens, and these share rows. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/random.h"
#include "train/corpus/corpus_parts.h"

/* Tokens [first, first + length) of the builder; those after each are the labels. */
struct sequence {
    size_t first;
    int32_t length, targets;
    int64_t row;
};

struct sequences {
    struct sequence *list;
    size_t count, capacity;
};

/* ---- Sequences -------------------------------------------------------------------------- */

/* A document's last token is a label only. Stretches in which nothing is to be learned are left
 * out. */
static int cut_document(struct sequences *s, const struct corpus_builder *b,
                        const struct corpus_document *d, struct error *e) {
    size_t most = (size_t)b->options->context;
    for (size_t at = 0; at + 1 < d->count; at += most) {
        size_t length = d->count - 1 - at < most ? d->count - 1 - at : most;
        struct sequence next = {.first = d->first + at, .length = (int32_t)length};
        for (size_t i = 1; i <= length; i++) {
            next.targets += (b->tokens.ids[next.first + i] & CORPUS_TARGET) != 0;
        }
        if (next.targets == 0) {
            continue;
        }
        struct sequence *list = array_grow(s->list, &s->capacity, s->count + 1, sizeof *list, e);
        if (list == NULL) {
            return ERR_MEMORY;
        }
        s->list = list;
        s->list[s->count++] = next;
    }
    return 0;
}

static int cut_posts(struct sequences *s, const struct corpus_builder *b, enum corpus_set set,
                     int64_t *documents, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < b->post_count && rc == 0; i++) {
        const struct corpus_post *post = &b->posts[i];
        if (post->held_out == (set == CORPUS_HELD_OUT)) {
            for (size_t d = 0; d < post->count && rc == 0; d++) {
                rc = cut_document(s, b, &b->documents[post->first + d], e);
            }
            *documents += (int64_t)post->count;
        }
    }
    return rc;
}

static void shuffle(struct sequences *s, uint64_t seed) {
    for (size_t i = s->count; i > 1; i--) {
        size_t other = (size_t)random_below(&seed, (int64_t)i);
        struct sequence kept = s->list[i - 1];
        s->list[i - 1] = s->list[other];
        s->list[other] = kept;
    }
}

/* ---- Packing: best fit ------------------------------------------------------------------ */

/* Rows that have room left, in a list for each size of it. */
struct rooms {
    int64_t *heads; /* (context + 1): a row, or -1 */
    int64_t *nexts; /* of each row, which there may be as many of as sequences */
    uint64_t *used; /* a bit for each list with anything in it */
    int64_t rows;
};

static void put_row(struct rooms *r, int64_t row, int64_t room) {
    r->nexts[row] = r->heads[room];
    r->heads[room] = row;
    r->used[room / 64] |= (uint64_t)1 << room % 64;
}

/* The least room of `length` or more up to `most`; -1: none. */
static int64_t find_room(const struct rooms *r, int64_t length, int64_t most) {
    uint64_t bits = r->used[length / 64] >> length % 64 << length % 64;
    int64_t word = length / 64;
    while (bits == 0 && word < most / 64) {
        bits = r->used[++word];
    }
    return bits != 0 ? word * 64 + __builtin_ctzll(bits) : -1;
}

static void choose_rows(struct sequences *s, struct rooms *r, int64_t most) {
    for (int64_t i = 0; i <= most; i++) {
        r->heads[i] = -1;
    }
    for (size_t i = 0; i < s->count; i++) {
        struct sequence *next = &s->list[i];
        int64_t room = find_room(r, next->length, most);
        if (room < 0) {
            next->row = r->rows++;
            room = most;
        } else {
            next->row = r->heads[room];
            r->heads[room] = r->nexts[next->row];
            if (r->heads[room] < 0) {
                r->used[room / 64] &= ~((uint64_t)1 << room % 64);
            }
        }
        put_row(r, next->row, room - next->length);
    }
}

static int pack(struct sequences *s, int64_t most, int64_t *rows, struct error *e) {
    struct rooms r = {.heads = calloc((size_t)most + 1, sizeof *r.heads),
                      .nexts = calloc(s->count + 1, sizeof *r.nexts),
                      .used = calloc((size_t)most / 64 + 1, sizeof *r.used)};
    bool ok = r.heads != NULL && r.nexts != NULL && r.used != NULL;
    if (ok) {
        choose_rows(s, &r, most);
        *rows = r.rows;
    }
    free(r.heads);
    free(r.nexts);
    free(r.used);
    return ok ? 0 : error_memory(e, NULL);
}

/* ---- Filling ---------------------------------------------------------------------------- */

static void write_sequence(struct corpus_rows *r, struct corpus_place *p, const struct sequence *s,
                           const int32_t *tokens) {
    int64_t at = p->first + p->tokens;
    tokens += s->first;
    for (int32_t i = 0; i < s->length; i++) {
        r->ids[at + i] = tokens[i] & ~CORPUS_TARGET;
        r->labels[at + i] = tokens[i + 1] & CORPUS_TARGET ? tokens[i + 1] & ~CORPUS_TARGET : -1;
        r->positions[at + i] = i;
    }
    p->tokens += s->length;
    r->offsets[p->offsets + ++p->sequences] = p->tokens;
}

static int fill(struct corpus_rows *r, const struct sequences *s, const int32_t *tokens,
                struct error *e) {
    size_t rows = (size_t)r->counts.rows, count = (size_t)r->counts.tokens;
    r->places = calloc(rows + 1, sizeof *r->places);
    r->offsets = calloc(rows + s->count + 1, sizeof *r->offsets);
    r->ids = calloc(count + 1, sizeof *r->ids);
    r->labels = calloc(count + 1, sizeof *r->labels);
    r->positions = calloc(count + 1, sizeof *r->positions);
    if (r->places == NULL || r->offsets == NULL || r->ids == NULL || r->labels == NULL ||
        r->positions == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < s->count; i++) {
        struct corpus_place *p = &r->places[s->list[i].row];
        p->tokens += s->list[i].length;
        p->sequences++;
        p->targets += s->list[i].targets;
    }
    int64_t first = 0, offsets = 0;
    for (size_t i = 0; i < rows; i++) {
        struct corpus_place *p = &r->places[i];
        p->first = first;
        p->offsets = offsets;
        first += p->tokens;
        offsets += p->sequences + 1;
        p->tokens = p->sequences = 0; /* until they are written */
    }
    for (size_t i = 0; i < s->count; i++) {
        write_sequence(r, &r->places[s->list[i].row], &s->list[i], tokens);
    }
    return 0;
}

int corpus_rows_make(struct corpus_rows *r, const struct corpus_builder *b, enum corpus_set set,
                     struct error *e) {
    struct sequences s = {0};
    *r = (struct corpus_rows){0};
    int rc = cut_posts(&s, b, set, &r->counts.documents, e);
    for (size_t i = 0; i < s.count; i++) {
        r->counts.tokens += s.list[i].length;
        r->counts.targets += s.list[i].targets;
        s.list[i].row = (int64_t)i;
    }
    r->counts.rows = (int64_t)s.count;
    if (rc == 0 && b->options->packing) {
        shuffle(&s, random_stream(b->options->seed, set));
        rc = pack(&s, b->options->context, &r->counts.rows, e);
    }
    rc = rc == 0 ? fill(r, &s, b->tokens.ids, e) : rc;
    free(s.list);
    return rc;
}

void corpus_rows_close(struct corpus_rows *r) {
    free(r->ids);
    free(r->labels);
    free(r->positions);
    free(r->offsets);
    free(r->places);
}
