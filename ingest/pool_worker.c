/* pool_worker.c - the life of one worker process. See pool.h. */
#include "ingest/pool_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/file.h"
#include "store/log.h"

/* Address space cannot be limited where a sanitizer keeps terabytes of it for its shadow. */
#ifndef __has_feature /* clang's way to say it; gcc has macros of its own */
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CAN_LIMIT_MEMORY false
#else
#define CAN_LIMIT_MEMORY true
#endif

static void set_soft_limit(int resource, rlim_t value) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) == 0) {
        limit.rlim_cur =
            limit.rlim_max == RLIM_INFINITY || value < limit.rlim_max ? value : limit.rlim_max;
        setrlimit(resource, &limit); /* a limit that cannot be set leaves the watchdog */
    }
}

/* The limit counts from the start of the process, so each task moves it on by what is granted. */
static void grant_cpu_time(int64_t cpu_ms) {
    struct rusage usage;
    if (cpu_ms > 0 && getrusage(RUSAGE_SELF, &usage) == 0) {
        int64_t used = (int64_t)usage.ru_utime.tv_sec + (int64_t)usage.ru_stime.tv_sec + 1;
        set_soft_limit(RLIMIT_CPU, (rlim_t)(used + (cpu_ms + 999) / 1000));
    }
}

static void set_signals(void) {
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group; the parent decides */
    signal(SIGTERM, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGXCPU, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

/* 1: a request was read; 0: the parent wants no more. */
static int read_request(int fd, struct pool_request *request) {
    for (;;) {
        ssize_t got = read(fd, request, sizeof *request); /* pipes keep a small write whole */
        if (got < 0 && errno == EINTR) {
            continue;
        }
        return got == (ssize_t)sizeof *request;
    }
}

_Noreturn void pool_worker_main(const struct pool_options *options, const struct pool_calls *calls,
                                struct heartbeat *heartbeat, int request_fd, int reply_fd,
                                pid_t parent) {
    set_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { /* it died before we asked for the signal */
        _exit(EXIT_SUCCESS);
    }
    set_soft_limit(RLIMIT_CORE, 0);
    if (CAN_LIMIT_MEMORY && options->memory > 0) {
        set_soft_limit(RLIMIT_AS, (rlim_t)options->memory);
    }
    struct error e = {0};
    struct bytes result;
    bytes_init(&result, options->result_limit);
    int rc = calls->begin != NULL ? calls->begin(calls->context, &e) : 0;
    struct pool_request request;
    while (rc >= 0 && read_request(request_fd, &request)) {
        grant_cpu_time(options->cpu_ms);
        heartbeat_step(heartbeat, 0);
        bytes_clear(&result);
        const struct pool_failure *before = request.second_try ? &request.before : NULL;
        rc = calls->task(calls->context, request.task, before, heartbeat, &result, &e);
        struct pool_reply reply = {.size = result.size};
        if (rc >= 0) {
            rc = file_write(reply_fd, &reply, sizeof reply, NULL, &e);
        }
        if (rc >= 0) {
            rc = file_write(reply_fd, result.data, result.size, NULL, &e);
        }
    }
    if (rc < 0 && rc != ERR_CLOSED) {
        log_debug("worker: %s", e.text);
    }
    _exit(rc == ERR_MEMORY ? POOL_STATUS_MEMORY : rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
