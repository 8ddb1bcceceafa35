/* tune_context_test.c - posts that follow what a store shows of their accounts: every method learns
 * with every context, bridge and experts along; what is shipped, how steps add up, what it takes.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "store/forget.h"
#include "tests/reader_file.h"
#include "tests/tune_store.h"

/* The largest difference between the tensors that a file has and those of another, as a part of the
 * largest number. */
static double difference(const char *a, const char *b) {
    struct safetensors *x = NULL, *y = NULL;
    double most = 0, largest = 0;
    CHECK_NUMBER(safetensors_open(&x, a, NULL), 0);
    CHECK_NUMBER(safetensors_open(&y, b, NULL), 0);
    for (size_t i = 0; i < safetensors_count(x); i++) {
        const struct safetensor *t = safetensors_get(x, i);
        float p[4096], q[4096];
        const size_t count = t->bytes / dtype_size(t->type);
        if (!CHECK(count <= sizeof p / sizeof *p)) {
            break;
        }
        CHECK_NUMBER(safetensors_floats(x, t, p, NULL), 0);
        CHECK_NUMBER(safetensors_floats(y, safetensors_find(y, t->name), q, NULL), 0);
        for (size_t k = 0; k < count; k++) {
            most = fmax(most, fabs((double)p[k] - (double)q[k]));
            largest = fmax(largest, fabs((double)p[k]));
        }
    }
    safetensors_close(x);
    safetensors_close(y);
    return most / largest;
}

/* ---- What is learned ------------------------------------------------------------------------- */

static void every_method_learns_with_visual_tokens(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    for (int i = TUNE_FULL; i <= TUNE_OCC; i++) {
        struct tune_options o = context_options((enum tune_method)i);
        struct tune_result r;
        tune_all_posts(&o, &p, &r);
        printf("# %s: %.3f before, %.3f after step %d, %d parameters\n", TUNE_METHOD_NAMES[i],
               r.before, r.best, (int)r.best_step, (int)r.trained);
        CHECK_NUMBER(r.run.samples, 12 * 8);
        CHECK(r.best < r.before - 0.2 && r.best_step > 0);
        CHECK_NUMBER(
            access(i == TUNE_FULL ? "run/model/" BRIDGE_FILE : "run/adapter/" BRIDGE_FILE, R_OK),
            0);
        CHECK(difference("bridge/" BRIDGE_FILE,
                         i == TUNE_FULL ? "run/model/" BRIDGE_FILE : "run/adapter/" BRIDGE_FILE) >
              0.001);
        folder_remove("run");
    }
    close_posts(&p);
}

/* Another device's gradients are a little different, and so may be what GSPF chooses: its rows are
 * then those of the CPU. */
static void the_device_is_no_matter(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    for (int i = TUNE_FULL; i <= TUNE_OCC && !tested_is_cpu(); i++) {
        for (int mode = RECOMPUTE_NONE; mode <= RECOMPUTE_BLOCK; mode++) {
            struct tune_options o = context_options((enum tune_method)i);
            struct tune_result r;
            o.trainer.tape.recompute = (enum tape_recompute)mode;
            o.trainer.schedule.steps = 3;
            o.trainer.folder = "cpu";
            o.trainer.device = "cpu";
            tune_all_posts(&o, &p, &r);
            o.trainer.folder = "tested";
            o.trainer.device = tested_device();
            o.mask = tune_by_rows(o.method) && tested_limit(1) > 0 ? "cpu/adapter/mask.txt" : NULL;
            tune_all_posts(&o, &p, &r);
            check_runs("cpu", "tested", TUNE_METHOD_NAMES[i]);
            folder_remove("cpu");
            folder_remove("tested");
        }
    }
    close_posts(&p);
}

static void every_context_is_learned_with(void) {
    static const double PRESENT[] = {1 - 1e-9, 1e-9, 1e-9, 1e-9};
    const struct reader_file file = {.dim = STORE_DIM, .presence = PRESENT};
    double before[CONTEXT_READ + 1] = {0};
    reading = reader_of("reader.safetensors", &file);
    for (int i = CONTEXT_NONE; i <= CONTEXT_READ; i++) {
        struct posts p = open_posts("store", (enum context_kind)i);
        struct tune_options o = context_options(TUNE_LORA);
        struct tune_result r;
        o.bridge.used = i == CONTEXT_VISUAL;
        o.adapter = o.bridge.used ? "bridge" : NULL;
        tune_all_posts(&o, &p, &r);
        printf("# %s: %.3f before, %.3f after\n", CONTEXT_KIND_NAMES[i], r.before, r.best);
        before[i] = r.before;
        CHECK(r.best < r.before - 0.2);
        CHECK_NUMBER(access("run/adapter/" BRIDGE_FILE, R_OK), o.bridge.used ? 0 : -1);
        folder_remove("run");
        close_posts(&p);
    }
    for (int i = CONTEXT_NONE + 1; i <= CONTEXT_READ; i++) { /* none is without effect */
        CHECK(fabs(before[i] - before[CONTEXT_NONE]) > 1e-4);
    }
    /* that of the head, whose weights are random, not the store's */
    CHECK(fabs(before[CONTEXT_READ] - before[CONTEXT_TEXT]) > 1e-4);
    reader_close(reading);
}

/* B of each is zeros at first. */
static void experts_change_nothing_before_they_learn(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_OCC);
    struct tune_result with, without;
    o.trainer.schedule.steps = 1;
    tune_all_posts(&o, &p, &with);
    folder_remove("run");
    o.bridge.options.experts.count = 0;
    tune_all_posts(&o, &p, &without);
    folder_remove("run");
    CHECK_NEAR(with.before, without.before, 1e-6);
    CHECK(with.trained > without.trained);
    close_posts(&p);
}

static void a_bridge_may_stay_as_it_is(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_LORA);
    struct tune_result moved, still;
    tune_all_posts(&o, &p, &moved);
    CHECK(difference("bridge/" BRIDGE_FILE, "run/adapter/" BRIDGE_FILE) > 0.01);
    folder_remove("run");
    o.bridge.rate = 0;
    tune_all_posts(&o, &p, &still);
    CHECK_NEAR(difference("bridge/" BRIDGE_FILE, "run/adapter/" BRIDGE_FILE), 0, 0);
    CHECK(still.best < still.before && still.trained < moved.trained);
    CHECK(still.run.ledger.measured[LEDGER_MOMENTS] < moved.run.ledger.measured[LEDGER_MOMENTS]);
    folder_remove("run");
    close_posts(&p);
}

static void experts_learn_behind_a_bridge_that_stays(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_OCC);
    struct tune_result r;
    o.bridge.rate = 0;
    tune_all_posts(&o, &p, &r);
    CHECK(r.best < r.before - 0.2);
    CHECK_NEAR(difference("bridge/" BRIDGE_FILE, "run/adapter/" BRIDGE_FILE), 0, 0);
    o.adapter = "run/adapter";
    o.trainer.folder = "further";
    tune_all_posts(&o, &p, &r);
    CHECK(difference("run/adapter/" BRIDGE_FILE, "further/adapter/" BRIDGE_FILE) > 0.001);
    folder_remove("run");
    folder_remove("further");
    close_posts(&p);
}

/* ---- What is shipped ------------------------------------------------------------------------- */

/* Measures the same posts with what a run has left, as the first step of another. */
static double loss_of_shipped(struct tune_options o, const struct posts *p) {
    struct tune_result r;
    struct error e = {0};
    o.adapter = "run/adapter";
    o.trainer.folder = "again";
    o.trainer.stop_at = 1;
    CHECK_NUMBER(tune_posts(&o, p, NULL, &r, &e), ERR_CANCELLED);
    folder_remove("again");
    return r.before;
}

/* The bridge is written in BF16, which costs a little. */
static void what_is_shipped_is_gone_on_with(void) {
    static const enum tune_method METHODS[] = {TUNE_LORA, TUNE_GSPF, TUNE_OCC};
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        const struct tune_options o = context_options(METHODS[i]);
        struct tune_result r;
        tune_all_posts(&o, &p, &r);
        const double loss = loss_of_shipped(o, &p);
        printf("# %s: %.5f, shipped %.5f\n", TUNE_METHOD_NAMES[METHODS[i]], r.best, loss);
        CHECK(r.best < r.before - 0.2);
        CHECK_NEAR(loss, r.best, 0.005);
        folder_remove("run");
    }
    close_posts(&p);
}

/* Rows that are trained on top of a low rank leave it as it is, and it is shipped with them. */
static void rows_stand_on_a_low_rank(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_LORA);
    struct tune_result low, rows;
    o.trainer.folder = "low";
    tune_all_posts(&o, &p, &low);
    o = context_options(TUNE_OCC);
    o.adapter = "low/adapter";
    tune_all_posts(&o, &p, &rows);
    printf("# %.4f, then %.4f before and %.4f after\n", low.best, rows.before, rows.best);
    CHECK_NEAR(rows.before, low.best, 0.005);
    CHECK(rows.best < rows.before);
    CHECK(same_file("low/" SHIPPED, "run/" SHIPPED));
    CHECK_NEAR(loss_of_shipped(o, &p), rows.best, 0.005);
    folder_remove("low");
    folder_remove("run");
    close_posts(&p);
}

static void what_does_not_fit_together_is_refused(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_GSPF);
    struct tune_result r;
    struct error e = {0};
    o.trainer.schedule.steps = 1;
    o.trainer.folder = "rows";
    tune_all_posts(&o, &p, &r);
    o = context_options(TUNE_LORA);
    o.adapter = "rows/adapter";
    CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "rows/adapter: has trained rows") != NULL);
    o.method = TUNE_FULL;
    CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "merge it into the model first") != NULL);
    o = context_options(TUNE_LORA);
    o.adapter = "nowhere";
    CHECK(tune_posts(&o, &p, NULL, &r, &e) < 0);
    CHECK(strstr(e.text, "nowhere/" LORA_FILE) != NULL);
    folder_remove("rows");
    folder_remove("run");
    close_posts(&p);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* The balance term is divided by the rows of the step, losses by its targets. */
static void threads_are_no_matter(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    static const char *const FILES[] = {BRIDGE_FILE, GSPF_FILE};
    const int64_t threads[] = {1, 4};
    for (int i = 0; i < 2; i++) {
        struct tune_options o = context_options(TUNE_OCC);
        struct tune_result r;
        o.trainer.folder = i == 0 ? "run" : "four";
        o.trainer.threads = threads[i];
        o.trainer.schedule.steps = 3;
        o.bridge.options.experts.balance = 1;
        tune_all_posts(&o, &p, &r);
    }
    CHECK(same_file("run/" GSPF_MASK, "four/" GSPF_MASK));
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "run/adapter/%s", FILES[i]);
        snprintf(b, sizeof b, "four/adapter/%s", FILES[i]);
        const double apart = difference(a, b);
        printf("# %s: %.2g\n", FILES[i], apart);
        CHECK(apart <= (i == 0 ? 0.01 : 1e-3)); /* BF16 rounds to either side */
    }
    folder_remove("run");
    folder_remove("four");
    close_posts(&p);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void memory_is_foreseen_of(const char *store, enum context_kind kind) {
    struct posts p = open_posts(store, kind);
    for (int method = TUNE_LORA; method <= TUNE_OCC; method++) {
        struct tune_options o = context_options((enum tune_method)method);
        struct tune_result r;
        o.bridge.used = kind == CONTEXT_VISUAL;
        o.adapter = o.bridge.used ? "bridge" : NULL;
        o.trainer.schedule.steps = 2;
        tune_all_posts(&o, &p, &r);
        const struct ledger *l = &r.run.ledger;
        const double share = (double)ledger_total(l->measured) / (double)ledger_total(l->predicted);
        printf("# %s of %s, %s: %zu, measured %.3f of it\n", CONTEXT_KIND_NAMES[kind], store,
               TUNE_METHOD_NAMES[method], ledger_total(l->predicted), share);
        CHECK(!tested_is_foreseen() || fabs(share - 1) <= 0.1);
        folder_remove("run");
    }
    close_posts(&p);
}

/* Of which the older posts are halved. */
static void make_aged_store(const char *path) {
    struct forget_options o = FORGET_DEFAULTS;
    struct forget_result result;
    struct store *s = NULL;
    struct error e = {0};
    make_store(path, POSTS);
    o.now = FIRST_NIGHT + (int64_t)POSTS * ACCOUNTS * NIGHT;
    o.tau = 12 * NIGHT;
    o.shrink = &FORGET_NEST;
    must(store_open_write(&s, path, &STORE_ENCODER, &e), &e);
    must(forget_run(s, &o, NULL, &result, &e), &e);
    CHECK(result.shrunk > 0 && result.folded == 0);
    store_close(s);
}

static void memory_is_foreseen(void) {
    for (int i = CONTEXT_NONE; i < CONTEXT_READ; i++) {
        memory_is_foreseen_of("store", (enum context_kind)i);
    }
    make_aged_store("aged");
    memory_is_foreseen_of("aged", CONTEXT_VISUAL);
}

/* What is chosen for a limit is as much as fits. */
static void rows_are_chosen_for_a_memory(void) {
    struct posts p = open_posts("store", CONTEXT_VISUAL);
    struct tune_options o = context_options(TUNE_OCC);
    struct tune_result least, r;
    struct error e = {0};
    o.trainer.schedule.steps = 1;
    o.gspf.budget = 0.01;
    tune_all_posts(&o, &p, &least);
    folder_remove("run");
    const size_t few = ledger_total(least.run.ledger.predicted);
    o.gspf.budget = 0;
    o.gspf.memory = few + 200000;
    tune_all_posts(&o, &p, &r);
    const size_t took = ledger_total(r.run.ledger.predicted);
    printf("# %zu with few, %zu of %zu allowed\n", few, took, o.gspf.memory);
    CHECK(took <= o.gspf.memory && took > o.gspf.memory - 50000);
    CHECK(r.trained > least.trained);
    folder_remove("run");
    o.gspf.memory = few / 2;
    CHECK_NUMBER(tune_posts(&o, &p, NULL, &r, &e), ERR_USAGE);
    printf("# %s\n", e.text);
    folder_remove("run");
    close_posts(&p);
}

int main(void) {
    tune_begin("tune_context_test");
    make_store("store", POSTS);
    make_bridge("bridge");
    RUN(every_method_learns_with_visual_tokens);
    RUN(the_device_is_no_matter);
    RUN(every_context_is_learned_with);
    RUN(experts_change_nothing_before_they_learn);
    RUN(a_bridge_may_stay_as_it_is);
    RUN(experts_learn_behind_a_bridge_that_stays);
    RUN(what_is_shipped_is_gone_on_with);
    RUN(rows_stand_on_a_low_rank);
    RUN(what_does_not_fit_together_is_refused);
    RUN(threads_are_no_matter);
    RUN(memory_is_foreseen);
    RUN(rows_are_chosen_for_a_memory);
    tune_end();
    return test_finish();
}
