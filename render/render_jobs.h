/* render_jobs.h - work done by several threads, its output written in the order of the work.
 *
 * Jobs are numbered as they are put in. The thread whose job is the next in line writes straight
 * through; the others collect what they make. A thread that is done with a job out of turn leaves
 * its output deferred and takes the next one, and whoever ends the job before it writes it. So
 * that memory stays bounded whatever the jobs make, a thread that has collected JOBS_COLLECT bytes
 * waits for its turn, and so does one that finds JOBS_DEFERRED bytes deferred already. Nothing can
 * wait for ever: jobs are taken in order, so the next in line is always being worked on, and it
 * waits for nobody.
 *
 * The first failure of any thread stops all threads and is the one that is reported. */
#ifndef OCC_RENDER_RENDER_JOBS_H
#define OCC_RENDER_RENDER_JOBS_H

#include "store/stream.h"

enum { JOBS_THREADS = 256, JOBS_QUEUE_EACH = 4 }; /* at most; jobs waiting for each thread */
#define JOBS_HELD ((size_t)256 << 20)             /* bytes of jobs waiting and being worked on */
#define JOBS_COLLECT ((size_t)64 << 20)           /* bytes of output of one job out of turn */
#define JOBS_DEFERRED ((size_t)64 << 20) /* bytes of output of all finished jobs out of turn */

struct jobs;       /* opaque */
struct job_output; /* where the output of one job goes; opaque */

struct jobs_calls {
    void *context;
    /* In a thread. *state is the thread's own, NULL before its first job. */
    int (*work)(void *context, void **state, void *job, struct job_output *out, struct error *e);
    /* At the end of a thread, in it. */
    void (*end)(void *context, void *state);
    /* Releases a job: after work, or instead. */
    void (*discard)(void *job);
};

/* Starts 1 to JOBS_THREADS threads. The writer is theirs until jobs_finish returns, and has no
 * `cancel` of its own. `cancel` is looked at in jobs_put and jobs_finish; a thread that is blocked
 * in a write does not hear of it. */
int jobs_open(struct jobs **out, int threads, const struct jobs_calls *calls,
              struct stream_writer *writer, const volatile sig_atomic_t *cancel, struct error *e);
/* Hands over a job that holds `bytes` of memory; waits while there are too many. It is owned by
 * `jobs` even on failure, which is the failure of any thread. */
int jobs_put(struct jobs *j, void *job, size_t bytes, struct error *e);
/* Waits until all is done and written; ends the threads. Only close may follow. */
int jobs_finish(struct jobs *j, struct error *e);
/* Stops what is still going on and releases everything. NULL is allowed. */
void jobs_close(struct jobs *j);

/* The encoded samples of a job are appended here. */
struct bytes *job_output_bytes(struct job_output *o);
/* To be called each time something was made: writes in turn; otherwise waits when the output and
 * the `elsewhere_bytes` that the job holds elsewhere are too many. Fails when all is to stop. */
int job_output_flush_if_due(struct job_output *o, size_t elsewhere_bytes, struct error *e);
/* Waits until all jobs before this one are done and written. */
int job_output_wait(struct job_output *o, struct error *e);

#endif
