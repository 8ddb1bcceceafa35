/* tune_resume_test.c - tuning a small model: how a run is stopped and goes on, what it leaves when
 * its weights cannot be shipped, which run is another one. */
#define _DEFAULT_SOURCE /* mkdtemp, setitimer */
#include <signal.h>
#include <sys/time.h>

#include "tests/tune_run.h"

static void check_same_run(const char *a, const char *b) {
    static const char *const FILES[] = {"checkpoint.safetensors", "metrics.ndjson", SHIPPED};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char x[64], y[64];
        snprintf(x, sizeof x, "%s/%s", a, FILES[i]);
        snprintf(y, sizeof y, "%s/%s", b, FILES[i]);
        if (!CHECK(same_file(x, y))) {
            printf("# %s\n", FILES[i]);
        }
    }
}

static void a_stopped_run_ends_with_the_same_bytes(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result r;
    struct error e = {0};
    o.lora.dropout = 0.2;
    tune_all(&o, corpus, &r);
    o.trainer.folder = "stopped";
    for (int64_t stop = 3; stop < 12; stop += 3) {
        o.trainer.stop_at = stop;
        CHECK_NUMBER(tune(&o, corpus, &r, &e), ERR_CANCELLED);
        CHECK_NUMBER(r.run.step, stop);
        CHECK_NUMBER(access("stopped/" SHIPPED, R_OK), 0);
    }
    o.trainer.stop_at = 0;
    tune_all(&o, corpus, &r);
    check_same_run("run", "stopped");
    corpus_close(corpus);
    folder_remove("run");
    folder_remove("stopped");
}

static volatile sig_atomic_t alarmed;

static void on_alarm(int signal) {
    (void)signal;
    alarmed = 1;
}

/* Half of the time it measures, so that signals come into that too. Each run has longer than the
 * one before, so that the last step is reached. */
static void signals_at_any_time_leave_the_same_run(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result r;
    struct error e = {0};
    int rc = ERR_CANCELLED, stops = 0;
    o.batch = 3;
    o.measure_steps = 1;
    o.trainer.schedule.steps = 20;
    tune_all(&o, corpus, &r);
    o.trainer.folder = "stopped";
    CHECK_NUMBER(mkdir("stopped", 0777), 0);
    signal(SIGALRM, on_alarm);
    for (int64_t us = 1000; rc == ERR_CANCELLED; us = us * 5 / 4) {
        const struct itimerval soon = {.it_value = {us / 1000000, us % 1000000}};
        const struct itimerval never = {.it_value = {0, 0}};
        alarmed = 0;
        CHECK_NUMBER(setitimer(ITIMER_REAL, &soon, NULL), 0);
        rc = tune_train(&o, &model, &(struct tune_data){.corpus = corpus}, &alarmed, &r, &e);
        setitimer(ITIMER_REAL, &never, NULL);
        stops++;
    }
    printf("# %d stops\n", stops);
    CHECK_NUMBER(rc, 0);
    check_same_run("run", "stopped");
    corpus_close(corpus);
    folder_remove("run");
    folder_remove("stopped");
}

/* The best weights are shipped by the run that goes on, before it learns anything else. */
static void weights_that_cannot_be_shipped_are_not_lost(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result r;
    struct error e = {0};
    o.trainer.stop_at = 6; /* measured after step 4 */
    CHECK_NUMBER(tune(&o, corpus, &r, &e), ERR_CANCELLED);
    CHECK_NUMBER(r.best_step, 4);
    o.trainer.folder = "stopped";
    CHECK_NUMBER(mkdir("stopped", 0777), 0);
    fclose(fopen("stopped/adapter", "w")); /* no folder */
    CHECK(tune(&o, corpus, &r, &e) != ERR_CANCELLED);
    CHECK(strstr(e.text, "stopped/adapter") != NULL);
    CHECK_NUMBER(access("stopped/checkpoint.safetensors", R_OK), 0);
    CHECK_NUMBER(unlink("stopped/adapter"), 0);
    CHECK_NUMBER(tune(&o, corpus, &r, &e), ERR_CANCELLED);
    check_same_run("run", "stopped");
    corpus_close(corpus);
    folder_remove("run");
    folder_remove("stopped");
}

/* JSON has no such bytes. */
static void a_model_may_lie_under_any_name(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct decoder_folder named;
    struct lora_folder adapter;
    struct tune_result r;
    struct error e = {0};
    char path[64];
    model_folder(path, NULL);
    CHECK_NUMBER(rename(path, "m\xff"), 0);
    must(decoder_folder_open(&named, "m\xff", &e), &e);
    CHECK_NUMBER(mkdir("run", 0777), 0);
    o.trainer.schedule.steps = 1;
    must(tune_train(&o, &named, &(struct tune_data){.corpus = corpus}, NULL, &r, &e), &e);
    must(lora_folder_open(&adapter, "run/adapter", &named.config, &e), &e);
    lora_folder_close(&adapter);
    decoder_folder_close(&named);
    corpus_close(corpus);
    folder_remove("run");
    folder_remove("m\xff");
}

static void another_run_is_not_gone_on_with(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct corpus *other = open_text(&SHORT_ROWS, DOCUMENTS - 1);
    struct tune_options o = options_of(TUNE_LORA), changed;
    struct tune_result r;
    struct error e = {0};
    o.trainer.stop_at = 1;
    CHECK_NUMBER(tune(&o, corpus, &r, &e), ERR_CANCELLED);
    CHECK_NUMBER(tune(&o, other, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "made with other options, or of other text") != NULL);
    changed = o;
    changed.lora.alpha = 3;
    CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_USAGE);
    changed = o;
    changed.seed = 2;
    CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_USAGE);
    changed = o;
    changed.trainer.optimizer.epsilon = 1e-6;
    CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_USAGE);
    if (has_bf16()) {
        changed = o;
        changed.trainer.compute = "bf16";
        CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_USAGE);
    }
    changed = o;
    changed.lora.rank = 2;
    CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_FORMAT);
    changed = o;
    changed.adapter = "run/adapter"; /* of the same shape */
    CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "(of \"from\")") != NULL);
    changed.trainer.folder = "other";
    CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_CANCELLED);
    changed.adapter = NULL;
    CHECK_NUMBER(tune(&changed, corpus, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "(of \"from\")") != NULL);
    folder_remove("run");
    folder_remove("other");
    corpus_close(corpus);
    corpus_close(other);
}

/* Of the first rows that are learned. */
static int64_t tokens_of(const struct corpus *corpus, int64_t rows) {
    const int64_t epoch = corpus_counts(corpus, CORPUS_TRAINING).rows;
    int64_t tokens = 0;
    for (int64_t i = 0; i < rows; i++) {
        tokens += corpus_row(corpus, CORPUS_TRAINING, i / epoch, i % epoch).tokens;
    }
    return tokens;
}

/* Tokens of all lines of metrics. */
static int64_t tokens_told(void) {
    char line[512];
    FILE *in = fopen("run/metrics.ndjson", "r");
    int64_t tokens = 0;
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        json_t *one = json_loads(line, 0, NULL);
        tokens += json_integer_value(json_object_get(one, "tokens"));
        json_decref(one);
    }
    CHECK(in != NULL && fclose(in) == 0);
    return tokens;
}

/* What it learned from in the step that was given up then is not told. */
static void time_ends_a_run(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result r;
    o.trainer.schedule.steps = 1000000;
    o.batch = 40;
    o.measure_steps = 1000000;                               /* after the last */
    for (o.trainer.time_ms = 100;; o.trainer.time_ms *= 2) { /* a slow machine does no step in it */
        tune_all(&o, corpus, &r);
        if (r.run.step > 0) {
            break;
        }
    }
    CHECK(r.run.step < 1000000);
    CHECK(r.best_step > 0);
    CHECK_NUMBER(tokens_told(), tokens_of(corpus, r.run.samples));
    CHECK_NUMBER(r.tokens, tokens_told());
    CHECK_NUMBER(access("run/" SHIPPED, R_OK), 0);
    folder_remove("run");
    corpus_close(corpus);
}

int main(void) {
    tune_begin("tune_resume_test");
    RUN(a_stopped_run_ends_with_the_same_bytes);
    RUN(signals_at_any_time_leave_the_same_run);
    RUN(weights_that_cannot_be_shipped_are_not_lost);
    RUN(a_model_may_lie_under_any_name);
    RUN(another_run_is_not_gone_on_with);
    RUN(time_ends_a_run);
    tune_end();
    return test_finish();
}
