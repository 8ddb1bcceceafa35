/* step.c - see step.h. */
#include "train/read/step.h"

#include <stdio.h>

/* Rows of cells: the head after the last stage reads all of those with text and an eighth
 * of the empty ones, those before it for a third of that; after merges it reads half. */
static const double EARLY_SHARE = 1.0 / 3, EMPTY_SHARE = 1.0 / 8, MERGED_SHARE = 1.0 / 2;
/* The losses after merges are large, and would drown what is left to learn of the tokens. */
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

struct page_group {
    struct read_pass *pass;
    const struct read_sample *samples;
    const struct trainer_pass *trainer;
    int64_t count;
    int64_t rows, columns; /* tokens of a page */
    int column_offsets;
    uint64_t random[READ_TOGETHER];
};

/* A reading of some of the pages. */
struct head_reading {
    const char *prefix;
    struct reading_grid grid;
    int64_t pages[READ_TOGETHER], count; /* in the order in which they lie in what is read */
    double share, weight;
    int head; /* whose losses; -1: by the kind of the page */
};

static void read_with(struct page_group *p, struct node *x, const struct head_reading *r) {
    struct tape *t = p->trainer->tape;
    struct read_targets rows[READ_TOGETHER];
    struct tensor losses[READ_TOGETHER];
    for (int64_t i = 0; i < r->count; i++) {
        const struct read_sample *s = &p->samples[r->pages[i]];
        const int head = r->head >= 0 ? r->head : READ_OF_KIND + s->kind;
        losses[i] = tensor_row_range(&p->pass->losses, head, 1);
        if (!read_sample_rows(t, s, i, r->share, EMPTY_SHARE * r->share, &p->random[r->pages[i]],
                              &rows[i])) {
            return;
        }
        p->pass->characters[head] += rows[i].characters;
    }
    read_head_tape(&p->pass->options->reading, p->trainer->parameters, t, r->prefix, x, &r->grid,
                   rows, losses, r->count, (float)(r->weight / r->share / p->trainer->targets));
}

static struct head_reading reading_of_all(const struct page_group *p, const char *prefix) {
    struct head_reading r = {
        .prefix = prefix, .count = p->count, .share = 1, .weight = 1, .head = -1};
    for (int64_t i = 0; i < p->count; i++) {
        r.pages[i] = i;
    }
    return r;
}

static void read_early(struct page_group *p, const struct encoder_stages *stages) {
    struct node *const inputs[READ_EARLY] = {stages->neck, stages->net_2, stages->net_3};
    const struct read_plan *plan = p->pass->plan;
    for (int i = 0; i < READ_EARLY && i <= (int)plan->last; i++) {
        const int64_t cells = (int64_t)2 << i; /* a side of a patch: 2, then 4, 8 */
        const int column_offsets = i == READ_EARLY - 1 ? p->column_offsets : 1;
        char prefix[32];
        snprintf(prefix, sizeof prefix, "early.%d.", i);
        struct head_reading r = reading_of_all(p, prefix);
        r.grid = (struct reading_grid){.rows = p->rows * READING_ROWS / cells,
                                       .columns = p->columns / p->column_offsets * READING_STEPS /
                                                  cells * column_offsets,
                                       .down = cells,
                                       .across = cells,
                                       .column_offsets = column_offsets};
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

static struct reading_grid token_grid(const struct page_group *p) {
    return (struct reading_grid){.rows = p->rows,
                                 .columns = p->columns,
                                 .down = READING_ROWS,
                                 .across = READING_STEPS,
                                 .column_offsets = p->column_offsets};
}

/* Of (tokens of a page, pages...): the tokens of those pages. */
static void fill_pages(int32_t *out, int64_t count, const int64_t *shape) {
    for (int64_t i = 0; i < count; i++) {
        out[i] = (int32_t)(shape[1 + i / shape[0]] * shape[0] + i % shape[0]);
    }
}

/* As forget_grid halves: the longer side, columns where both are equal. */
static struct node *merge_and_back(const struct page_group *p, struct node *x, int merges) {
    const struct tape_source *parameters = p->trainer->parameters;
    int64_t rows = p->rows, columns = p->columns;
    bool by_rows[READ_MERGES];
    for (int i = 0; i < merges; i++) {
        by_rows[i] = rows > columns;
        x = merge_tape(parameters, p->trainer->tape, x, &rows, &columns, by_rows[i]);
    }
    for (int i = merges - 1; i >= 0; i--) {
        x = unmerge_tape(parameters, p->trainer->tape, x, &rows, &columns, by_rows[i]);
    }
    return x;
}

/* The pages that pass so many merges. */
static void read_merged(struct page_group *p, struct node *tokens, int merges) {
    const int64_t each = p->rows * p->columns;
    int64_t shape[TAPE_TABLE_SHAPE] = {each};
    struct head_reading r = {.prefix = "reader.",
                             .grid = token_grid(p),
                             .share = MERGED_SHARE,
                             .weight = MERGED_WEIGHT,
                             .head = READ_OF_MERGE + merges - 1};
    for (int64_t i = 0; i < p->count; i++) {
        if (p->samples[i].merges == merges) {
            shape[1 + r.count] = i;
            r.pages[r.count++] = i;
        }
    }
    if (r.count == 0) {
        return;
    }
    if (r.count < p->count) {
        const struct tensor index = tape_table(p->trainer->tape, fill_pages, r.count * each, shape);
        tokens = tape_gather(p->trainer->tape, tokens, &index);
    }
    read_with(p, merge_and_back(p, tokens, merges), &r);
}

/* The pixels of the pages, one after the other. */
static struct tensor upload_pages(const struct page_group *p) {
    struct tape *t = p->trainer->tape;
    const int64_t side = p->samples[0].side;
    const struct tensor shape =
        tensor_of(NULL, DTYPE_F32, NULL, TENSOR_SHAPE(p->count, side, side, 1));
    struct tensor all = tape_space(t, &shape);
    for (int64_t i = 0; i < p->count && all.data != NULL; i++) {
        const struct tensor host =
            tensor_of(p->samples[i].pixels.data, DTYPE_F32, NULL, TENSOR_SHAPE(1, side, side, 1));
        const struct tensor to = tensor_slice(&all, 0, i, 1);
        struct error e;
        int rc = tape_device(t)->ops->upload(tape_device(t), &to, &host, &e);
        tape_fail(t, rc, &e);
    }
    return all;
}

int64_t read_step_together(const struct read_plan *plan) {
    return plan->size == READ_TINY || plan->size == READ_CROP ? READ_TOGETHER : 1;
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
                           .rows = samples[0].side / (4 * config->patch),
                           .column_offsets = plan->size == READ_HIFI ? 2 : 1};
    p.columns = p.rows * p.column_offsets;
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
        struct head_reading r = reading_of_all(&p, "reader.");
        r.grid = token_grid(&p);
        read_with(&p, stages.tokens, &r);
    }
    for (int merges = 1; merges <= READ_MERGES; merges++) {
        read_merged(&p, stages.tokens, merges);
    }
    return tape_backward(t, e);
}
