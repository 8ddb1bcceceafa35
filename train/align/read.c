/* read.c - a decoder with adapters learns to read spans of visual tokens: as a task of the trainer.
 */
#include <inttypes.h>
#include <math.h>

#include "store/clock.h"
#include "store/log.h"
#include "train/align/task.h"

/* ---- The network ----------------------------------------------------------------------------- */

static int list(void *context, struct parameters *p, struct error *e) {
    const struct align_task *k = context;
    return align_list(k->network, true, p, e);
}

static int fill(void *context, struct parameters *p, struct error *e) {
    const struct align_task *k = context;
    return align_fill(k->network, k->bridge, k->network->options->adapter, p, e);
}

static int ship(void *context, const struct optimizer *o, const char *path, struct error *e) {
    const struct align_task *k = context;
    return align_ship(k->network, true, o, path, e);
}

/* ---- Plans and metrics ----------------------------------------------------------------------- */

static void show_lesson(const struct curriculum *c) {
    if (c->at == c->count) {
        log_info("all lessons are over: spans of all lengths, and what follows them");
        return;
    }
    const struct lesson *l = &c->lessons[c->at];
    log_info("lesson %d of %d: spans of %" PRId64 " to %" PRId64 " tokens, %" PRId64 " to %" PRId64
             " soft tokens for each",
             c->at + 1, c->count, l->least, l->most, l->to, l->from);
}

static int64_t make_plan(void *context, const struct trainer_step *step) {
    struct align_task *k = context;
    if (curriculum_step(&k->curriculum, step->number, k->lesson.loss, k->lesson.targets)) {
        show_lesson(&k->curriculum);
    }
    k->lesson = (struct score_sums){.rows = 0};
    k->begun = clock_seconds();
    k->step = step->number;
    k->threads = step->threads;
    k->batch += (step->threads - k->batch % step->threads) % step->threads;
    return k->batch;
}

static void report(void *context, json_t *line, double *loss) {
    struct align_task *k = context;
    *loss = score_sums_loss(&k->learned);
    if (line == NULL) {
        return;
    }
    if (k->learned.targets > 0 && isfinite(*loss)) {
        json_object_set_new(line, "loss", json_real(*loss));
        json_object_set_new(line, "targets", json_integer(k->learned.targets));
        json_object_set_new(line, "tokens", json_integer(k->learned.tokens));
        json_object_set_new(line, "lesson", json_integer(k->curriculum.at + 1));
    }
    if (k->is_news && isfinite(k->last)) {
        json_object_set_new(line, "held_out", json_real(k->last));
        json_object_set_new(line, "read", json_real(k->accuracy));
        json_object_set_new(line, "following", json_real(k->continuation));
    }
    k->is_news = false;
    k->learned = (struct score_sums){.rows = 0};
}

/* ---- What a run that goes on must have in common --------------------------------------------- */

static json_t *options_of(void *context) {
    const struct align_task *k = context;
    const struct align_options *o = k->network->options;
    const struct lora_options *lora = &k->network->lora;
    json_t *all = align_common(k->network), *matrices = json_array();
    for (int i = 0; i < DECODER_MATRICES; i++) {
        json_array_append_new(matrices, json_boolean(lora->matrices[i]));
    }
    json_t *own = json_pack(
        "{s:I, s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:{s:I, s:f, s:f, s:o}}", "match",
        (json_int_t)o->match.steps, "match_rate", o->match.rate, "batch", (json_int_t)o->batch,
        "row", (json_int_t)o->row, "span", (json_int_t)o->span, "limit", o->limit, "lessons",
        o->lessons, "continuing", o->continuing, "measure_steps", (json_int_t)o->measure_steps,
        "measure_rows", (json_int_t)k->measured_rows, "patience", (json_int_t)o->patience, "lora",
        "rank", (json_int_t)lora->rank, "alpha", lora->alpha, "dropout", lora->dropout, "matrices",
        matrices);
    if (all == NULL || own == NULL || json_object_update(all, own) != 0) {
        json_decref(all);
        all = NULL;
    }
    json_decref(own);
    return all;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void hold(void *context, size_t bytes[LEDGER_COUNT]) {
    const struct align_task *k = context;
    bytes[LEDGER_FROZEN] = decoder_bytes(k->network->base);
    bytes[LEDGER_TEXT] = k->network->material != NULL ? material_bytes(k->network->material) : 0;
}

static struct task task_of(struct align_task *k) {
    return (struct task){.context = k,
                         .samples = "rows",
                         .shipped = "adapter",
                         .list = list,
                         .fill = fill,
                         .options = options_of,
                         .ship = ship,
                         .plan = make_plan,
                         .open = align_task_open,
                         .close = align_task_close,
                         .load = align_task_load,
                         .learn = align_task_learn,
                         .rehearse = align_task_rehearse,
                         .held_out = align_task_held_out,
                         .measure = align_task_measure,
                         .judge = align_task_judge,
                         .state = align_task_state,
                         .restore = align_task_restore,
                         .hold = hold,
                         .collect = align_task_collect,
                         .discard = align_task_discard,
                         .report = report};
}

/* The bridge spells when reading begins: the first steps need no great care. */
enum { WARM_UP = 50 };

int align_read(const struct align_network *n, const char *bridge,
               const volatile sig_atomic_t *cancel, struct align_result *result, struct error *e) {
    const struct align_options *o = n->options;
    struct align_task k = {.network = n, .bridge = bridge, .batch = o->batch, .best_step = -1};
    struct trainer_options trainer = o->trainer;
    struct schedule *s = &trainer.schedule;
    const struct task task = task_of(&k);
    curriculum_open(&k.curriculum, o);
    k.measured_rows =
        material_counts(n->material, CORPUS_HELD_OUT).tokens > 0 ? o->measure_rows : 0;
    if (s->warm_up < 0) {
        s->warm_up = s->steps < 100 * WARM_UP ? (s->steps + 99) / 100 : WARM_UP;
    }
    int rc = trainer_run(&trainer, &task, cancel, &result->run, e);
    result->tokens = k.tokens;
    result->tokens_per_second = k.tokens > 0 && k.learning > 0 ? (double)k.tokens / k.learning : 0;
    result->before = k.before;
    result->best = k.best;
    result->accuracy = k.best_accuracy;
    result->continuation = k.best_continuation;
    result->best_step = k.best_step;
    result->measured = k.measured;
    return rc;
}

int align_read_forecast(const struct align_network *n, struct ledger *ledger, struct error *e) {
    struct align_task k = {.network = n, .batch = n->options->batch, .best_step = -1};
    const struct task task = task_of(&k);
    curriculum_open(&k.curriculum, n->options);
    return trainer_forecast(&n->options->trainer, &task, ledger, e);
}
