/* posts.h - what rows of the table are measured by: held-out posts of a store's accounts, what
 * these are written like, and how far they went. */
#ifndef OCC_TRAIN_PAPER_POSTS_H
#define OCC_TRAIN_PAPER_POSTS_H

#include <signal.h>

#include "train/context/layout.h"
#include "train/paper/style.h"

struct paper_posts_options {
    const char *store;
    const struct decoder_folder *model;
    int64_t positions, row; /* as layout.h has them */
    double held_out;
    int64_t texts; /* that are to be written for an account, at most */
};

struct paper_posts; /* read-only */
/* ERR_FORMAT: fewer than two accounts have older posts and held-out ones. */
int paper_posts_open(struct paper_posts **out, const struct paper_posts_options *o,
                     const volatile sig_atomic_t *cancel, struct error *e);
void paper_posts_close(struct paper_posts *p); /* NULL is allowed */

size_t paper_posts_accounts(const struct paper_posts *p); /* that have both */
/* The account of that name, or SIZE_MAX. */
size_t paper_posts_find(const struct paper_posts *p, const char *account);
/* Lines for `occ generate --batch`: {"account", "created", "script", "post"}, at the time of
 * held-out posts. Where captions can be ranked (below), eight times as many. */
int paper_posts_prompts(const struct paper_posts *p, struct bytes *out, struct error *e);

/* A text that was written for a prompt. */
struct paper_text {
    size_t account;
    const char *text;
    size_t size;
};
/* As style_measure has it, against the older posts and between the bounds of the held-out ones. */
int paper_posts_style(const struct paper_posts *p, const struct paper_text *texts, size_t count,
                      struct style_bounds *bounds, struct error *e);
/* How well captions are ranked: of an account whose posts have counts of shares or likes, 100 older
 * ones at least; the rank correlation over its held-out posts. The first account is told that has
 * the most posts; NULL: there is none. */
const char *paper_posts_ranked(const struct paper_posts *p, struct interval *correlation);
/* For each text of that account the share of its held-out captions that rank lower, others NAN. */
int paper_posts_captions(const struct paper_posts *p, const struct paper_text *texts, size_t count,
                         double *out, struct error *e);

#endif
