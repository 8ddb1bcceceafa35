/* render_jobs.c - see render_jobs.h.
 *
 *     put -> queue -> thread: work -> in turn: written | out of turn: deferred[number] -> written
 *
 * One lock guards all of it except the writer, which belongs to the thread whose job is in turn. */
#include "render/render_jobs.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DEFERRED = 1024,      /* jobs that may be ahead of the one in turn */
    LOOK_MS = 200,        /* how often the caller's thread looks whether it is to stop */
    KEPT_BYTES = 8 << 20, /* a larger buffer is given back while there is nothing to write */
};

struct job {
    void *work;
    size_t bytes;
    uint64_t number;
};

struct jobs {
    struct jobs_calls calls;
    struct stream_writer *writer;
    const volatile sig_atomic_t *cancel;
    pthread_t threads[JOBS_THREADS];
    int thread_count, joinable; /* started; of these not yet joined */

    pthread_mutex_t lock;
    pthread_cond_t room, work, turned; /* a job was finished; one was put in; `turn` has changed */
    struct job queue[JOBS_THREADS * JOBS_QUEUE_EACH]; /* a ring */
    size_t first, queued;
    size_t held;                     /* bytes of jobs queued and in work */
    uint64_t numbers;                /* jobs put in so far */
    uint64_t turn;                   /* the job whose output is to be written next */
    struct bytes deferred[DEFERRED]; /* at number % DEFERRED */
    bool is_deferred[DEFERRED];
    size_t deferred_bytes;
    int alive; /* threads that have not ended */
    bool closing, failed;
    struct error error; /* the first one */
};

struct job_output {
    struct jobs *jobs;
    uint64_t number;
    bool in_turn; /* once true, it stays so until the job ends */
    struct bytes bytes;
};

/* ---- Stopping and waiting; all with the lock held ------------------------------------ */

static void fail(struct jobs *j, const struct error *e) {
    if (!j->failed) {
        j->failed = true;
        j->error = *e;
    }
    pthread_cond_broadcast(&j->room);
    pthread_cond_broadcast(&j->work);
    pthread_cond_broadcast(&j->turned);
}

/* 0, or the failure that stops everything. */
static int check(const struct jobs *j, struct error *e) {
    if (j->failed && e != NULL) {
        *e = j->error;
    }
    return j->failed ? j->error.code : 0;
}

/* For the caller's thread, in which the signal handler runs. The others do not look at *cancel: a
 * sig_atomic_t is none between threads. */
static int check_cancel(struct jobs *j, struct error *e) {
    if (!j->failed && j->cancel != NULL && *j->cancel) {
        struct error cancelled;
        error_set(&cancelled, ERR_CANCELLED, "stopped by a signal");
        fail(j, &cancelled);
    }
    return check(j, e);
}

/* In the caller's thread: a signal handler cannot wake a condition, so the wait is a short one. */
static void wait_for_room(struct jobs *j) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&j->room, &j->lock, &until);
}

static int wait_for_turn(struct job_output *o, struct error *e) {
    struct jobs *j = o->jobs;
    int rc = check(j, e);
    while (rc == 0 && j->turn != o->number) {
        pthread_cond_wait(&j->turned, &j->lock);
        rc = check(j, e);
    }
    o->in_turn = rc == 0;
    return rc;
}

/* ---- Output -------------------------------------------------------------------------- */

struct bytes *job_output_bytes(struct job_output *o) {
    return &o->bytes;
}

int job_output_wait(struct job_output *o, struct error *e) {
    pthread_mutex_lock(&o->jobs->lock);
    int rc = wait_for_turn(o, e);
    pthread_mutex_unlock(&o->jobs->lock);
    return rc;
}

static int write_collected(struct job_output *o, struct error *e) {
    assert(o->in_turn);
    int rc = o->bytes.size ? stream_write(o->jobs->writer, o->bytes.data, o->bytes.size, e) : 0;
    bytes_clear(&o->bytes);
    return rc;
}

int job_output_flush_if_due(struct job_output *o, size_t elsewhere_bytes, struct error *e) {
    struct jobs *j = o->jobs;
    pthread_mutex_lock(&j->lock);
    int rc = check(j, e);
    o->in_turn = o->in_turn || j->turn == o->number;
    if (rc == 0 && !o->in_turn &&
        (elsewhere_bytes >= JOBS_COLLECT || o->bytes.size >= JOBS_COLLECT - elsewhere_bytes)) {
        rc = wait_for_turn(o, e);
    }
    pthread_mutex_unlock(&j->lock);
    return rc == 0 && o->in_turn ? write_collected(o, e) : rc;
}

/* Ends the turn and goes on with the deferred output that follows. */
static int pass_turn(struct jobs *j, struct error *e) {
    int rc = 0;
    pthread_mutex_lock(&j->lock);
    j->turn++;
    while (rc == 0 && j->is_deferred[j->turn % DEFERRED]) {
        size_t place = j->turn % DEFERRED;
        struct bytes bytes = j->deferred[place];
        j->is_deferred[place] = false;
        pthread_mutex_unlock(&j->lock);
        rc = bytes.size ? stream_write(j->writer, bytes.data, bytes.size, e) : 0;
        size_t capacity = bytes.capacity;
        bytes_close(&bytes);
        pthread_mutex_lock(&j->lock);
        j->deferred_bytes -= capacity;
        j->turn++;
    }
    pthread_cond_broadcast(&j->turned);
    pthread_mutex_unlock(&j->lock);
    return rc;
}

/* With the lock held: leaves the output to another thread, if there is room. */
static bool defer_output(struct job_output *o) {
    struct jobs *j = o->jobs;
    if (o->number - j->turn >= DEFERRED || o->bytes.capacity > JOBS_DEFERRED - j->deferred_bytes) {
        return false;
    }
    size_t place = o->number % DEFERRED;
    j->deferred[place] = o->bytes;
    j->is_deferred[place] = true;
    j->deferred_bytes += o->bytes.capacity;
    bytes_init(&o->bytes, o->bytes.limit);
    return true;
}

/* The job is done: its output is written or deferred. */
static int end_output(struct job_output *o, struct error *e) {
    struct jobs *j = o->jobs;
    pthread_mutex_lock(&j->lock);
    int rc = check(j, e);
    o->in_turn = o->in_turn || j->turn == o->number;
    if (rc == 0 && !o->in_turn) {
        if (defer_output(o)) {
            pthread_mutex_unlock(&j->lock);
            return 0;
        }
        rc = wait_for_turn(o, e);
    }
    pthread_mutex_unlock(&j->lock);
    if (rc == 0) {
        rc = write_collected(o, e);
    }
    return rc == 0 ? pass_turn(j, e) : rc;
}

/* ---- Threads ------------------------------------------------------------------------- */

/* The next job; false when there is none any more. */
static bool take(struct jobs *j, struct job *job) {
    pthread_mutex_lock(&j->lock);
    int rc = check(j, NULL);
    while (rc == 0 && j->queued == 0 && !j->closing) {
        pthread_cond_wait(&j->work, &j->lock);
        rc = check(j, NULL);
    }
    bool found = rc == 0 && j->queued > 0;
    if (found) {
        *job = j->queue[j->first];
        j->first = (j->first + 1) % (sizeof j->queue / sizeof *j->queue);
        j->queued--;
        pthread_cond_signal(&j->room);
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

static void *thread_main(void *context) {
    struct jobs *j = context;
    struct job_output out = {.jobs = j};
    struct job job;
    void *state = NULL;
    bytes_init(&out.bytes, SIZE_MAX);
    while (take(j, &job)) {
        struct error e = {0};
        out.number = job.number;
        out.in_turn = false;
        int rc = j->calls.work(j->calls.context, &state, job.work, &out, &e);
        j->calls.discard(job.work);
        if (rc == 0) {
            rc = end_output(&out, &e);
        }
        if (out.bytes.capacity > KEPT_BYTES) {
            bytes_close(&out.bytes);
        }
        pthread_mutex_lock(&j->lock);
        j->held -= job.bytes;
        if (rc < 0) {
            fail(j, &e);
        }
        pthread_cond_signal(&j->room);
        pthread_mutex_unlock(&j->lock);
    }
    bytes_close(&out.bytes);
    if (state != NULL) {
        j->calls.end(j->calls.context, state);
    }
    pthread_mutex_lock(&j->lock);
    j->alive--;
    pthread_cond_signal(&j->room);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

static int condition_open(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    int failure = pthread_condattr_init(&attributes);
    if (failure == 0) {
        failure = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (failure == 0) {
            failure = pthread_cond_init(condition, &attributes);
        }
        pthread_condattr_destroy(&attributes);
    }
    return failure;
}

/* With all signals blocked in them: these are for the caller's thread. An errno value. */
static int start_threads(struct jobs *j, int count) {
    sigset_t all, before;
    sigfillset(&all);
    int failure = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (failure) {
        return failure;
    }
    pthread_mutex_lock(&j->lock);
    while (failure == 0 && j->thread_count < count) {
        failure = pthread_create(&j->threads[j->thread_count], NULL, thread_main, j);
        j->thread_count += failure == 0;
    }
    j->alive = j->joinable = j->thread_count;
    pthread_mutex_unlock(&j->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

int jobs_open(struct jobs **out, int threads, const struct jobs_calls *calls,
              struct stream_writer *writer, const volatile sig_atomic_t *cancel, struct error *e) {
    assert(threads >= 1 && threads <= JOBS_THREADS);
    *out = NULL;
    struct jobs *j = calloc(1, sizeof *j);
    if (j == NULL) {
        return error_memory(e, NULL);
    }
    j->calls = *calls;
    j->writer = writer;
    j->cancel = cancel;
    int failure = pthread_mutex_init(&j->lock, NULL);
    if (failure == 0) {
        failure = condition_open(&j->room);
    }
    if (failure == 0) {
        failure = condition_open(&j->work);
    }
    if (failure == 0) {
        failure = condition_open(&j->turned);
    }
    if (failure) { /* of memory only; the ones before need no release on Linux */
        free(j);
        return error_errno(e, failure, "cannot make threads");
    }
    failure = start_threads(j, threads);
    if (failure) {
        error_errno(e, failure, "cannot start thread %d of %d", j->thread_count + 1, threads);
        jobs_close(j);
        return e != NULL ? e->code : ERR_IO;
    }
    *out = j;
    return 0;
}

int jobs_put(struct jobs *j, void *job, size_t bytes, struct error *e) {
    pthread_mutex_lock(&j->lock);
    size_t most = (size_t)j->thread_count * JOBS_QUEUE_EACH;
    int rc = check_cancel(j, e);
    while (rc == 0 && (j->queued >= most || (j->held > 0 && j->held + bytes > JOBS_HELD))) {
        wait_for_room(j);
        rc = check_cancel(j, e);
    }
    if (rc == 0) {
        size_t place = (j->first + j->queued) % (sizeof j->queue / sizeof *j->queue);
        j->queue[place] = (struct job){.work = job, .bytes = bytes, .number = j->numbers};
        j->numbers++;
        j->queued++;
        j->held += bytes;
        pthread_cond_signal(&j->work);
    }
    pthread_mutex_unlock(&j->lock);
    if (rc < 0) {
        j->calls.discard(job);
    }
    return rc;
}

int jobs_finish(struct jobs *j, struct error *e) {
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_broadcast(&j->work);
    while (check_cancel(j, NULL) == 0 && j->alive > 0) {
        wait_for_room(j);
    }
    pthread_mutex_unlock(&j->lock);
    while (j->joinable > 0) {
        pthread_join(j->threads[--j->joinable], NULL);
    }
    pthread_mutex_lock(&j->lock); /* for the tools that check locking; nobody else is left */
    int rc = j->failed ? j->error.code : 0;
    if (rc < 0 && e != NULL) {
        *e = j->error;
    }
    assert(rc < 0 || j->turn == j->numbers);
    pthread_mutex_unlock(&j->lock);
    return rc;
}

void jobs_close(struct jobs *j) {
    if (j == NULL) {
        return;
    }
    if (j->joinable > 0) {
        struct error given_up;
        error_set(&given_up, ERR_CANCELLED, "given up");
        pthread_mutex_lock(&j->lock);
        fail(j, &given_up);
        pthread_mutex_unlock(&j->lock);
        jobs_finish(j, NULL);
    }
    for (; j->queued > 0; j->queued--) {
        j->calls.discard(j->queue[j->first].work);
        j->first = (j->first + 1) % (sizeof j->queue / sizeof *j->queue);
    }
    for (size_t i = 0; i < DEFERRED; i++) {
        if (j->is_deferred[i]) {
            bytes_close(&j->deferred[i]);
        }
    }
    pthread_cond_destroy(&j->room);
    pthread_cond_destroy(&j->work);
    pthread_cond_destroy(&j->turned);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
