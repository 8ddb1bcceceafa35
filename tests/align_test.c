/* align_test.c - a small model learns to read visual tokens; and a run that is stopped, or made
 * otherwise, is the same run, or refused. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "tests/align_run.h"

#include <math.h>

#include "train/gspf/gspf.h"

/* ---- What is learned ---------------------------------------------------------------------- */

static void what_is_under_tokens_is_matched(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct align_result r;
    o.match.steps = 300;
    o.match.rate = 0.03;
    o.trainer.schedule.steps = 1;
    align_all(&o, &r);
    printf("# centred cosine %.4f\n", r.matched);
    CHECK(r.matched > 0.8);
    folder_remove("run");
}

static void tokens_are_read(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct align_result r;
    o.expand = 2; /* a soft token for each letter */
    o.match.steps = 200;
    o.match.rate = 0.03;
    o.trainer.schedule.steps = 400;
    o.trainer.schedule.rate = 0.005;
    o.lora.rank = 16;
    o.lora.alpha = 32;
    o.continuing = 0;
    o.measure_steps = 100;
    align_all(&o, &r);
    printf("# loss %.4f, %.4f before; %.1f%% of tokens read\n", r.best, r.before, 100 * r.accuracy);
    CHECK(r.best < 0.8 * r.before);
    CHECK(r.accuracy > 0.6); /* one of six letters without looking */
    CHECK(r.best_step > 0 && r.tokens > 0);
    folder_remove("run");
}

static void the_device_is_no_matter(void) {
    for (int i = BRIDGE_LINEAR; i <= BRIDGE_NAMED && !tested_is_cpu(); i++) {
        struct align_options o = options_of((enum bridge_kind)i);
        struct align_result r;
        o.match.steps = i == BRIDGE_NAMED ? 0 : 2; /* it has nothing to match */
        o.halved = i == BRIDGE_READING ? 0 : 0.5;
        o.trainer.schedule.steps = 3;
        o.trainer.folder = "cpu";
        o.trainer.device = "cpu";
        align_all(&o, &r);
        o.trainer.folder = "tested";
        o.trainer.device = tested_device();
        align_all(&o, &r);
        check_runs("cpu", "tested", BRIDGE_KIND_NAMES[i]);
        if (o.match.steps > 0) {
            check_runs("cpu/match", "tested/match", BRIDGE_KIND_NAMES[i]);
        }
        folder_remove("cpu");
        folder_remove("tested");
    }
}

/* ---- What it takes, and what is left ------------------------------------------------------ */

static void eight_rows_are_one_after_the_other(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct align_result r;
    o.match.steps = 0;
    o.trainer.schedule.steps = 1;
    o.batch = 8;
    align_all(&o, &r);
    o.trainer.folder = "two";
    o.trainer.threads = 2; /* four each */
    align_all(&o, &r);
    struct lora_folder a, b;
    struct error e = {0};
    must(lora_folder_open(&a, "run/adapter", &model.config, &e), &e);
    must(lora_folder_open(&b, "two/adapter", &model.config, &e), &e);
    const char *name = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight";
    float x[48 * 4], y[48 * 4];
    must(lora_folder_floats(&a, name, x, &e), &e);
    must(lora_folder_floats(&b, name, y, &e), &e);
    double most = 0;
    for (int i = 0; i < 48 * 4; i++) {
        CHECK_NEAR((double)x[i], (double)y[i],
                   1e-3); /* a step of 0.01 each way, but for rounding */
        most = fabs((double)x[i]) > most ? fabs((double)x[i]) : most;
    }
    CHECK(most > 1e-3);
    lora_folder_close(&a);
    lora_folder_close(&b);
    folder_remove("run");
    folder_remove("two");
}

static void memory_is_predicted(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct align_result r;
    struct ledger forecast;
    struct error e = {0};
    o.trainer.schedule.steps = 2;
    o.match.steps = 1;
    o.row = 128;
    o.span = 16;
    align_all(&o, &r);
    const double predicted = (double)ledger_total(r.run.ledger.predicted);
    const double measured = (double)ledger_total(r.run.ledger.measured);
    printf("# predicted %.1f MB, measured %.1f MB\n", predicted * 1e-6, measured * 1e-6);
    CHECK(measured > 0.7 * predicted);
    CHECK(!tested_is_foreseen() || measured < 1.1 * predicted);
    must(align_forecast(&o, &model.config, &model, &forecast, &e), &e);
    const double known = (double)forecast.predicted[LEDGER_TEXT];
    CHECK_NEAR((double)ledger_total(forecast.predicted) - known,
               predicted - (double)r.run.ledger.predicted[LEDGER_TEXT], 0);
    folder_remove("run");
}

/* The kind of the bridge is the folder's, unless it is said; what was learned is there. */
static void an_adapter_is_gone_on_with(void) {
    struct align_options o = options_of(BRIDGE_MLP), again;
    struct align_result r, second;
    struct error e = {0};
    o.hidden = 8;
    o.expand = 2;
    align_all(&o, &r);
    again = options_of(BRIDGE_READING);
    again.kind_said = false;
    again.adapter = "run/adapter";
    again.trainer.folder = "again";
    again.match.steps = 0;
    again.trainer.schedule.steps = 1;
    align_all(&again, &second);
    CHECK(fabs(second.before - r.best) < 0.02 * r.best); /* it is shipped in BF16 */
    again.trainer.folder = "other";
    again.kind_said = true;
    CHECK_NUMBER(align(&again, &second, &e), ERR_USAGE);
    CHECK(strstr(e.text, "its bridge is of the kind mlp, with 2 soft tokens") != NULL);
    folder_remove("run");
    folder_remove("again");
    folder_remove("other");
}

/* Of an adapter without a bridge: that is new, and matched; what was learned beside it stays. */
static void adapters_are_kept_where_a_bridge_is_matched(void) {
    struct align_options o = options_of(BRIDGE_LINEAR), again;
    struct lora_folder before, after;
    struct align_result r;
    struct error e = {0};
    enum { NUMBERS = 4 * 32 };
    static const char NAME[] = "base_model.model.model.layers.1.mlp.up_proj.lora_A.weight";
    float x[NUMBERS], y[NUMBERS];
    align_all(&o, &r);
    again = options_of(BRIDGE_MLP);
    again.hidden = 8;
    again.adapter = "run/adapter";
    again.trainer.folder = "again";
    again.trainer.schedule.steps = 1;
    again.trainer.schedule.rate = 1e-8;
    CHECK_NUMBER(unlink("run/adapter/" BRIDGE_FILE), 0);
    align_all(&again, &r);
    CHECK(!isnan(r.matched));
    must(lora_folder_open(&before, "run/adapter", &model.config, &e), &e);
    must(lora_folder_open(&after, "again/adapter", &model.config, &e), &e);
    must(lora_folder_floats(&before, NAME, x, &e), &e);
    must(lora_folder_floats(&after, NAME, y, &e), &e);
    for (int i = 0; i < NUMBERS; i++) {
        CHECK_NEAR((double)y[i], (double)x[i], 1e-6);
    }
    lora_folder_close(&before);
    lora_folder_close(&after);
    folder_remove("run");
    folder_remove("again");
}

/* They would be lost without a word. */
static void rows_of_the_decoder_are_not_gone_on_with(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct align_result r;
    struct error e = {0};
    align_all(&o, &r);
    o.adapter = "run/adapter";
    o.trainer.folder = "again";
    fclose(fopen("run/adapter/" GSPF_FILE, "w"));
    fclose(fopen("run/adapter/" GSPF_MASK, "w"));
    CHECK_NUMBER(align(&o, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "has rows of the decoder") != NULL);
    folder_remove("run");
    folder_remove("again");
}

/* What a kind makes nothing of is refused also where --from says which it is. */
static void options_are_checked_against_the_kind(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct align_result r;
    struct error e = {0};
    align_all(&o, &r);
    o.adapter = "run/adapter";
    o.kind = BRIDGE_NAMED;
    o.kind_said = false;
    o.trainer.folder = "again";
    o.match = (struct schedule){.steps = -1};
    o.reader = true;
    CHECK_NUMBER(align(&o, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "a bridge of the kind linear has no head that learns") != NULL);
    o.reader = false;
    o.match.rate = 0.01; /* the adapter's bridge was matched */
    CHECK_NUMBER(align(&o, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "--match-rate") != NULL);
    o.match.rate = 0;
    CHECK_NUMBER(align(&o, &r, &e), 0);
    CHECK(isnan(r.matched));
    folder_remove("run");
    folder_remove("again");
}

/* Which cell has which part of a text is not known of them, so spelling cannot be learned. */
static void what_was_halved_is_not_spelled(void) {
    struct forget_options week = WEEKLY;
    struct align_options o = options_of(BRIDGE_READING);
    struct history *one = history;
    struct forget_result forgotten;
    struct align_result r;
    struct store *s = NULL;
    struct error e = {0};
    make_store("old", 3);
    week.now = 1700000000 + 10 * 24 * 3600;
    week.shrink = &FORGET_NEST;
    week.keep_text = true;
    must(store_open_write(&s, "old", NULL, &e), &e);
    must(forget_run(s, &week, NULL, &forgotten, &e), &e);
    CHECK_NUMBER(forgotten.shrunk, 3 * POSTS);
    store_close(s);
    must(history_open(&history, "old", NULL, NULL, &e), &e);
    CHECK_NUMBER(align(&o, &r, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "no whole tokens") != NULL);
    history_close(history);
    history = one;
    folder_remove("run");
}

/* ---- Runs that go on ---------------------------------------------------------------------- */

static void check_same_run(const char *a, const char *b) {
    static const char *const FILES[] = {
        "checkpoint.safetensors",    "metrics.ndjson",       SHIPPED,
        "adapter/" BRIDGE_FILE,      "match/metrics.ndjson", "match/checkpoint.safetensors",
        "match/adapter/" BRIDGE_FILE};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char x[64], y[64];
        snprintf(x, sizeof x, "%s/%s", a, FILES[i]);
        snprintf(y, sizeof y, "%s/%s", b, FILES[i]);
        if (!CHECK(same_file(x, y))) {
            printf("# %s\n", FILES[i]);
        }
    }
}

/* Through all lessons, and halved tokens after them. */
static void a_stopped_run_ends_with_the_same_bytes(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct align_result r;
    struct error e = {0};
    o.halved = 0.5;
    o.lora.dropout = 0.2;
    o.trainer.schedule.steps = 15;
    align_all(&o, &r);
    o.trainer.folder = "stopped";
    for (int64_t stop = 2; stop < 15; stop += 3) {
        o.trainer.stop_at = stop;
        CHECK_NUMBER(align(&o, &r, &e), ERR_CANCELLED);
        CHECK_NUMBER(r.run.step, stop);
    }
    o.trainer.stop_at = 0;
    align_all(&o, &r);
    check_same_run("run", "stopped");
    folder_remove("run");
    folder_remove("stopped");
}

static void another_run_is_not_gone_on_with(void) {
    struct align_options o = options_of(BRIDGE_LINEAR), changed;
    struct history *one = history;
    struct align_result r;
    struct error e = {0};
    o.trainer.stop_at = 1;
    CHECK_NUMBER(align(&o, &r, &e), ERR_CANCELLED);
    changed = o;
    changed.row = 48;
    CHECK_NUMBER(align(&changed, &r, &e), ERR_USAGE);
    CHECK(strstr(e.text, "made with other options") != NULL);
    changed = o;
    changed.seed = 2;
    CHECK_NUMBER(align(&changed, &r, &e), ERR_USAGE);
    changed = o;
    changed.held_out = 0.9;
    CHECK_NUMBER(align(&changed, &r, &e), ERR_USAGE);
    changed = o;
    changed.match.steps++;
    CHECK_NUMBER(align(&changed, &r, &e), ERR_USAGE);
    make_store("larger", 5);
    must(history_open(&history, "larger", NULL, NULL, &e), &e);
    CHECK_NUMBER(align(&o, &r, &e), ERR_USAGE);
    history_close(history);
    history = one;
    folder_remove("run");
}

/* ---- What is refused ---------------------------------------------------------------------- */

static void tokens_of_another_encoder_are_refused(void) {
    struct align_options o = options_of(BRIDGE_LINEAR);
    struct history *one = history;
    struct align_result r;
    struct error e = {0};
    struct store *s = store_new("strange");
    const struct cell cells[1] = {{"a/1", "text"}};
    put_cells(s, &(struct cell_page){.key = "a/1",
                                     .json = "{\"created\": 1700000000}",
                                     .created = 1700000000,
                                     .cells = cells,
                                     .count = 1,
                                     .codec = CODEC_BF16});
    must(store_commit(s, &e), &e);
    store_close(s);
    must(history_open(&history, "strange", NULL, NULL, &e), &e);
    CHECK(align(&o, &r, &e) < 0);
    CHECK(strstr(e.text, "the tokens were made by test (0000000000001234)") != NULL);
    struct history *both[2] = {one, history};
    CHECK_NUMBER(align_train(&o, &model, both, 2, NULL, &r, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "several encoders") != NULL);
    history_close(history);
    history = one;
    folder_remove("run");
}

int main(void) {
    align_begin("align_test");
    RUN(what_is_under_tokens_is_matched);
    RUN(tokens_are_read);
    RUN(the_device_is_no_matter);
    RUN(eight_rows_are_one_after_the_other);
    RUN(memory_is_predicted);
    RUN(an_adapter_is_gone_on_with);
    RUN(adapters_are_kept_where_a_bridge_is_matched);
    RUN(rows_of_the_decoder_are_not_gone_on_with);
    RUN(options_are_checked_against_the_kind);
    RUN(what_was_halved_is_not_spelled);
    RUN(a_stopped_run_ends_with_the_same_bytes);
    RUN(another_run_is_not_gone_on_with);
    RUN(tokens_of_another_encoder_are_refused);
    align_end();
    return test_finish();
}
