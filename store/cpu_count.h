/* cpu_count.h - how many threads can compute at the same time. */
#ifndef OCC_STORE_CPU_COUNT_H
#define OCC_STORE_CPU_COUNT_H

/* Cores that this process may use, at least 1: fewer than the machine has under taskset, Slurm or a
 * container's set of cores. */
int cpu_count(void);

#endif
