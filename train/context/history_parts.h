/* history_parts.h - what the files of history.h share: a history while it is made, and made. */
#ifndef OCC_TRAIN_CONTEXT_HISTORY_PARTS_H
#define OCC_TRAIN_CONTEXT_HISTORY_PARTS_H

#include <pthread.h>

#include "store/arena.h"
#include "store/buffer.h"
#include "store/forget_learned.h"
#include "store/table.h"
#include "train/context/history.h"
#include "train/corpus/clip_scripts.h"

struct account {
    struct history_account shown; /* points to what follows */
    struct history_token *tokens; /* owned, as all below */
    size_t token_capacity;
    struct bytes text;
    float *style; /* NULL: nothing was folded */
};

/* What a thread unpacks with; idle ones wait in a list. */
struct loader {
    struct codec_state *codec;
    struct loader *next;
};

struct history {
    struct store *store; /* its snapshot: payloads lie in the map */
    struct account *accounts;
    size_t account_count;
    struct history_post *posts; /* of all accounts */
    size_t post_count;
    struct history_page *pages;
    size_t page_count, page_capacity;
    struct arena *names; /* keys, names, captions, scripts */
    size_t name_bytes;
    uint64_t hash;
    pthread_mutex_t lock; /* of `idle` */
    struct loader *idle;
};

/* A post before posts have their order, or a pack. */
struct found {
    const char *key;
    size_t account;
    int64_t created;
    bool folded;
};

struct history_builder {
    struct history *h;
    const volatile sig_atomic_t *cancel;
    const char *account; /* as in keys; NULL: all; while posts are gathered */
    size_t account_size;
    struct learned learned;
    struct found *posts;
    size_t post_count, post_capacity;
    struct found *packs;
    size_t pack_count, pack_capacity;
    struct table *accounts; /* name -> number, as they come; then by name */
    const char **names;     /* of those */
    size_t name_capacity;
    struct table *keys; /* of posts -> number, as they come */
    size_t *places;     /* of these -> number in order */
    struct clip_scripts *scripts;
    struct bytes json, text, cells; /* of the sample in hand */
};

int history_cancelled(const struct history_builder *b, struct error *e);
/* A copy that the history owns; NULL: no memory. */
const char *history_text(struct history *h, const char *text, size_t size, struct error *e);

/* Posts and accounts, from the journal. */
int history_gather(struct history_builder *b, struct error *e);
/* The tokens of an account, from its pages. */
int history_read_pages(struct history_builder *b, size_t account, struct error *e);
/* Captions and scripts of its posts, when all pages were read. */
int history_read_posts(struct history_builder *b, size_t account, struct error *e);

#endif
