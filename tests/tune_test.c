/* tune_test.c - tuning a small model (golden/decoder/small): what is learned, how steps add up,
 * which weights are shipped, what it takes. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "tests/tune_run.h"
#include "train/tune/task.h"

/* The largest difference between the adapters of two runs, as a part of the largest number. */
static double difference(const char *a, const char *b) {
    struct safetensors *x = NULL, *y = NULL;
    double most = 0, largest = 0;
    CHECK_NUMBER(safetensors_open(&x, a, NULL), 0);
    CHECK_NUMBER(safetensors_open(&y, b, NULL), 0);
    for (size_t i = 0; i < safetensors_count(x); i++) {
        const float *p = safetensors_get(x, i)->data, *q = safetensors_get(y, i)->data;
        for (size_t k = 0; k < safetensors_get(x, i)->bytes / sizeof *p; k++) {
            most = fmax(most, fabs((double)p[k] - (double)q[k]));
            largest = fmax(largest, fabs((double)p[k]));
        }
    }
    safetensors_close(x);
    safetensors_close(y);
    return most / largest;
}

/* ---- What is learned ------------------------------------------------------------------------- */

static void both_methods_learn(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    for (int i = TUNE_FULL; i <= TUNE_LORA; i++) {
        struct tune_options o = options_of((enum tune_method)i);
        struct tune_result r;
        tune_all(&o, corpus, &r);
        printf("# %s: %.3f before, %.3f after step %d\n", TUNE_METHOD_NAMES[i], r.before, r.best,
               (int)r.best_step);
        CHECK_NUMBER(r.run.step, 12);
        CHECK_NUMBER(r.run.samples, 12 * 8);
        CHECK(r.before > 5 && r.best < r.before - 1 && r.best_step > 0);
        CHECK(r.tokens > 12 * 8 * 10 && r.tokens_per_second > 0);
        folder_remove("run");
    }
    corpus_close(corpus);
}

/* Measures the text that is held out with what a run has shipped, as its own first step. */
static double loss_of_shipped(const struct tune_options *like, const struct decoder_folder *base,
                              const char *adapter, const struct corpus *corpus) {
    struct tune_options o = *like;
    struct tune_result r;
    struct error e = {0};
    o.method = TUNE_LORA;
    o.adapter = adapter;
    o.lora.dropout = 0;
    o.trainer.folder = "again";
    o.trainer.stop_at = 1;
    CHECK_NUMBER(mkdir("again", 0777), 0);
    const struct tune_data data = {.corpus = corpus};
    CHECK_NUMBER(tune_train(&o, base, &data, NULL, &r, &e), ERR_CANCELLED);
    folder_remove("again");
    return r.before;
}

/* With a rate that is too high, and rises to the end, the last weights are not the best ones. */
static void the_best_weights_are_shipped(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    for (int i = TUNE_FULL; i <= TUNE_LORA; i++) {
        struct tune_options o = options_of((enum tune_method)i);
        struct decoder_folder shipped = {.path = NULL};
        struct tune_result r;
        struct error e = {0};
        o.trainer.schedule =
            (struct schedule){.rate = i == TUNE_FULL ? 8 : 1, .steps = 24, .warm_up = 100};
        o.measure_steps = 2;
        o.lora.dropout = 0.3; /* of what is learned alone */
        tune_all(&o, corpus, &r);
        printf("# %s: best after step %d\n", TUNE_METHOD_NAMES[i], (int)r.best_step);
        CHECK(r.best_step > 0 && r.best_step < 24);
        const struct decoder_folder *base = &model;
        if (i == TUNE_FULL) {
            must(decoder_folder_open(&shipped, "run/model", &e), &e);
            base = &shipped;
        }
        CHECK_NEAR(loss_of_shipped(&o, base, i == TUNE_LORA ? "run/adapter" : NULL, corpus), r.best,
                   1e-5);
        decoder_folder_close(&shipped);
        folder_remove("run");
    }
    corpus_close(corpus);
}

static struct trainer_verdict judge(struct tune_task *k, int64_t step, double loss) {
    struct trainer_verdict verdict = {.better = false};
    k->held_out = (struct tune_sums){.loss = loss, .targets = 1};
    CHECK_NUMBER(tune_task_judge(k, step, &verdict, NULL), 0);
    return verdict;
}

/* It is better than nothing, for as long as there is nothing better. */
static void a_loss_that_is_not_a_number_is_no_measure(void) {
    const struct tune_options o = {.patience = 2};
    struct tune_task k = {.options = &o, .threads = 1, .best_step = -1};
    CHECK(judge(&k, 1, (double)NAN).better && k.best_step == -1);
    CHECK(judge(&k, 2, 3).better && k.best_step == 2);
    CHECK(!judge(&k, 3, (double)NAN).better && k.best_step == 2);
    CHECK(judge(&k, 4, 2).better && k.best_step == 4);
    CHECK(!judge(&k, 5, (double)INFINITY).stop);
    CHECK(judge(&k, 6, (double)NAN).stop);
    CHECK_NEAR(k.best, 2, 0);
}

static void what_gets_no_better_ends_early_for_good(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result r, again;
    o.trainer.schedule = (struct schedule){.rate = 1, .steps = 1000, .warm_up = 100};
    o.measure_steps = 2;
    o.patience = 3;
    tune_all(&o, corpus, &r);
    CHECK_NUMBER(r.run.step, r.best_step + 3 * 2);
    tune_all(&o, corpus, &again);
    CHECK_NUMBER(again.run.step, r.run.step);
    CHECK_NEAR(again.best, r.best, 0);
    CHECK_NUMBER(again.tokens, 0);
    folder_remove("run");
    corpus_close(corpus);
}

/* Whatever is computed again; the copies of A and B in BF16 are made anew in each block. */
static void products_in_bf16_learn_nearly_the_same(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result exact, kept, again;
    tune_all(&o, corpus, &exact);
    folder_remove("run");
    if (has_bf16()) {
        o.trainer.compute = "bf16";
        o.trainer.tape.recompute = RECOMPUTE_NONE;
        tune_all(&o, corpus, &kept);
        folder_remove("run");
        o.trainer.tape.recompute = RECOMPUTE_BLOCK;
        tune_all(&o, corpus, &again);
        folder_remove("run");
        printf("# %.4f in F32, %.4f in BF16, %.4f computed again\n", exact.best, kept.best,
               again.best);
        CHECK_NEAR(kept.best, exact.best, 0.03);
        CHECK_NEAR(again.best, kept.best, 0.03);
        const size_t *bytes = again.run.ledger.predicted; /* F32 alone */
        CHECK_NUMBER(bytes[LEDGER_WEIGHTS], bytes[LEDGER_GRADIENTS]);
    }
    corpus_close(corpus);
}

/* Each measures some of the rows. */
static void threads_measure_the_same(void) {
    struct corpus *corpus = open_text(&SHORT_ROWS, DOCUMENTS);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result one, three;
    CHECK(corpus_counts(corpus, CORPUS_HELD_OUT).rows > 3);
    o.batch = 6;
    tune_all(&o, corpus, &one);
    folder_remove("run");
    o.trainer.threads = 3;
    tune_all(&o, corpus, &three);
    folder_remove("run");
    CHECK_NEAR(three.before, one.before, 1e-5);
    CHECK_NEAR(three.best, one.best, 1e-3);
    CHECK_NUMBER(three.best_step, one.best_step);
    corpus_close(corpus);
}

static void nothing_need_be_held_out(void) {
    struct corpus_options all = SHORT_ROWS;
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result r;
    all.held_out = 0;
    struct corpus *corpus = open_text(&all, DOCUMENTS);
    tune_all(&o, corpus, &r);
    CHECK_NUMBER(r.best_step, -1);
    CHECK_NUMBER(access("run/" SHIPPED, R_OK), 0);
    folder_remove("run");
    corpus_close(corpus);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Eight texts in one row, or each in a row of its own; and the same of several threads. */
static void eight_rows_are_one_row_of_eight_texts(void) {
    static const struct {
        const char *folder;
        bool packing;
        int64_t threads, team;
    } RUNS[] = {{"packed", true, 1, 1},
                {"rows", false, 1, 1},
                {"threads", false, 4, 1},
                {"team", false, 1, 2}};
    enum { COUNT = sizeof RUNS / sizeof *RUNS };
    for (int i = 0; i < COUNT; i++) {
        struct corpus_options c = {.context = 1024, .packing = RUNS[i].packing, .seed = 3};
        struct tune_options o = options_of(TUNE_LORA);
        struct tune_result r;
        char path[64];
        struct corpus *corpus = open_text(&c, 8);
        CHECK_NUMBER(corpus_counts(corpus, CORPUS_TRAINING).rows, RUNS[i].packing ? 1 : 8);
        o.trainer.folder = RUNS[i].folder;
        o.trainer.threads = RUNS[i].threads;
        o.trainer.team = RUNS[i].team;
        o.trainer.schedule.steps = 6;
        tune_all(&o, corpus, &r);
        CHECK_NUMBER(r.run.samples, RUNS[i].packing ? 6 : 48);
        corpus_close(corpus);
        snprintf(path, sizeof path, "%s/%s", RUNS[i].folder, SHIPPED);
        const double apart = difference("packed/" SHIPPED, path);
        printf("# %s: %.2g\n", RUNS[i].folder, apart);
        CHECK(apart <= 1e-4);
    }
    for (int i = 0; i < COUNT; i++) {
        folder_remove(RUNS[i].folder);
    }
}

static void an_epoch_and_a_step_are_no_longer_than_the_text(void) {
    struct corpus_options c = {.context = 1024, .packing = false, .seed = 3};
    struct corpus *corpus = open_text(&c, 10);
    struct tune_options o = options_of(TUNE_LORA);
    struct tune_result r;
    o.trainer.schedule.steps = 0;
    o.trainer.schedule.warm_up = -1;
    o.epochs = 2.5;
    o.batch = 640;
    tune_all(&o, corpus, &r);
    CHECK_NUMBER(r.run.step, 3);
    CHECK_NUMBER(r.run.samples, 30);
    folder_remove("run");
    o.batch = 4;
    tune_all(&o, corpus, &r);
    CHECK_NUMBER(r.run.step, 7); /* 25 rows, and three more for the last step */
    folder_remove("run");
    corpus_close(corpus);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void memory_is_forecast(void) {
    static const enum ledger_entry EXACT[] = {LEDGER_WEIGHTS, LEDGER_GRADIENTS, LEDGER_MOMENTS};
    static const struct {
        enum tune_method method;
        enum tape_recompute recompute;
        enum decoder_format format;
    } RUNS[] = {{TUNE_FULL, RECOMPUTE_NONE, DECODER_AUTO},
                {TUNE_FULL, RECOMPUTE_BLOCK, DECODER_AUTO},
                {TUNE_LORA, RECOMPUTE_NONE, DECODER_AUTO},
                {TUNE_LORA, RECOMPUTE_BLOCK, DECODER_BF16},
                {TUNE_LORA, RECOMPUTE_BLOCK, DECODER_INT8}};
    const struct corpus_options one = {.context = 100, .packing = true, .seed = 3};
    const struct tune_shape shape = {.row = {.tokens = 100}};
    struct corpus *corpus = open_text(&one, DOCUMENTS);
    for (size_t i = 0; i < sizeof RUNS / sizeof *RUNS; i++) {
        struct tune_options o = options_of(RUNS[i].method);
        struct tune_result r;
        struct ledger forecast;
        struct error e = {0};
        o.trainer.schedule.steps = 1;
        o.trainer.tape.recompute = RUNS[i].recompute;
        o.format = RUNS[i].format;
        tune_all(&o, corpus, &r);
        must(tune_forecast(&o, &model.config, &model, &shape, &forecast, &e), &e);
        const size_t *f = forecast.predicted, *p = r.run.ledger.predicted,
                     *m = r.run.ledger.measured;
        printf("# %zu, measured %zu bytes\n", ledger_total(p), ledger_total(m));
        CHECK_NUMBER(f[LEDGER_FROZEN], p[LEDGER_FROZEN]);
        CHECK_NUMBER(f[LEDGER_SCRATCH], p[LEDGER_SCRATCH]);
        CHECK(o.method == TUNE_FULL ? f[LEDGER_FROZEN] == 0 : f[LEDGER_FROZEN] > 0);
        CHECK(m[LEDGER_TEXT] > 0);
        for (int k = 0; k < 3; k++) {
            CHECK_NUMBER(f[EXACT[k]], p[EXACT[k]]);
            CHECK_NEAR((double)m[EXACT[k]] / (double)p[EXACT[k]], 1, 0.02);
        }
        CHECK_NEAR((double)m[LEDGER_ACTIVATIONS] / (double)f[LEDGER_ACTIVATIONS], 1, 0.05);
        const double share = (double)ledger_total(m) / (double)ledger_total(p);
        CHECK(!tested_is_foreseen() || fabs(share - 1) <= 0.1);
        folder_remove("run");
    }
    corpus_close(corpus);
}

int main(void) {
    tune_begin("tune_test");
    RUN(both_methods_learn);
    RUN(the_best_weights_are_shipped);
    RUN(a_loss_that_is_not_a_number_is_no_measure);
    RUN(what_gets_no_better_ends_early_for_good);
    RUN(products_in_bf16_learn_nearly_the_same);
    RUN(threads_measure_the_same);
    RUN(nothing_need_be_held_out);
    RUN(eight_rows_are_one_row_of_eight_texts);
    RUN(an_epoch_and_a_step_are_no_longer_than_the_text);
    RUN(memory_is_forecast);
    tune_end();
    return test_finish();
}
