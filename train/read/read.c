/* read.c - see read.h: reading as a task of the trainer. */
#include "train/read/read.h"

#include <stdlib.h>
#include <xxhash.h>

#include "compress/ops.h"
#include "render/mode.h"
#include "store/random.h"
#include "train/read/task.h"

const char *const READ_SIZE_NAMES[READ_SIZES + 1] = {"tiny", "base", "hifi", "crop", NULL};

const struct read_options READ_DEFAULTS = {.trainer = TRAINER_DEFAULTS,
                                           .trainer.tape.storage = DTYPE_BF16,
                                           .reading = READING_DEFAULTS,
                                           .batch = 4,
                                           .sizes = {1},
                                           .staged = 0.35,
                                           .halving = 0.5,
                                           .halvings = {0.36, 0.28, 0.22, 0.14}};

/* ---- Plans ----------------------------------------------------------------------------------- */

/* Half of the time goes to the front. */
static enum encoder_stage stage_at(double staged, double done) {
    return done < staged / 2       ? STAGE_NECK
           : done < staged * 3 / 4 ? STAGE_NET_2
           : done < staged         ? STAGE_NET_3
                                   : STAGE_TOKENS;
}

/* As many pages of a size as cost what `batch` tiny ones do, at least one per thread. */
static int64_t pages_of(const struct read_task *r, enum read_size size, int64_t threads) {
    static const int64_t COST[READ_SIZES] = {
        [READ_TINY] = 1, [READ_BASE] = 4, [READ_HIFI] = 6, [READ_CROP] = 1};
    int64_t pages = r->options->batch / COST[size];
    pages -= pages % threads;
    return pages > threads ? pages : threads;
}

/* The early heads matter less the longer it goes, and cost a quarter of the time. */
static void set_early(struct read_plan *plan, double fade) {
    plan->early[0] = plan->early[1] = 0.3 * fade;
    plan->early[2] = 0.5 * fade;
}

static int64_t make_plan(void *context, const struct trainer_step *step) {
    struct read_task *r = context;
    const struct read_options *o = r->options;
    uint64_t random = random_stream(o->seed, (uint64_t)step->number);
    double done = step->progress;
    r->plan =
        (struct read_plan){.number = (uint64_t)step->number,
                           .progress = done,
                           .size = (enum read_size)random_choice(&random, o->sizes, READ_SIZES),
                           .last = stage_at(o->staged, done)};
    set_early(&r->plan, done < 0.5 ? 1 : done < 0.7 ? 0.3 : 0);
    r->plan.halving = r->plan.last == STAGE_TOKENS;
    r->threads = step->threads;
    /* pages are numbered as if each step had `batch` of them, or one per thread */
    r->numbers = o->batch > step->threads ? o->batch : step->threads;
    return pages_of(r, r->plan.size, step->threads);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static int open_losses(struct read_worker *w, struct error *e) {
    struct device *d = w->device;
    w->pass.options = w->task->options;
    w->pass.plan = &w->task->plan;
    w->pass.losses = tensor_matrix(NULL, DTYPE_F32, NULL, READ_HEADS, READ_LOSSES);
    int rc = d->ops->alloc(d, &w->pass.losses, e);
    return rc == 0 ? d->ops->fill(d, &w->pass.losses, 0, e) : rc;
}

static void close_worker(void *worker) {
    struct read_worker *w = worker;
    if (w == NULL) {
        return;
    }
    if (w->generator != NULL) {
        w->task->source->close(w->generator);
    }
    for (int64_t i = 0; i <= w->task->options->batch && w->samples != NULL; i++) {
        read_sample_close(&w->samples[i]);
    }
    w->device->ops->release(w->device, &w->pass.losses);
    free(w->samples);
    free(w);
}

static int open_worker(void *context, void **worker, struct device *device, struct error *e) {
    struct read_task *r = context;
    struct read_worker *w = calloc(1, sizeof *w);
    *worker = NULL;
    if (w == NULL) {
        return error_memory(e, "a training thread");
    }
    w->task = r;
    w->device = device;
    w->samples = calloc((size_t)r->options->batch + 1, sizeof *w->samples);
    int rc = w->samples != NULL ? open_losses(w, e) : error_memory(e, "a training thread");
    if (rc == 0) {
        rc = r->source->open(r->source->context, &w->generator, e);
    }
    if (rc < 0) {
        close_worker(w);
        return rc;
    }
    *worker = w;
    return 0;
}

static int load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e) {
    struct read_worker *w = worker;
    struct read_task *r = w->task;
    struct read_sample *s = &w->samples[slot];
    struct read_page page;
    uint64_t number = r->plan.number * (uint64_t)r->numbers + (uint64_t)index;
    const struct read_request request = {
        .size = r->plan.size, .number = number, .pair = number / 2, .progress = r->plan.progress};
    int rc = r->source->make(w->generator, &request, &page, e);
    if (rc == 0) {
        rc = read_sample_take(s, &page, r->whitening, e);
    }
    if (rc < 0) {
        return rc;
    }
    s->random = random_stream(r->options->seed + 1, number);
    s->halvings = 0;
    if (r->plan.halving && random_unit(&s->random) < r->options->halving) {
        s->halvings = 1 + random_choice(&s->random, r->options->halvings, READ_HALVINGS);
    }
    *targets = (double)s->label_count;
    return 0;
}

static int64_t learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                     struct error *e) {
    struct read_worker *w = worker;
    int64_t most = read_step_together(&w->task->plan, w->device), alike = 1;
    count = count < most ? count : most;
    while (alike < count && w->samples[slot + alike].height == w->samples[slot].height) {
        alike++;
    }
    count = alike;
    int rc = read_step_pages(&w->pass, &w->samples[slot], count, pass, e);
    return rc < 0 ? rc : count;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Of the sizes that the run has the largest, halved as far as it has them, and all heads. */
static void plan_most(struct read_task *r, struct read_sample *s, int *side) {
    static const enum page_mode MODES[READ_SIZES] = {[READ_TINY] = MODE_TINY,
                                                     [READ_BASE] = MODE_BASE,
                                                     [READ_HIFI] = MODE_HIFI,
                                                     [READ_CROP] = MODE_TINY};
    const struct read_options *o = r->options;
    r->plan = (struct read_plan){.size = READ_TINY, .last = STAGE_TOKENS, .progress = 1};
    *side = 0;
    for (int i = 0; i < READ_SIZES; i++) {
        int own = r->tiny_side * PAGE_SIZES[MODES[i]].side / PAGE_SIZES[MODE_TINY].side;
        if (o->sizes[i] > 0 && own > *side) {
            r->plan.size = (enum read_size)i;
            *side = own;
        }
    }
    set_early(&r->plan, 1);
    for (int i = 0; i < READ_HALVINGS && o->halving > 0; i++) {
        s->halvings = o->halvings[i] > 0 ? i + 1 : s->halvings;
    }
}

static int rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                    struct error *e) {
    struct read_task *r = context;
    struct read_worker w = {.task = r, .device = tape_device(pass->tape)};
    struct read_sample samples[READ_TOGETHER] = {{.random = 1}};
    int side, rc = 0;
    plan_most(r, &samples[0], &side);
    int64_t count = read_step_together(&r->plan, w.device),
            own = pages_of(r, r->plan.size, threads) / threads;
    count = count < own ? count : own;
    for (int64_t i = 0; i < count && rc == 0; i++) {
        samples[i].random = 1;
        samples[i].halvings = samples[0].halvings;
        rc = read_sample_full(&samples[i], side, e);
    }
    if (rc == 0) {
        rc = open_losses(&w, e);
    }
    if (rc == 0) {
        rc = read_step_pages(&w.pass, samples, count, pass, e);
    }
    w.device->ops->release(w.device, &w.pass.losses);
    for (int64_t i = 0; i < count; i++) {
        read_sample_close(&samples[i]);
    }
    return rc;
}

/* ---- The run --------------------------------------------------------------------------------- */

/* From pages as they come at the end of the run; the same for the same seed. */
static int open_whitening(struct read_task *r, struct error *e) {
    enum { PAGES = 64 };
    void *generator = NULL;
    r->whitening = calloc(1, sizeof *r->whitening);
    int rc = r->whitening != NULL ? r->source->open(r->source->context, &generator, e)
                                  : error_memory(e, NULL);
    for (uint64_t i = 0; i < PAGES && rc == 0; i++) {
        const struct read_request request = {
            .size = READ_TINY, .number = i, .pair = i / 2, .progress = 1};
        struct read_page page;
        rc = r->source->make(generator, &request, &page, e);
        if (rc == 0) {
            whiten_add(r->whitening, page.grey, page.width, page.height);
            r->pages_hash = XXH3_64bits_withSeed(
                page.grey, (size_t)page.width * (size_t)page.height, r->pages_hash);
            r->tiny_side = page.width;
        }
    }
    if (generator != NULL) {
        r->source->close(generator);
    }
    return rc == 0 ? whiten_finish(r->whitening, e) : rc;
}

int read_train(const struct read_options *options, const struct alphabet *alphabet,
               const struct read_source *source, const json_t *metadata,
               const volatile sig_atomic_t *cancel, struct trainer_result *result,
               struct error *e) {
    struct read_task r = {
        .options = options, .alphabet = alphabet, .source = source, .metadata = metadata};
    const struct task task = {.context = &r,
                              .samples = "pages",
                              .shipped = "encoder.safetensors",
                              .list = read_task_list,
                              .fill = read_task_fill,
                              .options = read_task_options,
                              .ship = read_task_ship,
                              .plan = make_plan,
                              .open = open_worker,
                              .close = close_worker,
                              .load = load,
                              .learn = learn,
                              .rehearse = rehearse,
                              .collect = read_task_collect,
                              .report = read_task_report};
    *result = (struct trainer_result){.step = 0};
    int rc = open_whitening(&r, e);
    if (rc == 0) {
        rc = trainer_run(&options->trainer, &task, cancel, result, e);
    }
    free(r.whitening);
    return rc;
}
