/* layout_pool.c - pooled text: in the place of each soft token the mean of the text tokens that lie
 * under its share of the bytes. */
#include "store/array.h"
#include "train/context/layout_parts.h"

static int add_pool(struct layout_space *s, size_t first, struct error *e) {
    struct context_pool *pools =
        array_grow(s->pools, &s->pool_capacity, s->pool_count + 1, sizeof *pools, e);
    if (pools == NULL) {
        return ERR_MEMORY;
    }
    s->pools = pools;
    s->pools[s->pool_count++] =
        (struct context_pool){.first = (int64_t)first, .count = (int64_t)(s->pooled.count - first)};
    return 0;
}

static int add_pooled(struct layout_space *s, int32_t id, struct error *e) {
    return token_list_append(&s->pooled, &id, 1, e);
}

/* The text of tokens [first, end) of the account, as if nothing lay between them. */
struct under {
    const struct history_token *tokens;
    const struct layout_text *text;
    size_t first, end;
    uint32_t size;
};

/* The share, of `shares`, in which the middle of text token `id` of token `i` lies; -1: it is a
 * newline that was put there. `before`: bytes of the tokens before. */
static int64_t share_of(const struct under *u, size_t i, uint32_t id, uint32_t before,
                        int64_t shares) {
    const struct history_token *t = &u->tokens[i];
    const uint32_t start = u->text->starts[id] - t->text;
    uint32_t end = id + 1 < u->text->first[i + 1] ? u->text->starts[id + 1] - t->text : t->size;
    if (start >= t->size) {
        return -1;
    }
    end = end < t->size ? end : t->size;
    return ((int64_t)2 * before + start + end) * shares / ((int64_t)2 * u->size);
}

/* Text tokens come in order of their shares: this one's are those before the first of a later
 * one. A share without any has the text token before it, or else the one behind. */
static int pool_one(struct layout_space *s, const struct under *u, struct error *e) {
    const int64_t shares = s->l->o.expand;
    const size_t begin = s->pool_count;
    uint32_t before = 0;
    int32_t last = -1;
    int64_t share = 0;
    size_t first = s->pooled.count;
    int rc = 0;
    for (size_t i = u->first; i < u->end && rc == 0; before += u->tokens[i++].size) {
        for (uint32_t k = u->text->first[i]; k < u->text->first[i + 1] && rc == 0; k++) {
            int64_t own = share_of(u, i, k, before, shares);
            for (; share < own && rc == 0; share++) {
                const bool empty = s->pooled.count == first;
                rc = empty ? add_pooled(s, last >= 0 ? last : u->text->ids.ids[k], e) : 0;
                rc = rc == 0 ? add_pool(s, first, e) : rc;
                first = s->pooled.count;
            }
            last = own >= 0 ? u->text->ids.ids[k] : last;
            rc = rc == 0 && own >= 0 ? add_pooled(s, last, e) : rc;
        }
    }
    while (rc == 0 && s->pool_count < begin + (size_t)shares) {
        const bool empty = s->pooled.count == first;
        rc = empty ? add_pooled(s, last >= 0 ? last : s->l->newline, e) : 0;
        rc = rc == 0 ? add_pool(s, first, e) : rc;
        first = s->pooled.count;
    }
    return rc;
}

int layout_put_pools(struct layout_space *s, const struct layout_stretch *t, struct error *e) {
    const struct layout_plan *p = &s->plan;
    const int64_t expand = s->l->o.expand;
    const size_t step = (size_t)1 << (t->bucket - p->account->tokens[t->first].bucket);
    struct under u = {.tokens = p->account->tokens, .text = p->text};
    int rc = 0;
    for (size_t i = 0; i < t->count && rc == 0; i += step) {
        u.first = t->first + i;
        u.end = i + step < t->count ? u.first + step : t->first + t->count;
        u.size = 0;
        for (size_t k = u.first; k < u.end; k++) {
            u.size += u.tokens[k].size;
        }
        int64_t pool = (int64_t)s->pool_count;
        rc = pool_one(s, &u, e);
        for (int64_t k = 0; k < expand && rc == 0; k++) {
            layout_put(s, (int32_t)(-1 - pool - k)); /* such rows have no marks before them */
        }
    }
    s->spent.pooled += t->made * expand;
    return rc;
}
