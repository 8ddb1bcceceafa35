/* forget.h - old pages keep fewer tokens: the older, the fewer, as a logarithm.
 *
 * Age a = now - created. A page belongs to bucket k = floor(log2(1 + a / tau)) and keeps N_0 / 2^k
 * of its tokens: its grid is halved k times, the longer side first, columns where both are equal:
 * 16x16, 16x8, 8x8, ..., 1x1; 20x40, 20x20, 20x10, 10x10, ... An odd side is halved upwards (5, 3,
 * 2, 1), so the count is exact as long as sides are even. Bucket k spans 2^k tau, so an account
 * that posts at a steady rate has the same number of tokens in each, and its size grows with the
 * logarithm of its history. Where the encoder's tokens are nested (nest.h) a page is merged by
 * keeping the first half of the numbers of two neighbours in reading order, and its grid is that of
 * nest_grid. Pages past the last bucket are folded: the mean of their tokens is added to the
 * account's style sum, their records are removed, and the JSON and text of samples that no page
 * shows any more too. Tokens that were given up do not come back: a bucket never falls.
 *
 * Pages that show a pinned sample, and pages without a date, stay as they are. A page is merged no
 * more often than the encoder learned it, and not at all where it did not learn the page's profile
 * (forget_learned.h): it stays in the bucket that it has reached until it is folded.
 *
 * When a page is made smaller, the facts of its text (facts.h) are kept beside its tokens, unless
 * they are there already, and stay until it is folded.
 *
 * A sample is in the style sum once. The journal marks all samples that a folded page showed; such
 * a page is added with the share of its samples that had no mark before the pass: 1, or less for a
 * pack that came again with samples that were folded from another.
 *
 * Each account is one transaction: killed anywhere and run again, the store is the same. */
#ifndef OCC_STORE_FORGET_H
#define OCC_STORE_FORGET_H

#include <signal.h>

#include "store/store.h"

/* floor(log2(1 + age / tau)); 0 for what lies in the future. tau > 0. */
int forget_bucket(int64_t age, int64_t tau);
/* The grid of bucket k of a page that was (rows, columns). */
void forget_grid(int *rows, int *columns, int bucket);
/* One halving in place: tokens (rows, columns, dim) become the means of neighbours; *rows and
 * *columns are then of the smaller grid. A neighbour that is missing at an odd edge is left out. */
void forget_pool(float *tokens, int *rows, int *columns, int64_t dim);

/* Another way to make a page smaller than the means of its tokens. Fills tokens (rows, columns,
 * dim) of the smaller grid, where there is room for as many as are stored; `old`: those. 1: filled;
 * 0: cannot. The page then stays as it is; but one that is means already goes on as means. */
struct forget_operator {
    enum shrink shrunk_by; /* for the header */
    void *context;
    int (*shrink)(void *context, const struct token_record *record, const float *old, int rows,
                  int columns, float *tokens, struct error *e);
};
/* Halves nested tokens; its shrink is NULL, the pass knows how. */
extern const struct forget_operator FORGET_NEST;

struct forget_options {
    int64_t now, tau; /* seconds */
    int64_t buckets;  /* the last one that keeps pages; older pages are folded */
    bool adaptive;    /* pages with more reactions than others of the account age slower */
    bool keep_text, dry_run;
    bool facts;                           /* are kept */
    const struct forget_operator *shrink; /* NULL: means */
    const char *account;                  /* NULL: all; ERR_FORMAT for one that is not there */
};
#define FORGET_DEFAULTS                                                                            \
    { .tau = 30 * 24 * 3600, .buckets = 5, .facts = true }

/* Pages of a bucket. */
struct forget_counts {
    int64_t pages, tokens, bytes; /* of packed tokens */
    int64_t measured;             /* characters on those whose fidelity is known */
    double words, numbers;        /* expected shares of those pages, times their characters */
};

struct forget_result {
    int64_t accounts, pages;             /* looked at */
    int64_t shrunk, folded, pinned;      /* pages */
    int64_t undated, future;             /* pages: that never age; of more than a day after `now` */
    int64_t removed_samples;             /* that the folded pages showed, for the first time */
    int64_t removed_bytes;               /* of folded pages, and of JSON and text that went along */
    int64_t tokens_before, tokens_after; /* of all pages */
    int64_t bytes_before, bytes_after;   /* of packed tokens; of a dry run about */
    int64_t unshrinkable;                /* pages that the operator could not make smaller */
    int64_t left;                        /* of these, pages that stay as they are */
    /* Pages that stay in a bucket below that of their age: nested tokens are halved as often as was
     * learned (`levels`); the encoder did not learn to merge this profile (held_name: one of them);
     * nested tokens have no means. */
    int64_t held_levels, held_profile, held_means;
    int levels;
    char held_name[TOKEN_PROFILE];
    int64_t facts, facts_bytes, facts_text; /* found; bytes of them, of the texts they are from */
    int64_t facts_left_out, facts_cut;      /* facts that did not fit; pages of these */
    int64_t factless;                       /* pages made smaller whose text the store has not */
    int64_t damaged_texts;                  /* of these: it has, but it cannot be read */
    /* What can be read, as far as the fidelity of pages is known before and after (folded:
     * nothing): characters on all pages, on those; expected shares times characters. */
    int64_t characters, measured;
    double words_before, words_after, numbers_before, numbers_after;
    /* By bucket; bytes of pages that are made smaller are as many a token as before. */
    struct forget_counts before[STORE_BUCKETS], after[STORE_BUCKETS];
};

int forget_run(struct store *s, const struct forget_options *options,
               const volatile sig_atomic_t *cancel, struct forget_result *result, struct error *e);

/* `now` of the newest pass over any account; 0: there was none. */
int forget_last_pass(struct store *s, int64_t *last, struct error *e);

#endif
