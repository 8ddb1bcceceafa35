/* render_jobs_test.c - jobs of several threads: order, limits, failures, cancelling. The output of
 * a job is PIECE bytes with its number, as often as the job says. */
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "render/render_jobs.h"
#include "tests/test.h"

enum { PIECE = 1 << 16 };

struct task {
    int number, pieces, sleep_ms;
    int fails; /* an error code */
    bool waits;
};

struct bench {
    int fd;
    FILE *file;
    struct stream_writer *writer;
    struct jobs *jobs;
    int64_t header; /* bytes before the first job's */
    volatile sig_atomic_t cancel;
};

/* Jobs that were released, and states of threads that were made and not ended. */
static atomic_int discarded, states;

static void pause_ms(int ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static int work(void *context, void **state, void *job, struct job_output *out, struct error *e) {
    (void)context;
    struct task *t = job;
    if (!*state) {
        *state = malloc(1);
        states++;
    }
    int rc = t->waits ? job_output_wait(out, e) : 0;
    pause_ms(t->sleep_ms);
    for (int i = 0; i < t->pieces && rc == 0; i++) {
        struct bytes *b = job_output_bytes(out);
        rc = bytes_reserve(b, PIECE, e);
        if (rc == 0) {
            memset(b->data + b->size, t->number, PIECE);
            b->size += PIECE;
            rc = job_output_flush_if_due(out, 0, e);
        }
    }
    return rc == 0 && t->fails ? error_set(e, t->fails, "task %d", t->number) : rc;
}

static void end(void *context, void *state) {
    (void)context;
    free(state);
    states--;
}

static void discard(void *job) {
    free(job);
    discarded++;
}

static const struct jobs_calls CALLS = {.work = work, .end = end, .discard = discard};

static void begin(struct bench *b, int threads) {
    struct error e;
    *b = (struct bench){0};
    b->file = tmpfile();
    b->fd = b->file ? fileno(b->file) : -1;
    if (b->fd < 0 || stream_writer_open(&b->writer, b->fd, "test", NULL, NULL, &e) < 0 ||
        jobs_open(&b->jobs, threads, &CALLS, b->writer, &b->cancel, &e) < 0) {
        abort();
    }
    b->header = stream_writer_bytes(b->writer);
}

static void finish(struct bench *b) {
    jobs_close(b->jobs);
    stream_writer_close(b->writer);
    fclose(b->file);
}

static int put(struct bench *b, struct task task, size_t bytes, struct error *e) {
    struct task *copy = malloc(sizeof *copy);
    if (!copy) {
        abort();
    }
    *copy = task;
    return jobs_put(b->jobs, copy, bytes, e);
}

/* The file holds the pieces of jobs 0, 1, ... in this order. */
static void check_output(struct bench *b, const struct task *tasks, int count) {
    static unsigned char piece[PIECE];
    off_t at = b->header;
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < tasks[i].pieces; k++) {
            if (!CHECK_NUMBER(pread(b->fd, piece, PIECE, at), PIECE) ||
                !CHECK_NUMBER(piece[0], tasks[i].number & 255) ||
                !CHECK_NUMBER(piece[PIECE - 1], tasks[i].number & 255)) {
                return;
            }
            at += PIECE;
        }
    }
    CHECK_NUMBER(stream_writer_bytes(b->writer), at);
}

static void output_is_in_order(void) {
    enum { TASKS = 300 };
    static struct task tasks[TASKS];
    unsigned random = 1;
    for (int i = 0; i < TASKS; i++) {
        random = random * 1664525 + 1013904223;
        tasks[i] = (struct task){.number = i,
                                 .pieces = (int)(random >> 28),
                                 .sleep_ms = (int)(random >> 24 & 3),
                                 .waits = (random >> 20 & 7) == 0};
    }
    for (int threads = 1; threads <= 8; threads += threads) {
        struct bench b;
        struct error e;
        begin(&b, threads);
        for (int i = 0; i < TASKS; i++) {
            CHECK_NUMBER(put(&b, tasks[i], 1000, &e), 0);
        }
        CHECK_NUMBER(jobs_finish(b.jobs, &e), 0);
        check_output(&b, tasks, TASKS);
        finish(&b);
    }
}

static void large_output_waits_for_its_turn(void) {
    const int large = (int)(JOBS_COLLECT / PIECE) + 20; /* more than may be collected */
    const struct task tasks[] = {{.number = 0, .sleep_ms = 100, .pieces = 1},
                                 {.number = 1, .pieces = large},
                                 {.number = 2, .pieces = large / 2}, /* these two cannot ... */
                                 {.number = 3, .pieces = large / 2}, /* ... both be deferred */
                                 {.number = 4, .pieces = 1}};
    struct bench b;
    struct error e;
    begin(&b, 4);
    for (int i = 0; i < 5; i++) {
        CHECK_NUMBER(put(&b, tasks[i], JOBS_HELD / 2 + 1, &e), 0); /* two at a time */
    }
    CHECK_NUMBER(jobs_finish(b.jobs, &e), 0);
    check_output(&b, tasks, 5);
    finish(&b);
}

static void many_small_jobs_do_not_pass_a_slow_one_for_ever(void) {
    enum { TASKS = 3000 };
    static struct task tasks[TASKS];
    struct bench b;
    struct error e;
    begin(&b, 3);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (struct task){.number = i, .sleep_ms = i == 0 ? 300 : 0};
        CHECK_NUMBER(put(&b, tasks[i], 1, &e), 0);
    }
    CHECK_NUMBER(jobs_finish(b.jobs, &e), 0);
    check_output(&b, tasks, TASKS);
    finish(&b);
}

static void a_job_above_the_limit_is_let_in_alone(void) {
    const struct task tasks[] = {{.number = 0, .pieces = 1}, {.number = 1, .pieces = 1}};
    struct bench b;
    struct error e;
    begin(&b, 3);
    for (int i = 0; i < 2; i++) {
        CHECK_NUMBER(put(&b, tasks[i], 2 * JOBS_HELD, &e), 0);
    }
    CHECK_NUMBER(jobs_finish(b.jobs, &e), 0);
    check_output(&b, tasks, 2);
    finish(&b);
}

static void first_failure_is_the_one_reported(void) {
    struct bench b;
    struct error e = {0};
    int rc = 0;
    begin(&b, 3);
    for (int i = 0; i < 100 && rc == 0; i++) {
        rc = put(&b,
                 (struct task){.number = i,
                               .sleep_ms = i == 0 ? 50 : 1,
                               .pieces = 2,
                               .fails = i == 5 ? ERR_FORMAT : 0},
                 1000, &e);
    }
    if (rc == 0) {
        rc = jobs_finish(b.jobs, &e);
    }
    CHECK_NUMBER(rc, ERR_FORMAT);
    CHECK_TEXT(e.text, "task 5");
    finish(&b);
}

static void cancelling_ends_all(void) {
    struct bench b;
    struct error e = {0};
    begin(&b, 3);
    for (int i = 0; i < 5; i++) {
        put(&b, (struct task){.number = i, .sleep_ms = 200, .waits = true, .pieces = 1}, 1, &e);
    }
    b.cancel = 1;
    CHECK_NUMBER(jobs_finish(b.jobs, &e), ERR_CANCELLED);
    CHECK_TEXT(e.text, "stopped by a signal");
    CHECK_NUMBER(put(&b, (struct task){.number = 9}, 1, &e), ERR_CANCELLED);
    finish(&b);
}

static void closing_gives_up_what_is_left(void) {
    struct bench b;
    struct error e;
    begin(&b, 2);
    discarded = 0;
    for (int i = 0; i < 8; i++) {
        put(&b, (struct task){.number = i, .sleep_ms = 20, .pieces = 3}, 1, &e);
    }
    finish(&b);
    CHECK_NUMBER(discarded, 8);
    CHECK_NUMBER(states, 0);
}

static void output_that_cannot_be_written_ends_all(void) {
    struct bench b;
    struct error e = {0};
    begin(&b, 2);
    int full = open("/dev/full", O_WRONLY);
    if (full < 0 || dup2(full, b.fd) < 0) {
        printf("# no /dev/full\n");
        finish(&b);
        return;
    }
    close(full);
    int rc = 0;
    for (int i = 0; i < 50 && rc == 0; i++) {
        rc = put(&b, (struct task){.number = i, .pieces = 1}, 1, &e);
    }
    if (rc == 0) {
        rc = jobs_finish(b.jobs, &e);
    }
    CHECK_NUMBER(rc, ERR_NO_SPACE);
    finish(&b);
}

int main(void) {
    RUN(output_is_in_order);
    RUN(large_output_waits_for_its_turn);
    RUN(many_small_jobs_do_not_pass_a_slow_one_for_ever);
    RUN(a_job_above_the_limit_is_let_in_alone);
    RUN(first_failure_is_the_one_reported);
    RUN(cancelling_ends_all);
    RUN(closing_gives_up_what_is_left);
    RUN(output_that_cannot_be_written_ends_all);
    return test_finish();
}
