/* The loop of a training run, on pages of a made-up source: what is asked for, what is left behind,
 * how it stops and goes on, what it does not follow. A killed one: read_killed_test.c. */
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include "tests/cpu_backend.h"
#include "tests/read_source.h"
#include "tests/test.h"

#include "compress/encoder.h"
#include "store/log.h"
#include "tests/trained.h"
#include "train/checkpoint.h"
#include "train/read/step.h"

static struct alphabet *alphabet;

static int train(const struct read_options *o, struct source *s, struct trainer_result *result,
                 struct error *e) {
    struct trainer_result ignored;
    struct read_source source = source_of(s);
    result = result != NULL ? result : &ignored;
    return read_train(o, alphabet, &source, NULL, &s->cancelled, result, e);
}

/* A run in `folder` from the beginning to the end. */
static void train_whole(const struct read_options *o, const char *folder) {
    struct source s = SOURCE;
    struct read_options own = *o;
    struct error e = {0};
    make_folder(folder);
    own.trainer.folder = folder;
    CHECK_NUMBER(train(&own, &s, NULL, &e), 0);
    CHECK_TEXT(e.text, "");
    source_clear(&s);
}

static void the_device_is_no_matter(void) {
    struct read_options o = OPTIONS;
    o.trainer.schedule.steps = 3;
    o.trainer.note_steps = 1;
    if (tested_is_cpu()) {
        printf("# nothing to compare\n");
        return;
    }
    train_whole(&o, "tested");
    o.trainer.device = "cpu";
    train_whole(&o, "cpu");
    check_runs("cpu", "tested", "read");
    remove_folder("tested");
    remove_folder("cpu");
}

/* ---- What is left behind --------------------------------------------------------------------- */

static double loss_in(const json_t *line, const char *name) {
    const json_t *pair = json_object_get(line, name);
    CHECK_NUMBER(json_array_size(pair), 2);
    return json_number_value(json_array_get(pair, 0)) + json_number_value(json_array_get(pair, 1));
}

static void losses_fall_and_metrics_say_so(void) {
    struct read_options o = OPTIONS;
    json_t *lines[2];
    train_whole(&o, "whole");
    FILE *file = fopen("whole/metrics.ndjson", "r");
    for (int i = 0; i < 2; i++) {
        lines[i] = file != NULL ? json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
        CHECK_NUMBER(json_integer_value(json_object_get(lines[i], "step")), 20 * (i + 1));
        CHECK_NUMBER(json_integer_value(json_object_get(lines[i], "pages")), 80 * (i + 1));
        CHECK_NUMBER(json_integer_value(json_object_get(lines[i], "skipped")), 0);
        CHECK(json_real_value(json_object_get(lines[i], "norm")) > 0);
    }
    CHECK(file != NULL && fgetc(file) == '\n' && fgetc(file) == EOF);
    static const char *const NAMES[] = {"early0", "early1", "early2", "even", "odd"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (!CHECK(loss_in(lines[1], NAMES[i]) < 0.9 * loss_in(lines[0], NAMES[i]))) {
            printf("# %s\n", NAMES[i]);
        }
    }
    CHECK(loss_in(lines[1], "halved1") > 0 && loss_in(lines[1], "halved2") > 0);
    CHECK(json_object_get(lines[1], "halved3") == NULL);
    CHECK_NEAR(json_real_value(json_object_get(lines[1], "rate")), 0, 1e-12);
    json_decref(lines[0]);
    json_decref(lines[1]);
    CHECK(file != NULL && fclose(file) == 0);
    remove_folder("whole");
}

/* The newest head reads by kind; those before it are named by number, and leave at last. */
static void stages_come_one_by_one(void) {
    static const struct {
        int stages, early;
    } WANTED[] = {{1, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 3}, {4, 3}, {4, 0}, {4, 0}};
    enum { LINES = sizeof WANTED / sizeof *WANTED };
    struct read_options o = OPTIONS;
    o.trainer.schedule.steps = LINES * 20;
    o.staged = 0.5;
    train_whole(&o, "staged");
    FILE *file = fopen("staged/metrics.ndjson", "r");
    double first = 0, last = 0;
    for (int i = 0; i < LINES && CHECK(file != NULL); i++) {
        json_t *line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
        CHECK_NUMBER(json_integer_value(json_object_get(line, "stages")), WANTED[i].stages);
        for (int k = 0; k < READ_EARLY; k++) {
            char name[32];
            snprintf(name, sizeof name, "early%d", k);
            CHECK((json_object_get(line, name) != NULL) == (k < WANTED[i].early));
        }
        first = i == 0 ? loss_in(line, "even") : first;
        last = loss_in(line, "even");
        json_decref(line);
    }
    CHECK(last < 0.7 * first);
    CHECK(file != NULL && fclose(file) == 0);
    remove_folder("staged");
}

/* What a run will take is known before its first step: values, gradients and moments to the byte,
 * all of it within a tenth. */
static void memory_is_predicted(void) {
    for (int64_t threads = 1; threads <= 2; threads++) {
        struct read_options o = OPTIONS;
        struct source s = SOURCE;
        struct trainer_result result;
        o.trainer.schedule.steps = 8;
        o.trainer.threads = threads;
        o.trainer.folder = "run";
        o.halving = 1;
        make_folder("run");
        CHECK_NUMBER(train(&o, &s, &result, NULL), 0);
        const size_t *will = result.ledger.predicted, *did = result.ledger.measured;
        for (int i = 0; i < LEDGER_COUNT; i++) {
            printf("# %s: %zu predicted, %zu measured\n", LEDGER_NAMES[i], will[i], did[i]);
        }
        /* the device rounds each tensor to cache lines */
        for (int i = LEDGER_WEIGHTS; i <= LEDGER_MOMENTS; i++) {
            CHECK(did[i] > 0);
            CHECK_NEAR((double)will[i] / (double)did[i], 1, 0.1);
        }
        CHECK_NEAR((double)will[LEDGER_ACTIVATIONS] / (double)did[LEDGER_ACTIVATIONS], 1, 0.1);
        const double share = (double)ledger_total(will) / (double)ledger_total(did);
        CHECK(!tested_is_foreseen() || fabs(share - 1) <= 0.1);
        remove_folder("run");
    }
}

static void the_seed_decides(void) {
    struct read_options o = OPTIONS;
    o.trainer.schedule.steps = 3;
    train_whole(&o, "one");
    train_whole(&o, "same");
    o.seed++;
    train_whole(&o, "other");
    CHECK(same_in("one", "same", "checkpoint.safetensors"));
    CHECK(same_in("one", "same", "encoder.safetensors"));
    CHECK(!same_in("one", "other", "encoder.safetensors"));
    remove_folder("one");
    remove_folder("same");
    remove_folder("other");
}

/* As the task does it, from as many pages as it asks for. */
static void whiten(struct whitening *w, size_t count) {
    struct source s = SOURCE;
    struct generator m = {.source = &s};
    memset(w, 0, sizeof *w);
    for (size_t i = 0; i < count; i++) {
        struct read_page page;
        const struct read_request request = {.number = i, .pair = i / 2, .progress = 1};
        CHECK_NUMBER(generator_make(&m, &request, &page, NULL), 0);
        whiten_add(w, page.grey, page.width, page.height);
    }
    CHECK_NUMBER(whiten_finish(w, NULL), 0);
}

/* What a checkpoint holds. */
static bool load_trained(struct trained *t, const char *path, const struct read_options *o) {
    json_t *state = NULL;
    trained_begin(t, DTYPE_F32);
    CHECK_NUMBER(read_parameters(t->parameters, o, NULL), 0);
    trained_open(t, &o->trainer.optimizer, NULL, 0);
    int rc = checkpoint_load(path, &t->optimizer, &state, NULL);
    json_decref(state);
    return rc == 1;
}

/* Training sees patches whitened, the encoder that ships sees pixels. */
static void what_is_shipped_computes_what_was_trained(void) {
    struct read_options o = OPTIONS;
    struct source s = SOURCE;
    struct trained trained;
    struct tape *t = NULL;
    struct encoder *encoder = NULL;
    struct encoder_session *session = NULL;
    static struct whitening whitening;
    static uint8_t grey[SIDE * SIDE];
    static float whitened[SIDE * SIDE], tokens[4 * TOKEN], taped[4 * TOKEN];
    const struct image page = {.width = SIDE, .height = SIDE, .channels = 1, .pixels = grey};
    o.trainer.optimizer.ema = 0;
    o.trainer.schedule.steps = 5;
    o.trainer.folder = "run";
    make_folder("run");
    CHECK_NUMBER(train(&o, &s, NULL, NULL), 0);
    whiten(&whitening, s.whitening);
    for (int i = 0; i < SIDE * SIDE; i++) {
        grey[i] = (uint8_t)(i * 7 % 41 < 5 ? i % 100 : 255);
    }
    whiten_page(&whitening, whitened, grey, SIDE, SIDE);
    int rc =
        encoder_open(&encoder, "run/encoder.safetensors", NULL, cpu_backend(), DTYPE_F32, NULL);
    if (rc == 0) {
        rc = encoder_session_open(&session, encoder, NULL);
    }
    if (rc == 0) {
        rc = encoder_run_image(session, tokens, &page, 1, NULL);
    }
    bool loaded = load_trained(&trained, "run/checkpoint.safetensors", &o);
    const struct tape_options exact = {.storage = DTYPE_F32};
    if (!CHECK(rc == 0 && loaded) ||
        !CHECK_NUMBER(tape_open(&t, trained.device, &exact, NULL), 0)) {
        return;
    }
    const struct tape_source source = parameters_source(trained.parameters);
    const struct tensor host = tensor_of(whitened, DTYPE_F32, NULL, TENSOR_SHAPE(1, SIDE, SIDE, 1));
    struct encoder_stages stages;
    tape_begin(t);
    const struct tensor input = tape_upload(t, &host);
    encoder_tape(&o.encoder, &source, t, &input, 1, STAGE_TOKENS, &stages);
    if (CHECK(stages.tokens != NULL)) {
        tested_download(taped, &stages.tokens->value);
    }
    for (int i = 0; i < 4 * TOKEN; i++) {
        CHECK_NEAR((double)taped[i], (double)tokens[i], 1e-3);
    }
    tape_close(t);
    trained_close(&trained);
    encoder_session_close(session);
    encoder_close(encoder);
    remove_folder("run");
}

static void it_can_begin_with_what_was_shipped(void) {
    struct read_options o = OPTIONS;
    struct source s = SOURCE;
    struct error e = {0};
    o.trainer.optimizer.ema = 0;
    o.trainer.schedule.steps = 3;
    train_whole(&o, "first");
    o.from = "first/encoder.safetensors";
    o.trainer.schedule.rate = 0; /* nothing moves */
    o.seed++;
    train_whole(&o, "second");
    CHECK(weights_apart("first/encoder.safetensors", "second/encoder.safetensors") < 1e-4);
    o.from = NULL;
    train_whole(&o, "third");
    CHECK(weights_apart("first/encoder.safetensors", "third/encoder.safetensors") > 0.1);
    make_folder("fourth");
    o.trainer.folder = "fourth";
    o.from = "first/nothing.safetensors";
    CHECK(train(&o, &s, NULL, &e) < 0);
    CHECK(strstr(e.text, "first/nothing.safetensors") != NULL);
    remove_folder("first");
    remove_folder("second");
    remove_folder("third");
    remove_folder("fourth");
}

/* ---- What is asked for ----------------------------------------------------------------------- */

/* Three steps; what was requested comes in order of numbers. */
static void request_pages(const struct read_options *options, int64_t threads, struct source *s) {
    struct read_options o = *options;
    *s = SOURCE;
    make_folder("run");
    o.trainer.folder = "run";
    o.trainer.schedule.steps = 3;
    o.trainer.threads = threads;
    CHECK_NUMBER(train(&o, s, NULL, NULL), 0);
    source_sort(s);
    remove_folder("run");
}

static void pages_are_numbered_whatever_the_threads(void) {
    struct read_options o = OPTIONS;
    struct source one, some;
    o.sizes[READ_CROP] = 1; /* costs as much as a tiny one */
    request_pages(&o, 1, &one);
    CHECK_NUMBER(one.count, 12);
    for (size_t i = 0; i < one.count; i++) {
        CHECK_NUMBER(one.requests[i].number, i);
        CHECK_NUMBER(one.requests[i].pair, i / 2);
        CHECK_NUMBER(one.requests[i].size, one.requests[i / 4 * 4].size); /* one size a step */
        CHECK_NEAR(one.requests[i].progress, (double)(i / 4) / 3, 1e-15);
    }
    for (int64_t threads = 2; threads <= 4; threads += 2) {
        request_pages(&o, threads, &some);
        CHECK_NUMBER(some.count, one.count);
        for (size_t i = 0; i < one.count; i++) {
            CHECK_NUMBER(some.requests[i].number, i);
            CHECK_NUMBER(some.requests[i].pair, i / 2);
            CHECK_NUMBER(some.requests[i].size, one.requests[i].size);
        }
        source_clear(&some);
    }
    source_clear(&one);
}

static void more_threads_than_pages_see_no_page_twice(void) {
    struct read_options o = OPTIONS;
    struct source s;
    o.batch = 2;
    request_pages(&o, 3, &s);
    CHECK_NUMBER(s.count, 9);
    for (size_t i = 0; i < s.count; i++) {
        CHECK_NUMBER(s.requests[i].number, i);
    }
    source_clear(&s);
}

static void larger_pages_are_fewer(void) {
    struct read_options o = OPTIONS;
    struct source s;
    o.sizes[READ_TINY] = 0;
    o.sizes[READ_BASE] = 1;
    o.batch = 8;
    request_pages(&o, 2, &s);
    CHECK_NUMBER(s.count, 6);
    for (size_t i = 0; i < s.count; i++) {
        CHECK_NUMBER(s.requests[i].number, i / 2 * 8 + i % 2);
        CHECK_NUMBER(s.requests[i].size, READ_BASE);
    }
    source_clear(&s);
    o.batch = 2; /* costs less than one of them: still one per thread */
    request_pages(&o, 2, &s);
    CHECK_NUMBER(s.count, 6);
    source_clear(&s);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static void a_failing_source_is_reported(void) {
    for (int64_t threads = 1; threads <= 2; threads++) {
        struct source s = SOURCE;
        struct read_options o = OPTIONS;
        struct error e = {0};
        o.trainer.folder = "run";
        o.trainer.threads = threads;
        make_folder("run");
        s.fail_at = 6;
        CHECK_NUMBER(train(&o, &s, NULL, &e), ERR_FORMAT);
        CHECK_TEXT(e.text, "page 6 is torn");
        CHECK(access("run/checkpoint.safetensors", F_OK) != 0);
        source_clear(&s);
        s.fail_at = SOURCE.fail_at;
        for (int opens = 0; opens <= threads; opens++) { /* that succeed */
            s.opens = opens;
            e.text[0] = '\0';
            CHECK_NUMBER(train(&o, &s, NULL, &e), ERR_MEMORY);
            CHECK_TEXT(e.text, "no more generators");
            CHECK_NUMBER(s.count, 0);
        }
        remove_folder("run");
    }
}

/* A stack that no memory holds. */
static void a_thread_that_cannot_be_started_is_reported(void) {
    struct source s = SOURCE;
    struct read_options o = OPTIONS;
    struct error e = {0};
    pthread_attr_t attributes, before;
    o.trainer.threads = 3;
    CHECK_NUMBER(pthread_getattr_default_np(&before), 0);
    CHECK_NUMBER(pthread_attr_init(&attributes), 0);
    CHECK_NUMBER(pthread_attr_setstacksize(&attributes, (size_t)1 << 46), 0);
    CHECK_NUMBER(pthread_setattr_default_np(&attributes), 0);
    make_folder("stacks");
    o.trainer.folder = "stacks";
    CHECK_NUMBER(train(&o, &s, NULL, &e), ERR_MEMORY);
    CHECK(strstr(e.text, "cannot be started") != NULL); /* the first, or one beside a GPU's own */
    CHECK_NUMBER(pthread_setattr_default_np(&before), 0);
    pthread_attr_destroy(&attributes);
    pthread_attr_destroy(&before);
    remove_folder("stacks");
    source_clear(&s);
}

static void a_folder_that_is_not_there_is_named(void) {
    struct source s = SOURCE;
    struct read_options o = OPTIONS;
    struct error e = {0};
    o.trainer.folder = "nowhere";
    CHECK_NUMBER(train(&o, &s, NULL, &e), ERR_IO);
    CHECK(strstr(e.text, "nowhere/") != NULL);
    CHECK_NUMBER(s.count, 0);
}

/* ---- Stopping and going on ------------------------------------------------------------------- */

static void a_stopped_run_goes_on(void) {
    struct source s = SOURCE;
    struct read_options o = OPTIONS;
    struct trainer_result result;
    struct error e = {0};
    train_whole(&o, "whole");
    make_folder("run");
    o.trainer.folder = "run";
    o.trainer.stop_at = 13;
    CHECK_NUMBER(train(&o, &s, &result, &e), ERR_CANCELLED);
    CHECK_TEXT(e.text, "stopped at step 13");
    CHECK_NUMBER(result.step, 13);
    o.trainer.stop_at = 0;
    s.cancel_at = 29 * 4 + 1; /* as a signal would, in the middle of a step: it is given up */
    CHECK_NUMBER(train(&o, &s, &result, &e), ERR_CANCELLED);
    CHECK_NUMBER(result.step, 29);
    s.cancel_at = SOURCE.cancel_at;
    s.cancelled = 0;
    CHECK_NUMBER(train(&o, &s, &result, NULL), 0);
    CHECK_NUMBER(result.step, 40);
    CHECK_NUMBER(result.samples, 160);
    CHECK_NUMBER(s.count, 160 + 4); /* the pages of that step were made twice */
    CHECK(same_in("whole", "run", "encoder.safetensors"));
    CHECK(same_arrays("whole", "run"));
    remove_folder("whole");
    remove_folder("run");
    source_clear(&s);
}

static void a_finished_run_stays_as_it_is(void) {
    struct source s = SOURCE;
    struct read_options o = OPTIONS;
    struct trainer_result result;
    o.trainer.schedule.steps = 20;
    train_whole(&o, "whole");
    train_whole(&o, "run");
    o.trainer.folder = "run";
    CHECK_NUMBER(train(&o, &s, &result, NULL), 0);
    CHECK_NUMBER(result.step, 20);
    CHECK_NUMBER(s.count, 0);
    CHECK(same_in("whole", "run", "checkpoint.safetensors"));
    CHECK(same_in("whole", "run", "encoder.safetensors"));
    CHECK(same_in("whole", "run", "metrics.ndjson"));
    remove_folder("whole");
    remove_folder("run");
}

static void other_options_are_refused(void) {
    enum { OTHERS = 8 };
    struct read_options others[OTHERS];
    struct read_options o = OPTIONS;
    struct error e = {0};
    o.trainer.schedule.steps = 3;
    train_whole(&o, "run");
    o.trainer.folder = "run";
    for (int i = 0; i < OTHERS; i++) {
        others[i] = o;
    }
    others[0].seed++;
    others[1].batch++;
    others[2].trainer.threads++;
    others[3].trainer.optimizer.decay *= 2;
    others[4].trainer.optimizer.clip /= 2;
    others[5].halving /= 2;
    others[6].sizes[READ_CROP]++;
    others[7].halvings[1] = 0;
    for (int i = 0; i < OTHERS; i++) {
        struct source s = SOURCE;
        CHECK_NUMBER(train(&others[i], &s, NULL, &e), ERR_USAGE);
        if (!CHECK(strstr(e.text, "run/checkpoint.safetensors: was made with other options"))) {
            printf("# %d: %s\n", i, e.text);
        }
        CHECK_NUMBER(s.count, 0);
    }
    struct source s = SOURCE;
    CHECK_NUMBER(train(&o, &s, NULL, NULL), 0); /* nothing happened to it */
    CHECK_NUMBER(s.count, 0);
    remove_folder("run");
}

static void a_run_may_become_longer(void) {
    struct source s = SOURCE;
    struct read_options o = OPTIONS;
    struct trainer_result result;
    o.trainer.schedule.steps = 3;
    train_whole(&o, "run");
    o.trainer.folder = "run";
    o.trainer.schedule.steps = 5;
    o.trainer.schedule.rate /= 2;
    CHECK_NUMBER(train(&o, &s, &result, NULL), 0);
    CHECK_NUMBER(result.step, 5);
    CHECK_NUMBER(s.count, 8);
    remove_folder("run");
}

/* ---- Gradients that are not followed --------------------------------------------------------- */

static char warnings[4096];

/* As `train`, with what is printed on standard error in `warnings`. */
static int train_listening(const struct read_options *o, struct source *s,
                           struct trainer_result *result) {
    int kept = dup(STDERR_FILENO), rc = -1;
    FILE *file = tmpfile();
    if (CHECK(kept >= 0 && file != NULL && dup2(fileno(file), STDERR_FILENO) >= 0)) {
        struct error e = {0};
        rc = train(o, s, result, &e);
        CHECK(dup2(kept, STDERR_FILENO) >= 0);
        rewind(file);
        warnings[fread(warnings, 1, sizeof warnings - 1, file)] = '\0';
        CHECK(fclose(file) == 0 && close(kept) == 0);
    }
    return rc;
}

static void a_gradient_that_is_no_number_is_skipped(void) {
    struct source s = SOURCE;
    struct read_options o = OPTIONS;
    struct trainer_result result;
    o.trainer.schedule.steps = 20; /* the last one is in the metrics, too */
    o.trainer.schedule.warm_up = 0;
    o.trainer.schedule.rate = 1e30; /* what the second step computes is not a number */
    o.trainer.folder = "run";
    make_folder("run");
    CHECK_NUMBER(train_listening(&o, &s, &result), 0);
    CHECK_NUMBER(result.skipped, 19);
    CHECK_NUMBER(result.step, 20);
    json_t *line = json_load_file("run/metrics.ndjson", 0, NULL);
    CHECK(json_is_null(json_object_get(line, "norm")));
    CHECK_NUMBER(json_integer_value(json_object_get(line, "skipped")), 19);
    json_decref(line);
    CHECK(strstr(warnings, "step 2 was skipped: its gradient has the norm ") != NULL);
    CHECK(strstr(warnings, "step 5 was skipped") != NULL);
    CHECK(strstr(warnings, "step 1 ") == NULL);
    remove_folder("run");
    source_clear(&s);
}

/* All pages but one are alike. */
static void a_gradient_out_of_all_proportion_is_skipped(void) {
    enum { ODD_ONE = 350 }; /* what the first steps had is nearly forgotten */
    struct source s = SOURCE;
    struct read_options o = OPTIONS;
    struct trainer_result result;
    o.batch = o.trainer.threads = 1;
    o.halving = 0;
    o.trainer.schedule.steps = 1000;
    o.trainer.schedule.rate = 0.01;
    s.side = SIDE / 2;
    s.alike = true;
    s.odd_one = ODD_ONE;
    o.trainer.stop_at = ODD_ONE;
    o.trainer.folder = "before";
    make_folder("before");
    CHECK_NUMBER(train_listening(&o, &s, &result), ERR_CANCELLED);
    CHECK_NUMBER(result.skipped, 0);
    o.trainer.stop_at = ODD_ONE + 1;
    o.trainer.folder = "after";
    make_folder("after");
    CHECK_NUMBER(train_listening(&o, &s, &result), ERR_CANCELLED);
    CHECK_NUMBER(result.skipped, 1);
    CHECK(strstr(warnings, "step 351 was skipped: its gradient has the norm ") != NULL);
    printf("# %s", warnings);
    CHECK(same_arrays("before", "after"));
    o.trainer.stop_at = ODD_ONE + 2; /* the next one is followed, and remembers */
    CHECK_NUMBER(train_listening(&o, &s, &result), ERR_CANCELLED);
    CHECK_NUMBER(result.skipped, 1);
    CHECK_TEXT(warnings, "");
    CHECK(!same_arrays("before", "after"));
    remove_folder("before");
    remove_folder("after");
    source_clear(&s);
}

int main(void) {
    if (!source_begin(&alphabet)) {
        return 1;
    }
    RUN(the_device_is_no_matter);
    RUN(losses_fall_and_metrics_say_so);
    RUN(stages_come_one_by_one);
    RUN(memory_is_predicted);
    RUN(the_seed_decides);
    RUN(what_is_shipped_computes_what_was_trained);
    RUN(it_can_begin_with_what_was_shipped);
    RUN(pages_are_numbered_whatever_the_threads);
    RUN(more_threads_than_pages_see_no_page_twice);
    RUN(larger_pages_are_fewer);
    RUN(a_failing_source_is_reported);
    RUN(a_thread_that_cannot_be_started_is_reported);
    RUN(a_folder_that_is_not_there_is_named);
    RUN(a_stopped_run_goes_on);
    RUN(a_finished_run_stays_as_it_is);
    RUN(other_options_are_refused);
    RUN(a_run_may_become_longer);
    RUN(a_gradient_that_is_no_number_is_skipped);
    RUN(a_gradient_out_of_all_proportion_is_skipped);
    source_end(alphabet);
    return test_finish();
}
