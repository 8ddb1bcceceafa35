/* cpu_count.c - see cpu_count.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "store/cpu_count.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

enum { FIRST_CORES = 1024, MOST_CORES = 1 << 16 };

int cpu_count(void) {
    int count = 0;
    errno = EINVAL;
    /* EINVAL: the kernel knows more cores than the set has places for. */
    for (size_t cores = FIRST_CORES; count == 0 && errno == EINVAL && cores <= MOST_CORES;
         cores *= 2) {
        cpu_set_t *set = CPU_ALLOC(cores);
        size_t size = CPU_ALLOC_SIZE(cores);
        if (set == NULL) {
            break;
        }
        if (sched_getaffinity(0, size, set) == 0) {
            count = CPU_COUNT_S(size, set);
        }
        int reason = errno;
        CPU_FREE(set);
        errno = reason;
    }
    if (count < 1) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (int)online : 1;
    }
    return count;
}
