/* schedule.h - the learning rate of each step.
 *
 *     rate(t) = peak t / warm_up                                            t <= warm_up
 *     rate(t) = peak (1 + cos(pi (t - warm_up) / (steps - warm_up))) / 2    after that
 *
 * t counts from 1, so that no step has the rate 0 but the last; after the last it stays 0. */
#ifndef OCC_TRAIN_SCHEDULE_H
#define OCC_TRAIN_SCHEDULE_H

#include <stdint.h>

struct schedule {
    double rate;            /* the highest */
    int64_t steps, warm_up; /* steps in all, and of the linear rise */
};
#define SCHEDULE_DEFAULTS                                                                          \
    { .rate = 1e-3, .warm_up = 100 }

/* The learning rate of the step that comes after `taken` ones. */
double schedule_rate(const struct schedule *s, int64_t taken);

#endif
