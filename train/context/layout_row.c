/* layout_row.c - a planned context, a prompt and a target become a row. */
#include <stdlib.h>
#include <string.h>

#include "store/array.h"
#include "train/context/layout_parts.h"
#include "train/corpus/corpus_parts.h"

/* ---- A thread's memory -------------------------------------------------------------------- */

int layout_space_open(struct layout_space **out, const struct layout *l, struct error *e) {
    *out = NULL;
    struct layout_space *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    const size_t row = (size_t)l->o.row;
    s->l = l;
    s->inputs = calloc(row, sizeof *s->inputs);
    s->labels = calloc(row, sizeof *s->labels);
    s->positions = calloc(row, sizeof *s->positions);
    bytes_init(&s->text, STREAM_SAMPLE_LIMIT);
    int rc = s->inputs != NULL && s->labels != NULL && s->positions != NULL
                 ? tokenizer_state_open(&s->tokenizer, l->o.model->tokenizer, e)
                 : error_memory(e, NULL);
    if (rc == 0 && l->o.kind == CONTEXT_READ) {
        rc = readback_open(&s->readback, l->o.reader, e);
    }
    if (rc < 0) {
        layout_space_close(s);
        return rc;
    }
    for (size_t i = 0; i < row; i++) {
        s->positions[i] = (int32_t)i;
    }
    *out = s;
    return 0;
}

void layout_space_close(struct layout_space *s) {
    if (s == NULL) {
        return;
    }
    free(s->plan.list);
    tokenizer_state_close(s->tokenizer);
    readback_close(s->readback);
    free(s->inputs);
    free(s->labels);
    free(s->positions);
    buffer_free(&s->numbers);
    buffer_free(&s->loaded);
    buffer_free(&s->begins);
    free(s->pools);
    token_list_close(&s->pooled);
    token_list_close(&s->ids);
    bytes_close(&s->text);
    free(s);
}

struct layout_spent layout_spent(const struct layout_space *s) {
    return s->spent;
}

/* ---- Text --------------------------------------------------------------------------------- */

/* The newest `most` of them. */
static void put_newest(struct layout_space *s, const int32_t *ids, int64_t count, int64_t most) {
    int64_t first = count > most ? count - most : 0;
    for (int64_t i = first; i < count; i++) {
        layout_put(s, ids[i]);
    }
    s->spent.text += count - first;
}

static void put_text(struct layout_space *s, size_t first, size_t end, int64_t most) {
    const struct layout_plan *p = &s->plan;
    put_newest(s, p->text->ids.ids + p->text->first[first], layout_ids(p, first, end), most);
}

/* ---- Visual tokens ------------------------------------------------------------------------ */

static void put_mark(struct layout_space *s, int mark) {
    layout_put(s, s->l->o.kind == CONTEXT_POOLED ? s->l->newline : -1 - mark);
    s->spent.marks++;
}

/* How many visual tokens each group has, and where the first of them is. */
static int64_t count_groups(const struct layout_plan *p, int64_t counts[BRIDGE_AGES],
                            int64_t firsts[BRIDGE_AGES]) {
    int64_t sum = 0;
    memset(counts, 0, BRIDGE_AGES * sizeof *counts);
    counts[0] += p->style;
    for (size_t i = 0; i < p->count; i++) {
        counts[p->list[i].bucket] += p->list[i].made;
    }
    for (int k = 0; k < BRIDGE_AGES; k++) {
        firsts[k] = sum;
        sum += counts[k];
    }
    return sum;
}

static void put_soft(struct layout_space *s, int64_t first, int64_t count) {
    const int64_t expand = s->l->o.expand;
    for (int64_t i = 0; i < count * expand; i++) {
        layout_put(s, (int32_t)(-1 - BRIDGE_MARKS - first * expand - i));
    }
    s->spent.soft += count * expand;
    s->spent.visual += count;
}

int layout_load(struct layout_space *s, const struct layout_stretch *t, size_t cells,
                struct error *e) {
    const struct history *h = s->l->h;
    const size_t room = cells > t->count ? cells : t->count;
    size_t made;
    int rc = buffer_reserve(&s->loaded, room * (size_t)history_encoder(h)->dim, sizeof(float), e);
    return rc == 0 ? history_load(h, s->plan.account, t->first, t->count, t->bucket, s->loaded.data,
                                  &made, e)
                   : rc;
}

static void put_facts(struct layout_space *s, const struct layout_stretch *t) {
    const struct layout_text *text = s->plan.text;
    for (size_t i = 0; i < t->facts; i++) {
        layout_put(s, text->facts.ids[text->first_fact[t->first] + i]);
    }
    s->spent.facts += (int64_t)t->facts;
}

static void put_stretch_marks(struct layout_space *s, const struct layout_stretch *t) {
    put_mark(s, MARK_PAGE);
    if (t->marked) {
        put_mark(s, MARK_AGE + t->bucket);
    }
}

/* A stretch is a run of cells, but where its tokens do not lie side by side on the page. */
static void mark_runs(const struct layout_space *s, const struct layout_stretch *t, bool *begins) {
    const struct history_token *tokens = s->plan.account->tokens + t->first;
    const int halvings = t->bucket - tokens->bucket;
    for (int64_t i = 0; i < t->made; i++) {
        const int64_t first = i << halvings;
        begins[i] = i == 0 || tokens[first].token != tokens[first - 1].token + 1;
    }
}

static int put_visual(struct layout_space *s, struct context_row *row, struct error *e) {
    const struct layout_plan *p = &s->plan;
    const size_t dim = (size_t)history_encoder(s->l->h)->dim;
    int64_t counts[BRIDGE_AGES], at[BRIDGE_AGES];
    int64_t sum = count_groups(p, counts, at);
    int rc = buffer_reserve(&s->numbers, (size_t)sum * dim, sizeof(float), e);
    rc = rc == 0 ? buffer_reserve(&s->begins, (size_t)sum, sizeof(bool), e) : rc;
    float *numbers = s->numbers.data;
    bool *begins = s->begins.data;
    row->visual = s->visual;
    for (int k = 0; k < BRIDGE_AGES && rc == 0; k++) {
        if (counts[k] > 0) {
            s->visual[row->visual_count++] = (struct context_visual){
                k, counts[k], numbers + (size_t)at[k] * dim, begins + at[k]};
        }
    }
    if (rc == 0 && p->style) {
        put_mark(s, MARK_STYLE);
        put_soft(s, at[0], 1);
        begins[at[0]] = true;
        rc = history_load_style(s->l->h, p->account, numbers + (size_t)at[0]++ * dim, e);
    }
    for (size_t i = 0; i < p->count && rc == 0; i++) {
        const struct layout_stretch *t = &p->list[i];
        put_stretch_marks(s, t);
        put_soft(s, at[t->bucket], t->made);
        mark_runs(s, t, begins + at[t->bucket]);
        rc = layout_load(s, t, 0, e);
        if (rc == 0) {
            memcpy(numbers + (size_t)at[t->bucket] * dim, s->loaded.data,
                   (size_t)t->made * dim * sizeof *numbers);
        }
        at[t->bucket] += t->made;
        put_facts(s, t);
    }
    return rc;
}

static int put_pooled(struct layout_space *s, struct error *e) {
    const struct layout_plan *p = &s->plan;
    int rc = 0;
    for (size_t i = 0; i < p->count && rc == 0; i++) {
        put_stretch_marks(s, &p->list[i]);
        rc = layout_put_pools(s, &p->list[i], e);
        put_facts(s, &p->list[i]);
    }
    return rc;
}

/* ---- Rows --------------------------------------------------------------------------------- */

/* Stretches, the newest posts as text, the mark that ends them. */
static int put_budget(struct layout_space *s, struct context_row *row, struct error *e) {
    const struct layout_plan *p = &s->plan;
    int rc = s->l->o.kind == CONTEXT_VISUAL ? put_visual(s, row, e) : put_pooled(s, e);
    if (rc == 0 && p->text_first < p->end) {
        put_mark(s, MARK_TEXT);
        put_text(s, p->text_first, p->end, INT64_MAX);
    }
    if (rc == 0) {
        put_mark(s, MARK_END);
    }
    return rc;
}

static int put_context(struct layout_space *s, struct context_row *row, int64_t room,
                       struct error *e) {
    const struct layout_plan *p = &s->plan;
    const enum context_kind kind = s->l->o.kind;
    if (p->budget == 0) {
        return 0;
    }
    s->spent.shown = p->shown;
    if (kind == CONTEXT_VISUAL || kind == CONTEXT_POOLED) {
        return put_budget(s, row, e);
    }
    if (kind != CONTEXT_READ) {
        put_text(s, p->first, p->end, p->positions);
        return 0;
    }
    int rc = layout_read_text(s, e);
    if (rc == 0) {
        put_newest(s, s->ids.ids, (int64_t)s->ids.count, room);
    }
    return rc;
}

int layout_begin(struct layout_space *s, struct context_row *row, int64_t room, struct error *e) {
    *row = (struct context_row){.expand = s->l->o.expand};
    s->spent = (struct layout_spent){0};
    s->count = 0;
    s->pool_count = s->pooled.count = 0;
    if (s->l->begin >= 0) {
        layout_put(s, s->l->begin);
    }
    return put_context(s, row, room, e);
}

int layout_end(struct layout_space *s, struct context_row *row, const int32_t *tokens, size_t count,
               bool labelled, struct error *e) {
    const struct layout *l = s->l;
    if (s->count + (int64_t)count > l->o.row) {
        return error_set(e, ERR_LIMIT, "a prompt of %zu tokens does not fit a row of %lld", count,
                         (long long)l->o.row);
    }
    for (size_t i = 0; i < count; i++) {
        layout_put(s, tokens[i] & ~CORPUS_TARGET);
        s->spent.prompt += (tokens[i] & CORPUS_TARGET) == 0;
        if (labelled && (tokens[i + 1] & CORPUS_TARGET) != 0) {
            s->labels[s->count - 1] = tokens[i + 1] & ~CORPUS_TARGET;
            row->targets++;
        }
    }
    s->offsets[1] = (int32_t)s->count;
    row->inputs = s->inputs;
    row->labels = s->labels;
    row->positions = s->positions;
    row->offsets = s->offsets;
    row->tokens = s->count;
    row->sequences = 1;
    row->pools = s->pools;
    row->pool_count = (int64_t)s->pool_count;
    row->pooled = s->pooled.ids;
    return 0;
}

/* ---- To write something ------------------------------------------------------------------- */

int layout_prompt(const struct layout *l, struct layout_space *s,
                  const struct history_account *account, const struct history_account *style,
                  int64_t now, bool script, struct context_row *row, struct error *e) {
    bytes_clear(&s->text);
    s->ids.count = 0;
    int rc = corpus_prompt(&s->text, account->title, script, e);
    if (rc == 0) {
        rc = tokenizer_encode(s->tokenizer, bytes_text(&s->text), s->text.size, TOKENIZER_ORDINARY,
                              &s->ids, e);
    }
    struct token_list prompt = s->ids; /* what is read takes the other list */
    int64_t room = l->o.row - (l->begin >= 0) - (int64_t)prompt.count;
    s->ids = (struct token_list){0};
    if (rc == 0 && room < l->o.positions) {
        rc = error_set(e, ERR_LIMIT, "a prompt of %zu tokens does not fit a row of %lld",
                       prompt.count, (long long)l->o.row);
    }
    rc = rc == 0 ? layout_plan(l, &s->plan, style != NULL ? style : account, now, room, e) : rc;
    rc = rc == 0 ? layout_begin(s, row, room, e) : rc;
    if (rc == 0) {
        rc = layout_end(s, row, prompt.ids, prompt.count, false, e);
    }
    token_list_close(&prompt);
    return rc;
}
