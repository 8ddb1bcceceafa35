/* layout_plan.c - which tokens of an account are shown before a post, from the newest back until
 * the budget is spent. */
#include <stdlib.h>

#include "store/array.h"
#include "store/forget.h"
#include "store/nest.h"
#include "train/context/layout_parts.h"

/* What is left to be spent. */
struct purse {
    int64_t left;  /* positions */
    int64_t facts; /* of these for facts */
    int bucket;    /* of the stretch that follows in time; -1: none yet */
};

/* As a page of that age would be in the store, and never less halved than it is. */
static int bucket_at(const struct layout *l, const struct history_token *t, int64_t now) {
    const struct history_page *page = history_page(l->h, t->page);
    if (!(l->o.tau_seconds >= 1) || t->created <= STORE_UNDATED) {
        return t->bucket;
    }
    int bucket = forget_bucket(now - t->created, (int64_t)l->o.tau_seconds);
    bucket = bucket < page->levels ? bucket : page->levels;
    return bucket > t->bucket ? bucket : t->bucket;
}

/* ---- The newest as text ------------------------------------------------------------------- */

static void take_newest(const struct layout *l, struct layout_plan *p, struct purse *purse) {
    int64_t most = l->o.newest < purse->left - 1 ? l->o.newest : purse->left - 1;
    p->text_first = p->end;
    while (l->o.newest > 0 && p->text_first > 0 &&
           layout_ids(p, p->text_first - 1, p->end) <= most) {
        p->text_first--;
    }
    p->first = p->text_first;
    if (p->text_first < p->end) {
        purse->left -= 1 + layout_ids(p, p->text_first, p->end); /* with its mark */
    }
}

/* ---- Stretches ---------------------------------------------------------------------------- */

/* The last tokens of [.., end) that lie on one page and have one age. */
static struct layout_stretch stretch_before(const struct layout *l, const struct layout_plan *p,
                                            size_t end, int64_t now) {
    const struct history_token *t = p->account->tokens;
    struct layout_stretch s = {.first = end - 1, .bucket = bucket_at(l, &t[end - 1], now)};
    while (s.first > 0 && t[s.first - 1].page == t[end - 1].page &&
           bucket_at(l, &t[s.first - 1], now) == s.bucket) {
        s.first--;
    }
    s.count = end - s.first;
    s.made = nest_count((int64_t)s.count, s.bucket - t[end - 1].bucket);
    return s;
}

/* The newest part of it that fits; false: none does. */
static bool fit(const struct layout *l, const struct layout_plan *p, struct layout_stretch *s,
                struct purse *purse) {
    int64_t marks = 1 + (s->bucket != purse->bucket), most = (purse->left - marks) / l->o.expand;
    if (purse->left - marks < l->o.expand) {
        return false;
    }
    if (s->made > most) {
        size_t count = (size_t)most << (s->bucket - p->account->tokens[s->first].bucket);
        s->first += s->count - count; /* fewer than there are */
        s->count = count;
        s->made = most;
    }
    purse->left -= marks + s->made * l->o.expand;
    const uint32_t *facts = p->text->first_fact;
    if (facts != NULL && s->bucket > 0) {
        int64_t count = (int64_t)facts[s->first + s->count] - facts[s->first];
        s->facts = count <= purse->left && count <= purse->facts ? (size_t)count : 0;
        purse->left -= (int64_t)s->facts;
        purse->facts -= (int64_t)s->facts;
    }
    return true;
}

static int take_stretches(const struct layout *l, struct layout_plan *p, int64_t now,
                          struct purse *purse, struct error *e) {
    for (size_t end = p->text_first; end > 0;) {
        struct layout_stretch s = stretch_before(l, p, end, now), *list;
        const size_t whole = s.count;
        if (!fit(l, p, &s, purse)) {
            break;
        }
        list = array_grow(p->list, &p->capacity, p->count + 1, sizeof *list, e);
        if (list == NULL) {
            return ERR_MEMORY;
        }
        p->list = list;
        p->list[p->count++] = s;
        p->first = end = s.first;
        purse->bucket = s.bucket;
        if (s.count < whole) {
            break;
        }
    }
    for (size_t i = 0; i < p->count / 2; i++) {
        struct layout_stretch kept = p->list[i];
        p->list[i] = p->list[p->count - 1 - i];
        p->list[p->count - 1 - i] = kept;
    }
    for (size_t i = 0; i < p->count; i++) {
        p->list[i].marked = i == 0 || p->list[i].bucket != p->list[i - 1].bucket;
    }
    return 0;
}

/* ---- A plan ------------------------------------------------------------------------------- */

/* Positions that CONTEXT_VISUAL takes. */
static int spend(const struct layout *l, struct layout_plan *p, int64_t now, struct error *e) {
    const int64_t style = 1 + l->o.expand;
    struct purse purse = {.left = l->o.positions - 1, .facts = l->o.facts, .bucket = -1};
    p->style = p->account->styled && p->account->folded < now && now > STORE_UNDATED &&
               purse.left >= style;
    purse.left -= p->style ? style : 0;
    take_newest(l, p, &purse);
    int rc = take_stretches(l, p, now, &purse, e);
    bool empty = !p->style && p->first == p->end;
    p->budget = empty ? 0 : l->o.positions - purse.left;
    return rc;
}

int layout_plan(const struct layout *l, struct layout_plan *p,
                const struct history_account *account, int64_t now, int64_t room, struct error *e) {
    *p = (struct layout_plan){.list = p->list, .capacity = p->capacity, .account = account};
    if (l->o.kind == CONTEXT_NONE || l->o.positions < 1) {
        return 0;
    }
    size_t before = history_before(account, now);
    p->text = &l->texts[history_number(l->h, account)];
    p->end = before < account->post_count ? account->posts[before].first : account->token_count;
    p->first = p->end;
    int rc = spend(l, p, now, e);
    const bool pooled = l->o.kind == CONTEXT_POOLED;
    int64_t text = layout_ids(p, p->first, p->end);
    if (l->o.kind == CONTEXT_VISUAL || pooled) {
        p->positions = p->budget - (pooled && p->style ? 1 + l->o.expand : 0);
        p->shown = text;
    } else {
        const int64_t most = l->o.kind == CONTEXT_TRUNCATED ? p->budget : room;
        p->positions = p->shown = text < most ? text : most;
    }
    return rc;
}
