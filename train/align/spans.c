/* spans.c - see spans.h: rows that are read, and gone on with. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "store/random.h"
#include "train/align/span_plan.h"
#include "train/decoder/begin.h"

/* ---- Memory ---------------------------------------------------------------------------------- */

int span_rows_open(struct span_rows **out, const struct span_options *o, struct error *e) {
    struct span_rows *s = calloc(1, sizeof *s);
    const size_t row = (size_t)o->row;
    *out = NULL;
    if (s == NULL) {
        return error_memory(e, "rows of spans");
    }
    s->options = *o;
    s->dim = material_encoder(o->material)->dim;
    s->end = o->model->config.ends[0];
    bytes_init(&s->bytes, SIZE_MAX / 2);
    s->inputs = calloc(row, sizeof *s->inputs);
    s->labels = calloc(row, sizeof *s->labels);
    s->positions = calloc(row, sizeof *s->positions);
    s->offsets = calloc(row + 1, sizeof *s->offsets);
    s->buckets = calloc(row, sizeof *s->buckets);
    int rc = s->inputs != NULL && s->labels != NULL && s->positions != NULL && s->offsets != NULL &&
                     s->buckets != NULL
                 ? decoder_begin(o->model, &s->begin, e)
                 : error_memory(e, "rows of spans");
    if (rc == 0) {
        rc = tokenizer_state_open(&s->state, o->model->tokenizer, e);
    }
    if (rc < 0) {
        span_rows_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void span_rows_close(struct span_rows *s) {
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < BRIDGE_AGES; i++) {
        free(s->groups[i].numbers);
        free(s->groups[i].begins);
    }
    span_plan_close(&s->plan);
    span_plan_close(&s->following);
    tokenizer_state_close(s->state);
    token_list_close(&s->own);
    token_list_close(&s->text);
    bytes_close(&s->bytes);
    free(s->inputs);
    free(s->labels);
    free(s->positions);
    free(s->offsets);
    free(s->buckets);
    free(s->pools);
    free(s->parts);
    free(s->pool_inputs);
    free(s->characters);
    free(s->starts);
    free(s);
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* The tokens of the text under a plan; pages are lines of their own. */
static int read_text(struct span_rows *s, const struct span_plan *plan, struct token_list *out,
                     struct error *e) {
    int rc = 0;
    bytes_clear(&s->bytes);
    out->count = 0;
    for (size_t i = 0; i < plan->count && rc == 0; i++) {
        const struct span_piece *piece = &plan->pieces[i];
        size_t from, to;
        span_bytes(&plan->place, piece->first, piece->count, &from, &to);
        if (i > 0) {
            rc = bytes_append(&s->bytes, "\n", 1, e);
        }
        rc = rc == 0 ? bytes_append(&s->bytes, plan->place.account->text + from, to - from, e) : rc;
    }
    return rc == 0 ? tokenizer_encode(s->state, bytes_text(&s->bytes), s->bytes.size,
                                      TOKENIZER_ORDINARY, out, e)
                   : rc;
}

/* What follows a span: false, where nothing does. */
static int read_following(struct span_rows *s, bool *found, struct error *e) {
    enum { TOKENS = 24 }; /* of which many show more than SPAN_FOLLOWING tokens of text */
    struct material_place place = s->plan.place;
    place.token = s->plan.next;
    *found = false;
    if (place.token >= place.end) {
        return 0;
    }
    int rc = span_plan(&s->following, &place, TOKENS, 0, false, e);
    rc = rc == 0 ? read_text(s, &s->following, &s->text, e) : rc;
    s->text.count = s->text.count < SPAN_FOLLOWING ? s->text.count : SPAN_FOLLOWING;
    *found = rc == 0 && s->text.count > 0;
    return rc;
}

/* ---- A row ----------------------------------------------------------------------------------- */

static void begin_row(struct span_rows *s, int64_t expand) {
    for (int i = 0; i < BRIDGE_AGES; i++) {
        s->groups[i].count = 0;
    }
    s->used = s->cells = 0;
    s->row = (struct context_row){.inputs = s->inputs,
                                  .labels = s->labels,
                                  .positions = s->positions,
                                  .offsets = s->offsets,
                                  .visual = s->visual,
                                  .expand = expand};
}

static void add_input(struct span_rows *s, int32_t input, int bucket) {
    struct context_row *row = &s->row;
    s->inputs[row->tokens] = input;
    s->buckets[row->tokens] = (int8_t)bucket;
    s->labels[row->tokens] = -1;
    s->positions[row->tokens] = (int32_t)(row->tokens - s->offsets[row->sequences]);
    row->tokens++;
}

static void add_mark(struct span_rows *s, int mark) {
    add_input(s, -1 - mark, -1);
}

/* What was added last is followed by this token. */
static void add_target(struct span_rows *s, int32_t id) {
    s->labels[s->row.tokens - 1] = id;
    s->row.targets++;
}

/* Soft tokens are counted within their bucket until the row is whole; `seen`: what the groups hold
 * of rows before. */
static void add_pieces(struct span_rows *s, int64_t seen[BRIDGE_AGES]) {
    for (size_t i = 0; i < s->plan.count; i++) {
        const struct span_piece *piece = &s->plan.pieces[i];
        const int64_t first = seen[piece->bucket] * s->row.expand;
        add_mark(s, MARK_PAGE);
        add_mark(s, MARK_AGE + piece->bucket);
        for (int64_t soft = 0; soft < piece->made * s->row.expand; soft++) {
            add_input(s, (int32_t)(first + soft), piece->bucket);
        }
        seen[piece->bucket] += piece->made;
    }
}

/* `ends`: the text is whole, and its end a target. */
static void add_text(struct span_rows *s, bool ends) {
    for (size_t i = 0; i < s->text.count; i++) {
        add_target(s, s->text.ids[i]);
        if (i + 1 < s->text.count || ends) {
            add_input(s, s->text.ids[i], -1);
        }
    }
    if (ends) {
        add_target(s, s->end);
    }
}

/* Groups follow each other by bucket. */
static void end_row(struct span_rows *s) {
    struct context_row *row = &s->row;
    int64_t before[BRIDGE_AGES], count = 0;
    for (int i = 0; i < BRIDGE_AGES; i++) {
        const struct span_group *g = &s->groups[i];
        before[i] = BRIDGE_MARKS + count * row->expand;
        count += g->count;
        if (g->count > 0) {
            s->visual[row->visual_count++] = (struct context_visual){
                .bucket = i, .count = g->count, .numbers = g->numbers, .begins = g->begins};
        }
    }
    for (int64_t i = 0; i < row->tokens; i++) {
        if (s->buckets[i] >= 0) {
            s->inputs[i] = (int32_t)(-1 - before[s->buckets[i]] - s->inputs[i]);
        }
    }
}

struct drawn {
    struct material_place place;
    int64_t tokens;
    int halvings;
    bool continuing; /* what follows is foreseen, not what is there */
    bool whole;      /* the text is not cut */
};

/* Positions that the span in hand takes; where rows are to be alike, at most. */
static int64_t wanted(const struct span_rows *s) {
    const struct span_lesson *l = s->lesson;
    const int64_t marks = 2 * (int64_t)s->plan.count, own = (int64_t)s->own.count;
    const int64_t soft = marks + s->plan.made * (l->alike ? BRIDGE_EXPAND : l->expand);
    const int64_t before = l->alike && own > soft ? own : soft;
    return (s->begin >= 0) + before + 1 + (int64_t)s->text.count;
}

static bool fits(const struct span_rows *s) {
    return s->used + wanted(s) <= s->options.row &&
           s->cells + s->plan.cells <= s->options.row / SPAN_POSITIONS;
}

static int add_visual(struct span_rows *s, struct error *e) {
    int64_t seen[BRIDGE_AGES];
    for (int i = 0; i < BRIDGE_AGES; i++) {
        seen[i] = s->groups[i].count;
    }
    int rc = span_load(s, &s->plan, e);
    if (rc == 0) {
        add_pieces(s, seen);
    }
    return rc;
}

static int add_span(struct span_rows *s, const struct drawn *d, struct error *e) {
    const enum span_before before = d->continuing ? s->lesson->before : SPAN_VISUAL;
    int rc = 0;
    if (s->begin >= 0) {
        add_input(s, s->begin, -1);
    }
    if (before == SPAN_VISUAL) {
        rc = add_visual(s, e);
    }
    for (size_t i = 0; i < s->own.count && before == SPAN_TEXT; i++) {
        add_input(s, s->own.ids[i], -1);
    }
    if (before != SPAN_TEXT) {
        add_mark(s, d->continuing ? MARK_END : MARK_READ);
    }
    add_text(s, d->whole && !d->continuing && s->end >= 0);
    s->offsets[++s->row.sequences] = (int32_t)s->row.tokens;
    s->used += wanted(s);
    s->cells += s->plan.cells;
    return rc;
}

/* Of a text that does not fit the row even under one visual token the beginning is read. */
static void cut_text(struct span_rows *s, struct drawn *d) {
    const int64_t over = s->used + wanted(s) - s->options.row;
    if (over > 0 && over < (int64_t)s->text.count) {
        s->text.count -= (size_t)over;
        d->whole = false;
    }
}

static int draw(struct drawn *d, const struct span_rows *s, enum corpus_set set, uint64_t *random,
                struct error *e) {
    enum { TRIES = 1000 };
    const struct span_lesson *l = s->lesson;
    int64_t sizes = 1;
    for (int64_t n = l->least; n < l->most; n *= 2) {
        sizes++;
    }
    *d = (struct drawn){.tokens = l->least << random_below(random, sizes),
                        .continuing = random_unit(random) < l->continuing,
                        .whole = true};
    for (int i = 0; i < TRIES; i++) {
        d->halvings = l->halvings;
        if (span_draw(s, set, l->halved, random, &d->halvings, &d->place)) {
            return 0;
        }
    }
    return error_set(e, ERR_FORMAT, "tokens that can be halved %d times are not there, or few",
                     l->halvings);
}

/* The tokens of a span, and its text. */
static int plan_span(struct span_rows *s, struct drawn *d, struct error *e) {
    int rc = span_plan(&s->plan, &d->place, d->tokens, d->halvings, false, e);
    s->own.count = 0;
    if (rc == 0 && (s->lesson->alike || s->lesson->before == SPAN_TEXT)) {
        rc = read_text(s, &s->plan, &s->own, e);
    }
    if (rc == 0 && d->continuing) {
        rc = read_following(s, &d->continuing, e);
    }
    return rc == 0 && !d->continuing ? read_text(s, &s->plan, &s->text, e) : rc;
}

/* A span as it was drawn, or a shorter one where it has the row for itself. False: it does not fit.
 */
static int try_span(struct span_rows *s, struct drawn d, bool *added, struct error *e) {
    int rc = plan_span(s, &d, e);
    while (rc == 0 && !fits(s) && s->row.sequences == 0 && d.tokens > 1) {
        d.tokens /= 2;
        rc = plan_span(s, &d, e);
    }
    if (rc == 0 && !fits(s) && s->row.sequences == 0) {
        d.halvings = 0;
        rc = plan_span(s, &d, e);
        cut_text(s, &d);
    }
    *added = rc == 0 && fits(s);
    return *added ? add_span(s, &d, e) : rc;
}

int span_row(struct span_rows *s, enum corpus_set set, const struct span_lesson *lesson,
             uint64_t random, struct context_row *row, struct error *e) {
    bool added = true;
    int rc = 0;
    s->lesson = lesson;
    begin_row(s, lesson->expand);
    while (added && rc == 0) {
        struct drawn d;
        rc = draw(&d, s, set, &random, e);
        rc = rc == 0 ? try_span(s, d, &added, e) : rc;
    }
    if (rc == 0 && s->row.sequences == 0) {
        rc = error_set(e, ERR_LIMIT, "rows of %" PRId64 " tokens have no room for a visual token",
                       s->options.row);
    }
    end_row(s);
    *row = s->row;
    return rc;
}
