/* step.c - see step.h. */
#include "train/read/step.h"

#include <stdio.h>

/* Rows of squares: the head after the last stage reads all of those with text and an eighth
 * of the empty ones, those before it a third of that. */
static const double EARLY_SHARE = 1.0 / 3, EMPTY_SHARE = 1.0 / 8;
/* By halvings: the losses after many are large, and would drown what is left to learn of whole
 * tokens. */
static const double HALVING_WEIGHTS[1 + READ_HALVINGS] = {1, 0.8, 0.5, 0.25, 0.1};

/* ---- Parameters ------------------------------------------------------------------------------ */

/* The heads before the last only help to train. */
static int take_early(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_spec early = *spec;
    early.shipped = false;
    return parameters_take(context, &early, e);
}

int read_parameters(struct parameters *p, const struct read_options *o, struct error *e) {
    const struct encoder_config *c = &o->encoder;
    const struct reading_config simple = reading_without_trunk(&o->reading);
    const struct {
        int64_t dim, cells;
    } early[READ_EARLY] = {{c->neck, 2}, {c->net_2, 4}, {c->net_3, 8}};
    int rc = config_tensors(c, parameters_take, p, e);
    for (int i = 0; i < READ_EARLY && rc == 0; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "early.%d.", i);
        rc = reading_tensors(&simple, prefix, early[i].dim, early[i].cells, early[i].cells,
                             take_early, p, e);
    }
    return rc == 0 ? reading_tensors(&o->reading, "reader.", c->token_dim, READING_ROWS,
                                     READING_STEPS, parameters_take, p, e)
                   : rc;
}

/* ---- Losses ---------------------------------------------------------------------------------- */

struct page_group {
    struct read_pass *pass;
    const struct read_sample *samples;
    const struct trainer_pass *trainer;
    int64_t count;
    int64_t rows, columns; /* tokens of a page */
    int column_offsets;
    uint64_t random[READ_TOGETHER];
};

/* A reading of all pages. */
struct head_reading {
    const struct reading_config *config;
    const char *prefix;
    struct reading_grid grid;
    double share, weight;
    int head;    /* whose losses; -1: by the kind of the page */
    bool halved; /* those that are halved have losses and weights of their own */
};

static void read_with(struct page_group *p, struct node *x, const struct head_reading *r) {
    struct tape *t = p->trainer->tape;
    struct read_targets rows[READ_TOGETHER];
    struct tensor losses[READ_TOGETHER];
    for (int64_t i = 0; i < p->count; i++) {
        const struct read_sample *s = &p->samples[i];
        const int halvings = r->halved ? s->halvings : 0;
        const int head = halvings > 0   ? READ_OF_HALVING + halvings - 1
                         : r->head >= 0 ? r->head
                                        : READ_OF_KIND + s->kind;
        losses[i] = tensor_row_range(&p->pass->losses, head, 1);
        if (!read_sample_rows(t, s, i, r->share, EMPTY_SHARE * r->share, &p->random[i], &rows[i])) {
            return;
        }
        rows[i].scale =
            (float)(HALVING_WEIGHTS[halvings] * r->weight / r->share / p->trainer->targets);
        p->pass->characters[head] += rows[i].characters;
    }
    read_head_tape(r->config, p->trainer->parameters, t, r->prefix, x, &r->grid, rows, losses,
                   p->count);
}

/* Of a stage whose rows stand for `side` x `side` squares. */
static struct reading_grid grid_of(const struct page_group *p, int64_t side, int column_offsets) {
    const int64_t steps = p->columns / p->column_offsets * READING_STEPS;
    return (struct reading_grid){
        .rows = p->rows * READING_ROWS / side,
        .columns = steps / side * column_offsets,
        .down = side,
        .across = side,
        .column_offsets = column_offsets,
        .stretch = reading_stretch(&p->pass->options->reading, p->column_offsets, steps)};
}

static void read_early(struct page_group *p, const struct encoder_stages *stages) {
    struct node *const inputs[READ_EARLY] = {stages->neck, stages->net_2, stages->net_3};
    const struct read_plan *plan = p->pass->plan;
    const struct reading_config config = reading_without_trunk(&p->pass->options->reading);
    for (int i = 0; i < READ_EARLY && i <= (int)plan->last; i++) {
        const int64_t cells = (int64_t)2 << i; /* a side of a patch: 2, then 4, 8 */
        const int column_offsets = i == READ_EARLY - 1 ? p->column_offsets : 1;
        char prefix[32];
        snprintf(prefix, sizeof prefix, "early.%d.", i);
        struct head_reading r = {
            .config = &config, .prefix = prefix, .share = 1, .weight = 1, .head = -1};
        r.grid = grid_of(p, cells, column_offsets);
        if (i < (int)plan->last) {
            r.share = EARLY_SHARE;
            r.weight = plan->early[i];
            r.head = READ_OF_EARLY + i;
        }
        if (r.weight > 0) {
            read_with(p, inputs[i], &r);
        }
    }
}

/* The last head reads each page after as many halvings as its sample says. */
static void read_tokens(struct page_group *p, struct node *tokens) {
    const struct reading_config *config = &p->pass->options->reading;
    const struct head_reading r = {.config = config,
                                   .prefix = "reader.",
                                   .grid = grid_of(p, READING_ROWS, p->column_offsets),
                                   .share = 1,
                                   .weight = 1,
                                   .head = -1,
                                   .halved = true};
    int halvings[READ_TOGETHER];
    for (int64_t i = 0; i < p->count; i++) {
        halvings[i] = p->samples[i].halvings;
    }
    tokens = read_trunk_tape(config, p->trainer->parameters, p->trainer->tape, r.prefix, tokens,
                             halvings, p->count);
    read_with(p, tokens, &r);
}

/* The pixels of the pages, one after the other. */
static struct tensor upload_pages(const struct page_group *p) {
    struct tape *t = p->trainer->tape;
    const int64_t height = p->samples[0].height, width = p->samples[0].width;
    const struct tensor shape =
        tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(p->count, height, width, 1));
    struct tensor all = tape_space(t, &shape);
    for (int64_t i = 0; i < p->count && all.data != NULL; i++) {
        const struct tensor host = tensor_of(p->samples[i].pixels.data, DTYPE_F32, NULL,
                                             TENSOR_SHAPE(1, height, width, 1));
        const struct tensor to = tensor_slice(&all, 0, i, 1);
        struct error e;
        int rc = tape_device(t)->ops->upload(tape_device(t), &to, &host, &e);
        tape_fail(t, rc, &e);
    }
    return all;
}

int64_t read_step_together(const struct read_plan *plan, const struct device *device) {
    enum { SMALL = 4 /* are as large as a page */ };
    const bool small = plan->size == READ_TINY || plan->size == READ_CROP;
    const int64_t together = device->backend->batch() * (small ? SMALL : 1);
    return together < READ_TOGETHER ? together : READ_TOGETHER;
}

int read_step_pages(struct read_pass *pass, const struct read_sample *samples, int64_t count,
                    const struct trainer_pass *trainer, struct error *e) {
    const struct encoder_config *config = &pass->options->encoder;
    const struct read_plan *plan = pass->plan;
    struct tape *t = trainer->tape;
    struct page_group p = {.pass = pass,
                           .samples = samples,
                           .trainer = trainer,
                           .count = count,
                           .rows = samples[0].height / (4 * config->patch),
                           .column_offsets = plan->size == READ_HIFI ? 2 : 1};
    p.columns = samples[0].width / (4 * config->patch) * p.column_offsets;
    for (int64_t i = 0; i < count; i++) {
        p.random[i] = samples[i].random;
    }
    struct encoder_stages stages;
    tape_begin(t);
    const struct tensor pixels = upload_pages(&p);
    if (pixels.data == NULL) {
        return tape_status(t, e);
    }
    encoder_tape(config, trainer->parameters, t, &pixels, p.column_offsets, plan->last, &stages);
    read_early(&p, &stages);
    if (plan->last == STAGE_TOKENS) {
        read_tokens(&p, stages.tokens);
    }
    return tape_backward(t, e);
}
