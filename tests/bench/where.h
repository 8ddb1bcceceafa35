/* where.h - where a program's processor time goes, by samples of where it is: no hook in what is
 * measured. */
#ifndef OCC_TESTS_BENCH_WHERE_H
#define OCC_TESTS_BENCH_WHERE_H

#include <stdio.h>

/* All threads are sampled between the two; more than once is allowed. */
void where_start(void);
void where_stop(void);
/* {"products": 0.52, ...}: shares of the samples; a program without symbols has only a few. */
void where_print(FILE *out);

#endif
