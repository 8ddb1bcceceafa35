/* history_load.c - the numbers of tokens, from the map of the store's file. */
#include <stdlib.h>
#include <string.h>

#include "store/nest.h"
#include "train/context/history_parts.h"

/* ---- Loaders ------------------------------------------------------------------------------ */

union shared {
    const struct history *read;
    struct history *changed; /* its list of loaders alone, under the lock */
};

static int take_loader(const struct history *h, struct loader **out, struct error *e) {
    struct history *shared = ((union shared){.read = h}).changed;
    pthread_mutex_lock(&shared->lock);
    *out = shared->idle;
    shared->idle = *out != NULL ? (*out)->next : NULL;
    pthread_mutex_unlock(&shared->lock);
    if (*out != NULL) {
        return 0;
    }
    struct loader *l = calloc(1, sizeof *l);
    int rc = l != NULL ? codec_open(&l->codec, e) : error_memory(e, NULL);
    if (rc < 0) {
        free(l);
        return rc;
    }
    *out = l;
    return 0;
}

static void give_back(const struct history *h, struct loader *l) {
    struct history *shared = ((union shared){.read = h}).changed;
    pthread_mutex_lock(&shared->lock);
    l->next = shared->idle;
    shared->idle = l;
    pthread_mutex_unlock(&shared->lock);
}

/* ---- Loading ------------------------------------------------------------------------------ */

/* Tokens of one page, which need not lie side by side on it. */
static int unpack(struct loader *l, const struct history_page *p, const struct history_token *t,
                  size_t count, float *out, struct error *e) {
    const struct token_header *h = &p->header;
    int rc = 0;
    for (size_t i = 0, end; i < count && rc == 0; i = end) {
        for (end = i + 1; end < count && t[end].token == t[end - 1].token + 1;) {
            end++;
        }
        rc = codec_unpack_rows(l->codec, out + i * h->dim, (enum codec)h->codec, p->payload,
                               h->payload, (int64_t)h->rows * h->columns, h->dim, t[i].token,
                               (int64_t)(end - i), e);
    }
    return rc;
}

static int halve(const struct history_page *p, float *out, int64_t *count, int bucket,
                 struct error *e) {
    int rc = 0;
    if (bucket > p->header.bucket && bucket > p->levels) {
        return error_set(e, ERR_UNSUPPORTED,
                         "its encoder did not learn to halve tokens of such pages %d times",
                         bucket);
    }
    for (int k = p->header.bucket; k < bucket && rc == 0; k++) {
        rc = nest_halve(out, count, p->header.dim, k, e);
    }
    return rc;
}

int history_load(const struct history *h, const struct history_account *account, size_t first,
                 size_t count, int bucket, float *out, size_t *made, struct error *e) {
    const struct history_token *tokens = account->tokens + first;
    const size_t dim = (size_t)history_encoder(h)->dim;
    struct loader *l;
    *made = 0;
    int rc = take_loader(h, &l, e);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0, end; i < count && rc == 0; i = end) {
        const struct history_page *p = &h->pages[tokens[i].page];
        for (end = i + 1; end < count && tokens[end].page == tokens[i].page;) {
            end++;
        }
        float *to = out + *made * dim;
        int64_t left = (int64_t)(end - i);
        rc = unpack(l, p, tokens + i, end - i, to, e);
        rc = rc == 0 ? halve(p, to, &left, bucket, e) : rc;
        rc = rc < 0 ? error_context(e, "%s page %d", p->key, p->number) : 0;
        *made += (size_t)left;
    }
    give_back(h, l);
    return rc;
}

int history_load_style(const struct history *h, const struct history_account *account, float *out,
                       struct error *e) {
    const struct account *a = (const struct account *)account; /* its first member */
    if (a->style == NULL) {
        return error_set(e, ERR_USAGE, "%s: nothing of it was folded", account->name);
    }
    memcpy(out, a->style, (size_t)history_encoder(h)->dim * sizeof *out);
    return 0;
}
