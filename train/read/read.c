/* read.c - see read.h: the loop over steps and its threads.
 *
 * The threads go through each step together: pages are made, then read and learned from, then each
 * thread sums and applies the gradients of a part of the parameters. Between two phases they wait
 * for each other, and one of them decides what comes next. */
#include "train/read/read.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compress/model.h"
#include "store/log.h"
#include "store/random.h"
#include "train/read/run.h"

const char *const READ_SIZE_NAMES[READ_SIZES + 1] = {"tiny", "base", "hifi", "crop", NULL};

const struct read_options READ_DEFAULTS = {.reading = READING_DEFAULTS,
                                           .optimizer = OPTIMIZER_DEFAULTS,
                                           .batch = 4,
                                           .sizes = {1},
                                           .staged = 0.35,
                                           .merging = 0.5,
                                           .merging_from = 0.5,
                                           .merges = {0.6, 0.3, 0.07, 0.03},
                                           .save_ms = 5 * 60 * 1000};

/* ---- Plans --------------------------------------------------------------------------------- */

/* Half of the time goes to the front. */
static enum encoder_stage stage_at(double staged, double done) {
    return done < staged / 2       ? STAGE_NECK
           : done < staged * 3 / 4 ? STAGE_NET_2
           : done < staged         ? STAGE_NET_3
                                   : STAGE_TOKENS;
}

/* The early heads matter less the longer it goes, and cost a quarter of the time. */
static void make_plan(const struct read_run *r, struct read_plan *plan) {
    const struct read_options *o = r->options;
    uint64_t random = random_stream(o->seed, (uint64_t)r->optimizer.step);
    double done = (double)r->optimizer.step / (double)o->optimizer.steps;
    double fade = done < 0.5 ? 1 : done < 0.7 ? 0.3 : 0;
    plan->number = (uint64_t)r->optimizer.step;
    plan->progress = done;
    plan->size = (enum read_size)random_choice(&random, o->sizes, READ_SIZES);
    plan->last = stage_at(o->staged, done);
    plan->early[0] = plan->early[1] = 0.3 * fade;
    plan->early[2] = 0.5 * fade;
    plan->merging = done >= o->merging_from && plan->last == STAGE_TOKENS;
}

/* As many pages of a size as cost what `batch` tiny ones do, at least one a thread. */
static int64_t pages_of(const struct read_run *r, enum read_size size) {
    static const int64_t COST[READ_SIZES] = {
        [READ_TINY] = 1, [READ_BASE] = 4, [READ_HIFI] = 6, [READ_CROP] = 1};
    int64_t pages = r->options->batch / COST[size];
    pages -= pages % r->thread_count;
    return pages > r->thread_count ? pages : r->thread_count;
}

/* ---- Phases of a step ------------------------------------------------------------------------ */

static int make_pages(struct read_worker *w) {
    struct read_run *r = w->run;
    w->page_count = pages_of(r, r->plan.size) / r->thread_count;
    w->characters = 0;
    for (int64_t i = 0; i < w->page_count; i++) {
        struct read_page page;
        struct read_sheet *sheet = &w->sheets[i];
        /* pages are numbered as if each step had `batch` of them, or a page a thread */
        int64_t each = r->options->batch > r->thread_count ? r->options->batch : r->thread_count;
        uint64_t number =
            r->plan.number * (uint64_t)each + (uint64_t)(i * r->thread_count + w->index);
        const struct read_question question = {.size = r->plan.size,
                                               .number = number,
                                               .pair = number / 2,
                                               .progress = r->plan.progress};
        int rc = r->source->make(w->maker, &question, &page, &w->error);
        rc = rc == 0 ? read_sheet_take(sheet, &page, r->whitening, &w->error) : rc;
        if (rc < 0) {
            return rc;
        }
        sheet->random = random_stream(r->options->seed + 1, number);
        sheet->merges = 0;
        if (r->plan.merging && sheet->merging &&
            random_unit(&sheet->random) < r->options->merging) {
            sheet->merges = 1 + random_choice(&sheet->random, r->options->merges, READ_MERGES);
        }
        w->characters += (double)sheet->label_count;
    }
    return 0;
}

static int learn(struct read_worker *w) {
    struct read_run *r = w->run;
    int rc = 0;
    for (int64_t i = 0; i < w->page_count && rc == 0; i++) {
        rc = read_step_page(w->tape, r->options, r->parameters, &r->plan, &w->sheets[i],
                            r->characters, w->gradients, &w->sums, &w->error);
    }
    return rc;
}

/* The part of the parameters that a thread adds up and changes; whole cache lines. */
static void part_of(const struct read_worker *w, size_t *first, size_t *end) {
    size_t total = parameters_total(w->run->parameters), line = 32;
    size_t lines = total / line, threads = (size_t)w->run->thread_count, i = (size_t)w->index;
    *first = lines * i / threads * line;
    *end = i + 1 == threads ? total : lines * (i + 1) / threads * line;
}

static void sum_gradients(struct read_worker *w) {
    const struct read_run *r = w->run;
    size_t first, end;
    part_of(w, &first, &end);
    float *sum = r->workers[0].gradients;
    for (int64_t i = 1; i < r->thread_count; i++) {
        r->optimizer.kernels->accumulate(sum + first, r->workers[i].gradients + first, end - first);
    }
    w->squares = r->optimizer.kernels->square_sum(sum + first, end - first);
}

static int update(struct read_worker *w) {
    struct read_run *r = w->run;
    size_t first, end;
    part_of(w, &first, &end);
    if (r->scale > 0) {
        optimizer_update(&r->optimizer, r->parameters, r->workers[0].gradients, r->scale, first,
                         end);
    }
    for (int64_t i = 0; i < r->thread_count; i++) {
        memset(r->workers[i].gradients + first, 0, (end - first) * sizeof(float));
    }
    return w->bf16
               ? parameters_round(r->parameters, &BACKEND_CPU, w->context, first, end, &w->error)
               : 0;
}

/* ---- Between the phases: one thread ------------------------------------------------------------
 */

/* The first failure of a thread becomes that of the run. */
static void collect(struct read_run *r) {
    for (int64_t i = 0; i < r->thread_count && r->rc == 0; i++) {
        if (r->workers[i].rc < 0) {
            r->rc = r->workers[i].rc;
            r->error = r->workers[i].error;
        }
    }
}

static void before_learning(struct read_run *r) {
    collect(r);
    r->characters = 0;
    for (int64_t i = 0; i < r->thread_count; i++) {
        r->characters += r->workers[i].characters;
    }
    r->characters = r->characters > 0 ? r->characters : 1;
}

/* A gradient that is no number, or far longer than those before it, is not followed. */
static void before_update(struct read_run *r) {
    enum { OUTLIER = 30, SETTLED = 200 /* steps */ };
    double squares = 0;
    for (int64_t i = 0; i < r->thread_count; i++) {
        squares += r->workers[i].squares;
    }
    double norm = sqrt(squares), clip = r->options->optimizer.clip;
    r->norm = norm;
    bool outlier = r->optimizer.step > SETTLED && norm > OUTLIER * r->usual_norm;
    /* outliers raise what is usual, so that what stays is followed in the end */
    double counted = outlier ? OUTLIER * r->usual_norm : norm;
    if (isfinite(norm)) {
        r->usual_norm = r->optimizer.step == 0 ? norm : 0.99 * r->usual_norm + 0.01 * counted;
    }
    if (!isfinite(norm) || outlier) {
        r->scale = 0;
        r->skipped++;
        return;
    }
    r->scale = clip > 0 && norm > clip ? clip / norm : 1;
}

static void after_update(struct read_run *r) {
    collect(r);
    for (int64_t i = 0; i < r->thread_count; i++) {
        read_sums_add(&r->sums, &r->workers[i].sums);
        r->workers[i].sums = (struct read_sums){.pages = 0};
    }
    r->optimizer.step++;
    if (r->rc == 0) {
        r->rc = read_run_note(r, &r->error);
    }
    const struct read_options *o = r->options;
    bool cancelled = r->cancel != NULL && *r->cancel;
    r->done = r->rc < 0 || cancelled || r->optimizer.step >= o->optimizer.steps ||
              (o->stop_at > 0 && r->optimizer.step >= o->stop_at);
    if (!r->done) {
        make_plan(r, &r->plan);
    }
}

/* ---- Threads
 * ------------------------------------------------------------------------------------- */

/* All threads come here; one of them runs `between`. */
static void meet(struct read_worker *w, void (*between)(struct read_run *r)) {
    int first = pthread_barrier_wait(&w->run->barrier);
    if (first == PTHREAD_BARRIER_SERIAL_THREAD) {
        between(w->run);
    }
    pthread_barrier_wait(&w->run->barrier);
}

static void begin(struct read_run *r) {
    collect(r);
    r->done = r->rc < 0 || r->optimizer.step >= r->options->optimizer.steps;
    if (!r->done) {
        make_plan(r, &r->plan);
    }
}

static int worker_open(struct read_worker *w) {
    struct read_run *r = w->run;
    enum dtype compute = w->bf16 ? DTYPE_BF16 : DTYPE_F32;
    size_t size = parameters_total(r->parameters) * sizeof(float), first, end;
    int rc = tape_open(&w->tape, &BACKEND_CPU, compute, &w->error);
    rc = rc == 0 ? BACKEND_CPU.context_open(&w->context, compute, &w->error) : rc;
    rc = rc == 0 ? r->source->open(r->source->context, &w->maker, &w->error) : rc;
    w->sheets = calloc((size_t)r->options->batch + 1, sizeof *w->sheets);
    w->gradients = aligned_alloc(64, size);
    if (rc == 0 && (w->sheets == NULL || w->gradients == NULL)) {
        rc = error_set(&w->error, ERR_MEMORY, "out of memory for a training thread");
    }
    if (rc < 0) {
        return rc;
    }
    memset(w->gradients, 0, size);
    part_of(w, &first, &end);
    return w->bf16
               ? parameters_round(r->parameters, &BACKEND_CPU, w->context, first, end, &w->error)
               : 0;
}

static void *work(void *argument) {
    struct read_worker *w = argument;
    struct read_run *r = w->run;
    w->rc = worker_open(w);
    meet(w, begin);
    while (!r->done) {
        w->rc = make_pages(w);
        meet(w, before_learning);
        w->rc = r->rc == 0 ? learn(w) : 0;
        meet(w, collect);
        if (r->rc == 0) {
            sum_gradients(w);
        }
        meet(w, before_update);
        w->rc = r->rc == 0 ? update(w) : 0;
        meet(w, after_update);
    }
    return NULL;
}

static void worker_close(struct read_worker *w) {
    if (w->maker != NULL) {
        w->run->source->close(w->maker);
    }
    for (int64_t i = 0; i <= w->run->options->batch && w->sheets != NULL; i++) {
        read_sheet_close(&w->sheets[i]);
    }
    free(w->sheets);
    free(w->gradients);
    if (w->context != NULL) {
        BACKEND_CPU.context_close(w->context);
    }
    tape_close(w->tape);
}

/* A thread that waits at the barrier for one that could not be started would wait for ever. */
static void *work_with_all(void *argument) {
    struct read_run *r = ((struct read_worker *)argument)->run;
    pthread_mutex_lock(&r->gate);
    int rc = r->rc;
    pthread_mutex_unlock(&r->gate);
    return rc == 0 ? work(argument) : NULL;
}

/* How many there are, the caller's included. */
static int64_t start_threads(struct read_run *r) {
    for (int64_t i = 0; i < r->thread_count; i++) {
        struct read_worker *w = &r->workers[i];
        *w = (struct read_worker){.run = r, .index = i, .bf16 = BACKEND_CPU.has_bf16()};
        if (i > 0 && pthread_create(&w->thread, NULL, work_with_all, w) != 0) {
            r->rc = error_set(&r->error, ERR_MEMORY, "thread %" PRId64 " cannot be started", i);
            return i;
        }
    }
    return r->thread_count;
}

static int run_threads(struct read_run *r, struct error *e) {
    if (pthread_barrier_init(&r->barrier, NULL, (unsigned)r->thread_count) != 0) {
        return error_set(e, ERR_MEMORY, "no barrier for the threads");
    }
    pthread_mutex_init(&r->gate, NULL); /* cannot fail with the default attributes */
    pthread_mutex_lock(&r->gate);
    int64_t started = start_threads(r);
    pthread_mutex_unlock(&r->gate);
    work_with_all(&r->workers[0]);
    for (int64_t i = 1; i < started; i++) {
        pthread_join(r->workers[i].thread, NULL);
    }
    for (int64_t i = 0; i < started; i++) {
        worker_close(&r->workers[i]);
    }
    pthread_barrier_destroy(&r->barrier);
    pthread_mutex_destroy(&r->gate);
    if (r->rc < 0 && e != NULL) {
        *e = r->error;
    }
    return r->rc;
}

/* ---- The training
 * ----------------------------------------------------------------------------------- */

static void fill_parameters(const struct read_options *o, struct parameters *p) {
    for (size_t i = 0; i < parameters_count(p); i++) {
        const struct parameter *one = parameters_get(p, i);
        uint64_t state = random_stream(o->seed + 2, i);
        model_fill(parameters_values(p) + one->offset, &one->spec, random_next(&state));
    }
}

static int take_weights(struct read_run *r, struct error *e) {
    struct parameters *p = r->parameters;
    const struct parameter *weight = parameters_find(p, CONFIG_PATCH_WEIGHT);
    const struct parameter *bias = parameters_find(p, CONFIG_PATCH_BIAS);
    size_t kept;
    int rc = parameters_load_some(p, r->options->from, &kept, e);
    if (rc == 0) {
        whiten_unfold(r->whitening, parameters_values(p) + weight->offset,
                      parameters_values(p) + bias->offset, weight->rows);
        log_info("begins with %s; %zu of %zu parameters are not in it and are random",
                 r->options->from, kept, parameters_count(p));
    }
    return rc;
}

static int open_parameters(struct read_run *r, struct error *e) {
    int rc = parameters_open(&r->parameters, e);
    rc = rc == 0 ? read_parameters(r->parameters, r->options, e) : rc;
    rc = rc == 0 ? parameters_allocate(r->parameters, e) : rc;
    rc = rc == 0 ? optimizer_open(&r->optimizer, r->parameters, &r->options->optimizer, e) : rc;
    if (rc == 0) {
        fill_parameters(r->options, r->parameters);
    }
    return rc;
}

/* FNV-1a, further. */
static uint64_t hash_of(uint64_t hash, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * 1099511628211u;
    }
    return hash;
}

/* From pages as they come at the end of the training; the same for the same seed. */
static int open_whitening(struct read_run *r, struct error *e) {
    enum { PAGES = 64 };
    void *maker = NULL;
    r->whitening = calloc(1, sizeof *r->whitening);
    int rc = r->whitening != NULL ? r->source->open(r->source->context, &maker, e)
                                  : error_set(e, ERR_MEMORY, "out of memory");
    for (uint64_t i = 0; i < PAGES && rc == 0; i++) {
        const struct read_question question = {
            .size = READ_TINY, .number = i, .pair = i / 2, .progress = 1};
        struct read_page page;
        rc = r->source->make(maker, &question, &page, e);
        if (rc == 0) {
            whiten_add(r->whitening, page.grey, page.side);
            r->pages_hash =
                hash_of(r->pages_hash, page.grey, (size_t)page.side * (size_t)page.side);
        }
    }
    if (maker != NULL) {
        r->source->close(maker);
    }
    return rc == 0 ? whiten_finish(r->whitening, e) : rc;
}

int read_train(const struct read_options *options, const struct alphabet *alphabet,
               const struct read_source *source, const json_t *metadata,
               const volatile sig_atomic_t *cancel, struct read_result *result, struct error *e) {
    struct read_run r = {.options = options,
                         .alphabet = alphabet,
                         .source = source,
                         .metadata = metadata,
                         .cancel = cancel,
                         .thread_count = options->threads};
    if (r.thread_count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        r.thread_count = cores > 0 ? cores : 1;
    }
    int rc = open_parameters(&r, e);
    rc = rc == 0 ? open_whitening(&r, e) : rc;
    rc = rc == 0 && options->from != NULL ? take_weights(&r, e) : rc;
    r.workers = calloc((size_t)r.thread_count, sizeof *r.workers);
    if (rc == 0 && r.workers == NULL) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    }
    rc = rc == 0 ? read_run_begin(&r, e) : rc;
    rc = rc == 0 ? run_threads(&r, e) : rc;
    int closed = read_run_end(&r, rc, e);
    rc = rc == 0 ? closed : rc;
    *result = (struct read_result){.step = r.optimizer.step,
                                   .pages = r.pages,
                                   .skipped = r.skipped,
                                   .pages_per_second = r.pages_per_second};
    if (rc == 0 && r.optimizer.step < options->optimizer.steps) {
        rc = error_set(e, ERR_CANCELLED, "stopped at step %" PRId64, r.optimizer.step);
    }
    free(r.workers);
    free(r.whitening);
    optimizer_close(&r.optimizer);
    parameters_close(r.parameters);
    return rc;
}
