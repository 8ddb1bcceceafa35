/* step.c - see step.h. */
#include "train/read/step.h"

#include <stdio.h>

/* Rows of cells: the head after the last stage is asked for all of those with text and an eighth
 * of the empty ones, those before it for a third of that; after merges it is asked for half. */
static const double EARLY_SHARE = 1.0 / 3, EMPTY_SHARE = 1.0 / 8, MERGED_SHARE = 1.0 / 2;
/* What merges lose is large, and would drown what is left to learn of the tokens themselves. */
static const double MERGED_WEIGHT = 1.0 / 4;

/* ---- Parameters ------------------------------------------------------------------------------ */

/* The heads before the last only help to train. */
static int take_early(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_spec early = *spec;
    early.shipped = false;
    return parameters_take(context, &early, e);
}

int read_parameters(struct parameters *p, const struct read_options *o, struct error *e) {
    const struct encoder_config *c = &o->encoder;
    const struct {
        int64_t dim, cells;
    } early[READ_EARLY] = {{c->neck, 2}, {c->net_2, 4}, {c->net_3, 8}};
    int rc = config_tensors(c, parameters_take, p, e);
    for (int i = 0; i < READ_EARLY && rc == 0; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "early.%d.", i);
        rc = reading_tensors(&o->reading, prefix, early[i].dim, early[i].cells, early[i].cells,
                             take_early, p, e);
    }
    if (rc == 0) {
        rc = reading_tensors(&o->reading, "reader.", c->token_dim, READING_ROWS, READING_STEPS,
                             parameters_take, p, e);
    }
    return rc == 0 ? merge_tensors(c->token_dim, parameters_take, p, e) : rc;
}

/* ---- Losses ---------------------------------------------------------------------------------- */

struct page {
    struct read_pass *pass;
    const struct read_sample *sample;
    const struct trainer_pass *trainer;
    int64_t rows, columns; /* tokens */
    int phases;
    uint64_t random;
};

static void read_with(struct page *p, const char *prefix, struct node *x,
                      const struct reading_grid *grid, double share, double weight, int head) {
    struct tape *t = p->trainer->tape;
    struct read_rows rows;
    if (read_sample_rows(t, p->sample, share, EMPTY_SHARE * share, &p->random, &rows)) {
        const struct tensor losses = tensor_row_range(&p->pass->losses, head, 1);
        read_head_tape(&p->pass->options->reading, p->trainer->parameters, t, prefix, x, grid,
                       &rows, (float)(weight / share / p->trainer->targets), &losses);
        p->pass->characters[head] += rows.characters;
    }
}

static void read_early(struct page *p, const struct encoder_stages *stages) {
    struct node *const inputs[READ_EARLY] = {stages->neck, stages->net_2, stages->net_3};
    const struct read_plan *plan = p->pass->plan;
    for (int i = 0; i < READ_EARLY && i <= (int)plan->last; i++) {
        const int64_t cells = (int64_t)2 << i; /* a side of a patch: 2, then 4, 8 */
        const int phases = i == READ_EARLY - 1 ? p->phases : 1;
        const struct reading_grid grid = {.rows = p->rows * READING_ROWS / cells,
                                          .columns = p->columns / p->phases * READING_STEPS /
                                                     cells * phases,
                                          .down = cells,
                                          .across = cells,
                                          .phases = phases};
        char prefix[32];
        snprintf(prefix, sizeof prefix, "early.%d.", i);
        if (i == (int)plan->last) {
            read_with(p, prefix, inputs[i], &grid, 1, 1, READ_OF_KIND + p->sample->kind);
        } else if (plan->early[i] > 0) {
            read_with(p, prefix, inputs[i], &grid, EARLY_SHARE, plan->early[i], READ_OF_EARLY + i);
        }
    }
}

static void read_tokens(struct page *p, struct node *tokens, double share, double weight,
                        int head) {
    const struct reading_grid grid = {.rows = p->rows,
                                      .columns = p->columns,
                                      .down = READING_ROWS,
                                      .across = READING_STEPS,
                                      .phases = p->phases};
    read_with(p, "reader.", tokens, &grid, share, weight, head);
}

/* As forget_grid halves: the longer side, columns where both are equal. */
static void read_merged(struct page *p, struct node *x) {
    int64_t rows = p->rows, columns = p->columns;
    int merges = p->sample->merges;
    bool by_rows[READ_MERGES];
    for (int i = 0; i < merges; i++) {
        by_rows[i] = rows > columns;
        x = merge_tape(p->trainer->parameters, p->trainer->tape, x, &rows, &columns, by_rows[i]);
    }
    for (int i = merges - 1; i >= 0; i--) {
        x = unmerge_tape(p->trainer->parameters, p->trainer->tape, x, &rows, &columns, by_rows[i]);
    }
    read_tokens(p, x, MERGED_SHARE, MERGED_WEIGHT, READ_OF_MERGE + merges - 1);
}

int read_step_page(struct read_pass *pass, const struct read_sample *sample,
                   const struct trainer_pass *trainer, struct error *e) {
    const struct encoder_config *config = &pass->options->encoder;
    const struct read_plan *plan = pass->plan;
    struct tape *t = trainer->tape;
    struct page p = {.pass = pass,
                     .sample = sample,
                     .trainer = trainer,
                     .rows = sample->side / (4 * config->patch),
                     .phases = plan->size == READ_HIFI ? 2 : 1,
                     .random = sample->random};
    p.columns = p.rows * p.phases;
    const struct tensor host = tensor_of(sample->pixels.data, DTYPE_F32, NULL,
                                         TENSOR_SHAPE(1, sample->side, sample->side, 1));
    struct encoder_stages stages;
    tape_begin(t);
    const struct tensor pixels = tape_upload(t, &host);
    if (pixels.data == NULL) {
        return tape_status(t, e);
    }
    encoder_tape(config, trainer->parameters, t, &pixels, p.phases, plan->last, &stages);
    read_early(&p, &stages);
    if (plan->last == STAGE_TOKENS) {
        read_tokens(&p, stages.tokens, 1, 1, READ_OF_KIND + sample->kind);
    }
    if (sample->merges > 0) {
        read_merged(&p, stages.tokens);
    }
    return tape_backward(t, e);
}
