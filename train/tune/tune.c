/* tune.c - see tune.h: tuning as a task of the trainer. */
#include "train/tune/tune.h"

#include <inttypes.h>
#include <math.h>

#include "compress/dry.h"
#include "store/clock.h"
#include "store/json.h"
#include "store/log.h"
#include "train/tune/task.h"

const char *const TUNE_METHOD_NAMES[] = {"full", "lora", "gspf", "random-mask", "occ", NULL};

const struct tune_options TUNE_DEFAULTS = {
    .trainer =
        {.device = "auto",
         .optimizer = {.decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .clip = 1},
         .schedule = {.rate = 3e-5, .steps = 0, .warm_up = -1},
         .tape = {.storage = DTYPE_BF16, .sums = DTYPE_BF16, .recompute = RECOMPUTE_BLOCK},
         .threads = 1,
         .team = 0,
         .save_ms = 5 * 60 * 1000,
         .note_steps = 1},
    .method = TUNE_LORA,
    .lora = LORA_DEFAULTS,
    .gspf = GSPF_DEFAULTS,
    .batch = 640,
    .epochs = 1,
    .measure_steps = 20,
    .measure_rows = 64,
    .patience = 3,
    .seed = 1};

/* ---- Plans and metrics ----------------------------------------------------------------------- */

static int64_t make_plan(void *context, const struct trainer_step *step) {
    struct tune_task *k = context;
    k->begun = clock_seconds();
    k->step = step->number;
    k->threads = step->threads;
    if (k->freeze != NULL) {
        gspf_freeze_plan(k->freeze, step->number);
    }
    return k->batch;
}

/* How the experts were chosen, how many units of the mask do not learn. */
static void report_parts(struct tune_task *k, json_t *line) {
    if (k->bridge.experts.count > 0) {
        json_object_set_new(line, "experts", tune_routing_line(k));
        tune_routing_clear(&k->routed, k->bridge.experts.count);
    }
    if (k->freeze != NULL) {
        json_object_set_new(line, "frozen", json_integer((json_int_t)gspf_freeze_count(k->freeze)));
    }
}

static void report(void *context, json_t *line, double *loss) {
    struct tune_task *k = context;
    *loss = k->learned.targets > 0 ? k->learned.loss / (double)k->learned.targets : 0;
    if (line == NULL) {
        return;
    }
    if (k->learned.targets > 0 && isfinite(*loss)) {
        json_object_set_new(line, "loss", json_real(*loss));
        json_object_set_new(line, "targets", json_integer(k->learned.targets));
        json_object_set_new(line, "tokens", json_integer(k->learned.tokens));
        report_parts(k, line);
    }
    if (k->is_news && isfinite(k->last)) {
        json_object_set_new(line, "held_out", json_real(k->last));
    }
    k->is_news = false;
    k->learned = (struct tune_sums){.rows = 0};
}

/* ---- What a run that goes on must have in common --------------------------------------------- */

static json_t *lora_of(const struct tune_task *k) {
    json_t *matrices = json_array();
    for (int i = 0; i < DECODER_MATRICES; i++) {
        json_array_append_new(matrices, json_boolean(k->lora.matrices[i]));
    }
    return json_pack("{s:I, s:f, s:f, s:o, s:s}", "rank", (json_int_t)k->lora.rank, "alpha",
                     k->lora.alpha, "dropout", k->lora.dropout, "matrices", matrices, "weights",
                     DECODER_FORMAT_NAMES[k->options->format]);
}

static json_t *rows_of(const struct tune_task *k) {
    const struct gspf_options *o = &k->options->gspf;
    return json_pack("{s:o, s:f, s:f, s:I, s:f, s:I, s:I, s:s}", "mask",
                     json_hexadecimal(mask_hash(&k->mask)), "budget", o->budget, "keep", o->keep,
                     "memory", (json_int_t)o->memory, "freeze", o->freeze, "patience",
                     (json_int_t)o->patience, "probe", (json_int_t)o->probe, "weights",
                     DECODER_FORMAT_NAMES[k->options->format]);
}

/* Learning rates may be changed, but not from or to 0, which lists other tensors. */
static json_t *bridge_of(const struct tune_task *k) {
    const struct bridge_options *b = &k->bridge;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:b}", "kind",
                     BRIDGE_KIND_NAMES[b->kind], "expand", (json_int_t)b->expand, "hidden",
                     (json_int_t)b->hidden, "experts", (json_int_t)b->experts.count, "chosen",
                     (json_int_t)b->experts.chosen, "expert_hidden", (json_int_t)b->experts.hidden,
                     "balance", b->experts.balance, "encoder", json_hexadecimal(b->encoder),
                     "trained", k->options->bridge.rate > 0);
}

static json_t *options_of(void *context) {
    const struct tune_task *k = context;
    const struct tune_options *o = k->options;
    json_t *all = json_pack(
        "{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "method", TUNE_METHOD_NAMES[o->method], "model",
        json_hexadecimal(decoder_folder_hash(k->model)), "corpus",
        json_hexadecimal(tune_rows_hash(&k->data)), "batch", (json_int_t)k->batch, "seed",
        (json_int_t)o->seed, "measure_steps", (json_int_t)o->measure_steps, "measure_rows",
        (json_int_t)k->measured_rows, "patience", (json_int_t)o->patience);
    int failed = all == NULL;
    if (o->adapter != NULL) {
        failed |= json_object_set_new(all, "from", json_hexadecimal(k->start.hash));
    }
    if (o->method == TUNE_LORA) {
        failed |= json_object_set_new(all, "lora", lora_of(k));
    }
    if (tune_by_rows(o->method)) {
        failed |= json_object_set_new(all, "rows", rows_of(k));
    }
    if (o->bridge.used) {
        failed |= json_object_set_new(all, "bridge", bridge_of(k));
    }
    if (tune_encodes(o)) {
        failed |= json_object_set_new(all, "encoder", json_true());
    }
    if (failed) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void hold(void *context, size_t bytes[LEDGER_COUNT]) {
    const struct tune_task *k = context;
    bytes[LEDGER_FROZEN] = k->base != NULL ? decoder_bytes(k->base) + k->below_bytes : 0;
    bytes[LEDGER_TEXT] = tune_rows_bytes(&k->data);
}

/* ---- Slices of the optimizer ----------------------------------------------------------------- */

static int make_slices(void *context, const struct parameters *p, struct slice **out, size_t *count,
                       struct error *e) {
    const struct tune_task *k = context;
    const bool *still = k->freeze != NULL ? gspf_freeze_still(k->freeze) : NULL;
    return gspf_slices(&k->mask, p, still, out, count, e);
}

static int watch(void *context, const struct optimizer *o, struct error *e) {
    struct tune_task *k = context;
    return k->freeze != NULL ? gspf_freeze_watch(k->freeze, o, e) : 0;
}

/* ---- The run --------------------------------------------------------------------------------- */

static struct task task_of(struct tune_task *k) {
    const bool rows = tune_by_rows(k->options->method);
    return (struct task){.context = k,
                         .samples = "rows",
                         .shipped = k->options->method == TUNE_FULL ? "model" : "adapter",
                         .list = tune_task_list,
                         .fill = tune_task_fill,
                         .options = options_of,
                         .ship = tune_task_ship,
                         .slices = rows ? make_slices : NULL,
                         .watch = rows ? watch : NULL,
                         .plan = make_plan,
                         .open = tune_task_open,
                         .close = tune_task_close,
                         .load = tune_task_load,
                         .learn = tune_task_learn,
                         .rehearse = tune_task_rehearse,
                         .held_out = tune_task_held_out,
                         .measure = tune_task_measure,
                         .judge = tune_task_judge,
                         .state = tune_task_state,
                         .restore = tune_task_restore,
                         .hold = hold,
                         .collect = tune_task_collect,
                         .discard = tune_task_discard,
                         .report = report};
}

int tune_open_device(const struct tune_task *k, struct device **out, struct error *e) {
    const struct backend *backend;
    enum dtype compute;
    int rc = trainer_backend(&k->options->trainer, &backend, &compute, e);
    return rc == 0 ? device_open(out, backend, compute, e) : rc;
}

static int open_dry_device(const struct tune_task *k, struct device **out, struct error *e) {
    const struct backend *backend;
    enum dtype compute;
    int rc = trainer_backend(&k->options->trainer, &backend, &compute, e);
    return rc == 0 ? dry_open(out, backend, compute, e) : rc;
}

/* What is below rows that are trained. */
static int open_below(struct tune_task *k, struct error *e) {
    const size_t before = k->device->bytes;
    if (!k->start.has_lora || !tune_by_rows(k->options->method)) {
        return 0;
    }
    int rc = lora_open(&k->below, k->options->adapter, k->base, k->device, e);
    k->below_bytes = k->device->bytes - before;
    return rc;
}

int tune_open_decoder(const struct tune_task *k, struct decoder **out, struct error *e) {
    const enum decoder_format format = k->options->format;
    return k->dry ? decoder_open_dry(out, k->config, k->model, format, k->device, e)
                  : decoder_open(out, k->model, format, k->device, e);
}

/* Frozen weights, for all threads, on a device of their own. */
static int open_base(struct tune_task *k, struct error *e) {
    int rc = k->dry ? open_dry_device(k, &k->device, e) : tune_open_device(k, &k->device, e);
    if (rc == 0 && k->options->method != TUNE_FULL) {
        rc = tune_open_decoder(k, &k->base, e);
    }
    if (rc == 0) {
        rc = tune_start_bridge(k, e);
    }
    return rc == 0 ? open_below(k, e) : rc;
}

/* Who of the mask learns. */
static int open_freeze(struct tune_task *k, struct error *e) {
    const struct gspf_options *o = &k->options->gspf;
    return tune_by_rows(k->options->method) && o->freeze > 0
               ? gspf_freeze_open(&k->freeze, o, k->mask.count, e)
               : 0;
}

static void close_task(struct tune_task *k) {
    tune_routing_close(k);
    gspf_freeze_close(k->freeze);
    mask_close(&k->mask);
    lora_close(k->below);
    decoder_close(k->base);
    tune_start_close(k);
    if (k->dry) {
        dry_close(k->device);
    } else {
        device_close(k->device);
    }
}

/* Rows, steps and warm-up. `threads` take an equal number of rows each. */
static int settle_steps(struct tune_task *k, struct trainer_options *trainer, struct error *e) {
    const struct tune_options *o = k->options;
    struct schedule *s = &trainer->schedule;
    const int64_t threads = trainer->threads > 0 ? trainer->threads : 1;
    const struct tune_counts rows = tune_rows_count(&k->data);
    k->training_rows = rows.rows;
    k->held_rows = rows.held_rows;
    k->measured_rows = rows.held_rows < o->measure_rows ? rows.held_rows : o->measure_rows;
    if (k->training_rows == 0) {
        return error_set(e, ERR_FORMAT, "there is no text to learn from");
    }
    k->batch = o->batch < k->training_rows ? o->batch : k->training_rows;
    k->batch = k->batch > threads ? k->batch - k->batch % threads : threads;
    trainer->threads = k->threads = threads;
    if (s->steps == 0) {
        s->steps = (int64_t)ceil(o->epochs * (double)k->training_rows / (double)k->batch);
        s->steps = s->steps > 0 ? s->steps : 1;
    }
    if (s->warm_up < 0) {
        s->warm_up = (s->steps * 3 + 99) / 100;
    }
    log_info("%" PRId64 " rows, %" PRId64 " of them in a step, %" PRId64 " steps; %" PRId64
             " rows held out are measured",
             k->training_rows, k->batch, s->steps, k->measured_rows);
    return 0;
}

/* The bridge has a rate of its own, and so has the encoder; what spells, with most of the bridge's
 * numbers, a lower one; and so have experts, which are noise to a decoder that reads until they
 * have learned something. */
static void settle_groups(const struct tune_options *o, struct trainer_options *trainer) {
    static const double SPELLING = 0.3, EXPERTS = 0.1;
    const struct optimizer_group groups[] = {{"bridge", o->bridge.rate, 1},
                                             {READING_GROUP, SPELLING * o->bridge.rate, 1},
                                             {"spell", SPELLING * o->bridge.rate, 1},
                                             {"experts", EXPERTS, 1},
                                             {CONFIG_GROUP, o->encoder_rate, 1}};
    for (size_t i = 0; i < sizeof groups / sizeof *groups && o->bridge.used; i++) {
        trainer->optimizer.groups[i] = groups[i];
    }
}

/* The time that the choice of rows took is the run's. */
static int choose_rows(struct tune_task *k, struct trainer_options *trainer,
                       const volatile sig_atomic_t *cancel, struct error *e) {
    const double began = clock_seconds();
    if (!tune_by_rows(k->options->method)) {
        return 0;
    }
    int rc = tune_choose(k, trainer, cancel, e);
    if (trainer->time_ms > 0) {
        const int64_t left = trainer->time_ms - (int64_t)((clock_seconds() - began) * 1e3);
        trainer->time_ms = left > 1 ? left : 1;
    }
    return rc == 0 ? open_freeze(k, e) : rc;
}

static struct tune_result result_of(const struct tune_task *k, const struct trainer_result *run) {
    return (struct tune_result){
        .run = *run,
        .tokens = k->tokens,
        .tokens_per_second = k->tokens > 0 && k->learning > 0 ? (double)k->tokens / k->learning : 0,
        .before = k->before,
        .best = k->best,
        .best_step = k->best_step,
        .measured = k->measured,
        .trained = k->trained};
}

int tune_train(const struct tune_options *options, const struct decoder_folder *model,
               const struct tune_data *data, const volatile sig_atomic_t *cancel,
               struct tune_result *result, struct error *e) {
    struct tune_task k = {.options = options,
                          .config = &model->config,
                          .model = model,
                          .data = *data,
                          .best_step = -1};
    struct trainer_options trainer = options->trainer;
    struct trainer_result run = {.step = 0};
    int rc = tune_start_open(&k, e);
    if (rc == 0) {
        rc = settle_steps(&k, &trainer, e);
    }
    if (rc == 0) {
        settle_groups(options, &trainer);
        rc = open_base(&k, e);
    }
    if (rc == 0) {
        k.shape = tune_rows_largest(&k.data);
        rc = choose_rows(&k, &trainer, cancel, e);
    }
    if (rc == 0) {
        rc = tune_routing_open(&k, e);
    }
    if (rc == 0) {
        const struct task task = task_of(&k);
        k.started = clock_seconds();
        k.trained = tune_trained(&k);
        rc = trainer_run(&trainer, &task, cancel, &run, e);
    }
    *result = result_of(&k, &run);
    close_task(&k);
    return rc;
}

/* ---- Forecasts ------------------------------------------------------------------------------- */

int tune_task_forecast(struct tune_task *k, struct ledger *ledger, struct error *e) {
    const struct task task = task_of(k);
    struct trainer_options trainer = k->options->trainer;
    trainer.threads = k->threads;
    return trainer_forecast(&trainer, &task, ledger, e);
}

int tune_forecast(const struct tune_options *options, const struct decoder_config *config,
                  const struct decoder_folder *model, const struct tune_shape *shape,
                  struct ledger *ledger, struct error *e) {
    struct tune_task k = {
        .options = options, .config = config, .model = model, .dry = true, .shape = *shape};
    const int64_t threads = options->trainer.threads;
    k.threads = threads > 0 ? threads : 1;
    *ledger = (struct ledger){.predicted = {0}};
    int rc = tune_start_open(&k, e);
    if (rc == 0) {
        rc = open_base(&k, e);
    }
    if (rc == 0 && tune_by_rows(options->method)) {
        rc = options->mask != NULL ? mask_read(&k.mask, options->mask, config, e)
             : k.start.has_rows    ? tune_copy_mask(&k.mask, &k.start.rows.mask, e)
                                   : tune_choose_any(&k, e);
    }
    if (rc == 0) {
        rc = tune_task_forecast(&k, ledger, e);
    }
    close_task(&k);
    return rc;
}
