/* step.c - the rows of a step: spans of visual tokens, forward, loss and backward. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/clock.h"
#include "store/log.h"
#include "store/random.h"
#include "train/align/task.h"

/* A row of the step: what it is like. Rows lie in the thread's memory one at a time. */
struct planned {
    uint64_t random;
    struct span_lesson lesson;
    bool current; /* of the lesson at hand */
};

struct align_worker {
    struct align_task *task;
    struct score score;
    struct span_rows *rows;
    struct planned *planned; /* (batch) */
    struct context_row row;
    int64_t made; /* the slot whose row that is; -1: none's */
    struct score_sums learned, lesson, held_out[2];
    double shown; /* seconds: when it last said how far it is */
};

/* ---- A row ----------------------------------------------------------------------------------- */

/* The network's parts, and what they point to. */
struct align_parts {
    struct lora_source lora;
    struct context_network context;
};

static struct decoder_parts parts_of(struct align_parts *to, const struct align_task *k,
                                     const struct trainer_pass *pass, uint64_t random,
                                     bool learning) {
    const struct align_network *n = k->network;
    to->lora = (struct lora_source){.options = &n->lora,
                                    .base = n->base,
                                    .source = pass->parameters,
                                    .seed = random,
                                    .dropping = learning};
    to->context = (struct context_network){.bridge = &n->bridge, .source = pass->parameters};
    return lora_parts(&to->lora);
}

/* ---- Threads --------------------------------------------------------------------------------- */

void align_task_close(void *worker) {
    struct align_worker *w = worker;
    if (w != NULL) {
        span_rows_close(w->rows);
        score_close(&w->score);
        free(w->planned);
        free(w);
    }
}

int align_task_open(void *context, void **worker, struct device *device, struct error *e) {
    struct align_task *k = context;
    const struct align_network *n = k->network;
    const struct span_options spans = {
        .model = n->model, .material = n->material, .row = n->options->row};
    struct align_worker *w = calloc(1, sizeof *w);
    *worker = NULL;
    if (w == NULL) {
        return error_memory(e, "a training thread");
    }
    *w = (struct align_worker){.task = k, .made = -1, .shown = clock_seconds()};
    w->planned = calloc((size_t)k->batch, sizeof *w->planned);
    int rc = w->planned != NULL ? score_open(&w->score, device, n->config, n->options->row, e)
                                : error_memory(e, "a training thread");
    rc = rc == 0 ? span_rows_open(&w->rows, &spans, e) : rc;
    if (rc < 0) {
        align_task_close(w);
        return rc;
    }
    *worker = w;
    return 0;
}

static int make_row(struct align_worker *w, int64_t slot, struct error *e) {
    const struct planned *p = &w->planned[slot];
    if (w->made == slot) {
        return 0;
    }
    w->made = -1;
    int rc = span_row(w->rows, CORPUS_TRAINING, &p->lesson, p->random, &w->row, e);
    w->made = rc == 0 ? slot : -1;
    return rc;
}

/* Losses are divided by the targets of all rows, so each row is made here, and again when it is
 * learned: it is text for a moment's work. */
int align_task_load(void *worker, int64_t slot, int64_t index, double *targets, struct error *e) {
    struct align_worker *w = worker;
    const struct align_task *k = w->task;
    struct planned *p = &w->planned[slot];
    const uint64_t number = (uint64_t)(k->step * k->batch + index);
    p->random = random_stream(k->network->options->seed, number);
    p->lesson = curriculum_draw(&k->curriculum, &p->random, &p->current);
    w->made = -1;
    int rc = make_row(w, slot, e);
    *targets = (double)w->row.targets;
    return rc;
}

/* A step may take long. */
static void show(struct align_worker *w, int64_t slot) {
    enum { SHOW_SECONDS = 30 };
    const struct align_task *k = w->task;
    const double now = clock_seconds();
    if (now - w->shown > SHOW_SECONDS) {
        log_info("step %" PRId64 ": row %" PRId64 " of %" PRId64, k->step + 1,
                 (slot + 1) * k->threads, k->batch);
        w->shown = now;
    }
}

int64_t align_task_learn(void *worker, int64_t slot, int64_t count, const struct trainer_pass *pass,
                         struct error *e) {
    struct align_worker *w = worker;
    const struct planned *p = &w->planned[slot];
    struct score_sums found = {.rows = 0};
    struct align_parts to;
    const struct decoder_parts parts = parts_of(&to, w->task, pass, p->random, true);
    (void)count;
    int rc = make_row(w, slot, e);
    if (rc == 0) {
        rc = score_learn(&w->score, &to.context, &parts, pass->tape, &w->row,
                         (float)(1 / pass->targets), &found, e);
    }
    score_sums_add(&w->learned, &found);
    if (p->current) {
        score_sums_add(&w->lesson, &found);
    }
    show(w, slot);
    return rc < 0 ? rc : 1;
}

int align_task_measure(void *worker, int64_t index, const struct trainer_pass *pass,
                       struct error *e) {
    struct align_worker *w = worker;
    const struct align_task *k = w->task;
    struct span_lesson lessons[CURRICULUM_MEASURED];
    const int kinds = curriculum_measured(&k->curriculum, lessons);
    const struct span_lesson *lesson = &lessons[index % kinds];
    const uint64_t random = random_stream(~k->network->options->seed, (uint64_t)index);
    struct align_parts to;
    const struct decoder_parts parts = parts_of(&to, k, pass, 0, false);
    w->made = -1;
    int rc = span_row(w->rows, CORPUS_HELD_OUT, lesson, random, &w->row, e);
    return rc == 0 ? score_measure(&w->score, &to.context, &parts, pass->tape, &w->row,
                                   &w->held_out[lesson->continuing > 0], e)
                   : rc;
}

static void move_sums(struct score_sums *to, struct score_sums *from) {
    score_sums_add(to, from);
    *from = (struct score_sums){.rows = 0};
}

int align_task_collect(void *context, void *worker, struct error *e) {
    struct align_task *k = context;
    struct align_worker *w = worker;
    (void)e;
    if (w->learned.tokens > 0) { /* of several threads the first ends the step */
        const double now = clock_seconds();
        k->learning += now - k->begun;
        k->begun = now;
    }
    k->tokens += w->learned.tokens;
    move_sums(&k->learned, &w->learned);
    move_sums(&k->lesson, &w->lesson);
    for (int i = 0; i < 2; i++) {
        move_sums(&k->held_out[i], &w->held_out[i]);
    }
    return 0;
}

void align_task_discard(void *worker) {
    struct align_worker *w = worker;
    w->learned = w->lesson = (struct score_sums){.rows = 0};
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* A row with as many visual tokens as it may have, of `expand` soft ones each, every input with a
 * target. */
static int rehearse_row(struct align_task *k, struct score *score, const struct trainer_pass *pass,
                        int64_t expand, int32_t *numbers, const float *visual, struct error *e) {
    const struct align_network *n = k->network;
    const int64_t tokens = n->options->row, count = tokens / SPAN_POSITIONS;
    const struct context_visual group = {.count = count, .numbers = visual};
    const int32_t offsets[2] = {0, (int32_t)tokens};
    int32_t *inputs = numbers + tokens;
    for (int64_t i = 0; i < tokens; i++) {
        inputs[i] = i < count * expand ? (int32_t)(-1 - BRIDGE_MARKS - i) : 0;
    }
    const struct context_row row = {.inputs = inputs,
                                    .labels = numbers,
                                    .positions = numbers,
                                    .offsets = offsets,
                                    .tokens = tokens,
                                    .sequences = 1,
                                    .targets = tokens,
                                    .visual = &group,
                                    .visual_count = count > 0,
                                    .expand = expand};
    struct score_sums sums = {.rows = 0};
    struct align_parts to;
    const struct decoder_parts parts = parts_of(&to, k, pass, 0, true);
    return score_learn(score, &to.context, &parts, pass->tape, &row, 1, &sums, e);
}

int align_task_rehearse(void *context, int64_t threads, const struct trainer_pass *pass,
                        struct error *e) {
    struct align_task *k = context;
    const struct align_network *n = k->network;
    const int64_t row = n->options->row;
    struct score score = {.device = NULL};
    int32_t *numbers = calloc((size_t)(2 * row), sizeof *numbers);
    float *visual = calloc((size_t)(row / SPAN_POSITIONS * n->bridge.dim), sizeof *visual);
    (void)threads;
    int rc = numbers != NULL && visual != NULL
                 ? score_open(&score, tape_device(pass->tape), n->config, row, e)
                 : error_memory(e, NULL);
    /* with the most soft tokens, and then the fewest, which are merged most */
    for (int64_t expand = k->curriculum.lessons[0].from; expand >= n->options->expand && rc == 0;
         expand /= 2) {
        rc = rehearse_row(k, &score, pass, expand, numbers, visual, e);
    }
    score_close(&score);
    free(numbers);
    free(visual);
    return rc;
}
