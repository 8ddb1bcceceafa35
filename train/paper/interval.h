/* interval.h - a figure with how far it may be trusted: bootstrap over what was sampled (Efron
 * 1979), 2,000 draws, the middle 95%. The same numbers give the same interval. */
#ifndef OCC_TRAIN_PAPER_INTERVAL_H
#define OCC_TRAIN_PAPER_INTERVAL_H

#include <math.h>
#include <stddef.h>

#include "store/error.h"

struct interval {
    double value, low, high; /* all NAN: nothing was measured */
};
#define INTERVAL_NONE ((struct interval){(double)NAN, (double)NAN, (double)NAN})
/* sum of `top` / sum of `bottom`, over `count` pairs, of which those that have no number are left
 * out: a mean where `bottom` is all 1. */
int interval_ratio(struct interval *out, const double *top, const double *bottom, size_t count,
                   struct error *e);
int interval_mean(struct interval *out, const double *values, size_t count, struct error *e);
/* Rank correlation (Spearman's; equal values share their ranks), over pairs. */
int interval_ranks(struct interval *out, const double *x, const double *y, size_t count,
                   struct error *e);

#endif
