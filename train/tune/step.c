/* step.c - the rows of a step: what each thread does with its own. */
#include <inttypes.h>
#include <stdlib.h>

#include "compress/ops.h"
#include "store/clock.h"
#include "store/log.h"
#include "train/tune/task.h"

struct tune_worker {
    struct tune_task *task;
    struct device *device;
    struct tensor frequency, loss; /* of the device */
    struct tune_space space;
    struct tune_encoded *encoded; /* NULL: tokens are the store's */
    uint64_t *numbers; /* of this thread's rows of the step, counted from the first step on */
    struct tune_sums learned, held_out;
    struct bridge_routing routed; /* since they were collected */
    double *routing_numbers;      /* in which these are */
    double shown;                 /* seconds: when it last said how far it is */
};

/* Sums of many rows want more digits than a float has: each is fetched. */
static int add_row(struct tune_worker *w, struct tune_sums *sums, const struct context_row *row,
                   double began, struct error *e) {
    struct device *d = w->device;
    float loss = 0;
    const struct tensor host = tensor_vector(&loss, DTYPE_F32, NULL, 1);
    int rc = d->ops->download(d, &host, &w->loss, e);
    if (rc == 0) {
        rc = d->ops->fill(d, &w->loss, 0, e);
    }
    sums->loss += (double)loss;
    sums->targets += row->targets;
    sums->tokens += row->tokens;
    sums->rows++;
    sums->seconds += clock_seconds() - began;
    return rc;
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void close_tensors(struct tune_worker *w) {
    w->device->ops->release(w->device, &w->frequency);
    w->device->ops->release(w->device, &w->loss);
}

void tune_task_close(void *worker) {
    struct tune_worker *w = worker;
    if (w != NULL) {
        close_tensors(w);
        tune_encoded_close(w->encoded);
        tune_space_close(&w->space);
        free(w->numbers);
        free(w->routing_numbers);
        free(w);
    }
}

int tune_task_open(void *context, void **worker, struct device *device, struct error *e) {
    struct tune_task *k = context;
    struct tune_worker *w = calloc(1, sizeof *w);
    *worker = NULL;
    if (w == NULL) {
        return error_memory(e, "a training thread");
    }
    w->task = k;
    w->device = device;
    w->shown = clock_seconds();
    w->numbers = calloc((size_t)k->batch, sizeof *w->numbers);
    w->routing_numbers = tune_routing_numbers(&w->routed, k->bridge.experts.count, 1);
    int rc = w->numbers != NULL && w->routing_numbers != NULL
                 ? tune_pass_tensors(device, k->config, &w->frequency, &w->loss, e)
                 : error_memory(e, "a training thread");
    if (rc == 0) {
        rc = tune_space_open(&w->space, &k->data, e);
    }
    if (rc == 0 && tune_encodes(k->options)) {
        rc = tune_encoded_open(&w->encoded, k, w->space.layout, e);
    }
    if (rc < 0) {
        tune_task_close(w);
        return rc;
    }
    *worker = w;
    return 0;
}

/* ---- Samples --------------------------------------------------------------------------------- */

int tune_task_load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e) {
    struct tune_worker *w = worker;
    const struct tune_task *k = w->task;
    const int64_t number = k->step * k->batch + index;
    (void)e;
    w->numbers[slot] = (uint64_t)number;
    *targets =
        (double)tune_row_targets(&k->data, number / k->training_rows, number % k->training_rows);
    return 0;
}

/* A step may take an hour. */
static void show(struct tune_worker *w, int64_t slot) {
    enum { SHOW_SECONDS = 30 };
    const struct tune_task *k = w->task;
    const double now = clock_seconds();
    const bool is_first = w->numbers[0] % (uint64_t)k->batch == 0; /* of all threads */
    if (is_first && now - w->shown > SHOW_SECONDS) {
        const double learned = (double)(k->tokens + w->learned.tokens * k->threads);
        log_info("step %" PRId64 ": %" PRId64 " of %" PRId64 " rows, %.0f tokens/s", k->step + 1,
                 (slot + 1) * k->threads, k->batch, learned / (now - k->started - k->measuring));
        w->shown = now;
    }
}

static bool has_experts(const struct tune_task *k) {
    return k->bridge.experts.count > 0;
}

int64_t tune_task_learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                        struct error *e) {
    struct tune_worker *w = worker;
    const struct tune_task *k = w->task;
    const struct tune_pass p = {.task = k,
                                .source = pass->parameters,
                                .frequency = &w->frequency,
                                .loss = &w->loss,
                                .number = w->numbers[slot],
                                .scale = (float)(1 / pass->targets),
                                .balance = (float)(1 / (double)k->batch),
                                .routing = has_experts(k) ? &w->routed : NULL,
                                .encoded = w->encoded};
    const double began = clock_seconds();
    struct context_row row;
    (void)count; /* a row is as long as memory allows */
    int rc = tune_row(&k->data, &w->space, CORPUS_TRAINING, (int64_t)p.number / k->training_rows,
                      (int64_t)p.number % k->training_rows, &row, e);
    if (rc == 0) {
        rc = tune_pass_row(&p, &row, pass->tape, e);
    }
    if (rc == 0) {
        rc = add_row(w, &w->learned, &row, began, e);
    }
    show(w, slot);
    return rc < 0 ? rc : 1;
}

int tune_task_measure(void *worker, int64_t index, const struct trainer_pass *pass,
                      struct error *e) {
    struct tune_worker *w = worker;
    const struct tune_task *k = w->task;
    const struct tune_pass p = {.task = k,
                                .source = pass->parameters,
                                .frequency = &w->frequency,
                                .loss = &w->loss,
                                .routing = has_experts(k) ? &k->rows[index] : NULL,
                                .encoded = w->encoded};
    const double began = clock_seconds();
    struct context_row row;
    if (p.routing != NULL) {
        tune_routing_clear(p.routing, k->bridge.experts.count);
    }
    int rc =
        tune_row(&k->data, &w->space, CORPUS_HELD_OUT, 0, tune_measured_row(k, index), &row, e);
    if (rc == 0) {
        rc = tune_pass_row(&p, &row, pass->tape, e);
    }
    return rc == 0 ? add_row(w, &w->held_out, &row, began, e) : rc;
}

static void move_sums(struct tune_sums *to, struct tune_sums *from) {
    to->loss += from->loss;
    to->targets += from->targets;
    to->tokens += from->tokens;
    to->rows += from->rows;
    to->seconds += from->seconds;
    *from = (struct tune_sums){.rows = 0};
}

int tune_task_collect(void *context, void *worker, struct error *e) {
    struct tune_task *k = context;
    struct tune_worker *w = worker;
    (void)e;
    if (w->learned.tokens > 0) { /* of several threads the first ends the step */
        const double now = clock_seconds();
        k->learning += now - k->begun;
        k->begun = now;
    }
    k->tokens += w->learned.tokens;
    move_sums(&k->learned, &w->learned);
    move_sums(&k->held_out, &w->held_out);
    tune_routing_move(&k->routed, &w->routed, k->bridge.experts.count);
    return 0;
}

void tune_task_discard(void *worker) {
    struct tune_worker *w = worker;
    w->learned = (struct tune_sums){.rows = 0};
    tune_routing_clear(&w->routed, w->task->bridge.experts.count);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

int tune_task_rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                       struct error *e) {
    struct tune_task *k = context;
    struct tune_worker w = {.task = k, .device = tape_device(pass->tape)};
    (void)threads;
    int rc = tune_pass_tensors(w.device, k->config, &w.frequency, &w.loss, e);
    if (rc == 0 && tune_encodes(k->options)) {
        rc = tune_encoded_open(&w.encoded, k, NULL, e);
    }
    if (rc == 0) {
        const struct tune_pass p = {.task = k,
                                    .source = pass->parameters,
                                    .frequency = &w.frequency,
                                    .loss = &w.loss,
                                    .scale = 1,
                                    .balance = 1,
                                    .encoded = w.encoded};
        rc = tune_pass_shape(&p, &k->shape, pass->tape, e);
    }
    tune_encoded_close(w.encoded);
    close_tensors(&w);
    return rc;
}
