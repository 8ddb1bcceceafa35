/* choose.c - phases A and B of GSPF (gspf.h): which rows of the decoder are trained.
 *
 * Rows of training data go forward and back before the first step, as many as 3% of the run has, 32
 * at least, from the first one on; no weight moves. What is chosen is written to mask.txt in the
 * run's folder, where a run that goes on finds it; one that was stopped before its first checkpoint
 * chooses again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/clock.h"
#include "store/file.h"
#include "store/log.h"
#include "train/tune/task.h"

/* ---- Phase A --------------------------------------------------------------------------------- */

/* The run's device, tape and bridge, for as long as scores are made. */
struct probing {
    const struct tune_task *task;
    struct device *device;
    struct tape *tape;
    struct parameters *bridge; /* frozen */
    struct tensor frequency, loss;
    struct tune_space space;
};

static int open_bridge(struct probing *p, struct error *e) {
    int rc = parameters_open(&p->bridge, p->device, e);
    if (rc == 0) {
        rc = tune_bridge_list(p->task, p->bridge, e);
    }
    if (rc == 0) {
        rc = parameters_allocate(p->bridge, e);
    }
    return rc == 0 ? tune_task_fill((void *)(uintptr_t)p->task, p->bridge, e) : rc;
}

static int open_probing(struct probing *p, const struct tune_task *k,
                        const struct trainer_options *o, struct error *e) {
    *p = (struct probing){.task = k};
    int rc = trainer_open_tape(o, &p->device, &p->tape, e);
    if (rc == 0) {
        rc = tune_pass_tensors(p->device, k->config, &p->frequency, &p->loss, e);
    }
    if (rc == 0) {
        rc = tune_space_open(&p->space, &k->data, e);
    }
    return rc == 0 ? open_bridge(p, e) : rc;
}

static void close_probing(struct probing *p) {
    tune_space_close(&p->space);
    parameters_close(p->bridge);
    tape_close(p->tape);
    if (p->device != NULL) {
        p->device->ops->release(p->device, &p->frequency);
        p->device->ops->release(p->device, &p->loss);
        device_close(p->device);
    }
}

static int probe_row(struct probing *p, struct gspf_scores *scores, int64_t number,
                     struct error *e) {
    const struct tune_task *k = p->task;
    const struct tape_source source = parameters_source(p->bridge);
    struct context_row row;
    int rc = tune_row(&k->data, &p->space, CORPUS_TRAINING, number / k->training_rows,
                      number % k->training_rows, &row, e);
    if (rc < 0) {
        return rc;
    }
    const struct tune_pass pass = {.task = k,
                                   .source = &source,
                                   .frequency = &p->frequency,
                                   .loss = &p->loss,
                                   .scale = row.targets > 0 ? 1 / (float)row.targets : 1,
                                   .scores = scores};
    rc = tune_pass_row(&pass, &row, p->tape, e);
    if (rc == 0 && !gspf_scores_step(scores)) {
        log_warning("training row %" PRId64 " is not scored: its gradient is not finite",
                    number + 1);
    }
    return rc;
}

static int probe_rows(struct probing *p, struct gspf_scores *scores, int64_t rows,
                      const volatile sig_atomic_t *cancel, struct error *e) {
    enum { SHOW_SECONDS = 30 };
    double shown = clock_seconds();
    int rc = 0;
    for (int64_t i = 0; i < rows && rc == 0; i++) {
        if (cancel != NULL && *cancel) {
            return error_set(e, ERR_CANCELLED, "stopped while rows were scored");
        }
        rc = probe_row(p, scores, i, e);
        if (clock_seconds() - shown > SHOW_SECONDS) {
            log_info("scored on %" PRId64 " of %" PRId64 " rows", i + 1, rows);
            shown = clock_seconds();
        }
    }
    return rc;
}

/* Scores, and with them the choice. */
static int choose_by_score(struct tune_task *k, const struct trainer_options *o,
                           const struct gspf_cost *cost, const volatile sig_atomic_t *cancel,
                           struct error *e) {
    enum { LEAST = 32 };
    const int64_t all = o->schedule.steps * k->batch, share = (all * 3 + 99) / 100;
    struct gspf_scores *scores = NULL;
    struct probing p;
    int rc = open_probing(&p, k, o, e);
    if (rc == 0) {
        const struct lora_source *lora = k->below != NULL ? lora_frozen_source(k->below) : NULL;
        rc = gspf_scores_open(&scores, &k->options->gspf, k->base, lora, p.device, e);
    }
    if (rc == 0) {
        tape_set_sink(p.tape, gspf_scores_sink, scores);
        rc = probe_rows(&p, scores, share > LEAST ? share : LEAST, cancel, e);
    }
    if (rc == 0) {
        rc = gspf_choose(&k->mask, scores, cost, e);
    }
    gspf_scores_close(scores);
    close_probing(&p);
    return rc;
}

/* ---- Phase B --------------------------------------------------------------------------------- */

/* What the run takes with one row of a layer. */
static int take_with_row(struct tune_task *k, int32_t layer, size_t *bytes, struct error *e) {
    struct mask_unit row = {.layer = layer, .matrix = DECODER_Q, .first_row = 0, .rows = 1};
    struct ledger ledger;
    k->mask = (struct mask){.units = &row, .count = 1};
    int rc = tune_task_forecast(k, &ledger, e);
    k->mask = (struct mask){.units = NULL};
    *bytes = ledger_total(ledger.predicted);
    return rc;
}

/* A parameter has value, gradients and moments. What the backward pass keeps of a layer is what a
 * row of the first layer costs beyond one of the last; with a bridge that is trained that is
 * nothing, since it goes down to the first layer anyway. */
static int settle_cost(struct tune_task *k, struct gspf_cost *cost, struct error *e) {
    const int64_t layers = k->config->layers;
    size_t least = 0, most = 0;
    int rc = take_with_row(k, (int32_t)layers - 1, &least, e);
    rc = rc == 0 ? take_with_row(k, 0, &most, e) : rc;
    const size_t above = layers > 1 && most > least ? (most - least) / (size_t)(layers - 1) : 0;
    const size_t parameter = (3 + (size_t)k->threads) * sizeof(float);
    const size_t row = parameter * (size_t)k->config->width;
    *cost = (struct gspf_cost){.fixed = least > row + above ? least - row - above : 0,
                               .parameter = parameter,
                               .layer = above};
    return rc;
}

int tune_choose_any(struct tune_task *k, struct error *e) {
    struct gspf_cost cost;
    int rc = settle_cost(k, &cost, e);
    return rc == 0 ? gspf_choose_random(&k->mask, &k->options->gspf, k->config, &cost,
                                        k->options->seed, e)
                   : rc;
}

static int choose(struct tune_task *k, const struct trainer_options *trainer,
                  const volatile sig_atomic_t *cancel, struct error *e) {
    struct gspf_cost cost;
    if (k->options->method == TUNE_RANDOM_MASK) {
        return tune_choose_any(k, e);
    }
    int rc = settle_cost(k, &cost, e);
    return rc == 0 ? choose_by_score(k, trainer, &cost, cancel, e) : rc;
}

/* ---- The run's mask -------------------------------------------------------------------------- */

int tune_copy_mask(struct mask *to, const struct mask *from, struct error *e) {
    to->units = calloc(from->count + 1, sizeof *to->units);
    if (to->units == NULL) {
        return error_memory(e, "a mask");
    }
    memcpy(to->units, from->units, from->count * sizeof *to->units);
    to->count = from->count;
    return 0;
}

void tune_mask_comment(const struct tune_task *k, char out[256]) {
    const int64_t parameters = mask_parameters(&k->mask, k->config);
    snprintf(out, 256, "%s, %s: %" PRId64 " parameters, %.2f%% of the model's", k->config->name,
             TUNE_METHOD_NAMES[k->options->method], parameters,
             100 * (double)parameters / (double)decoder_config_parameters(k->config));
}

static int write_mask(const struct tune_task *k, const char *path, struct error *e) {
    char comment[256];
    tune_mask_comment(k, comment);
    return mask_write(path, &k->mask, comment, e);
}

/* Of a run that goes on, whose rows are not chosen again: those that are named must be these. */
static int go_on(struct tune_task *k, const char *path, struct error *e) {
    const char *named = k->options->mask;
    struct mask other = {.units = NULL};
    int rc = mask_read(&k->mask, path, k->config, e);
    rc = rc == 0 && named != NULL ? mask_read(&other, named, k->config, e) : rc;
    if (rc == 0 && named != NULL && mask_hash(&other) != mask_hash(&k->mask)) {
        rc = error_set(e, ERR_USAGE,
                       "%s: the run learns other rows, those of %s; name another folder", named,
                       path);
    }
    mask_close(&other);
    return rc;
}

int tune_choose(struct tune_task *k, const struct trainer_options *trainer,
                const volatile sig_atomic_t *cancel, struct error *e) {
    const bool goes_on = file_is_there(trainer->folder, TRAINER_CHECKPOINT);
    char *path = file_path(trainer->folder, GSPF_MASK, e);
    if (path == NULL) {
        return ERR_MEMORY;
    }
    int rc = goes_on                    ? go_on(k, path, e)
             : k->start.has_rows        ? tune_copy_mask(&k->mask, &k->start.rows.mask, e)
             : k->options->mask != NULL ? mask_read(&k->mask, k->options->mask, k->config, e)
                                        : choose(k, trainer, cancel, e);
    if (rc == 0 && !goes_on) {
        rc = write_mask(k, path, e);
    }
    free(path);
    return rc;
}
