/* history.c - see history.h: opening, looking up. */
#include "train/context/history.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "train/context/history_parts.h"

int history_cancelled(const struct history_builder *b, struct error *e) {
    return b->cancel != NULL && *b->cancel ? error_set(e, ERR_CANCELLED, "stopped") : 0;
}

const char *history_text(struct history *h, const char *text, size_t size, struct error *e) {
    const char *copy = arena_text(h->names, text, size);
    h->name_bytes += size + 1;
    if (copy == NULL) {
        error_memory(e, NULL);
    }
    return copy;
}

/* ---- Styles ------------------------------------------------------------------------------- */

/* The mean of what was folded: see account_header. */
static int read_style(struct history *h, struct account *a, struct error *e) {
    struct account_header header;
    double *sum = NULL;
    int rc = store_get_account(h->store, a->shown.name, &header, &sum, e);
    if (rc == 1 && sum != NULL) {
        double pages = (double)header.folded_pages - header.repeated;
        a->style = pages > 0 ? malloc(header.dim * sizeof *a->style) : NULL;
        if (pages > 0 && a->style == NULL) {
            rc = error_memory(e, NULL);
        }
        for (uint32_t i = 0; i < header.dim && a->style != NULL; i++) {
            a->style[i] = (float)(sum[i] / pages);
        }
    }
    a->shown.styled = a->style != NULL;
    if (a->shown.styled && a->shown.folded == 0) {
        a->shown.folded = INT64_MAX; /* of which posts is not known */
    }
    free(sum);
    return rc < 0 ? rc : 0;
}

/* ---- Its hash ----------------------------------------------------------------------------- */

static void add_text(XXH3_state_t *x, const char *text, size_t size) {
    const uint64_t length = text != NULL ? size : UINT64_MAX;
    XXH3_64bits_update(x, &length, sizeof length);
    if (text != NULL) {
        XXH3_64bits_update(x, text, size);
    }
}

static void add_account(XXH3_state_t *x, const struct history *h, const struct account *a) {
    const struct history_account *s = &a->shown;
    add_text(x, s->name, strlen(s->name));
    add_text(x, s->title, strlen(s->title));
    add_text(x, s->text, s->text_size);
    for (size_t i = 0; i < s->post_count; i++) {
        const struct history_post *p = &s->posts[i];
        add_text(x, p->key, strlen(p->key));
        add_text(x, p->caption, p->caption_size);
        add_text(x, p->script, p->script_size);
        XXH3_64bits_update(x, &p->created, sizeof p->created);
    }
    for (size_t i = 0; i < s->token_count; i++) {
        const struct history_token *t = &s->tokens[i];
        const struct token_header *page = &h->pages[t->page].header;
        const uint64_t numbers[] = {page->hash, t->token, t->post, t->text, t->size, t->bucket};
        XXH3_64bits_update(x, numbers, sizeof numbers);
    }
    if (a->style != NULL) {
        XXH3_64bits_update(x, a->style, (size_t)store_encoder(h->store)->dim * sizeof *a->style);
    }
}

static int make_hash(struct history *h, struct error *e) {
    XXH3_state_t *x = XXH3_createState();
    if (x == NULL) {
        return error_memory(e, NULL);
    }
    XXH3_64bits_reset(x);
    XXH3_64bits_update(x, &store_encoder(h->store)->fingerprint, sizeof(uint64_t));
    for (size_t i = 0; i < h->account_count; i++) {
        add_account(x, h, &h->accounts[i]);
    }
    h->hash = XXH3_64bits_digest(x);
    XXH3_freeState(x);
    return 0;
}

/* ---- Opening ------------------------------------------------------------------------------ */

static int builder_open(struct history_builder *b, const char *path, struct error *e) {
    struct history *h = b->h;
    bytes_init(&b->json, STREAM_SAMPLE_LIMIT);
    bytes_init(&b->text, STREAM_SAMPLE_LIMIT);
    bytes_init(&b->cells, STREAM_SAMPLE_LIMIT);
    int rc = store_open(&h->store, path, e);
    if (rc == 0) {
        rc = learned_open(&b->learned, h->store, e);
    }
    if (rc == 0) {
        rc = arena_open(&h->names, SIZE_MAX / 2, e);
    }
    if (rc == 0) {
        rc = table_open(&b->accounts, e);
    }
    if (rc == 0) {
        rc = table_open(&b->keys, e);
    }
    return rc == 0 ? clip_scripts_open(&b->scripts, e) : rc;
}

static void builder_close(struct history_builder *b) {
    learned_close(&b->learned);
    free(b->posts);
    free(b->packs);
    free(b->names);
    free(b->places);
    table_close(b->accounts);
    table_close(b->keys);
    clip_scripts_close(b->scripts);
    bytes_close(&b->json);
    bytes_close(&b->text);
    bytes_close(&b->cells);
}

static int build(struct history_builder *b, const char *path, struct error *e) {
    struct history *h = b->h;
    int rc = builder_open(b, path, e);
    if (rc == 0) {
        rc = history_gather(b, e);
    }
    for (size_t i = 0; i < h->account_count && rc == 0; i++) {
        rc = history_read_pages(b, i, e);
    }
    for (size_t i = 0; i < h->account_count && rc == 0; i++) {
        rc = history_read_posts(b, i, e);
        rc = rc == 0 ? read_style(h, &h->accounts[i], e) : rc;
    }
    return rc == 0 ? make_hash(h, e) : rc;
}

int history_open(struct history **out, const char *store, const char *account,
                 const volatile sig_atomic_t *cancel, struct error *e) {
    *out = NULL;
    struct history *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return error_memory(e, NULL);
    }
    pthread_mutex_init(&h->lock, NULL);
    struct history_builder b = {.h = h, .cancel = cancel, .account = account};
    int rc = build(&b, store, e);
    if (rc == 0 && account != NULL && h->account_count == 0) {
        rc = error_set(e, ERR_FORMAT, "%s: %s is not an account of the store", store, account);
    }
    builder_close(&b);
    if (rc < 0) {
        history_close(h);
        return rc;
    }
    *out = h;
    return 0;
}

void history_close(struct history *h) {
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < h->account_count; i++) {
        free(h->accounts[i].tokens);
        free(h->accounts[i].style);
        bytes_close(&h->accounts[i].text);
    }
    for (struct loader *l = h->idle; l != NULL;) {
        struct loader *next = l->next;
        codec_close(l->codec);
        free(l);
        l = next;
    }
    free(h->accounts);
    free(h->posts);
    free(h->pages);
    arena_close(h->names);
    store_close(h->store);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* ---- Looking up --------------------------------------------------------------------------- */

const struct store_encoder *history_encoder(const struct history *h) {
    return store_encoder(h->store);
}

size_t history_count(const struct history *h) {
    return h->account_count;
}

const struct history_account *history_get(const struct history *h, size_t account) {
    return &h->accounts[account].shown;
}

const struct history_account *history_find(const struct history *h, const char *name) {
    for (size_t i = 0; i < h->account_count; i++) {
        if (strcmp(h->accounts[i].shown.name, name) == 0) {
            return &h->accounts[i].shown;
        }
    }
    for (size_t i = 0; i < h->account_count; i++) {
        if (strcmp(h->accounts[i].shown.title, name) == 0) {
            return &h->accounts[i].shown;
        }
    }
    return NULL;
}

size_t history_number(const struct history *h, const struct history_account *account) {
    return (size_t)((const struct account *)account - h->accounts); /* its first member */
}

size_t history_pages(const struct history *h) {
    return h->page_count;
}

const struct history_page *history_page(const struct history *h, size_t page) {
    return &h->pages[page];
}

uint64_t history_hash(const struct history *h) {
    return h->hash;
}

size_t history_bytes(const struct history *h) {
    size_t bytes = sizeof *h + h->name_bytes + h->account_count * sizeof *h->accounts +
                   h->post_count * sizeof *h->posts + h->page_capacity * sizeof *h->pages;
    for (size_t i = 0; i < h->account_count; i++) {
        const struct account *a = &h->accounts[i];
        bytes += a->token_capacity * sizeof *a->tokens + a->text.capacity;
        bytes += a->style != NULL ? (size_t)store_encoder(h->store)->dim * sizeof *a->style : 0;
    }
    return bytes;
}

size_t history_before(const struct history_account *account, int64_t now) {
    size_t low = 0, high = now > STORE_UNDATED ? account->post_count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (account->posts[middle].created < now) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
