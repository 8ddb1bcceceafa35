/* pool_worker.h - shared by pool.c and pool_worker.c: the messages in the pipes. */
#ifndef OCC_INGEST_POOL_WORKER_H
#define OCC_INGEST_POOL_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "ingest/pool.h"

struct pool_request {
    size_t task;
    bool second_try;
    struct pool_failure before;
};

struct pool_reply {
    size_t size; /* bytes of result that follow */
};

enum { POOL_STATUS_MEMORY = 12 }; /* exit status of a worker whose task ran out of memory */

/* The life of a worker process; never returns. Ends with status 0 when `request` is closed. */
_Noreturn void pool_worker_main(const struct pool_options *options, const struct pool_calls *calls,
                                struct heartbeat *heartbeat, int request, int reply, pid_t parent);

#endif
