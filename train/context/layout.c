/* layout.c - see layout.h: opening, counting, giving out by number. */
#include "train/context/layout.h"

#include <stdlib.h>
#include <xxhash.h>

#include "store/random.h"
#include "train/context/layout_parts.h"

const char *const CONTEXT_KIND_NAMES[] = {"none",        "visual", "text", "truncated-text",
                                          "pooled-text", "read",   NULL};

/* ---- What fits together ------------------------------------------------------------------- */

static int check_options(const struct layout_options *o, struct error *e) {
    const bool shares =
        o->held_out >= 0 && o->held_out < 1 && o->held_accounts >= 0 && o->held_accounts < 1;
    if (o->row < 2 || o->row > CORPUS_CONTEXT || o->positions < 0 || o->newest < 0 ||
        o->facts < 0 || o->target < 0 || o->expand < 1 || o->expand > BRIDGE_EXPAND || !shares) {
        return error_set(e, ERR_USAGE,
                         "contexts and rows have 0 to %d positions, visual tokens 1 to %d soft "
                         "ones, and less than all is held out",
                         CORPUS_CONTEXT, BRIDGE_EXPAND);
    }
    if (o->positions > o->row - 3 || o->target > o->row - o->positions - 1 || o->target == 1) {
        return error_set(e, ERR_USAGE,
                         "rows of %lld tokens have no room for contexts of %lld and a target",
                         (long long)o->row, (long long)o->positions);
    }
    return o->kind == CONTEXT_READ && o->reader == NULL
               ? error_set(e, ERR_USAGE, "the text that is read needs a reading head")
               : 0;
}

static int no_text(const struct layout_options *o, const struct history_page *p, struct error *e) {
    return error_set(e, ERR_UNSUPPORTED,
                     "%s page %d: which text its tokens show is not known: contexts of %s need "
                     "pages in cells, as the profiles cell10 and cell8 set them, and what was "
                     "forgotten of them by nested tokens",
                     p->key, p->number, CONTEXT_KIND_NAMES[o->kind]);
}

/* What the kind of context cannot show. */
static int check_pages(const struct layout_options *o, const struct history *h, struct error *e) {
    for (size_t i = 0; i < history_pages(h) && o->kind != CONTEXT_NONE; i++) {
        const struct history_page *p = history_page(h, i);
        const bool nested = p->header.bucket == 0 || p->header.shrunk_by == SHRINK_NEST;
        if (!nested || p->header.bucket >= BRIDGE_AGES) {
            return error_set(e, ERR_UNSUPPORTED,
                             "%s page %d: was halved by '%s', not by nested tokens: a decoder does "
                             "not learn to read what is left of it",
                             p->key, p->number, SHRINK_NAMES[p->header.shrunk_by]);
        }
        const bool text = o->kind != CONTEXT_VISUAL || o->newest > 0 || o->facts > 0;
        if (text && !p->text) {
            return no_text(o, p, e);
        }
        if (o->kind == CONTEXT_READ && token_column_offsets(&p->header) != 1) {
            return error_set(e, ERR_UNSUPPORTED,
                             "%s page %d: has tokens at two column offsets, which can be read as "
                             "whole pages only",
                             p->key, p->number);
        }
    }
    return 0;
}

/* The one token that stands between texts. */
static int find_newline(struct layout *l, struct error *e) {
    struct tokenizer_state *state = NULL;
    struct token_list ids = {0};
    int rc = tokenizer_state_open(&state, l->o.model->tokenizer, e);
    if (rc == 0) {
        rc = tokenizer_encode(state, "\n", 1, TOKENIZER_ORDINARY, &ids, e);
    }
    if (rc == 0 && ids.count != 1) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: has no token for a newline", l->o.model->path);
    }
    l->newline = rc == 0 ? ids.ids[0] : -1;
    token_list_close(&ids);
    tokenizer_state_close(state);
    return rc;
}

/* ---- Counting ----------------------------------------------------------------------------- */

static int64_t room_for(const struct layout *l, int64_t target) {
    return l->o.row - (l->begin >= 0) - target;
}

static int64_t created_of(const struct layout *l, const struct layout_target *t) {
    return history_get(l->h, t->account)->posts[t->post].created;
}

static int plan_target(const struct layout *l, struct layout_plan *p, const struct layout_target *t,
                       struct error *e) {
    return layout_plan(l, p, history_get(l->h, t->account), created_of(l, t), room_for(l, t->count),
                       e);
}

static void keep_largest(struct layout *l, const struct layout_plan *p, int64_t length) {
    const bool pooled = l->o.kind == CONTEXT_POOLED;
    struct layout_shape shape = {.visual = {p->style && !pooled}, .expand = l->o.expand};
    int64_t cells = p->style, made = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct layout_stretch *t = &p->list[i];
        shape.visual[t->bucket] += pooled ? 0 : t->made;
        cells += t->made << t->bucket;
        made += t->made;
    }
    shape.pools = pooled ? made * l->o.expand : 0;
    shape.pooled = pooled ? p->shown : 0;
    shape.tokens = length > l->largest.tokens ? length : l->largest.tokens;
    if ((l->o.kind == CONTEXT_VISUAL || pooled) && cells > l->most_cells) {
        l->largest = shape;
        l->most_cells = cells;
    }
    l->largest.tokens = shape.tokens;
    l->largest.expand = l->o.expand;
}

static int count_set(struct layout *l, struct layout_set *set, struct layout_plan *p,
                     const volatile sig_atomic_t *cancel, struct error *e) {
    struct layout_counts *n = &set->counts;
    int rc = 0;
    for (size_t i = 0; i < set->count && rc == 0; i++) {
        const struct layout_target *t = &set->list[i];
        rc = cancel != NULL && *cancel ? error_set(e, ERR_CANCELLED, "stopped")
                                       : plan_target(l, p, t, e);
        int64_t length = (l->begin >= 0) + p->positions + t->count;
        length = l->o.kind == CONTEXT_READ && p->positions > 0 ? l->o.row : length;
        n->context += p->positions;
        n->shown += p->shown;
        n->longest = length > n->longest ? length : n->longest;
        if (rc == 0) {
            keep_largest(l, p, length);
        }
    }
    return rc;
}

static int count_rows(struct layout *l, const volatile sig_atomic_t *cancel, struct error *e) {
    struct layout_plan plan = {0};
    int rc = 0;
    for (int i = 0; i < CORPUS_SETS && rc == 0; i++) {
        rc = count_set(l, &l->sets[i], &plan, cancel, e);
    }
    free(plan.list);
    return rc;
}

static void make_hash(struct layout *l) {
    const struct layout_options *o = &l->o;
    const int64_t numbers[] = {o->kind,   o->positions, o->row,    o->expand,
                               o->newest, o->facts,     l->target, (int64_t)o->seed};
    const double reals[] = {o->tau_seconds, o->held_out, o->held_accounts};
    l->hash = XXH3_64bits_withSeed(numbers, sizeof numbers, history_hash(l->h));
    l->hash = XXH3_64bits_withSeed(reals, sizeof reals, l->hash);
    if (l->tokens.count > 0) {
        l->hash =
            XXH3_64bits_withSeed(l->tokens.ids, l->tokens.count * sizeof *l->tokens.ids, l->hash);
    }
}

/* ---- Opening ------------------------------------------------------------------------------ */

int layout_open(struct layout **out, const struct layout_options *o, const struct history *h,
                const volatile sig_atomic_t *cancel, struct error *e) {
    *out = NULL;
    int rc = check_options(o, e);
    rc = rc == 0 ? check_pages(o, h, e) : rc;
    struct layout *l = rc == 0 ? calloc(1, sizeof *l) : NULL;
    if (l == NULL) {
        return rc < 0 ? rc : error_memory(e, NULL);
    }
    l->o = *o;
    l->h = h;
    rc = find_newline(l, e);
    rc = rc == 0 ? layout_texts_open(l, cancel, e) : rc;
    rc = rc == 0 ? layout_targets_open(l, cancel, e) : rc;
    rc = rc == 0 ? count_rows(l, cancel, e) : rc;
    if (rc < 0) {
        layout_close(l);
        return rc;
    }
    make_hash(l);
    *out = l;
    return 0;
}

void layout_close(struct layout *l) {
    if (l == NULL) {
        return;
    }
    layout_texts_close(l);
    for (int i = 0; i < CORPUS_SETS; i++) {
        free(l->sets[i].list);
    }
    token_list_close(&l->tokens);
    free(l);
}

struct layout_counts layout_counts(const struct layout *l, enum corpus_set set) {
    return l->sets[set].counts;
}

uint64_t layout_hash(const struct layout *l) {
    return l->hash;
}

struct layout_shape layout_largest(const struct layout *l) {
    return l->largest;
}

size_t layout_bytes(const struct layout *l) {
    size_t bytes = sizeof *l + l->tokens.capacity * sizeof *l->tokens.ids;
    for (int i = 0; i < CORPUS_SETS; i++) {
        bytes += l->sets[i].capacity * sizeof *l->sets[i].list;
    }
    for (size_t i = 0; i < history_count(l->h); i++) {
        const struct layout_text *t = &l->texts[i];
        const size_t tokens = t->first != NULL ? history_get(l->h, i)->token_count + 1 : 0;
        bytes += sizeof *t + tokens * sizeof *t->first * (t->first_fact != NULL ? 2 : 1);
        bytes += (t->ids.capacity + t->start_capacity + t->facts.capacity) * sizeof *t->ids.ids;
    }
    return bytes;
}

/* ---- Rows --------------------------------------------------------------------------------- */

static const struct layout_target *target_of(const struct layout *l, enum corpus_set set,
                                             int64_t epoch, int64_t index) {
    const struct layout_set *s = &l->sets[set];
    if (set == CORPUS_TRAINING) {
        index = random_place(index, (int64_t)s->count, random_stream(l->o.seed, (uint64_t)epoch));
    }
    return &s->list[index];
}

int64_t layout_row_targets(const struct layout *l, enum corpus_set set, int64_t epoch,
                           int64_t index) {
    return target_of(l, set, epoch, index)->targets;
}

void layout_target(const struct layout *l, enum corpus_set set, int64_t epoch, int64_t index,
                   const struct history_account **account, const struct history_post **post) {
    const struct layout_target *t = target_of(l, set, epoch, index);
    *account = history_get(l->h, t->account);
    *post = &(*account)->posts[t->post];
}

int layout_row(const struct layout *l, struct layout_space *s, enum corpus_set set, int64_t epoch,
               int64_t index, struct context_row *row, struct error *e) {
    const struct layout_target *t = target_of(l, set, epoch, index);
    int rc = plan_target(l, &s->plan, t, e);
    rc = rc == 0 ? layout_begin(s, row, room_for(l, t->count), e) : rc;
    return rc == 0 ? layout_end(s, row, l->tokens.ids + t->first, (size_t)t->count, true, e) : rc;
}
