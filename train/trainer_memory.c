/* trainer_memory.c - the ledger of a run: see ledger.h. */
#include "compress/dry.h"
#include "store/log.h"
#include "train/trainer_state.h"

/* Bytes that a step takes on the tape of one thread, and what else its device holds then. */
static int rehearse(struct trainer *t, size_t *activations, size_t *rest, struct error *e) {
    struct device *device;
    struct tape *tape = NULL;
    struct gradients gradients = {.list = NULL};
    const struct tape_options options = trainer_tape(t);
    int rc = dry_open(&device, t->backend, t->compute, e);
    if (rc == 0) {
        rc = tape_open(&tape, device, &options, e);
    }
    if (rc == 0) {
        rc = gradients_open(&gradients, t->parameters, device, e);
    }
    size_t before = device != NULL ? device->bytes : 0;
    if (rc == 0) {
        const struct tape_source source = gradients_source(&gradients);
        const struct trainer_pass pass = {.tape = tape, .parameters = &source, .targets = 1};
        rc = t->task->rehearse(t->task->context, t->worker_count, &pass, e);
    }
    if (rc == 0) {
        *activations = tape_peak(tape);
        *rest = device->bytes - before - *activations;
    }
    gradients_close(&gradients);
    tape_close(tape);
    dry_close(device);
    return rc < 0 ? error_context(e, "how much memory a step takes") : 0;
}

static void hold(const struct trainer *t, size_t bytes[LEDGER_COUNT]) {
    if (t->task->hold != NULL) {
        t->task->hold(t->task->context, bytes);
    }
}

int trainer_predict(struct trainer *t, struct error *e) {
    size_t *bytes = t->ledger.predicted, threads = (size_t)t->worker_count;
    size_t activations = 0, rest = 0;
    int rc = rehearse(t, &activations, &rest, e);
    bytes[LEDGER_WEIGHTS] = parameters_bytes(t->parameters);
    bytes[LEDGER_GRADIENTS] = threads * gradients_bytes(t->parameters);
    bytes[LEDGER_MOMENTS] = optimizer_bytes(t->parameters, &t->options->optimizer, NULL, 0);
    bytes[LEDGER_ACTIVATIONS] = threads * activations;
    bytes[LEDGER_SCRATCH] = threads * rest;
    hold(t, bytes);
    return rc;
}

/* What devices hold at most, less what is known by name. Weights and moments are counted where they
 * were allocated. */
void trainer_measure(struct trainer *t) {
    size_t *bytes = t->ledger.measured, total = 0;
    for (int64_t i = 0; i < t->worker_count; i++) {
        const struct trainer_worker *w = &t->workers[i];
        total += w->device != NULL ? w->device->peak_bytes : 0;
        bytes[LEDGER_GRADIENTS] += w->gradient_bytes;
        bytes[LEDGER_ACTIVATIONS] += w->tape != NULL ? tape_peak(w->tape) : 0;
    }
    bytes[LEDGER_SCRATCH] = total - bytes[LEDGER_WEIGHTS] - bytes[LEDGER_MOMENTS] -
                            bytes[LEDGER_GRADIENTS] - bytes[LEDGER_ACTIVATIONS];
    hold(t, bytes);
    ledger_log("took", bytes);
}

int trainer_forecast(const struct trainer_options *options, const struct task *task,
                     struct ledger *ledger, struct error *e) {
    struct trainer t = {.options = options, .task = task};
    struct device *device = NULL;
    int rc = trainer_settle(&t, e);
    if (rc == 0) {
        rc = dry_open(&device, t.backend, t.compute, e);
    }
    if (rc == 0) {
        rc = parameters_open(&t.parameters, device, e);
    }
    if (rc == 0) {
        rc = task->list(task->context, t.parameters, e);
    }
    if (rc == 0) {
        rc = parameters_allocate(t.parameters, e);
    }
    if (rc == 0) {
        rc = trainer_predict(&t, e);
    }
    *ledger = t.ledger;
    parameters_close(t.parameters);
    dry_close(device);
    return rc;
}
