/* tune.c - see tune.h: tuning as a task of the trainer. */
#include "train/tune/tune.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "compress/dry.h"
#include "store/clock.h"
#include "store/log.h"
#include "train/tune/task.h"

const char *const TUNE_METHOD_NAMES[] = {"full", "lora", NULL};

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
    return k->batch;
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
    }
    if (k->is_news && isfinite(k->last)) {
        json_object_set_new(line, "held_out", json_real(k->last));
    }
    k->is_news = false;
    k->learned = (struct tune_sums){.rows = 0};
}

/* ---- What a run that goes on must have in common --------------------------------------------- */

/* The beginning of each tensor: enough to tell one model from another. */
static uint64_t hash_of_model(const struct decoder_folder *model) {
    enum { BEGINNING = 256 };
    uint64_t hash = 0;
    for (size_t i = 0; i < safetensors_count(model->tensors); i++) {
        const struct safetensor *t = safetensors_get(model->tensors, i);
        hash = XXH3_64bits_withSeed(t->name, strlen(t->name), hash);
        hash = XXH3_64bits_withSeed(t->data, t->bytes < BEGINNING ? t->bytes : BEGINNING, hash);
    }
    return hash;
}

static json_t *hexadecimal(uint64_t number) {
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, number);
    return json_string(text);
}

static json_t *options_of(void *context) {
    const struct tune_task *k = context;
    const struct tune_options *o = k->options;
    json_t *all = json_pack(
        "{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "method", TUNE_METHOD_NAMES[o->method], "model",
        hexadecimal(hash_of_model(k->model)), "corpus", hexadecimal(corpus_hash(k->corpus)),
        "batch", (json_int_t)k->batch, "seed", (json_int_t)o->seed, "measure_steps",
        (json_int_t)o->measure_steps, "measure_rows", (json_int_t)k->measured_rows, "patience",
        (json_int_t)o->patience);
    if (o->method == TUNE_LORA && all != NULL) {
        json_t *matrices = json_array();
        for (int i = 0; i < DECODER_MATRICES; i++) {
            json_array_append_new(matrices, json_boolean(k->lora.matrices[i]));
        }
        json_t *lora = json_pack("{s:I, s:f, s:f, s:o, s:s}", "rank", (json_int_t)k->lora.rank,
                                 "alpha", k->lora.alpha, "dropout", k->lora.dropout, "matrices",
                                 matrices, "weights", DECODER_FORMAT_NAMES[o->format]);
        if (json_object_set_new(all, "lora", lora) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void hold(void *context, size_t bytes[LEDGER_COUNT]) {
    enum { TOKEN = 3 * sizeof(int32_t) }; /* id, label, position */
    const struct tune_task *k = context;
    bytes[LEDGER_FROZEN] = k->base != NULL ? decoder_bytes(k->base) : 0;
    bytes[LEDGER_TEXT] = 0;
    for (int i = 0; i < CORPUS_SETS && k->corpus != NULL; i++) {
        bytes[LEDGER_TEXT] += (size_t)corpus_counts(k->corpus, (enum corpus_set)i).tokens * TOKEN;
    }
}

/* ---- The run --------------------------------------------------------------------------------- */

static struct task task_of(struct tune_task *k) {
    return (struct task){.context = k,
                         .samples = "rows",
                         .shipped = k->options->method == TUNE_FULL ? "model" : "adapter",
                         .list = tune_task_list,
                         .fill = tune_task_fill,
                         .options = options_of,
                         .ship = tune_task_ship,
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

static int compute_of(const struct trainer_options *o, const struct backend **backend,
                      enum dtype *compute, struct error *e) {
    int rc = backend_open(backend, o->device, e);
    return rc < 0 ? rc
                  : backend_compute(*backend, o->compute != NULL ? o->compute : "auto", compute, e);
}

/* Frozen weights, for all threads, on a device of their own. */
static int open_base(const struct tune_options *o, const struct decoder_folder *model,
                     struct device **device, struct decoder **out, struct error *e) {
    const struct backend *backend;
    enum dtype compute;
    int rc = compute_of(&o->trainer, &backend, &compute, e);
    if (rc == 0) {
        rc = device_open(device, backend, compute, e);
    }
    return rc == 0 ? decoder_open(out, model, o->format, *device, e) : rc;
}

/* An adapter that is gone on with keeps its shape; dropout is no part of it. */
static int settle_lora(struct tune_task *k, struct error *e) {
    const struct tune_options *o = k->options;
    struct lora_folder adapter;
    k->lora = o->lora;
    if (o->method == TUNE_FULL || o->adapter == NULL) {
        return 0;
    }
    int rc = lora_folder_open(&adapter, o->adapter, k->config, e);
    if (rc == 0) {
        k->lora = adapter.options;
        k->lora.dropout = o->lora.dropout;
        lora_folder_close(&adapter);
    }
    return rc;
}

/* Rows, steps and warm-up. `threads` take an equal number of rows each. */
static int settle_steps(struct tune_task *k, struct trainer_options *trainer, struct error *e) {
    const struct tune_options *o = k->options;
    struct schedule *s = &trainer->schedule;
    const int64_t threads = trainer->threads > 0 ? trainer->threads : 1;
    k->training_rows = corpus_counts(k->corpus, CORPUS_TRAINING).rows;
    k->measured_rows = corpus_counts(k->corpus, CORPUS_HELD_OUT).rows;
    k->measured_rows = k->measured_rows < o->measure_rows ? k->measured_rows : o->measure_rows;
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

static int64_t longest_row(const struct corpus *corpus, int64_t rows) {
    int64_t most = 1;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t tokens = corpus_row(corpus, CORPUS_TRAINING, 0, i).tokens;
        most = tokens > most ? tokens : most;
    }
    return most;
}

int tune_train(const struct tune_options *options, const struct decoder_folder *model,
               const struct corpus *corpus, const volatile sig_atomic_t *cancel,
               struct tune_result *result, struct error *e) {
    struct tune_task k = {.options = options,
                          .config = &model->config,
                          .model = model,
                          .corpus = corpus,
                          .best_step = -1};
    struct trainer_options trainer = options->trainer;
    struct device *device = NULL;
    struct decoder *base = NULL;
    *result = (struct tune_result){.best_step = -1};
    int rc = settle_lora(&k, e);
    if (rc == 0) {
        rc = settle_steps(&k, &trainer, e);
    }
    if (rc == 0 && options->method != TUNE_FULL) {
        rc = open_base(options, model, &device, &base, e);
        k.base = base;
    }
    if (rc == 0) {
        const struct task task = task_of(&k);
        k.context = longest_row(corpus, k.training_rows);
        k.started = clock_seconds();
        rc = trainer_run(&trainer, &task, cancel, &result->run, e);
    }
    result->tokens = k.tokens;
    result->tokens_per_second = k.tokens > 0 && k.learning > 0 ? (double)k.tokens / k.learning : 0;
    result->before = k.before;
    result->best = k.best;
    result->best_step = k.best_step;
    result->measured = k.measured;
    decoder_close(base);
    device_close(device);
    return rc;
}

int tune_forecast(const struct tune_options *options, const struct decoder_config *config,
                  const struct decoder_folder *model, int64_t context, struct ledger *ledger,
                  struct error *e) {
    struct tune_task k = {.options = options, .config = config, .context = context};
    const struct backend *backend;
    struct device *dry = NULL;
    struct decoder *base = NULL;
    enum dtype compute;
    *ledger = (struct ledger){.predicted = {0}};
    int rc = compute_of(&options->trainer, &backend, &compute, e);
    if (rc == 0) {
        rc = settle_lora(&k, e);
    }
    if (rc == 0) {
        rc = dry_open(&dry, compute, e);
    }
    if (rc == 0 && options->method != TUNE_FULL) {
        rc = decoder_open_dry(&base, config, model, options->format, dry, e);
        k.base = base;
    }
    if (rc == 0) {
        const struct task task = task_of(&k);
        rc = trainer_forecast(&options->trainer, &task, ledger, e);
    }
    decoder_close(base);
    dry_close(dry);
    return rc;
}
