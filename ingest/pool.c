/* pool.c - the parent's side of pool.h; the worker's side is in pool_worker.c.
 *
 *   parent --- struct pool_request ---> worker     one task at a time
 *   parent <-- struct pool_reply, data - worker     the result of that task
 *
 * Early results wait in their slot of a ring while an earlier one is missing; no
 * task is handed out without a free slot. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, wait4 */
#include "ingest/pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ingest/pool_worker.h"
#include "store/clock.h"
#include "store/file.h"

enum { POLL_MS = 100, PAUSE_MS = 5000, WINDOW_PER_WORKER = 8, NO_TASK = -1 };

struct pool_worker {
    pid_t pid;       /* 0: not running */
    int request;     /* write end */
    int reply;       /* read end */
    int64_t task;    /* NO_TASK: idle */
    bool second_try; /* of the task in hand */
    bool stalled;    /* we killed it for lack of progress */
    uint64_t beats;  /* last seen */
    int64_t seen_ms; /* when they last changed */
    struct bytes reply_bytes;
};

struct pool_slot {
    bool finished, failed;
    struct bytes result;
    struct pool_failure failure;
};

struct pool {
    const struct pool_options *options;
    const struct pool_calls *calls;
    const volatile sig_atomic_t *cancel;
    struct heartbeat *heartbeats; /* shared, one a worker */
    struct pool_worker *workers;
    struct pool_slot *slots; /* ring: task t waits in slots[t % window] */
    size_t window, count;
    size_t next_out; /* next task to be handed out */
    size_t next_in;  /* next result to be passed on */
    struct pool_usage usage;
};

static int64_t now_ms(void) {
    return (int64_t)(clock_seconds() * 1000);
}

/* ---- Starting and ending workers --------------------------------------- */

static int worker_start(struct pool *p, size_t number, struct error *e) {
    struct pool_worker *w = &p->workers[number];
    int request[2], reply[2];
    if (pipe(request) != 0) {
        return error_errno(e, errno, "cannot make a pipe");
    }
    if (pipe(reply) != 0) {
        int reason = errno;
        close(request[0]);
        close(request[1]);
        return error_errno(e, reason, "cannot make a pipe");
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < p->options->workers; i++) { /* the others' ends keep their pipes open */
            if (p->workers[i].pid > 0) {
                close(p->workers[i].request);
                close(p->workers[i].reply);
            }
        }
        close(request[1]);
        close(reply[0]);
        pool_worker_main(p->options, p->calls, &p->heartbeats[number], request[0], reply[1],
                         parent);
    }
    int reason = errno;
    close(request[0]);
    close(reply[1]);
    if (pid < 0) {
        close(request[1]);
        close(reply[0]);
        return error_errno(e, reason, "cannot start a worker");
    }
    fcntl(reply[0], F_SETFL, O_NONBLOCK);
    *w = (struct pool_worker){.pid = pid,
                              .request = request[1],
                              .reply = reply[0],
                              .task = NO_TASK,
                              .reply_bytes = w->reply_bytes};
    bytes_clear(&w->reply_bytes);
    return 0;
}

/* Closes the pipes, waits for the process, keeps count of its memory; gives its exit status. */
static int worker_reap(struct pool *p, struct pool_worker *w) {
    struct rusage usage;
    int status = 0;
    close(w->request);
    close(w->reply);
    while (wait4(w->pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    int64_t rss = (int64_t)usage.ru_maxrss * 1024;
    p->usage.worker_rss = rss > p->usage.worker_rss ? rss : p->usage.worker_rss;
    w->pid = 0;
    return status;
}

static void workers_end(struct pool *p, bool kindly) {
    for (int i = 0; p->workers != NULL && i < p->options->workers; i++) {
        if (p->workers[i].pid > 0) {
            if (!kindly) {
                kill(p->workers[i].pid, SIGKILL);
            }
            worker_reap(p, &p->workers[i]); /* an idle worker leaves when its request pipe closes */
        }
        bytes_close(&p->workers[i].reply_bytes);
    }
}

/* ---- Tasks ------------------------------------------------------------- */

static int hand_out(struct pool_worker *w, size_t task, const struct pool_failure *before,
                    struct error *e) {
    struct pool_request request = {.task = task, .second_try = before != NULL};
    request.before = before != NULL ? *before : (struct pool_failure){0};
    w->task = (int64_t)task;
    w->second_try = before != NULL;
    w->stalled = false;
    w->seen_ms = now_ms();
    bytes_clear(&w->reply_bytes);
    int rc = file_write(w->request, &request, sizeof request, NULL, e);
    return rc == ERR_CLOSED
               ? 0
               : rc; /* a worker that is gone is noticed by the end of its reply pipe */
}

static struct pool_slot *slot_of(struct pool *p, size_t task) {
    return &p->slots[task % p->window];
}

static void finish(struct pool *p, struct pool_worker *w, const struct pool_failure *failure) {
    struct pool_slot *slot = slot_of(p, (size_t)w->task);
    slot->finished = true;
    slot->failed = failure != NULL;
    if (failure != NULL) {
        slot->failure = *failure;
    } else { /* swap buffers rather than copy */
        struct bytes result = slot->result;
        slot->result = w->reply_bytes;
        w->reply_bytes = result;
    }
    bytes_clear(&w->reply_bytes);
    w->task = NO_TASK;
}

/* The reply pipe has ended: the worker is dead or dying. Replaces it and takes care of its task. */
static int worker_lost(struct pool *p, size_t number, struct error *e) {
    struct pool_worker *w = &p->workers[number];
    int64_t task = w->task;
    bool second_try = w->second_try, stalled = w->stalled;
    kill(w->pid, SIGKILL);
    int status = worker_reap(p, w);
    struct pool_failure failure = {.fault = stalled ? POOL_STALL : POOL_CRASH,
                                   .stage = atomic_load(&p->heartbeats[number].stage)};
    if (WIFSIGNALED(status)) {
        failure.signal_number = WTERMSIG(status);
        if (failure.signal_number == SIGXCPU) {
            failure.fault = POOL_CPU;
        }
    } else {
        failure.exit_status = WEXITSTATUS(status);
        if (failure.exit_status == POOL_STATUS_MEMORY) {
            failure.fault = POOL_MEMORY;
        }
    }
    p->usage.restarts++;
    int rc = 0;
    if (task == NO_TASK && failure.exit_status) {
        return error_set(e, ERR_IO, "a worker could not start (exit status %d)",
                         failure.exit_status);
    }
    w->task = task;
    if (task != NO_TASK && second_try) {
        finish(p, w, &failure);
    }
    rc = worker_start(p, number, e);
    if (rc == 0 && task != NO_TASK && !second_try) {
        rc = hand_out(w, (size_t)task, &failure, e);
    }
    return rc;
}

/* Reads from a worker; 1 when its reply is complete, 0 when more is to come, ERR_CLOSED at the end
 * of the pipe. */
static int read_reply(struct pool_worker *w, size_t limit, struct error *e) {
    struct bytes *b = &w->reply_bytes;
    struct pool_reply head;
    for (;;) {
        size_t want = sizeof head;
        if (b->size >= sizeof head) {
            memcpy(&head, b->data, sizeof head);
            if (head.size > limit) {
                return ERR_CLOSED; /* nonsense: treated like a crash */
            }
            want += head.size;
        }
        if (b->size >= sizeof head && b->size == want) {
            memmove(b->data, b->data + sizeof head, head.size);
            b->size = head.size;
            b->data[b->size] = 0; /* as struct bytes promises */
            return 1;
        }
        int rc = bytes_reserve(b, want - b->size, e);
        if (rc < 0) {
            return rc;
        }
        ssize_t got = read(w->reply, b->data + b->size, want - b->size);
        if (got == 0) {
            return ERR_CLOSED;
        }
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : ERR_CLOSED;
        }
        b->size += (size_t)got;
    }
}

static int listen_to(struct pool *p, size_t number, struct error *e) {
    struct pool_worker *w = &p->workers[number];
    int rc = read_reply(w, p->options->result_limit, e);
    if (rc == ERR_CLOSED) {
        return worker_lost(p, number, e);
    }
    if (rc == 1 && w->task != NO_TASK) {
        finish(p, w, NULL);
        return 0;
    }
    return rc < 0 ? rc : 0;
}

/* Kills workers that make no progress. `paused`: we ourselves were not running (stopped, or waiting
 * for the reader of our output), so their silence says nothing. */
static void watch(struct pool *p, int64_t now, bool paused) {
    for (int i = 0; i < p->options->workers; i++) {
        struct pool_worker *w = &p->workers[i];
        uint64_t beats = atomic_load(&p->heartbeats[i].count);
        if (w->task == NO_TASK || beats != w->beats || paused) {
            w->beats = beats;
            w->seen_ms = now;
        } else if (p->options->stall_ms && now - w->seen_ms > p->options->stall_ms) {
            w->stalled = true;
            w->seen_ms = now;
            kill(w->pid, SIGKILL);
        }
    }
}

static int pass_on(struct pool *p, struct error *e) {
    while (p->next_in < p->next_out && slot_of(p, p->next_in)->finished) {
        struct pool_slot *slot = slot_of(p, p->next_in);
        int rc = p->calls->done(p->calls->context, p->next_in, slot->failed ? NULL : &slot->result,
                                slot->failed ? &slot->failure : NULL, e);
        slot->finished = false;
        bytes_close(&slot->result);
        if (rc < 0) {
            return rc;
        }
        p->next_in++;
    }
    return 0;
}

static int hand_out_all(struct pool *p, struct error *e) {
    int rc = 0;
    for (int i = 0; i < p->options->workers && rc == 0; i++) {
        bool room = p->next_out < p->count && p->next_out - p->next_in < p->window;
        if (p->workers[i].task == NO_TASK && room) {
            rc = hand_out(&p->workers[i], p->next_out++, NULL, e);
        }
    }
    return rc;
}

static int run(struct pool *p, struct error *e) {
    struct pollfd watched[POOL_WORKERS];
    int64_t last = now_ms();
    while (p->next_in < p->count) {
        if (p->cancel != NULL && *p->cancel) {
            return error_set(e, ERR_CANCELLED, "stopped by a signal");
        }
        int rc = hand_out_all(p, e);
        for (int i = 0; i < p->options->workers; i++) {
            watched[i] = (struct pollfd){.fd = p->workers[i].reply, .events = POLLIN};
        }
        int ready = rc < 0 ? 0 : poll(watched, (nfds_t)p->options->workers, POLL_MS);
        for (int i = 0; i < p->options->workers && ready > 0 && rc >= 0; i++) {
            if (watched[i].revents) {
                rc = listen_to(p, (size_t)i, e);
            }
        }
        int64_t now = now_ms();
        watch(p, now, now - last > PAUSE_MS);
        last = now;
        if (rc == 0) {
            rc = pass_on(p, e);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int pool_open(struct pool *p, struct error *e) {
    size_t workers = (size_t)p->options->workers;
    void *shared = mmap(NULL, workers * sizeof *p->heartbeats, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return error_errno(e, errno, "cannot share memory");
    }
    p->heartbeats = shared;
    p->window = workers * WINDOW_PER_WORKER;
    p->workers = calloc(workers, sizeof *p->workers);
    p->slots = calloc(p->window, sizeof *p->slots);
    if (p->workers == NULL || p->slots == NULL) {
        return error_memory(e, NULL);
    }
    size_t limit = p->options->result_limit + sizeof(struct pool_reply);
    for (size_t i = 0; i < p->window; i++) {
        bytes_init(&p->slots[i].result, limit);
    }
    for (size_t i = 0; i < workers; i++) {
        bytes_init(&p->workers[i].reply_bytes, limit);
    }
    for (size_t i = 0; i < workers; i++) {
        int rc = worker_start(p, i, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int pool_run(size_t first, size_t count, const struct pool_options *options,
             const struct pool_calls *calls, const volatile sig_atomic_t *cancel,
             struct pool_usage *usage, struct error *e) {
    assert(options->workers >= 1 && options->workers <= POOL_WORKERS);
    struct pool p = {.options = options,
                     .calls = calls,
                     .cancel = cancel,
                     .count = count,
                     .next_out = first,
                     .next_in = first};
    int rc = first < count ? pool_open(&p, e) : 0;
    if (rc == 0) {
        rc = run(&p, e);
    }
    workers_end(&p, rc == 0);
    for (size_t i = 0; p.slots != NULL && i < p.window; i++) {
        bytes_close(&p.slots[i].result);
    }
    free(p.slots);
    free(p.workers);
    if (p.heartbeats != NULL) {
        munmap(p.heartbeats, (size_t)options->workers * sizeof *p.heartbeats);
    }
    struct rusage self;
    if (usage != NULL && getrusage(RUSAGE_SELF, &self) == 0) {
        p.usage.parent_rss = (int64_t)self.ru_maxrss * 1024;
        *usage = p.usage;
    }
    return rc;
}

const char *pool_failure_reason(const struct pool_failure *f) {
    static const char *const words[] = {"fine", "crash", "stall", "cpu-limit", "memory"};
    return words[f->fault];
}

void pool_failure_text(const struct pool_failure *f, char *text, size_t size) {
    switch (f->fault) {
    case POOL_STALL:
        snprintf(text, size, "no progress");
        break;
    case POOL_CPU:
        snprintf(text, size, "used up its CPU time");
        break;
    case POOL_MEMORY:
        snprintf(text, size, "ran out of memory");
        break;
    case POOL_CRASH:
        if (f->signal_number) {
            snprintf(text, size, "decoder crashed (signal %d)", f->signal_number);
        } else {
            snprintf(text, size, "decoder process ended (status %d)", f->exit_status);
        }
        break;
    case POOL_FINE:
    default:
        snprintf(text, size, "fine");
        break;
    }
}
