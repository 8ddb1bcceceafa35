/* ceilings.h - what a device reaches at its best: one large product, one large copy; and what the
 * benches that print shares of that have in common. */
#ifndef OCC_TESTS_BENCH_CEILINGS_H
#define OCC_TESTS_BENCH_CEILINGS_H

#include "tests/bench/watch.h"

/* Exits, with the reason, where the device fails. */
struct ceilings ceilings_measure(const struct backend *b, enum dtype compute);
/* With what a data sheet says instead, TFLOP/s and GB/s, where that is above 0. */
struct ceilings ceilings_or(const struct ceilings *measured, double peak, double bandwidth);
/* Whole numbers from 1 to `largest`, separated by commas: how many there are; 0: the list is
 * wrong, or longer than `most`. */
int numbers_read(long *out, int most, long largest, char *list);
/* Ends the program where rc < 0. */
void must(int rc, const struct error *e);

#endif
