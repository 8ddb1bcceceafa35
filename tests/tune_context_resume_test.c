/* tune_context_resume_test.c - posts after contexts: how a run with rows, bridge and experts is
 * stopped and goes on, the report of its experts, which run is another one. */
#define _DEFAULT_SOURCE /* mkdtemp, setitimer */
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/tune_store.h"

static void check_same_run(const char *a, const char *b) {
    static const char *const FILES[] = {
        "checkpoint.safetensors", "metrics.ndjson",     "mask.txt",          "routing.json",
        "adapter/" BRIDGE_FILE,   "adapter/" GSPF_FILE, "adapter/" GSPF_MASK};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char x[64], y[64];
        snprintf(x, sizeof x, "%s/%s", a, FILES[i]);
        snprintf(y, sizeof y, "%s/%s", b, FILES[i]);
        if (!CHECK(same_file(x, y))) {
            printf("# %s\n", FILES[i]);
        }
    }
}

/* Rows that rest, and are looked at, in some of the steps. */
static struct tune_options freezing(void) {
    struct tune_options o = context_options(TUNE_OCC);
    o.gspf.freeze = 0.9;
    o.gspf.patience = 1;
    o.gspf.probe = 2;
    return o;
}

/* The most units of the mask that rested in a step. */
static json_int_t most_frozen(const char *metrics) {
    char line[1024];
    FILE *in = fopen(metrics, "r");
    json_int_t most = 0;
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        json_t *one = json_loads(line, 0, NULL);
        const json_int_t frozen = json_integer_value(json_object_get(one, "frozen"));
        most = frozen > most ? frozen : most;
        json_decref(one);
    }
    CHECK(in != NULL && fclose(in) == 0);
    return most;
}

static void a_stopped_run_ends_with_the_same_bytes(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = freezing();
    struct tune_result r;
    struct error e = {0};
    tune_all_posts(&o, &p, &r);
    CHECK(most_frozen("run/metrics.ndjson") > 0);
    o.trainer.folder = "stopped";
    for (int64_t stop = 3; stop < 12; stop += 3) {
        o.trainer.stop_at = stop;
        CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_CANCELLED);
        CHECK_NUMBER(r.run.step, stop);
    }
    o.trainer.stop_at = 0;
    tune_all_posts(&o, &p, &r);
    check_same_run("run", "stopped");
    close_posts(&p);
    folder_remove("run");
    folder_remove("stopped");
}

static volatile sig_atomic_t alarmed;

static void on_alarm(int signal) {
    (void)signal;
    alarmed = 1;
}

/* Also while rows are scored, which begins anew. Each run has longer than the one before, so that
 * the last step is reached. */
static void signals_at_any_time_leave_the_same_run(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = freezing();
    struct tune_result r;
    struct error e = {0};
    int rc = ERR_CANCELLED, stops = 0, scoring = 0;
    o.batch = 3;
    o.measure_steps = 1;
    tune_all_posts(&o, &p, &r);
    o.trainer.folder = "stopped";
    signal(SIGALRM, on_alarm);
    for (int64_t us = 1000; rc == ERR_CANCELLED; us = us * 5 / 4) {
        const struct itimerval soon = {.it_value = {us / 1000000, us % 1000000}};
        const struct itimerval never = {.it_value = {0, 0}};
        alarmed = 0;
        CHECK_NUMBER(setitimer(ITIMER_REAL, &soon, NULL), 0);
        rc = tune_posts(&o, &p, &alarmed, &r, &e);
        setitimer(ITIMER_REAL, &never, NULL);
        stops++;
        scoring += access("stopped/" GSPF_MASK, R_OK) != 0;
    }
    printf("# %d stops, %d of them before rows were chosen\n", stops, scoring);
    CHECK_NUMBER(rc, 0);
    CHECK(scoring > 0);
    check_same_run("run", "stopped");
    close_posts(&p);
    folder_remove("run");
    folder_remove("stopped");
}

static void another_run_is_not_gone_on_with(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_OCC), changed;
    struct tune_result r;
    struct error e = {0};
    o.trainer.stop_at = 1;
    CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_CANCELLED);
    changed = o;
    changed.bridge.options.experts.chosen = 1;
    CHECK_NUMBER(tune_posts(&changed, &p, NULL, &r, &e), ERR_USAGE);
    changed = o;
    changed.gspf.budget = 0.2;
    CHECK_NUMBER(tune_posts(&changed, &p, NULL, &r, &e), ERR_USAGE);
    changed = o;
    changed.bridge.rate = 0.5; /* rates may change */
    changed.trainer.stop_at = 2;
    CHECK_NUMBER(tune_posts(&changed, &p, NULL, &r, &e), ERR_CANCELLED);
    CHECK_NUMBER(r.run.step, 2);
    close_posts(&p);
    make_store("store", POSTS + 1); /* it has changed since */
    p = open_posts("store", CONTEXT_VISUAL);
    CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "other text (of \"corpus\"); name another folder") != NULL);
    close_posts(&p);
    make_store("store", POSTS);
    folder_remove("run");
}

/* Another process does it: LMDB takes one environment a process. */
static void age_the_store(void) {
    const pid_t child = fork();
    int status = -1;
    if (child == 0) {
        struct forget_options weekly = WEEKLY;
        struct forget_result aged;
        struct store *s = NULL;
        weekly.shrink = &FORGET_NEST;
        weekly.now = FIRST_NIGHT + (int64_t)60 * NIGHT;
        int rc = store_open_write(&s, "store", &STORE_ENCODER, NULL);
        rc = rc == 0 ? forget_run(s, &weekly, NULL, &aged, NULL) : rc;
        store_close(s);
        _exit(rc == 0 && aged.shrunk > 0 ? 0 : 1);
    }
    CHECK_NUMBER(waitpid(child, &status, 0), child);
    CHECK_NUMBER(status, 0);
}

/* What a writer does while a run reads is not seen by it; a run that begins afterwards sees it. */
static void the_store_may_age_while_it_is_read(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_OCC);
    struct tune_result r;
    struct error e = {0};
    tune_all_posts(&o, &p, &r);
    o.trainer.folder = "stopped";
    o.trainer.stop_at = 4;
    CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_CANCELLED);
    age_the_store();
    o.trainer.stop_at = 0;
    tune_all_posts(&o, &p, &r);
    check_same_run("run", "stopped");
    close_posts(&p);
    p = open_posts("store", CONTEXT_VISUAL);
    CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_USAGE);
    close_posts(&p);
    make_store("store", POSTS);
    folder_remove("run");
    folder_remove("stopped");
}

/* ---- Masks ----------------------------------------------------------------------------------- */

static void masks_follow_from_the_seed_or_a_file(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_RANDOM_MASK);
    struct tune_result r;
    o.trainer.schedule.steps = 1;
    tune_all_posts(&o, &p, &r);
    o.trainer.folder = "equal";
    tune_all_posts(&o, &p, &r);
    CHECK(same_file("run/" GSPF_MASK, "equal/" GSPF_MASK));
    o.trainer.folder = "other";
    o.seed = 2;
    tune_all_posts(&o, &p, &r);
    CHECK(!same_file("run/" GSPF_MASK, "other/" GSPF_MASK));
    o = context_options(TUNE_GSPF);
    o.trainer.schedule.steps = 1;
    o.mask = "run/" GSPF_MASK;
    o.trainer.folder = "given";
    tune_all_posts(&o, &p, &r);
    struct mask a = {.units = NULL}, b = {.units = NULL};
    CHECK_NUMBER(mask_read(&a, "run/" GSPF_MASK, &model.config, NULL), 0);
    CHECK_NUMBER(mask_read(&b, "given/" GSPF_MASK, &model.config, NULL), 0);
    CHECK(a.count > 0 && mask_hash(&a) == mask_hash(&b));
    mask_close(&a);
    mask_close(&b);
    folder_remove("run");
    folder_remove("equal");
    folder_remove("other");
    folder_remove("given");
    close_posts(&p);
}

/* ---- Experts --------------------------------------------------------------------------------- */

static double sum_of(const json_t *list) {
    double sum = 0;
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)(uintptr_t)list, i, value) {
        sum += json_number_value(value);
    }
    return sum;
}

static void routing_is_told_by_account(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_OCC);
    struct tune_result r;
    double tokens = 0;
    tune_all_posts(&o, &p, &r);
    json_t *report = json_load_file("run/routing.json", 0, NULL);
    const json_t *accounts = json_object_get(report, "accounts");
    CHECK_NUMBER(json_integer_value(json_object_get(report, "step")), r.best_step);
    CHECK_NUMBER(json_array_size(json_object_get(report, "experts")), 4);
    CHECK_NUMBER(json_array_size(accounts), ACCOUNTS);
    for (size_t i = 0; i < json_array_size(accounts); i++) {
        const json_t *one = json_array_get(accounts, i);
        const char name[] = {(char)('a' + i), '\0'};
        const double entropy = json_number_value(json_object_get(one, "entropy"));
        CHECK_TEXT(json_string_value(json_object_get(one, "account")), name);
        CHECK_NEAR(sum_of(json_object_get(one, "chosen")), 1, 1e-6);
        CHECK(entropy > 0 && entropy <= log(4) + 1e-6);
        tokens += json_number_value(json_object_get(one, "tokens"));
    }
    CHECK(tokens > 0);
    CHECK(json_is_array(json_object_get(report, "dead")));
    json_decref(report);
    folder_remove("run");
    close_posts(&p);
}

int main(void) {
    tune_begin("tune_context_resume_test");
    make_store("store", POSTS);
    make_bridge("bridge");
    RUN(a_stopped_run_ends_with_the_same_bytes);
    RUN(signals_at_any_time_leave_the_same_run);
    RUN(another_run_is_not_gone_on_with);
    RUN(the_store_may_age_while_it_is_read);
    RUN(masks_follow_from_the_seed_or_a_file);
    RUN(routing_is_told_by_account);
    tune_end();
    return test_finish();
}
