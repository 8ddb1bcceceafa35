/* ceilings.h - what a device reaches at its best: one large product, one large copy. */
#ifndef OCC_TESTS_BENCH_CEILINGS_H
#define OCC_TESTS_BENCH_CEILINGS_H

#include "tests/bench/watch.h"

/* Exits, with the reason, where the device fails. */
struct ceilings ceilings_measure(const struct backend *b, enum dtype compute);
/* Ends the program where rc < 0. */
void must(int rc, const struct error *e);

#endif
