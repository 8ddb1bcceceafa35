/* step.c - the rows of a step: forward, loss and backward of each. */
#include <inttypes.h>
#include <stdlib.h>

#include "compress/ops.h"
#include "store/clock.h"
#include "store/log.h"
#include "store/random.h"
#include "train/tune/task.h"

struct tune_worker {
    struct tune_task *task;
    struct device *device;
    struct tensor frequency, loss; /* of the device */
    struct corpus_row *rows;       /* of the step: those of this thread */
    uint64_t *numbers;             /* of these rows, counted from the first step on */
    struct tune_sums learned, held_out;
    double shown; /* seconds: when it last said how far it is */
};

/* ---- A row ----------------------------------------------------------------------------------- */

/* The network's parts: what they point to. */
struct tune_parts {
    struct decoder_source full;
    struct lora_source lora;
};

/* `number`: of the row, for dropout; `learning`: not when it is only measured. */
static struct decoder_parts parts_of(struct tune_parts *to, const struct tune_task *k,
                                     const struct trainer_pass *pass, uint64_t number,
                                     bool learning) {
    if (k->options->method == TUNE_FULL) {
        to->full = (struct decoder_source){.source = pass->parameters, .config = k->config};
        return decoder_source_parts(&to->full);
    }
    to->lora = (struct lora_source){.options = &k->lora,
                                    .base = k->base,
                                    .source = pass->parameters,
                                    .seed = random_stream(k->options->seed, number),
                                    .dropping = learning};
    return lora_parts(&to->lora);
}

/* Adds the sum of the row's losses to w->loss, and goes back from `scale` times that. */
static int go(struct tune_worker *w, const struct corpus_row *row, struct decoder_parts parts,
              struct tape *t, float scale, struct error *e) {
    tape_begin(t);
    const struct tensor ids = tape_upload_numbers(t, row->ids, row->tokens);
    const struct tensor positions = tape_upload_numbers(t, row->positions, row->tokens);
    const struct tensor labels = tape_upload_numbers(t, row->labels, row->tokens);
    const struct tensor offsets =
        tensor_vector((void *)(uintptr_t)row->offsets, DTYPE_I32, NULL, row->sequences + 1);
    if (ids.data == NULL || positions.data == NULL || labels.data == NULL) {
        return tape_status(t, e);
    }
    const struct decoder_input in = {.x = parts.embed(parts.context, t, &ids),
                                     .positions = &positions,
                                     .offsets = &offsets,
                                     .cache = NULL};
    struct node *y = decoder_network(w->task->config, &parts, t, &w->frequency, &in);
    parts.classify(parts.context, t, y, &labels, scale, &w->loss);
    return scale > 0 ? tape_backward(t, e) : tape_status(t, e);
}

/* Sums of many rows want more digits than a float has: each is fetched. */
static int add_row(struct tune_worker *w, struct tune_sums *sums, const struct corpus_row *row,
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

static int open_tensors(struct tune_worker *w, struct error *e) {
    struct device *d = w->device;
    w->loss = tensor_vector(NULL, DTYPE_F32, NULL, 1);
    int rc = decoder_frequency_table(&w->frequency, d, w->task->config, e);
    if (rc == 0) {
        rc = d->ops->alloc(d, &w->loss, e);
    }
    return rc == 0 ? d->ops->fill(d, &w->loss, 0, e) : rc;
}

static void close_tensors(struct tune_worker *w) {
    w->device->ops->release(w->device, &w->frequency);
    w->device->ops->release(w->device, &w->loss);
}

void tune_task_close(void *worker) {
    struct tune_worker *w = worker;
    if (w != NULL) {
        close_tensors(w);
        free(w->rows);
        free(w->numbers);
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
    w->rows = calloc((size_t)k->batch, sizeof *w->rows);
    w->numbers = calloc((size_t)k->batch, sizeof *w->numbers);
    int rc = w->rows != NULL && w->numbers != NULL ? open_tensors(w, e)
                                                   : error_memory(e, "a training thread");
    if (rc < 0) {
        tune_task_close(w);
        return rc;
    }
    *worker = w;
    return 0;
}

int tune_task_load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e) {
    struct tune_worker *w = worker;
    const struct tune_task *k = w->task;
    const int64_t number = k->step * k->batch + index;
    (void)e;
    w->rows[slot] = corpus_row(k->corpus, CORPUS_TRAINING, number / k->training_rows,
                               number % k->training_rows);
    w->numbers[slot] = (uint64_t)number;
    *targets = (double)w->rows[slot].targets;
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

int64_t tune_task_learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                        struct error *e) {
    struct tune_worker *w = worker;
    const struct corpus_row *row = &w->rows[slot];
    struct tune_parts to;
    const struct decoder_parts parts = parts_of(&to, w->task, pass, w->numbers[slot], true);
    const double began = clock_seconds();
    (void)count; /* a row is as long as memory allows */
    int rc = go(w, row, parts, pass->tape, (float)(1 / pass->targets), e);
    if (rc == 0) {
        rc = add_row(w, &w->learned, row, began, e);
    }
    show(w, slot);
    return rc < 0 ? rc : 1;
}

int tune_task_measure(void *worker, int64_t index, const struct trainer_pass *pass,
                      struct error *e) {
    struct tune_worker *w = worker;
    const struct tune_task *k = w->task;
    const int64_t rows = corpus_counts(k->corpus, CORPUS_HELD_OUT).rows;
    const double began = clock_seconds();
    /* from all over them: those of an account may stand together */
    const struct corpus_row row =
        corpus_row(k->corpus, CORPUS_HELD_OUT, 0, index * rows / k->measured_rows);
    struct tune_parts to;
    const struct decoder_parts parts = parts_of(&to, k, pass, 0, false);
    int rc = go(w, &row, parts, pass->tape, 0, e);
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
    return 0;
}

void tune_task_discard(void *worker) {
    struct tune_worker *w = worker;
    w->learned = (struct tune_sums){.rows = 0};
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* One sequence as long as a row may be, every token a target. */
int tune_task_rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                       struct error *e) {
    struct tune_task *k = context;
    struct tune_worker w = {.task = k, .device = tape_device(pass->tape)};
    int32_t *numbers = calloc((size_t)k->context, sizeof *numbers);
    const int32_t offsets[2] = {0, (int32_t)k->context};
    const struct corpus_row row = {.ids = numbers,
                                   .labels = numbers,
                                   .positions = numbers,
                                   .offsets = offsets,
                                   .tokens = k->context,
                                   .sequences = 1,
                                   .targets = k->context};
    struct tune_parts to;
    const struct decoder_parts parts = parts_of(&to, k, pass, 0, true);
    (void)threads;
    int rc = numbers != NULL ? open_tensors(&w, e) : error_memory(e, NULL);
    if (rc == 0) {
        rc = go(&w, &row, parts, pass->tape, 1, e);
    }
    close_tensors(&w);
    free(numbers);
    return rc;
}
