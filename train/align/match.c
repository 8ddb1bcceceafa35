/* match.c - the bridge alone learns what text is under visual tokens, as a task of the trainer: see
 * match.h. */
#include "train/align/match.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compress/ops.h"
#include "store/array.h"
#include "store/file.h"
#include "store/json.h"
#include "store/log.h"

enum {
    MEASURED = 64,     /* samples of held-out accounts */
    MEASURE_STEPS = 50 /* between measurements */
};

static bool spells(const struct match_task *k) {
    return k->network->bridge.kind == BRIDGE_READING;
}

static match_sample *sample_of(const struct match_task *k) {
    return spells(k) ? match_spelling : match_means;
}

static int64_t width_of(const struct match_worker *w) {
    return w->task->network->config->width;
}

/* ---- Memory of the host ---------------------------------------------------------------------- */

float *match_room(struct match_worker *w, struct tape *t, int buffer, int64_t count) {
    struct error e;
    float *room =
        array_grow(w->host[buffer], &w->capacity[buffer], (size_t)count, sizeof *room, &e);
    if (room == NULL) {
        tape_fail(t, ERR_MEMORY, &e);
        return NULL;
    }
    w->host[buffer] = room;
    return room;
}

void match_fetch(struct match_worker *w, struct tape *t, const struct node *x, float *to) {
    struct device *d = w->device;
    struct error e;
    if (x == NULL || to == NULL) {
        return;
    }
    struct tensor like = x->value;
    like.type = DTYPE_F32;
    const struct tensor copy = tape_space(t, &like);
    if (copy.data == NULL) {
        return;
    }
    const struct tensor host =
        tensor_matrix(to, DTYPE_F32, NULL, tensor_rows(&like), tensor_width(&like));
    const struct tensor from = tensor_as_matrix(&copy);
    tape_fail(t, d->ops->copy(d, &copy, &x->value, &e), &e);
    tape_fail(t, tape_status(t, NULL) == 0 ? d->ops->download(d, &host, &from, &e) : 0, &e);
    tape_fail(t, tape_status(t, NULL) == 0 ? d->ops->synchronize(d, &e) : 0, &e);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static int open_sums(struct match_sums *sums, int64_t width, struct error *e) {
    for (int i = 0; i < 2; i++) {
        sums->means[i] = calloc((size_t)width, sizeof *sums->means[i]);
        if (sums->means[i] == NULL) {
            return error_memory(e, NULL);
        }
    }
    return 0;
}

static void close_sums(struct match_sums *sums) {
    free(sums->means[0]);
    free(sums->means[1]);
}

/* Adds and clears. */
static void move_sums(struct match_sums *to, struct match_sums *from, int64_t width) {
    to->loss += from->loss;
    to->cosine += from->cosine;
    to->product += from->product;
    to->rows += from->rows;
    to->right += from->right;
    to->words += from->words;
    for (int i = 0; i < 2; i++) {
        to->squares[i] += from->squares[i];
        for (int64_t j = 0; j < width && from->means[i] != NULL; j++) {
            to->means[i][j] += from->means[i][j];
            from->means[i][j] = 0;
        }
    }
    *from = (struct match_sums){.means = {from->means[0], from->means[1]}};
}

static void close_worker(void *worker) {
    struct match_worker *w = worker;
    if (w != NULL) {
        span_rows_close(w->rows);
        close_sums(&w->held_out);
        free(w->numbers);
        for (int i = 0; i < MATCH_BUFFERS; i++) {
            free(w->host[i]);
        }
        free(w);
    }
}

static int open_worker(void *context, void **worker, struct device *device, struct error *e) {
    struct match_task *k = context;
    const struct align_network *n = k->network;
    const struct span_options spans = {
        .model = n->model, .material = n->material, .row = n->options->row};
    struct match_worker *w = calloc(1, sizeof *w);
    *worker = NULL;
    if (w == NULL) {
        return error_memory(e, "a training thread");
    }
    *w = (struct match_worker){.task = k, .device = device};
    w->numbers = calloc((size_t)k->samples, sizeof *w->numbers);
    int rc = w->numbers != NULL ? open_sums(&w->held_out, n->config->width, e)
                                : error_memory(e, "a training thread");
    rc = rc == 0 ? span_rows_open(&w->rows, &spans, e) : rc;
    if (rc < 0) {
        close_worker(w);
        return rc;
    }
    *worker = w;
    return 0;
}

/* What a sample's text is will be known when it is looked at, which `learn` does; each counts as
 * one, and its loss is a mean. */
static int load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e) {
    struct match_worker *w = worker;
    (void)e;
    w->numbers[slot] = (uint64_t)(w->task->step * w->task->samples + index);
    *targets = 1;
    return 0;
}

static int64_t learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                     struct error *e) {
    struct match_worker *w = worker;
    (void)count;
    int rc = sample_of(w->task)(w, CORPUS_TRAINING, w->numbers[slot], pass, 1 / pass->targets,
                                &w->learned, e);
    return rc < 0 ? rc : 1;
}

static int collect(void *context, void *worker, struct error *e) {
    struct match_task *k = context;
    struct match_worker *w = worker;
    const int64_t width = width_of(w);
    (void)e;
    move_sums(&k->learned, &w->learned, width);
    move_sums(&k->held_out, &w->held_out, width);
    return 0;
}

static void discard(void *worker) {
    struct match_worker *w = worker;
    w->learned = (struct match_sums){.rows = 0};
}

/* ---- Held-out accounts ----------------------------------------------------------------------- */

static int64_t held_out(void *context, int64_t step, bool last) {
    const struct match_task *k = context;
    const bool any = material_counts(k->network->material, CORPUS_HELD_OUT).tokens > 0;
    return any && (last || (step > 0 && step % MEASURE_STEPS == 0)) ? MEASURED : 0;
}

static int measure(void *worker, int64_t index, const struct trainer_pass *pass, struct error *e) {
    struct match_worker *w = worker;
    return sample_of(w->task)(w, CORPUS_HELD_OUT, (uint64_t)index, pass, 0, &w->held_out, e);
}

static double mean_of(double sum, const struct match_sums *s) {
    return s->rows > 0 ? sum / (double)s->rows : 0;
}

static double mean_words(const struct match_sums *s) {
    return s->words > 0 ? (double)s->right / (double)s->words : 0;
}

/* A loss that is not a number is no better than any. */
static int judge(void *context, int64_t step, struct trainer_verdict *verdict, struct error *e) {
    struct match_task *k = context;
    const int64_t width = k->network->config->width;
    struct match_sums none = {.rows = 0};
    if (k->held_out.rows == 0) {
        return error_set(e, ERR_FORMAT,
                         "what is held out has no whole tokens: which cell has which part of its "
                         "text is not known once they were halved in the store");
    }
    k->last = mean_of(k->held_out.loss, &k->held_out);
    k->last_share = spells(k) ? mean_words(&k->held_out) : match_cosine(&k->held_out, width);
    k->is_news = true;
    verdict->better = !isfinite(k->best) || k->last < k->best;
    if (verdict->better) {
        k->best = k->last;
        k->share = k->last_share;
    }
    if (spells(k)) {
        log_info("step %" PRId64
                 ": of held-out accounts %.2f%% of the words are spelled, loss %.4f",
                 step, 100 * k->last_share, k->last);
    } else {
        log_info("step %" PRId64 ": soft tokens and text of held-out accounts: loss %.4f, centred "
                 "cosine %.4f",
                 step, k->last, k->last_share);
    }
    for (int i = 0; i < 2; i++) {
        none.means[i] = k->held_out.means[i];
        for (int64_t j = 0; j < width; j++) {
            none.means[i][j] = 0;
        }
    }
    k->held_out = none;
    return 0;
}

static json_t *state(void *context) {
    const struct match_task *k = context;
    const struct match_sums *s = &k->learned;
    return json_pack("{s:o, s:o, s:{s:o, s:o, s:I}}", "best", json_finite(k->best), "share",
                     json_finite(k->share), "learned", "loss", json_finite(s->loss), "cosine",
                     json_finite(s->cosine), "rows", (json_int_t)s->rows);
}

static int restore(void *context, const json_t *from, struct error *e) {
    struct match_task *k = context;
    const json_t *learned = json_object_get(from, "learned");
    if (!json_is_object(learned)) {
        return error_set(e, ERR_FORMAT, "the checkpoint says nothing of held-out accounts");
    }
    k->best = json_get_real(from, "best", (double)INFINITY);
    k->share = json_get_real(from, "share", 0);
    k->learned.loss = json_get_real(learned, "loss", 0);
    k->learned.cosine = json_get_real(learned, "cosine", 0);
    k->learned.rows = json_get_integer(learned, "rows", 0);
    return 0;
}

/* ---- The task -------------------------------------------------------------------------------- */

static int list(void *context, struct parameters *p, struct error *e) {
    const struct match_task *k = context;
    return align_list(k->network, false, p, e);
}

static int fill(void *context, struct parameters *p, struct error *e) {
    const struct match_task *k = context;
    return align_fill(k->network, k->network->options->adapter, NULL, p, e);
}

static int ship(void *context, const struct optimizer *o, const char *path, struct error *e) {
    const struct match_task *k = context;
    return align_ship(k->network, false, o, path, e);
}

static json_t *options_of(void *context) {
    const struct match_task *k = context;
    json_t *all = align_common(k->network);
    if (json_object_set_new(all, "tokens", json_integer(k->network->options->match_tokens)) != 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}

static int64_t plan(void *context, const struct trainer_step *step) {
    struct match_task *k = context;
    k->step = step->number;
    return k->samples;
}

static void report(void *context, json_t *line, double *loss) {
    struct match_task *k = context;
    *loss = mean_of(k->learned.loss, &k->learned);
    if (line == NULL) {
        return;
    }
    if (k->learned.rows > 0 && isfinite(*loss)) {
        json_object_set_new(line, "loss", json_real(*loss));
        if (!spells(k)) {
            json_object_set_new(line, "cosine", json_real(mean_of(k->learned.cosine, &k->learned)));
        }
    }
    if (k->is_news && isfinite(k->last)) {
        json_object_set_new(line, "held_out", json_real(k->last));
        json_object_set_new(line, spells(k) ? "spelled" : "centred", json_real(k->last_share));
    }
    k->is_news = false;
    k->learned = (struct match_sums){.rows = 0};
}

static int rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                    struct error *e) {
    struct match_task *k = context;
    struct match_worker w = {.task = k, .device = tape_device(pass->tape)};
    (void)threads;
    int rc = spells(k) ? match_spelling_rehearse(&w, pass, e) : match_means_rehearse(&w, pass, e);
    for (int i = 0; i < MATCH_BUFFERS; i++) {
        free(w.host[i]);
    }
    return rc;
}

static void hold(void *context, size_t bytes[LEDGER_COUNT]) {
    const struct match_task *k = context;
    bytes[LEDGER_FROZEN] = decoder_bytes(k->network->base);
    bytes[LEDGER_TEXT] = k->network->material != NULL ? material_bytes(k->network->material) : 0;
}

static struct task task_of(struct match_task *k) {
    return (struct task){.context = k,
                         .samples = "spans",
                         .shipped = "adapter",
                         .list = list,
                         .fill = fill,
                         .options = options_of,
                         .ship = ship,
                         .plan = plan,
                         .open = open_worker,
                         .close = close_worker,
                         .load = load,
                         .learn = learn,
                         .rehearse = rehearse,
                         .held_out = held_out,
                         .measure = measure,
                         .judge = judge,
                         .state = state,
                         .restore = restore,
                         .hold = hold,
                         .collect = collect,
                         .discard = discard,
                         .report = report};
}

/* As many threads as share the samples of a step evenly, so that what is drawn does not depend on
 * the machine. */
static int threads_of(const struct match_task *k, int64_t *threads, struct error *e) {
    const struct trainer_options *o = &k->network->options->trainer;
    const struct backend *backend;
    int rc = backend_open(&backend, o->device, e);
    *threads = rc < 0 || backend->team_open == NULL ? 1 /* is as fast as all */
               : o->team > 0                        ? o->team
                                                    : backend->workers();
    while (*threads > 1 && k->samples % *threads != 0) {
        --*threads;
    }
    return rc;
}

static int settle(const struct match_task *k, const char *folder, struct trainer_options *trainer,
                  struct error *e) {
    enum { NOTES = 10 /* steps */, TIME = 8 /* its share of the time of both runs */ };
    const struct align_options *o = k->network->options;
    *trainer = o->trainer;
    trainer->folder = folder;
    trainer->schedule = o->match;
    trainer->stop_at = 0;
    trainer->note_steps = NOTES;
    trainer->time_ms /= TIME;
    trainer->team = 1; /* samples are small */
    memset(trainer->optimizer.groups, 0, sizeof trainer->optimizer.groups);
    return threads_of(k, &trainer->threads, e);
}

static void begin(struct match_task *k, const struct align_network *n) {
    *k = (struct match_task){.network = n,
                             .samples = (n->options->match_tokens + MATCH_CELLS - 1) / MATCH_CELLS,
                             .best = (double)INFINITY};
}

static int run(struct match_task *k, const char *folder, const volatile sig_atomic_t *cancel,
               struct error *e) {
    struct trainer_options trainer;
    struct trainer_result result;
    const struct task task = task_of(k);
    int rc = settle(k, folder, &trainer, e);
    rc = rc == 0 ? trainer_run(&trainer, &task, cancel, &result, e) : rc;
    return rc < 0 ? error_context(e, ALIGN_MATCH_FOLDER) : 0;
}

int match_train(const struct align_network *n, const volatile sig_atomic_t *cancel, double *share,
                struct error *e) {
    struct match_task k;
    char *folder = file_path(n->options->trainer.folder, ALIGN_MATCH_FOLDER, e);
    begin(&k, n);
    int rc = folder != NULL ? open_sums(&k.held_out, n->config->width, e) : ERR_MEMORY;
    if (rc == 0 && mkdir(folder, 0777) != 0 && errno != EEXIST) {
        rc = error_errno(e, errno, "%s", folder);
    }
    rc = rc == 0 && spells(&k) ? match_words_open(&k.words, n, e) : rc;
    rc = rc == 0 ? run(&k, folder, cancel, e) : rc;
    *share = k.share;
    match_words_close(&k.words);
    close_sums(&k.held_out);
    free(folder);
    return rc;
}

int match_forecast(const struct align_network *n, struct ledger *ledger, struct error *e) {
    struct match_task k;
    struct trainer_options trainer;
    const struct task task = task_of(&k);
    begin(&k, n);
    int rc = settle(&k, "", &trainer, e);
    rc = rc == 0 && spells(&k) ? match_words_blank(&k.words, n->config, e) : rc;
    rc = rc == 0 ? trainer_forecast(&trainer, &task, ledger, e) : rc;
    match_words_close(&k.words);
    return rc;
}
