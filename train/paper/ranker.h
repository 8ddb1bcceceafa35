/* ranker.h - which of an account's captions reach further: ridge regression on runs of 3 to 5
 * characters (grams.h), the caption's length, and whether it has a link.
 *
 * What is learned is log(1 + reach) less the median of that over the 101 posts before: how much a
 * post beats the account's level of its time. */
#ifndef OCC_TRAIN_PAPER_RANKER_H
#define OCC_TRAIN_PAPER_RANKER_H

#include <stdbool.h>

#include "train/paper/interval.h"

struct ranker_post {
    const char *text;
    size_t size;
    double reach; /* shares, likes: how far it went; at least 0 */
};

/* out[i]: how much post i beats the 101 before it; NAN where fewer than 20 came before. Posts are
 * in the order of time. */
int ranker_beats(double *out, const struct ranker_post *posts, size_t count, struct error *e);

struct ranker; /* read-only */
/* From posts [0, count), the ridge's weight by five folds of the time. ERR_FORMAT: fewer
 * than 100 posts. */
int ranker_open(struct ranker **out, const struct ranker_post *posts, size_t count,
                struct error *e);
void ranker_close(struct ranker *r); /* NULL is allowed */
/* A score for each text; only their order means something. */
int ranker_score(const struct ranker *r, const struct ranker_post *texts, size_t count, double *out,
                 struct error *e);

/* Learned from the first `learned` posts, how well the order of the others is foreseen. */
int ranker_test(struct interval *out, const struct ranker_post *posts, size_t count, size_t learned,
                struct error *e);
/* Share of `real` scores that lie below, equal ones by half. */
double ranker_percentile(double score, const double *real, size_t count);

#endif
