/* pool.h - runs tasks in worker processes, so that a crash, an endless loop or a memory bomb in one
 * task costs that task alone.
 *
 * The parent forks the workers, hands out task numbers in order and passes the results on in order,
 * whatever the number of workers. A worker that dies, makes no progress for `stall_ms`, or passes
 * its limits of CPU time or memory is replaced; its task is tried once more with the failure
 * described, so that the task can leave out what failed. A task that fails twice is passed on as
 * failed. Workers die with the parent (PR_SET_PDEATHSIG). The parent must have no threads. Knows
 * nothing of what the tasks do. */
#ifndef OCC_INGEST_POOL_H
#define OCC_INGEST_POOL_H

#include <signal.h>
#include <stdint.h>

#include "ingest/heartbeat.h"
#include "store/bytes.h"

enum pool_fault { POOL_FINE, POOL_CRASH, POOL_STALL, POOL_CPU, POOL_MEMORY };

/* How an unfinished attempt ended. */
struct pool_failure {
    enum pool_fault fault;
    int signal_number; /* of a crash; 0: the worker exited */
    int exit_status;
    int stage; /* the last stage that the task gave */
};

struct pool_options {
    int workers;         /* processes, 1 to POOL_WORKERS */
    int64_t stall_ms;    /* longest time without a heartbeat; 0: no limit */
    int64_t cpu_ms;      /* CPU time for one task; 0: no limit */
    int64_t memory;      /* address space of a worker in bytes; 0: no limit */
    size_t result_limit; /* bytes of one result */
};
enum { POOL_WORKERS = 256 };

struct pool_calls {
    void *context;
    /* In a worker, once, before its first task; may be NULL. */
    int (*begin)(void *context, struct error *e);
    /* In a worker: does task `index`, appends the result. `before`: how the first attempt ended, or
     * NULL. A negative return ends the worker and counts as a crash. */
    int (*task)(void *context, size_t index, const struct pool_failure *before,
                struct heartbeat *heartbeat, struct bytes *result, struct error *e);
    /* In the parent, in order of index: `result` is NULL when both attempts failed (`failure` says
     * how the last one ended). A negative return ends the run with that error. */
    int (*done)(void *context, size_t index, const struct bytes *result,
                const struct pool_failure *failure, struct error *e);
};

struct pool_usage {
    int64_t parent_rss,
        worker_rss; /* peak resident bytes: of this process, of the largest worker */
    int64_t restarts;
};

/* Runs tasks [first, count). *cancel (may be NULL) set by a signal handler ends it with
 * ERR_CANCELLED. `usage` may be NULL. */
int pool_run(size_t first, size_t count, const struct pool_options *options,
             const struct pool_calls *calls, const volatile sig_atomic_t *cancel,
             struct pool_usage *usage, struct error *e);

/* Its word for reports: "crash", "stall", "cpu-limit", "memory". */
const char *pool_failure_reason(const struct pool_failure *failure);

/* "crashed (signal 11)", "no progress", ... */
void pool_failure_text(const struct pool_failure *failure, char *text, size_t size);

#endif
