/* trainer.c - see trainer.h: the phases of a step and the threads that go through them. */
#include "train/trainer.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "store/clock.h"
#include "store/log.h"
#include "train/trainer_state.h"

/* ---- Phases ---------------------------------------------------------------------------------- */

static bool is_cancelled(const struct trainer *t) {
    return t->cancel != NULL && *t->cancel;
}

static bool goes_on(const struct trainer *t) {
    return t->step.rc == 0 && !t->step.given_up;
}

static int64_t slots(const struct trainer *t) {
    return t->step.samples / t->worker_count;
}

static int load(struct trainer_worker *w) {
    struct trainer *t = w->trainer;
    int rc = 0;
    w->targets = 0;
    for (int64_t i = 0; i < slots(t) && rc == 0; i++) {
        double targets = 0;
        rc = t->task->load(w->task, i, i * t->worker_count + w->index, &targets, &w->error);
        w->targets += targets;
    }
    return rc;
}

static int learn(struct trainer_worker *w) {
    struct trainer *t = w->trainer;
    const struct tape_source source = gradients_source(&w->gradients);
    const struct trainer_pass pass = {
        .tape = w->tape, .parameters = &source, .targets = t->step.targets};
    int64_t learned = 0;
    for (int64_t i = 0; i < slots(t) && learned >= 0; i += learned) {
        if (is_cancelled(t) || trainer_files_late(t)) {
            w->given_up = true;
            return 0;
        }
        learned = t->task->learn(w->task, i, slots(t) - i, &pass, &w->error);
    }
    /* other devices read its gradients then */
    return learned < 0 ? (int)learned : w->device->ops->synchronize(w->device, &w->error);
}

static int reduce(struct trainer_worker *w) {
    struct trainer *t = w->trainer;
    return optimizer_reduce(&t->optimizer, w->device, t->gradients, (size_t)t->worker_count,
                            w->first_piece, w->end_piece, &w->error);
}

static int update(struct trainer_worker *w) {
    struct trainer *t = w->trainer;
    return optimizer_update(&t->optimizer, w->device, t->gradients, (size_t)t->worker_count,
                            t->step.rate, t->step.scale, w->first_piece, w->end_piece, &w->error);
}

/* Forward alone, of every threads-th sample. */
static int measure(struct trainer_worker *w) {
    struct trainer *t = w->trainer;
    const struct tape_source source = parameters_source(t->parameters);
    const struct trainer_pass pass = {.tape = w->tape, .parameters = &source, .targets = 1};
    int rc = 0;
    for (int64_t i = w->index; i < t->step.held_out && rc == 0; i += t->worker_count) {
        if (is_cancelled(t)) {
            w->given_up = true;
            return 0;
        }
        rc = t->task->measure(w->task, i, &pass, &w->error);
    }
    return rc;
}

/* ---- Between the phases: one thread ---------------------------------------------------------- */

static void fail(struct trainer *t, int rc, const struct error *e) {
    if (rc < 0 && t->step.rc == 0) {
        t->step.rc = rc;
        t->step.error = *e;
    }
}

/* The first failure of a thread becomes that of the run. */
static void collect(struct trainer *t) {
    for (int64_t i = 0; i < t->worker_count; i++) {
        fail(t, t->workers[i].rc, &t->workers[i].error);
        t->step.given_up |= t->workers[i].given_up;
    }
}

/* What the workers found goes to the task. */
static void collect_findings(struct trainer *t) {
    struct error e;
    for (int64_t i = 0; i < t->worker_count && t->step.rc == 0; i++) {
        fail(t, t->task->collect(t->task->context, t->workers[i].task, &e), &e);
    }
}

static void plan(struct trainer *t) {
    const struct schedule *s = &t->options->schedule;
    t->step.plan = (struct trainer_step){.number = t->optimizer.step,
                                         .progress = (double)t->optimizer.step / (double)s->steps,
                                         .threads = t->worker_count};
    t->step.rate = schedule_rate(s, t->optimizer.step);
    t->step.samples = t->task->plan(t->task->context, &t->step.plan);
}

/* Nothing is left to do, now or later. */
static bool is_over(const struct trainer *t) {
    return t->run.finished || t->optimizer.step >= t->options->schedule.steps || t->step.late;
}

/* How many held-out samples are to be measured before anything else. */
static int64_t held_out_due(const struct trainer *t) {
    const struct task *task = t->task;
    return task->held_out != NULL && t->step.rc == 0 && t->run.measured < t->optimizer.step
               ? task->held_out(task->context, t->optimizer.step, is_over(t))
               : 0;
}

/* True: some are due, but a signal came; the run that goes on measures them, and its line of the
 * metrics tells of both. */
static bool look_at_held_out(struct trainer *t) {
    t->step.late = trainer_files_late(t);
    const int64_t due = held_out_due(t);
    const bool cancelled = is_cancelled(t);
    t->step.held_out = cancelled ? 0 : due;
    t->step.verdict = (struct trainer_verdict){.better = false};
    for (int64_t i = 0; i < t->worker_count; i++) {
        t->workers[i].given_up = false;
    }
    return cancelled && due > 0;
}

/* `news`: there is something to write down. */
static void end_step(struct trainer *t, bool news) {
    const struct trainer_options *o = t->options;
    struct error e;
    if (t->step.rc == 0 && news) {
        fail(t, trainer_files_note(t, &e), &e);
    }
    t->step.over = is_over(t) && held_out_due(t) == 0;
    t->step.done = t->step.rc < 0 || is_cancelled(t) || is_over(t) ||
                   (o->stop_at > 0 && t->optimizer.step >= o->stop_at);
    t->step.given_up = false;
    if (!t->step.done) {
        plan(t);
    }
}

static void begin(struct trainer *t) {
    collect(t);
    look_at_held_out(t);
    if (t->step.held_out == 0) {
        end_step(t, false);
    }
}

static void after_measuring(struct trainer *t) {
    struct error e;
    collect(t);
    bool whole = goes_on(t);
    if (whole) {
        collect_findings(t);
    }
    if (whole && t->step.rc == 0) {
        fail(t, t->task->judge(t->task->context, t->optimizer.step, &t->step.verdict, &e), &e);
        t->run.measured = t->optimizer.step;
        t->run.owed |= t->step.verdict.better;
        t->run.finished = t->step.verdict.stop;
    }
    t->step.held_out = 0;
    t->step.late = trainer_files_late(t);
    end_step(t, whole);
}

static void before_learning(struct trainer *t) {
    collect(t);
    t->step.targets = 0;
    for (int64_t i = 0; i < t->worker_count; i++) {
        t->step.targets += t->workers[i].targets;
    }
    t->step.targets = t->step.targets > 0 ? t->step.targets : 1;
}

/* Slices that no gradient came to in this step stay as they are. */
static void before_reducing(struct trainer *t) {
    collect(t);
    optimizer_activate(&t->optimizer, t->gradients, (size_t)t->worker_count);
}

/* A gradient that is not a number, or far longer than those before it, is not followed. */
static void before_update(struct trainer *t) {
    enum { OUTLIER = 30, SETTLED = 200 /* steps */ };
    double norm = 0, clip = t->options->optimizer.clip;
    struct error e;
    collect(t);
    if (!goes_on(t)) {
        return;
    }
    if (t->task->watch != NULL) {
        fail(t, t->task->watch(t->task->context, &t->optimizer, &e), &e);
    }
    fail(t, optimizer_norm(&t->optimizer, &norm, &e), &e);
    t->step.norm = norm;
    bool outlier = t->optimizer.step > SETTLED && norm > OUTLIER * t->run.usual_norm;
    /* outliers raise what is usual, so that what stays is followed in the end */
    double counted = outlier ? OUTLIER * t->run.usual_norm : norm;
    if (isfinite(norm)) {
        t->run.usual_norm =
            t->optimizer.step == 0 ? norm : 0.99 * t->run.usual_norm + 0.01 * counted;
    }
    if (!isfinite(norm) || outlier) {
        t->step.scale = 0;
        t->run.skipped++;
        log_warning("step %" PRId64 " was skipped: its gradient has the norm %g, usual is %.3g",
                    t->optimizer.step + 1, norm, t->run.usual_norm);
        return;
    }
    t->step.scale = clip > 0 && norm > clip ? clip / norm : 1;
}

/* What the workers found in a step that was given up is not told. */
static void discard_findings(struct trainer *t) {
    for (int64_t i = 0; i < t->worker_count && t->task->held_out != NULL; i++) {
        t->task->discard(t->workers[i].task);
    }
}

/* Of a step that was given up nothing is left but the run's end. */
static void after_update(struct trainer *t) {
    collect(t);
    bool whole = goes_on(t);
    if (whole) {
        for (int64_t i = 0; i < t->worker_count; i++) {
            gradients_forget(&t->workers[i].gradients);
        }
        collect_findings(t);
        t->optimizer.step++;
        t->run.samples += t->step.samples;
    } else if (t->step.rc == 0) {
        discard_findings(t);
    }
    t->step.given_up = false;
    const bool put_off = look_at_held_out(t);
    if (t->step.held_out == 0) {
        end_step(t, whole && !put_off);
    }
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* All threads come here; one of them runs `between`. */
static void meet(struct trainer_worker *w, void (*between)(struct trainer *t)) {
    int first = pthread_barrier_wait(&w->trainer->barrier);
    if (first == PTHREAD_BARRIER_SERIAL_THREAD) {
        between(w->trainer);
    }
    pthread_barrier_wait(&w->trainer->barrier);
}

static int open_worker_device(const struct trainer *t, struct device **out, struct error *e) {
    return t->team > 1 ? device_open_team(out, t->backend, t->compute, (int)t->team, e)
                       : device_open(out, t->backend, t->compute, e);
}

int trainer_open_tape(const struct trainer_options *options, struct device **device,
                      struct tape **tape, struct error *e) {
    struct trainer t = {.options = options};
    *device = NULL;
    *tape = NULL;
    int rc = trainer_settle(&t, e);
    if (rc == 0) {
        rc = open_worker_device(&t, device, e);
    }
    const struct tape_options tape_options = trainer_tape(&t);
    return rc == 0 ? tape_open(tape, *device, &tape_options, e) : rc;
}

static int worker_open(struct trainer_worker *w) {
    struct trainer *t = w->trainer;
    int rc = 0;
    if (w->device == NULL) {
        rc = open_worker_device(t, &w->device, &w->error);
    }
    if (rc == 0) {
        const struct tape_options options = trainer_tape(t);
        rc = tape_open(&w->tape, w->device, &options, &w->error);
    }
    if (rc == 0) {
        rc = t->task->open(t->task->context, &w->task, w->device, &w->error);
    }
    size_t before = w->device != NULL ? w->device->bytes : 0;
    if (rc == 0) {
        rc = gradients_open(&w->gradients, t->parameters, w->device, &w->error);
    }
    if (rc == 0) {
        w->gradient_bytes = w->device->bytes - before;
        tape_set_sink(w->tape, gradients_sink, &w->gradients);
        optimizer_share(&t->optimizer, (size_t)w->index, (size_t)t->worker_count, &w->first_piece,
                        &w->end_piece);
    }
    return rc;
}

static void measure_held_out(struct trainer_worker *w) {
    if (w->trainer->step.held_out > 0) {
        w->rc = measure(w);
        meet(w, after_measuring);
    }
}

static void *work(void *argument) {
    struct trainer_worker *w = argument;
    struct trainer *t = w->trainer;
    w->rc = worker_open(w);
    meet(w, begin);
    measure_held_out(w);
    while (!t->step.done) {
        w->rc = load(w);
        meet(w, before_learning);
        w->rc = t->step.rc == 0 ? learn(w) : 0;
        meet(w, before_reducing);
        w->rc = goes_on(t) ? reduce(w) : 0;
        meet(w, before_update);
        w->rc = goes_on(t) ? update(w) : 0;
        meet(w, after_update);
        measure_held_out(w);
    }
    return NULL;
}

/* The parameters' device is closed by who opened it. */
static void worker_close(struct trainer_worker *w) {
    if (w->task != NULL) {
        w->trainer->task->close(w->task);
    }
    gradients_close(&w->gradients);
    tape_close(w->tape);
    if (w->index > 0) {
        device_close(w->device);
    }
}

/* A thread that waits at the barrier for one that could not be started would wait for ever. */
static void *work_with_all(void *argument) {
    struct trainer *t = ((struct trainer_worker *)argument)->trainer;
    pthread_mutex_lock(&t->gate);
    int rc = t->step.rc;
    pthread_mutex_unlock(&t->gate);
    return rc == 0 ? work(argument) : NULL;
}

/* How many there are, the caller's included. */
static int64_t start_threads(struct trainer *t) {
    for (int64_t i = 1; i < t->worker_count; i++) {
        struct trainer_worker *w = &t->workers[i];
        if (pthread_create(&w->thread, NULL, work_with_all, w) != 0) {
            t->step.rc =
                error_set(&t->step.error, ERR_MEMORY, "thread %" PRId64 " cannot be started", i);
            return i;
        }
    }
    return t->worker_count;
}

static int run_threads(struct trainer *t, struct error *e) {
    if (pthread_barrier_init(&t->barrier, NULL, (unsigned)t->worker_count) != 0) {
        return error_set(e, ERR_MEMORY, "no barrier for the threads");
    }
    pthread_mutex_init(&t->gate, NULL); /* cannot fail with the default attributes */
    pthread_mutex_lock(&t->gate);
    int64_t started = start_threads(t);
    pthread_mutex_unlock(&t->gate);
    work_with_all(&t->workers[0]);
    for (int64_t i = 1; i < started; i++) {
        pthread_join(t->workers[i].thread, NULL);
    }
    trainer_measure(t);
    for (int64_t i = 0; i < started; i++) {
        worker_close(&t->workers[i]);
    }
    pthread_barrier_destroy(&t->barrier);
    pthread_mutex_destroy(&t->gate);
    if (t->step.rc < 0 && e != NULL) {
        *e = t->step.error;
    }
    return t->step.rc;
}

/* ---- The run --------------------------------------------------------------------------------- */

int trainer_backend(const struct trainer_options *o, const struct backend **backend,
                    enum dtype *compute, struct error *e) {
    const char *name = o->compute != NULL ? o->compute : "auto";
    int rc = backend_open(backend, o->device, e);
    return rc == 0 ? backend_compute(*backend, name, compute, e) : rc;
}

int trainer_settle(struct trainer *t, struct error *e) {
    int rc = trainer_backend(t->options, &t->backend, &t->compute, e);
    if (rc < 0) {
        return rc;
    }
    const int64_t cores = t->backend->workers(), threads = t->options->threads;
    t->team = t->options->team > 0 ? t->options->team : cores;
    t->worker_count = threads > 0 ? threads : t->options->team == 1 ? cores : 1;
    return t->team <= INT_MAX ? 0
                              : error_set(e, ERR_USAGE, "a team has at most %d threads", INT_MAX);
}

static int open_device(struct trainer *t, struct error *e) {
    t->workers = calloc((size_t)t->worker_count, sizeof *t->workers);
    t->gradients = calloc((size_t)t->worker_count, sizeof *t->gradients);
    if (t->workers == NULL || t->gradients == NULL) {
        return error_memory(e, "the threads");
    }
    for (int64_t i = 0; i < t->worker_count; i++) {
        t->workers[i] = (struct trainer_worker){.trainer = t, .index = i};
        t->gradients[i] = &t->workers[i].gradients;
    }
    return open_worker_device(t, &t->workers[0].device, e);
}

/* Of what the task chooses, or of all parameters. */
static int open_optimizer(struct trainer *t, struct error *e) {
    const struct task *task = t->task;
    struct slice *chosen = NULL;
    size_t count = 0;
    int rc = 0;
    if (task->slices != NULL) {
        rc = task->slices(task->context, t->parameters, &chosen, &count, e);
    }
    if (rc == 0) {
        rc = optimizer_open(&t->optimizer, t->parameters, &t->options->optimizer, chosen, count, e);
    }
    free(chosen);
    return rc;
}

static int open_parameters(struct trainer *t, struct error *e) {
    const struct task *task = t->task;
    struct device *device = t->workers[0].device;
    int rc = parameters_open(&t->parameters, device, e);
    if (rc == 0) {
        rc = task->list(task->context, t->parameters, e);
    }
    if (rc == 0) {
        rc = parameters_allocate(t->parameters, e);
    }
    t->ledger.measured[LEDGER_WEIGHTS] = device->bytes;
    if (rc == 0) {
        rc = task->fill(task->context, t->parameters, e);
    }
    if (rc == 0) {
        rc = open_optimizer(t, e);
    }
    t->ledger.measured[LEDGER_MOMENTS] = device->bytes - t->ledger.measured[LEDGER_WEIGHTS];
    return rc;
}

static void trainer_close(struct trainer *t) {
    optimizer_close(&t->optimizer);
    parameters_close(t->parameters);
    device_close(t->workers != NULL ? t->workers[0].device : NULL);
    free(t->workers);
    free(t->gradients);
}

int trainer_run(const struct trainer_options *options, const struct task *task,
                const volatile sig_atomic_t *cancel, struct trainer_result *result,
                struct error *e) {
    struct trainer t = {
        .options = options, .task = task, .cancel = cancel, .run = {.measured = -1}};
    int rc = trainer_settle(&t, e);
    if (rc == 0) {
        rc = open_device(&t, e);
    }
    if (rc == 0) {
        rc = open_parameters(&t, e);
    }
    if (rc == 0) {
        rc = trainer_files_open(&t, e);
    }
    if (rc == 0) {
        rc = trainer_predict(&t, e);
    }
    if (rc == 0) {
        ledger_log("will take", t.ledger.predicted);
        rc = run_threads(&t, e);
    }
    double seconds = clock_seconds() - t.files.started;
    int closed = trainer_files_close(&t, rc, e);
    if (rc == 0) {
        rc = closed;
    }
    *result = (struct trainer_result){.step = t.optimizer.step,
                                      .samples = t.run.samples,
                                      .skipped = t.run.skipped,
                                      .samples_per_second =
                                          (double)(t.run.samples - t.files.first_samples) / seconds,
                                      .ledger = t.ledger};
    if (rc == 0 && !t.step.over) {
        rc = error_set(e, ERR_CANCELLED, "stopped at step %" PRId64, t.optimizer.step);
    }
    trainer_close(&t);
    return rc;
}
