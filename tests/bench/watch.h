/* watch.h - a backend of which every operation is timed by itself, as often as a network calls it
 * and with what it calls it with.
 *
 *     const struct backend *b = watch_backend(inner);
 *     ... a network on devices of b, warm
 *     watch_start(REPEAT);          each call is made REPEAT times between two waits for the device
 *     ... again
 *     watch_stop();
 *     watch_print(stdout, &ceilings);
 *
 * One device at a time. What adds to its result adds REPEAT times: numbers are not to be read. */
#ifndef OCC_TESTS_BENCH_WATCH_H
#define OCC_TESTS_BENCH_WATCH_H

#include <stdio.h>

#include "compress/device.h"

/* A second. */
struct ceilings {
    double operations; /* of products */
    double bytes;      /* read and written */
};

const struct backend *watch_backend(const struct backend *inner);
void watch_start(int repeat);
void watch_stop(void);

/* Since watch_start; of one call each. */
struct watch_sum {
    int64_t calls;
    double operations, bytes, seconds;
};
struct watch_sum watch_total(void);
/* A Markdown table, the longest first: an operation at its sizes a line; calls, time, rates, and
 * the share of the time that the ceilings allow. */
void watch_print(FILE *to, const struct ceilings *c);

#endif
