/* decay.h - how the pages of a store fade: tokens, bytes and what is read back of them, by bucket,
 * against age (figure 2 of the paper). */
#ifndef OCC_TRAIN_FIDELITY_DECAY_H
#define OCC_TRAIN_FIDELITY_DECAY_H

#include <signal.h>

#include "compress/readback.h"

enum { DECAY_READ = 64 }; /* pages of a bucket that are read back at most, evenly spread */

/* The pages of a bucket. */
struct decay_point {
    int bucket;
    int64_t pages;
    double days;          /* their age: the geometric mean, a day at least */
    double tokens, bytes; /* a page on average; packed tokens and facts */
    int64_t read;         /* pages whose text is known and that were read back, */
    double accuracy;      /* and the mean share of it that came back (text_accuracy) */
};

struct decay {
    struct decay_point points[STORE_BUCKETS]; /* that have pages */
    int count;
    int64_t left_out; /* pages that do not age: pinned, or without a date */
};

/* `now`: Unix seconds that ages are counted to. `r`: of the store's encoder; NULL reads nothing
 * back. ERR_FORMAT where no page ages. */
int decay_measure(struct decay *d, struct store *s, struct readback *r, int64_t now,
                  const volatile sig_atomic_t *cancel, struct error *e);

/* Appends the picture, an SVG file: three panels above each other, each with one point a bucket.
 * Nothing in it depends on colour. The same numbers give the same bytes. */
int decay_plot(struct bytes *out, const struct decay *d, struct error *e);

#endif
