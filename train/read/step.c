/* step.c - see step.h. */
#include "train/read/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/random.h"

/* Rows of cells: the head behind the last stage is asked for all of those with text and an eighth
 * of the empty ones, those before it for a third of that; behind merges it is asked for half. */
static const double EARLY_SHARE = 1.0 / 3, EMPTY_SHARE = 1.0 / 8, MERGED_SHARE = 1.0 / 2;
/* What merges lose is large, and would drown what is left to learn of the tokens themselves. */
static const double MERGED_WEIGHT = 1.0 / 4;

enum { ROW_UNIT = 8 };

/* ---- Sums ------------------------------------------------------------------------------ */

static void loss_add(struct read_loss *to, const struct read_loss *from) {
    to->presence += from->presence;
    to->character += from->character;
    to->characters += from->characters;
}

void read_sums_add(struct read_sums *to, const struct read_sums *from) {
    for (int i = 0; i < READ_EARLY; i++) {
        loss_add(&to->early[i], &from->early[i]);
    }
    for (int i = 0; i < READ_KINDS; i++) {
        loss_add(&to->read[i], &from->read[i]);
    }
    for (int i = 0; i < READ_MERGES; i++) {
        loss_add(&to->merged[i], &from->merged[i]);
    }
    to->pages += from->pages;
}

/* ---- Pages ------------------------------------------------------------------------------ */

void read_sheet_close(struct read_sheet *s) {
    free(s->pixels);
    free(s->labels);
    *s = (struct read_sheet){.pixels = NULL};
}

int read_sheet_take(struct read_sheet *s, const struct read_page *page,
                    const struct whitening *whitening, struct error *e) {
    size_t area = (size_t)page->side * (size_t)page->side;
    if (s->capacity < area * 3) {
        free(s->pixels);
        s->capacity = 0;
        s->pixels = malloc(area * 3 * sizeof *s->pixels);
        if (s->pixels == NULL) {
            return error_set(e, ERR_MEMORY, "out of memory for a page");
        }
        s->capacity = area * 3;
    }
    if (s->label_capacity < page->label_count) {
        free(s->labels);
        s->label_capacity = 0;
        s->labels = malloc(page->label_count * sizeof *s->labels);
        if (s->labels == NULL) {
            return error_set(e, ERR_MEMORY, "out of memory for a page's labels");
        }
        s->label_capacity = page->label_count;
    }
    whiten_page(whitening, s->pixels, page->grey, page->side);
    if (page->label_count > 0) {
        memcpy(s->labels, page->labels, page->label_count * sizeof *s->labels);
    }
    s->label_count = page->label_count;
    s->side = page->side;
    s->kind = page->kind;
    s->merging = page->merging;
    return 0;
}

/* ---- Parameters -------------------------------------------------------------------------- */

static int add_parameter(void *context, const struct tensor_spec *spec, struct error *e) {
    return parameters_add(context, spec, e);
}

/* The heads before the last only help to train. */
static int add_early(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_spec early = *spec;
    early.shipped = false;
    return parameters_add(context, &early, e);
}

int read_parameters(struct parameters *p, const struct read_options *o, struct error *e) {
    const struct encoder_config *c = &o->encoder;
    const struct {
        int64_t dim, cells;
    } early[READ_EARLY] = {{c->neck, 2}, {c->net_2, 4}, {c->net_3, 8}};
    int rc = parameters_add_encoder(p, c, e);
    for (int i = 0; i < READ_EARLY && rc == 0; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "early.%d.", i);
        rc = reading_tensors(&o->reading, prefix, early[i].dim, early[i].cells, early[i].cells,
                             add_early, p, e);
    }
    if (rc == 0) {
        rc = reading_tensors(&o->reading, "reader.", c->token_dim, READING_ROWS, READING_STEPS,
                             add_parameter, p, e);
    }
    return rc == 0 ? merge_tensors(c->token_dim, add_parameter, p, e) : rc;
}

/* ---- What is asked ------------------------------------------------------------------------- */

/* Chooses rows of cells, filled up so that products have few shapes; labels are in order of rows.
 * False: the tape failed. */
static bool ask(struct tape *t, const struct read_sheet *s, double share, double empty_share,
                uint64_t *random, struct read_rows *out) {
    int64_t rows = s->side / READING_ROW, steps = s->side / READING_STEP;
    int64_t width = steps * READING_COLUMNS;
    int32_t *list = tape_alloc(t, (size_t)(rows + ROW_UNIT), sizeof *list);
    int32_t *presence = tape_alloc(t, (size_t)((rows + ROW_UNIT) * width), sizeof *presence);
    int32_t *places = tape_alloc(t, s->label_count + 1, sizeof *places);
    int32_t *classes = tape_alloc(t, s->label_count + 1, sizeof *classes);
    if (classes == NULL) {
        return false;
    }
    *out = (struct read_rows){.rows = list,
                              .page_rows = rows,
                              .steps = steps,
                              .presence = presence,
                              .places = places,
                              .classes = classes};
    size_t at = 0;
    for (int64_t row = 0; row < rows; row++) {
        size_t end = at;
        while (end < s->label_count && s->labels[end].row == row) {
            end++;
        }
        if (random_unit(random) < (end > at ? share : empty_share)) {
            int64_t base = out->count * width;
            memset(presence + base, 0, (size_t)width * sizeof *presence);
            for (; at < end; at++) {
                presence[base + s->labels[at].column] = 1;
                places[out->characters] = (int32_t)(base + s->labels[at].column);
                classes[out->characters++] = s->labels[at].class_index;
            }
            list[out->count++] = (int32_t)row;
        }
        at = end;
    }
    while (out->count % ROW_UNIT != 0) {
        memset(presence + out->count * width, 0xFF, (size_t)width * sizeof *presence); /* -1 */
        list[out->count++] = -1;
    }
    return true;
}

/* ---- Losses ---------------------------------------------------------------------------------- */

struct page_pass {
    struct tape *t;
    const struct read_plan *plan;
    const struct read_sheet *sheet;
    struct read_taping taping;
    int64_t rows, columns; /* tokens */
    int phases;
    double characters;
    uint64_t random;
    struct read_sums *sums;
};

static void read_with(struct page_pass *p, const char *prefix, struct tensor *x,
                      const struct reading_grid *grid, double share, double weight,
                      struct read_loss *loss) {
    struct read_rows asked;
    if (ask(p->t, p->sheet, share, EMPTY_SHARE * share, &p->random, &asked)) {
        read_head_tape(&p->taping, p->t, prefix, x, grid, &asked,
                       (float)(weight / share / p->characters), loss);
    }
}

static void read_early(struct page_pass *p, const struct encoder_stages *stages) {
    struct tensor *const inputs[READ_EARLY] = {stages->neck, stages->net_2, stages->net_3};
    for (int i = 0; i < READ_EARLY && i <= (int)p->plan->last; i++) {
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
        if (i == (int)p->plan->last) {
            read_with(p, prefix, inputs[i], &grid, 1, 1, &p->sums->read[p->sheet->kind]);
        } else if (p->plan->early[i] > 0) {
            read_with(p, prefix, inputs[i], &grid, EARLY_SHARE, p->plan->early[i],
                      &p->sums->early[i]);
        }
    }
}

static void read_tokens(struct page_pass *p, struct tensor *tokens, double share, double weight,
                        struct read_loss *loss) {
    const struct reading_grid grid = {.rows = p->rows,
                                      .columns = p->columns,
                                      .down = READING_ROWS,
                                      .across = READING_STEPS,
                                      .phases = p->phases};
    read_with(p, "reader.", tokens, &grid, share, weight, loss);
}

/* As forget_grid halves: the longer side, columns where both are equal. */
static void read_merged(struct page_pass *p, struct tensor *x) {
    int64_t rows = p->rows, columns = p->columns;
    bool by_rows[READ_MERGES];
    for (int i = 0; i < p->sheet->merges; i++) {
        by_rows[i] = rows > columns;
        x = merge_tape(&p->taping, p->t, x, &rows, &columns, by_rows[i]);
    }
    for (int i = p->sheet->merges - 1; i >= 0; i--) {
        x = unmerge_tape(&p->taping, p->t, x, &rows, &columns, by_rows[i]);
    }
    read_tokens(p, x, MERGED_SHARE, MERGED_WEIGHT, &p->sums->merged[p->sheet->merges - 1]);
}

int read_step_page(struct tape *t, const struct read_options *o, const struct parameters *p,
                   const struct read_plan *plan, const struct read_sheet *sheet, double characters,
                   float *gradients, struct read_sums *sums, struct error *e) {
    int phases = plan->size == READ_HIFI ? 2 : 1;
    const struct encoder_taping taping = {
        .config = &o->encoder, .parameters = p, .gradients = gradients};
    const struct encoder_shape shape = {1, sheet->side, sheet->side, phases};
    struct page_pass pass = {
        .t = t,
        .plan = plan,
        .sheet = sheet,
        .taping = {.config = &o->reading, .parameters = p, .gradients = gradients},
        .rows = sheet->side / (4 * o->encoder.patch),
        .columns = sheet->side / (4 * o->encoder.patch) * phases,
        .phases = phases,
        .characters = characters,
        .random = sheet->random,
        .sums = sums};
    struct encoder_stages stages;
    tape_begin(t);
    encoder_tape(&taping, t, sheet->pixels, &shape, plan->last, &stages);
    read_early(&pass, &stages);
    if (plan->last == STAGE_TOKENS) {
        read_tokens(&pass, stages.tokens, 1, 1, &sums->read[sheet->kind]);
    }
    if (sheet->merges > 0) {
        read_merged(&pass, stages.tokens);
    }
    sums->pages++;
    return tape_backward(t, e);
}
