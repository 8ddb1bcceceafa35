/* pool_test.c - tasks in worker processes: order, crashes, stalls, limits, cancelling. */
#define _DEFAULT_SOURCE /* usleep */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ingest/pool.h"
#include "tests/test.h"

enum { TASKS = 40, SECOND = 1000 };

/* What task `index` does on its first and second try. */
enum deed { FINE, CRASH_ONCE, CRASH_ALWAYS, HANG, STOP, SPIN, REFUSE, SLOW };

struct plan {
    enum deed deeds[TASKS];
    size_t size; /* of each result */
    int passed, failed;
    bool in_order;
    struct pool_failure last_failure;
    char text[TASKS][32];
    volatile sig_atomic_t *cancel;
};

static void do_deed(enum deed deed, bool second_try, struct heartbeat *heartbeat) {
    if (deed == CRASH_ALWAYS || (deed == CRASH_ONCE && !second_try)) {
        kill(getpid(), SIGKILL);
    }
    if (deed == STOP && !second_try) {
        kill(getpid(), SIGSTOP);
    }
    while (deed == HANG && !second_try) {
        usleep(1000);
    }
    while (deed == SPIN && !second_try) {
        heartbeat_step(heartbeat, 2); /* progress for ever: only the limit on CPU time ends this */
    }
    for (int i = 0; deed == SLOW && i < 20; i++) {
        heartbeat_step(heartbeat, 3);
        usleep(50000);
    }
}

static int task(void *context, size_t index, const struct pool_failure *before,
                struct heartbeat *heartbeat, struct bytes *result, struct error *e) {
    struct plan *plan = context;
    heartbeat_step(heartbeat, 7);
    do_deed(plan->deeds[index], before != NULL, heartbeat);
    if (plan->deeds[index] == REFUSE && !before) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    if ((index & 3) == 1) {
        usleep(5000); /* results come out of order */
    }
    int rc = bytes_printf(result, e, "%zu%s", index,
                          before ? before->fault == POOL_STALL    ? " after stall"
                                   : before->fault == POOL_CPU    ? " after cpu"
                                   : before->fault == POOL_MEMORY ? " after memory"
                                                                  : " after crash"
                                 : "");
    while (rc == 0 && result->size < plan->size) {
        rc = bytes_append(result, "................................", 32, e);
    }
    return rc;
}

static int done(void *context, size_t index, const struct bytes *result,
                const struct pool_failure *failure, struct error *e) {
    struct plan *plan = context;
    (void)e;
    plan->in_order &= index == (size_t)(plan->passed + plan->failed);
    if (result) {
        plan->passed++;
        snprintf(plan->text[index], sizeof plan->text[index], "%.31s", bytes_text(result));
    } else {
        plan->failed++;
        plan->last_failure = *failure;
    }
    if (plan->cancel && index == 3) {
        *plan->cancel = 1;
    }
    return 0;
}

static int run(struct plan *plan, int workers, int64_t stall_ms, int64_t cpu_ms,
               struct pool_usage *usage) {
    struct pool_options options = {
        .workers = workers, .stall_ms = stall_ms, .cpu_ms = cpu_ms, .result_limit = 8 << 20};
    struct pool_calls calls = {.context = plan, .task = task, .done = done};
    struct error e = {0};
    plan->in_order = true;
    int rc = pool_run(0, TASKS, &options, &calls, plan->cancel, usage, &e);
    if (rc < 0) {
        printf("# %s\n", e.text);
    }
    CHECK(waitpid(-1, NULL, WNOHANG) < 0); /* no worker is left behind */
    return rc;
}

static void results_come_in_order(void) {
    for (int workers = 1; workers <= 7; workers += 3) {
        struct plan plan = {.size = 10};
        CHECK(run(&plan, workers, SECOND, 0, NULL) == 0);
        CHECK_NUMBER(plan.passed, TASKS);
        CHECK(plan.in_order);
        CHECK(strncmp(plan.text[17], "17..", 4) == 0);
    }
}

static void large_results_pass_the_pipe(void) {
    struct plan plan = {.size = 3 << 20}; /* far more than a pipe holds */
    CHECK(run(&plan, 2, 5 * SECOND, 0, NULL) == 0);
    CHECK_NUMBER(plan.passed, TASKS);
}

static void a_crash_costs_one_task(void) {
    struct plan plan = {.deeds = {[5] = CRASH_ONCE, [6] = CRASH_ALWAYS, [39] = CRASH_ONCE}};
    struct pool_usage usage;
    CHECK(run(&plan, 2, SECOND, 0, &usage) == 0);
    CHECK_NUMBER(plan.passed, TASKS - 1);
    CHECK_NUMBER(plan.failed, 1);
    CHECK(plan.in_order);
    CHECK_TEXT(plan.text[5], "5 after crash");
    CHECK_TEXT(plan.text[39], "39 after crash");
    CHECK_NUMBER(plan.last_failure.fault, POOL_CRASH);
    CHECK_NUMBER(plan.last_failure.signal_number, SIGKILL);
    CHECK_NUMBER(plan.last_failure.stage, 7);
    CHECK_NUMBER(usage.restarts, 4);
}

static void a_task_that_gives_up_is_tried_again(void) {
    struct plan plan = {.deeds = {[2] = REFUSE}};
    CHECK(run(&plan, 2, SECOND, 0, NULL) == 0);
    CHECK_TEXT(plan.text[2], "2 after memory");
}

static void no_progress_is_noticed(void) {
    struct plan plan = {.deeds = {[0] = HANG, [9] = STOP}};
    CHECK(run(&plan, 2, 300, 0, NULL) == 0);
    CHECK_NUMBER(plan.passed, TASKS);
    CHECK_TEXT(plan.text[0], "0 after stall");
    CHECK_TEXT(plan.text[9], "9 after stall");
}

static void slow_progress_is_not_a_stall(void) {
    struct plan plan = {.deeds = {[1] = SLOW}}; /* one second in all, a heartbeat every 50 ms */
    CHECK(run(&plan, 2, 400, 0, NULL) == 0);
    CHECK_TEXT(plan.text[1], "1");
}

static void endless_work_ends_at_the_limit(void) {
    struct plan plan = {.deeds = {[4] = SPIN}};
    CHECK(run(&plan, 2, 30 * SECOND, SECOND, NULL) == 0);
    CHECK_TEXT(plan.text[4], "4 after cpu");
}

static void a_signal_ends_it(void) {
    volatile sig_atomic_t cancel = 0;
    struct plan plan = {.deeds = {[5] = HANG, [6] = HANG}, .cancel = &cancel};
    CHECK_NUMBER(run(&plan, 2, 60 * SECOND, 0, NULL), ERR_CANCELLED);
    CHECK(plan.passed >= 4 && plan.passed < TASKS);
}

int main(void) {
    RUN(results_come_in_order);
    RUN(large_results_pass_the_pipe);
    RUN(a_crash_costs_one_task);
    RUN(a_task_that_gives_up_is_tried_again);
    RUN(no_progress_is_noticed);
    RUN(slow_progress_is_not_a_stall);
    RUN(endless_work_ends_at_the_limit);
    RUN(a_signal_ends_it);
    return test_finish();
}
