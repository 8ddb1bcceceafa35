/* forget_state.h - a pass of forgetting in hand, for forget*.c alone. */
#ifndef OCC_STORE_FORGET_STATE_H
#define OCC_STORE_FORGET_STATE_H

#include "store/buffer.h"
#include "store/forget.h"
#include "store/forget_learned.h"
#include "store/table.h"

/* A page of the account in hand. */
struct aging {
    struct token_record record; /* without its payload and facts */
    double reactions;
    int bucket;   /* where it belongs now; STORE_BUCKETS: folded */
    double share; /* of a page to be folded: of its samples, those not in the style sum */
};

struct forget {
    struct store *s;
    const struct forget_options *options;
    struct forget_result *result;
    struct learned learned;
    struct codec_state *codec;
    struct bytes payload, json;
    struct bytes text; /* of the pages of `text_key` */
    char text_key[STREAM_KEY_BYTES];
    struct bytes facts;
    struct buffer tokens, shrunk; /* of a page, floats */
    struct aging *pages;
    size_t count, capacity;
    struct account_header account;
    struct table *shown; /* samples on packs that stay; NULL while no pack is folded */
    double *sum;         /* of the account; NULL while nothing was folded */
};

/* forget_age.c: sets page->bucket of all pages, and counts why pages stay. */
int forget_choose(struct forget *f, struct error *e);

/* forget_page.c. A page that cannot be made smaller goes back to the bucket that it was in. */
int forget_shrink(struct forget *f, struct aging *page, struct error *e);
/* Adds the mean of the page's tokens to the account's sum, with its share, and removes it. */
int forget_fold(struct forget *f, const struct aging *page, struct error *e);
/* The grid of a page in its new bucket. */
void forget_new_grid(const struct forget *f, const struct aging *page, int *rows, int *columns);

/* forget_cost.c: counts a page as it was and as it is now. */
void forget_count(struct forget *f, const struct aging *page);

#endif
