/* layout_targets.c - which posts are to be foreseen, in which set, in rows of which tokens: those
 * that train/corpus/ makes of the same posts. */
#include <stdlib.h>

#include "store/array.h"
#include "train/context/apart.h"
#include "train/context/layout_parts.h"
#include "train/corpus/corpus_parts.h"
#include "train/decoder/begin.h"

/* Which post of the history a post of the corpus is, by its place as it came. */
struct origin {
    uint32_t account, post;
};
struct target_maker {
    struct layout *l;
    struct corpus_builder b;
    struct origin *origins;
    size_t capacity;
    bool *apart; /* of each account: all of it is held out */
};

static int take_post(struct target_maker *m, size_t account, size_t post, struct error *e) {
    const struct history_account *a = history_get(m->l->h, account);
    const struct history_post *p = &a->posts[post];
    if (p->caption == NULL && p->script == NULL) {
        return 0;
    }
    const struct corpus_post_texts texts = {.account = a->name,
                                            .title = p->title,
                                            .caption = p->caption != NULL ? p->caption : "",
                                            .caption_size = p->caption_size,
                                            .script = p->script,
                                            .script_size = p->script_size};
    struct origin *origins =
        array_grow(m->origins, &m->capacity, m->b.post_count + 1, sizeof *origins, e);
    if (origins == NULL) {
        return ERR_MEMORY;
    }
    m->origins = origins;
    m->origins[m->b.post_count] = (struct origin){(uint32_t)account, (uint32_t)post};
    int rc = corpus_cancelled(&m->b, e);
    return rc == 0 ? corpus_post(&m->b, p->created, &texts, e) : rc;
}

/* ---- Accounts that are held out ----------------------------------------------------------- */

static int choose_accounts(struct target_maker *m, struct error *e) {
    const struct history *h = m->l->h;
    const size_t count = history_count(h);
    const char **names = calloc(count + 1, sizeof *names);
    m->apart = calloc(count + 1, sizeof *m->apart);
    int rc = names != NULL && m->apart != NULL ? 0 : error_memory(e, NULL);
    for (size_t i = 0; i < count && rc == 0; i++) {
        names[i] = history_get(h, i)->name;
    }
    if (rc == 0) {
        apart_choose(names, count, m->l->o.held_accounts, m->apart);
    }
    free(names);
    return rc;
}

/* ---- Rows --------------------------------------------------------------------------------- */

/* As corpus_rows.c cuts a document: what goes on in a row of its own begins with the last label of
 * the row before. */
static int cut(struct target_maker *m, struct layout_set *set, const struct origin *origin,
               const struct corpus_document *d, struct error *e) {
    const int32_t *ids = m->b.tokens.ids + d->first;
    const size_t most = (size_t)m->l->target;
    for (size_t at = 0; at + 1 < d->count; at += most) {
        size_t length = d->count - 1 - at < most ? d->count - 1 - at : most;
        struct layout_target next = {.account = origin->account,
                                     .post = origin->post,
                                     .first = d->first + at,
                                     .count = (int32_t)length};
        for (size_t i = 1; i <= length; i++) {
            next.targets += (ids[at + i] & CORPUS_TARGET) != 0;
        }
        if (next.targets == 0) {
            continue;
        }
        struct layout_target *list =
            array_grow(set->list, &set->capacity, set->count + 1, sizeof *list, e);
        if (list == NULL) {
            return ERR_MEMORY;
        }
        set->list = list;
        set->list[set->count++] = next;
        set->counts.targets += next.targets;
    }
    return 0;
}

static int cut_posts(struct target_maker *m, struct error *e) {
    const struct corpus_builder *b = &m->b;
    int rc = 0;
    for (size_t i = 0; i < b->post_count && rc == 0; i++) {
        const struct corpus_post *post = &b->posts[i];
        const struct origin *origin = &m->origins[post->place];
        bool held_out = post->held_out || m->apart[origin->account];
        struct layout_set *set = &m->l->sets[held_out ? CORPUS_HELD_OUT : CORPUS_TRAINING];
        size_t before = set->count;
        for (size_t d = 0; d < post->count && rc == 0; d++) {
            rc = cut(m, set, origin, &b->documents[post->first + d], e);
        }
        bool first = before == 0 || set->list[before - 1].account != origin->account;
        set->counts.accounts += set->count > before && first;
    }
    for (int i = 0; i < CORPUS_SETS; i++) {
        m->l->sets[i].counts.rows = (int64_t)m->l->sets[i].count;
    }
    return rc;
}

int layout_targets_open(struct layout *l, const volatile sig_atomic_t *cancel, struct error *e) {
    const struct corpus_options o = {.model = l->o.model, .held_out = l->o.held_out};
    struct target_maker m = {
        .l = l, .b = {.options = &o, .cancel = cancel, .end = l->o.model->config.ends[0]}};
    int rc = corpus_builder_open(&m.b, e);
    l->begin = m.b.begin;
    m.b.begin = -1; /* it stands before the context */
    for (size_t i = 0; i < history_count(l->h) && rc == 0; i++) {
        for (size_t k = 0; k < history_get(l->h, i)->post_count && rc == 0; k++) {
            rc = take_post(&m, i, k, e);
        }
    }
    rc = rc == 0 ? choose_accounts(&m, e) : rc;
    if (rc == 0) {
        l->target = l->o.target > 0 ? l->o.target : l->o.row - l->o.positions - (l->begin >= 0);
        corpus_split(&m.b);
        rc = cut_posts(&m, e);
    }
    l->tokens = m.b.tokens; /* they move */
    m.b.tokens = (struct token_list){0};
    corpus_builder_close(&m.b);
    free(m.origins);
    free(m.apart);
    return rc;
}
