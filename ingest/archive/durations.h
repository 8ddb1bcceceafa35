/* durations.h - how long media files are, found out in worker processes: a file that harms a
 * demuxer must not harm the scan. */
#ifndef OCC_INGEST_ARCHIVE_DURATIONS_H
#define OCC_INGEST_ARCHIVE_DURATIONS_H

#include <signal.h>
#include <stdint.h>

#include "ingest/pool.h"

struct media_duration {
    const char *path;    /* in */
    int64_t duration_ms; /* out: as the container has it; 0 when it does not say, -1: no media */
};

/* Fills in all durations. ERR_MEMORY, ERR_IO, ERR_CANCELLED. */
int durations_read(struct media_duration *items, size_t count, const struct pool_options *pool,
                   const volatile sig_atomic_t *cancel, struct error *e);

#endif
