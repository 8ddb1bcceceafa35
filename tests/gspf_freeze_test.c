/* Units that are frozen and thawed: by gradients that the test makes up; and in runs of the
 * trainer, which a stop does not change. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <unistd.h>

#include "store/random.h"
#include "tests/gspf_network.h"
#include "train/trainer.h"

static struct mask_unit UNITS[] = {
    {.layer = 0, .matrix = DECODER_Q, .first_row = 3, .rows = 5},
    {.layer = 1, .matrix = DECODER_UP, .first_row = 0, .rows = 8},
    {.layer = 1, .matrix = DECODER_UP, .first_row = 30, .rows = 4},
    {.layer = 2, .matrix = DECODER_V, .first_row = 0, .rows = 8},
};
enum { UNIT_COUNT = sizeof UNITS / sizeof *UNITS, PARAMETERS = 3 };
static const struct mask MASK = {.units = UNITS, .count = UNIT_COUNT};

static const struct gspf_options OPTIONS = {
    .rows = 8, .keep = 0, .freeze = 0.5, .patience = 2, .probe = 4};

/* ---- By made-up gradients -------------------------------------------------------------------- */

struct frozen {
    struct network n;
    struct trained rows;
    struct gspf_freeze *freeze;
    struct optimizer optimizer;
};

static void frozen_open(struct frozen *f) {
    const struct optimizer_options options = OPTIMIZER_DEFAULTS;
    struct slice *slices = NULL;
    size_t count = 0;
    struct error e = {0};
    *f = (struct frozen){.freeze = NULL};
    network_open(&f->n, SMALL_MODEL, NULL);
    struct tensor_spec other = tensor_spec_of(TENSOR_MATRIX, "bridge", TENSOR_SPEC_SHAPE(2, 3));
    snprintf(other.name, sizeof other.name, "other");
    must(parameters_open(&f->rows.parameters, tape_device(f->n.tape), &e), &e);
    must(parameters_add(f->rows.parameters, &other, &e), &e);
    must(gspf_list(&MASK, &f->n.folder.config, parameters_take, f->rows.parameters, &e), &e);
    trained_open(&f->rows, &f->n);
    must(gspf_freeze_open(&f->freeze, &OPTIONS, MASK.count, &e), &e);
    must(gspf_slices(&MASK, f->rows.parameters, gspf_freeze_still(f->freeze), &slices, &count, &e),
         &e);
    CHECK_NUMBER(count, UNIT_COUNT + 1);
    CHECK(slices[0].still == NULL && slices[0].rows == 2);
    CHECK(slices[3].parameter == 2 && slices[3].first_row == 8 && slices[3].rows == 4);
    must(optimizer_open(&f->optimizer, f->rows.parameters, &options, slices, count, &e), &e);
    free(slices);
}

static void frozen_close(struct frozen *f) {
    optimizer_close(&f->optimizer);
    gspf_freeze_close(f->freeze);
    trained_close(&f->rows);
    network_close(&f->n);
}

/* A step in which all numbers of a unit have the gradient sizes[unit], as far as it learns; which
 * units these were, a bit each. The norm of all that is followed. */
static int step(struct frozen *f, const double sizes[UNIT_COUNT], double *norm) {
    struct optimizer *o = &f->optimizer;
    struct device *d = tape_device(f->n.tape);
    const struct gradients *lists[] = {&f->rows.gradients};
    const bool *still = gspf_freeze_still(f->freeze);
    struct error e = {0};
    int learned = 0;
    gspf_freeze_plan(f->freeze, o->step);
    for (size_t i = 1; i < o->slice_count; i++) {
        const struct slice *s = &o->slices[i];
        const size_t unit = (size_t)(s->still - still);
        const struct tensor to =
            tensor_row_range(&lists[0]->list[s->parameter], s->first_row, s->rows);
        if (!still[unit]) {
            CHECK_NUMBER(d->ops->fill(d, &to, (float)sizes[unit], &e), 0);
            f->rows.gradients.reached[s->parameter] = true;
            learned |= 1 << unit;
        }
    }
    optimizer_activate(o, lists, 1);
    must(optimizer_reduce(o, d, lists, 1, 0, o->piece_count, &e), &e);
    must(gspf_freeze_watch(f->freeze, o, &e), &e);
    must(optimizer_norm(o, norm, &e), &e);
    must(optimizer_update(o, d, lists, 1, 0.1, 1, 0, o->piece_count, &e), &e);
    gradients_forget(&f->rows.gradients);
    o->step++;
    return learned;
}

/* The first number of a unit. */
static float value_of(const struct frozen *f, size_t unit) {
    const struct optimizer *o = &f->optimizer;
    static float values[MOST];
    for (size_t i = 1; i < o->slice_count; i++) {
        const struct slice *s = &o->slices[i];
        if ((size_t)(s->still - gspf_freeze_still(f->freeze)) == unit) {
            CHECK_NUMBER(parameters_read(o->parameters, s->parameter, values, NULL), 0);
            return values[s->first_row * tensor_width(&s->first_moment)];
        }
    }
    return 0;
}

static void what_stays_small_is_frozen_and_thawed_again(void) {
    enum { ALL = (1 << UNIT_COUNT) - 1, REST = ALL & ~2 };
    const double even[] = {1, 1, 1, 1}, small[] = {1, 0.4, 0.6, 1};
    struct frozen f;
    double norm = 0;
    frozen_open(&f);
    CHECK_NUMBER(step(&f, even, &norm), ALL);
    CHECK_NEAR(norm, sqrt((5 + 8 + 4 + 8) * 32), 1e-3);
    CHECK_NUMBER(step(&f, even, &norm), ALL);
    CHECK_NUMBER(step(&f, small, &norm), ALL);
    CHECK_NUMBER(gspf_freeze_count(f.freeze), 0);
    float before = value_of(&f, 1);
    CHECK_NUMBER(step(&f, small, &norm), ALL); /* the second in a row: followed no more */
    CHECK_NUMBER(gspf_freeze_count(f.freeze), 1);
    CHECK(value_of(&f, 1) == before);
    CHECK_NEAR(norm, sqrt((5 + 4 * 0.36 + 8) * 32), 1e-3);
    json_t *state = gspf_freeze_state(f.freeze);
    CHECK_NUMBER(f.optimizer.step, 4);
    CHECK_NUMBER(step(&f, small, &norm), ALL); /* looked at, and still small */
    CHECK_NUMBER(gspf_freeze_count(f.freeze), 1);
    CHECK_NEAR(norm, sqrt((5 + 4 * 0.36 + 8) * 32), 1e-3);
    CHECK(value_of(&f, 1) == before);
    const struct tensor *gradient = &f.rows.gradients.list[2];
    float numbers[MOST];
    download_floats(f.n.tape, numbers, gradient);
    CHECK(numbers[0] == 0 && numbers[8 * 32] == 0); /* nothing is left of the look */
    while (f.optimizer.step < 8) {
        CHECK_NUMBER(step(&f, even, &norm), REST);
    }
    CHECK_NUMBER(step(&f, even, &norm), ALL);
    CHECK_NUMBER(gspf_freeze_count(f.freeze), 0);
    CHECK(value_of(&f, 1) != before);
    CHECK_NUMBER(step(&f, small, &norm), ALL);
    must(gspf_freeze_restore(f.freeze, state, NULL), &(struct error){.code = 0});
    CHECK_NUMBER(gspf_freeze_count(f.freeze), 1);
    json_array_remove(state, 0);
    CHECK_NUMBER(gspf_freeze_restore(f.freeze, state, NULL), ERR_FORMAT);
    json_array_append_new(state, json_string("no"));
    CHECK_NUMBER(gspf_freeze_restore(f.freeze, state, NULL), ERR_FORMAT);
    json_decref(state);
    frozen_close(&f);
}

/* Of 40 frozen ones a sixteenth, each in its turn. */
static void frozen_units_take_turns(void) {
    enum { MANY = 40, LOOKS = 16 };
    struct gspf_freeze *f = NULL;
    json_t *state = json_array(), *unit = json_pack("[f, i, i, b]", 1.0, 2, 0, 1);
    int seen[MANY] = {0};
    for (int i = 0; i < MANY; i++) {
        json_array_append(state, unit);
    }
    CHECK_NUMBER(gspf_freeze_open(&f, &OPTIONS, MANY, NULL), 0);
    CHECK_NUMBER(gspf_freeze_restore(f, state, NULL), 0);
    for (int64_t step = 1; step <= OPTIONS.probe * LOOKS; step++) {
        int looked = 0;
        gspf_freeze_plan(f, step);
        for (int i = 0; i < MANY; i++) {
            looked += !gspf_freeze_still(f)[i];
            seen[i] += !gspf_freeze_still(f)[i];
        }
        CHECK(step % OPTIONS.probe == 0 ? looked == 2 || looked == 3 : looked == 0);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_NUMBER(seen[i], 1);
    }
    gspf_freeze_close(f);
    json_decref(unit);
    json_decref(state);
}

/* ---- In runs --------------------------------------------------------------------------------- */

static const struct gspf_options SOON = {
    .rows = 8, .keep = 0, .freeze = 0.65, .patience = 2, .probe = 3};
enum { STEPS = 24, SAMPLES = 4, DIFFERENT = 5 /* steps, before they are all alike */ };

struct rows_task {
    struct decoder_folder folder;
    struct device *device;
    struct decoder *base;
    struct gspf_freeze *freeze;
    struct trainer_step step;
    double loss;    /* of a token: of the step */
    int64_t frozen; /* units, at most */
};

struct rows_worker {
    struct rows_task *task;
    struct tensor frequency, loss;
    uint64_t seeds[SAMPLES];
    double sum;
};

static int rows_list(void *context, struct parameters *p, struct error *e) {
    const struct rows_task *k = context;
    return gspf_list(&MASK, &k->folder.config, parameters_take, p, e);
}

static int rows_fill(void *context, struct parameters *p, struct error *e) {
    (void)context;
    return parameters_fill(p, 1, e);
}

static json_t *rows_options(void *context) {
    (void)context;
    return json_pack("{s:I}", "mask", (json_int_t)mask_hash(&MASK));
}

static int read_trained(void *context, const char *name, float *values, struct error *e) {
    const struct optimizer *o = context;
    const struct parameter *one = parameters_find(o->parameters, name);
    return optimizer_read(o, parameters_index(o->parameters, one), values, e);
}

static int rows_ship(void *context, const struct optimizer *o, const char *path, struct error *e) {
    const struct rows_task *k = context;
    return gspf_write(path, &MASK, &k->folder.config, NULL, read_trained, (void *)(uintptr_t)o, e);
}

static int rows_slices(void *context, const struct parameters *p, struct slice **chosen,
                       size_t *count, struct error *e) {
    const struct rows_task *k = context;
    return gspf_slices(&MASK, p, gspf_freeze_still(k->freeze), chosen, count, e);
}

static int rows_watch(void *context, const struct optimizer *o, struct error *e) {
    struct rows_task *k = context;
    int rc = gspf_freeze_watch(k->freeze, o, e);
    const int64_t frozen = (int64_t)gspf_freeze_count(k->freeze);
    k->frozen = frozen > k->frozen ? frozen : k->frozen;
    return rc;
}

static int64_t rows_plan(void *context, const struct trainer_step *step) {
    struct rows_task *k = context;
    k->step = *step;
    gspf_freeze_plan(k->freeze, step->number);
    return SAMPLES;
}

static int rows_open(void *context, void **worker, struct device *device, struct error *e) {
    struct rows_task *k = context;
    struct rows_worker *w = calloc(1, sizeof *w);
    *worker = w;
    w->task = k;
    w->loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    int rc = decoder_frequency_table(&w->frequency, device, &k->folder.config, e);
    rc = rc == 0 ? device->ops->alloc(device, &w->loss, e) : rc;
    return rc == 0 ? device->ops->fill(device, &w->loss, 0, e) : rc;
}

static void rows_close(void *worker) {
    struct rows_worker *w = worker;
    struct device *d = w->loss.home;
    d->ops->release(d, &w->frequency);
    d->ops->release(d, &w->loss);
    free(w);
}

static int rows_load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e) {
    struct rows_worker *w = worker;
    const int64_t step = w->task->step.number;
    (void)e;
    w->seeds[slot] = (uint64_t)(step < DIFFERENT ? step * SAMPLES + index : 1);
    *targets = TOKENS;
    return 0;
}

static int go(struct rows_worker *w, uint64_t seed, const struct trainer_pass *pass, bool learning,
              struct error *e) {
    struct rows_task *k = w->task;
    struct tape *t = pass->tape;
    const struct gspf_source source = {.mask = &MASK,
                                       .base = k->base,
                                       .source = pass->parameters,
                                       .still = learning ? gspf_freeze_still(k->freeze) : NULL};
    const struct decoder_parts parts = gspf_parts(&source);
    int32_t ids[TOKENS], places[TOKENS], offsets[2] = {0, TOKENS};
    uint64_t state = random_stream(5, seed);
    for (int i = 0; i < TOKENS; i++) {
        ids[i] = (int32_t)random_below(&state, 30);
        places[i] = i;
    }
    tape_begin(t);
    const struct tensor tokens = tape_upload_numbers(t, ids, TOKENS);
    const struct tensor positions = tape_upload_numbers(t, places, TOKENS);
    const struct tensor sequences = tensor_vector(offsets, DTYPE_I32, NULL, 2);
    const struct decoder_input in = {.x = parts.embed(parts.context, t, &tokens),
                                     .positions = &positions,
                                     .offsets = &sequences};
    struct node *y = decoder_network(&k->folder.config, &parts, t, &w->frequency, &in);
    parts.classify(parts.context, t, y, &tokens, (float)(1 / pass->targets), &w->loss);
    return tape_backward(t, e);
}

static int64_t rows_learn(void *worker, int64_t slot, int64_t count,
                          const struct trainer_pass *pass, struct error *e) {
    struct rows_worker *w = worker;
    struct device *d = w->loss.home;
    float loss = 0;
    const struct tensor host = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    (void)count;
    int rc = go(w, w->seeds[slot], pass, true, e);
    rc = rc == 0 ? d->ops->download(d, &host, &w->loss, e) : rc;
    rc = rc == 0 ? d->ops->fill(d, &w->loss, 0, e) : rc;
    w->sum += (double)loss;
    return rc < 0 ? rc : 1;
}

static int rows_rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                         struct error *e) {
    void *worker = NULL;
    (void)threads;
    int rc = rows_open(context, &worker, tape_device(pass->tape), e);
    rc = rc == 0 ? go(worker, 0, pass, true, e) : rc;
    rows_close(worker);
    return rc;
}

static int rows_collect(void *context, void *worker, struct error *e) {
    struct rows_task *k = context;
    struct rows_worker *w = worker;
    (void)e;
    k->loss += w->sum / TOKENS / SAMPLES;
    w->sum = 0;
    return 0;
}

static void rows_report(void *context, json_t *line, double *loss) {
    struct rows_task *k = context;
    *loss = k->loss;
    if (line != NULL) {
        json_object_set_new(line, "loss", json_real(k->loss));
        k->loss = 0;
        json_object_set_new(line, "frozen", json_integer((json_int_t)gspf_freeze_count(k->freeze)));
    }
}

static int64_t nothing_held_out(void *context, int64_t step, bool last) {
    (void)context;
    (void)step;
    (void)last;
    return 0;
}

static void nothing_found(void *worker) {
    ((struct rows_worker *)worker)->sum = 0;
}

static json_t *rows_state(void *context) {
    return gspf_freeze_state(((const struct rows_task *)context)->freeze);
}

static int rows_restore(void *context, const json_t *state, struct error *e) {
    return gspf_freeze_restore(((struct rows_task *)context)->freeze, state, e);
}

static struct task task_of(struct rows_task *k) {
    return (struct task){.context = k,
                         .samples = "rows",
                         .shipped = "adapter",
                         .list = rows_list,
                         .fill = rows_fill,
                         .options = rows_options,
                         .ship = rows_ship,
                         .slices = rows_slices,
                         .watch = rows_watch,
                         .plan = rows_plan,
                         .open = rows_open,
                         .close = rows_close,
                         .load = rows_load,
                         .learn = rows_learn,
                         .rehearse = rows_rehearse,
                         .held_out = nothing_held_out,
                         .discard = nothing_found,
                         .state = rows_state,
                         .restore = rows_restore,
                         .collect = rows_collect,
                         .report = rows_report};
}

/* In `folder`, up to step `stop_at`; 0: to the end. The units that were frozen, at most. */
static int64_t run_in(const char *folder, int64_t threads, int64_t stop_at, int code) {
    struct trainer_options o = TRAINER_DEFAULTS;
    struct trainer_result result;
    struct rows_task k = {.frozen = 0};
    struct error e = {0};
    const struct task task = task_of(&k);
    must(decoder_folder_open(&k.folder, SMALL_MODEL, &e), &e);
    k.device = tested_device_open(DTYPE_F32);
    must(decoder_open(&k.base, &k.folder, DECODER_F32, k.device, &e), &e);
    must(gspf_freeze_open(&k.freeze, &SOON, MASK.count, &e), &e);
    o.folder = folder;
    o.device = tested_device();
    o.compute = "f32";
    o.threads = threads;
    o.stop_at = stop_at;
    o.note_steps = 1;
    o.tape.recompute = RECOMPUTE_BLOCK;
    o.schedule = (struct schedule){.rate = 0.02, .steps = STEPS, .warm_up = 1};
    CHECK_NUMBER(trainer_run(&o, &task, NULL, &result, &e), code);
    if (code == 0) {
        const size_t wanted = ledger_total(result.ledger.measured);
        const double share = (double)ledger_total(result.ledger.predicted) / (double)wanted;
        CHECK(!tested_is_foreseen() || fabs(share - 1) <= 0.15);
        CHECK(result.ledger.measured[LEDGER_MOMENTS] <
              2 * result.ledger.measured[LEDGER_WEIGHTS] + 4096);
    }
    gspf_freeze_close(k.freeze);
    decoder_close(k.base);
    device_close(k.device);
    decoder_folder_close(&k.folder);
    return k.frozen;
}

static void read_shipped(const char *folder, struct bytes *out) {
    char path[128];
    snprintf(path, sizeof path, "%s/adapter/%s", folder, GSPF_FILE);
    bytes_clear(out);
    CHECK_NUMBER(file_read(path, out, NULL), 0);
}

static void run_folder(char path[64]) {
    folder_new(path);
    CHECK_NUMBER(mkdir(path, 0777), 0);
}

static double loss_of_line(const char *folder, int number) {
    char path[128];
    snprintf(path, sizeof path, "%s/metrics.ndjson", folder);
    FILE *file = fopen(path, "r");
    json_t *line = NULL;
    for (int i = 0; file != NULL && i < number; i++) {
        json_decref(line);
        line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
    }
    const double loss = json_number_value(json_object_get(line, "loss"));
    CHECK(file != NULL && line != NULL);
    json_decref(line);
    fclose(file);
    return loss;
}

static void a_stopped_run_ends_with_the_same_rows(void) {
    struct bytes whole, again;
    char path[64], other[64];
    bytes_init(&whole, 1 << 20);
    bytes_init(&again, 1 << 20);
    for (int64_t threads = 1; threads <= 2; threads++) {
        run_folder(path);
        run_folder(other);
        CHECK(run_in(path, threads, 0, 0) > 0); /* or it tests little */
        read_shipped(path, &whole);
        for (int64_t stop = 3; stop < STEPS; stop += 5) {
            run_in(other, threads, stop, ERR_CANCELLED);
        }
        run_in(other, threads, 0, 0);
        read_shipped(other, &again);
        CHECK(whole.size == again.size && memcmp(whole.data, again.data, whole.size) == 0);
        CHECK(loss_of_line(path, STEPS) < loss_of_line(path, 1) - 0.1);
        folder_end(path);
        folder_end(other);
    }
    bytes_close(&whole);
    bytes_close(&again);
}

int main(void) {
    RUN(what_stays_small_is_frozen_and_thawed_again);
    RUN(frozen_units_take_turns);
    RUN(a_stopped_run_ends_with_the_same_rows);
    return test_finish();
}
