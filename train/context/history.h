/* history.h - what a store knows of accounts: visual tokens in time, the text that each shows, and
 * posts to be foreseen from what is older. A snapshot: what a writer does later (a nightly forget)
 * is not seen; the store may be read and aged while a run learns from it. */
#ifndef OCC_TRAIN_CONTEXT_HISTORY_H
#define OCC_TRAIN_CONTEXT_HISTORY_H

#include <signal.h>

#include "store/store.h"

/* A visual token of a page. Of pages in cells: those that show text; what shows a picture alone, or
 * nothing, is left out. Of pages in rows, and of grids that were not halved by nested tokens: all,
 * without text. */
struct history_token {
    int64_t created;     /* newest of the posts that it shows; STORE_UNDATED: no date is known */
    uint32_t page;       /* of the history's pages: history_page */
    uint32_t token;      /* of the page */
    uint32_t post;       /* newest of the posts that it shows */
    uint32_t text, size; /* bytes of the account's text: what it shows; size 0: not known */
    uint8_t bucket;      /* as it is stored */
};
struct history_post {
    const char *key;   /* ACCOUNT/ID */
    const char *title; /* of the account, as the post's own JSON has it, or else its name */
    int64_t created;
    /* Tokens of the account of which it is the newest post; without any, where they would be. */
    uint32_t first, count;
    const char *caption, *script; /* NULL: none, or text that was forgotten; not terminated: */
    uint32_t caption_size, script_size;
};
/* All of an account, oldest first, and posts of the same second by their keys; undated posts are
 * the oldest. Tokens are in the order of their posts, then in that of pages. */
struct history_account {
    const char *name;  /* as in keys */
    const char *title; /* as prompts name it (corpus.h): "account" of its newest post's JSON */
    const struct history_token *tokens;
    size_t token_count;
    const struct history_post *posts;
    size_t post_count;
    const char *text; /* of its pages in cells, page after page */
    size_t text_size;
    bool styled;    /* something was folded: it has a style token, */
    int64_t folded; /* which shows nothing newer than this (INT64_MAX: not known); undated posts
                       fold never */
};
/* A page that tokens are of. */
struct history_page {
    struct token_header header;
    const void *payload;
    const char *key; /* of its sample or pack */
    int number;      /* among the pages of that */
    int levels; /* its bucket, or that up to which its encoder learned to halve it by nested tokens
                 */
    bool text;  /* its tokens' text is known */
};

struct history; /* read-only once it is open; history_load may be called by several threads */
/* `account`: that one alone, by its name or title, or NULL. ERR_FORMAT: there is none of that name.
 */
int history_open(struct history **out, const char *store, const char *account,
                 const volatile sig_atomic_t *cancel, struct error *e);
void history_close(struct history *h); /* NULL is allowed */
const struct store_encoder *history_encoder(const struct history *h);
size_t history_count(const struct history *h); /* accounts, sorted by name */
const struct history_account *history_get(const struct history *h, size_t account);
const struct history_account *history_find(const struct history *h, const char *name); /* or NULL */
size_t history_number(const struct history *h, const struct history_account *account);
size_t history_pages(const struct history *h);
const struct history_page *history_page(const struct history *h, size_t page);
/* Of all texts, dates, tokens' hashes: a run that goes on must have the same. */
uint64_t history_hash(const struct history *h);
size_t history_bytes(const struct history *h); /* of memory; tokens' numbers stay in the file */
/* The account's first post that is not older than `now`: what is before it, and its tokens before
 * that post's `first`, may be known at that time; nothing is known where `now` is no date. */
size_t history_before(const struct history_account *account, int64_t now);

/* The numbers of tokens [first, first + count) of an account, each halved until it is of bucket
 * `bucket` at least: `out` has room for `count` tokens of dim floats, *made are left. Neighbours
 * within a stretch of one page are halved in pairs (store/nest.h), the first with the second,
 * whatever their places on the page, so that none is mixed with what lies outside. Stored buckets
 * above `bucket` stay: the caller asks for runs of one bucket. ERR_UNSUPPORTED: beyond the page's
 * levels. */
int history_load(const struct history *h, const struct history_account *account, size_t first,
                 size_t count, int bucket, float *out, size_t *made, struct error *e);
/* The style token of an account: dim floats. */
int history_load_style(const struct history *h, const struct history_account *account, float *out,
                       struct error *e);

#endif
