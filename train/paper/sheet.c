/* sheet.c - see sheet.h: the rows, and what is told of them. */
#include "train/paper/sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct sheet_row SHEET[SHEET_ROWS] = {
    [ROW_TEXT] = {.name = "lora-text",
                  .title = "LoRA, full text",
                  .method = "lora",
                  .context = "text"},
    [ROW_TRUNCATED] = {.name = "lora-truncated",
                       .title = "LoRA, truncated text",
                       .method = "lora",
                       .context = "truncated-text"},
    [ROW_GSPF] = {.name = "gspf", .title = "GSPF, full text", .method = "gspf", .context = "text"},
    [ROW_GSPF_TRUNCATED] = {.name = "gspf-truncated",
                            .title = "GSPF, truncated text",
                            .method = "gspf",
                            .context = "truncated-text"},
    [ROW_OCC] = {.name = "occ",
                 .title = "OCC: visual, experts, GSPF",
                 .method = "occ",
                 .context = "visual",
                 .ages = true},
    [ROW_MIXED] = {.name = "occ-mixed",
                   .title = "OCC, newest post as text",
                   .method = "occ",
                   .context = "visual",
                   .ages = true,
                   .mixed = true},
    [ROW_LASTING] = {.name = "occ-lasting",
                     .title = "OCC without forgetting",
                     .method = "occ",
                     .context = "visual"},
    [ROW_NO_EXPERTS] = {.name = "occ-no-experts",
                        .title = "OCC without experts",
                        .method = "occ",
                        .context = "visual",
                        .ages = true,
                        .plain = true},
    [ROW_RANDOM] = {.name = "occ-random",
                    .title = "OCC, random mask",
                    .method = "random-mask",
                    .context = "visual",
                    .ages = true},
    [ROW_POOLED] = {.name = "pooled",
                    .title = "pooled text, GSPF",
                    .method = "gspf",
                    .context = "pooled-text",
                    .ages = true},
    [ROW_READ] = {.name = "read",
                  .title = "read from tokens, GSPF",
                  .method = "gspf",
                  .context = "read"},
    [ROW_NONE] = {.name = "none", .title = "no context, GSPF", .method = "gspf", .context = "none"},
    [ROW_SOFT2] = {.name = "occ-2",
                   .title = "OCC, 2 soft tokens",
                   .method = "occ",
                   .context = "visual",
                   .ages = true,
                   .soft = 2},
    [ROW_SOFT4] = {.name = "occ-4",
                   .title = "OCC, 4 soft tokens",
                   .method = "occ",
                   .context = "visual",
                   .ages = true,
                   .soft = 4},
    [ROW_SOFT8] = {.name = "occ-8",
                   .title = "OCC, 8 soft tokens",
                   .method = "occ",
                   .context = "visual",
                   .ages = true,
                   .soft = 8},
};
const char *const SHEET_NAMES[] = {
    "lora-text",   "lora-truncated", "gspf",       "gspf-truncated", "occ",    "occ-mixed",
    "occ-lasting", "occ-no-experts", "occ-random", "pooled",         "read",   "none",
    "occ-2",       "occ-4",          "occ-8",      "standard",       "memory", NULL};

bool sheet_is_visual(const char *context) {
    return strcmp(context, CONTEXT_KIND_NAMES[CONTEXT_VISUAL]) == 0;
}

int sheet_perplexity(struct interval *out, const struct sheet *t, int row, struct error *e) {
    const struct sheet_figures *f = &t->rows[row];
    const int rc = interval_ratio(out, f->losses, f->targets, t->accounts, e);
    *out = (struct interval){exp(out->value), exp(out->low), exp(out->high)};
    return rc;
}

/* sum (a - b) / sum (c), by accounts; of losses a target. */
static int difference(struct interval *out, const struct sheet *t, const struct sheet_figures *a,
                      const struct sheet_figures *b, const struct sheet_figures *to,
                      struct error *e) {
    double *values = calloc(2 * t->accounts + 1, sizeof *values);
    if (values == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < t->accounts; i++) {
        values[i] = a->losses[i] - b->losses[i];
        values[t->accounts + i] = to != NULL ? a->losses[i] - to->losses[i] : a->targets[i];
    }
    const int rc = interval_ratio(out, values, values + t->accounts, t->accounts, e);
    free(values);
    return rc;
}

int sheet_beyond(struct interval *out, const struct sheet *t, int row, int baseline,
                 struct error *e) {
    *out = INTERVAL_NONE;
    return t->rows[row].seeds > 0 && t->rows[baseline].seeds > 0
               ? difference(out, t, &t->rows[row], &t->rows[baseline], NULL, e)
               : 0;
}

int sheet_way(struct interval *out, const struct sheet *t, int row, struct error *e) {
    const struct sheet_figures *none = &t->rows[ROW_NONE], *text = &t->rows[ROW_GSPF];
    *out = INTERVAL_NONE;
    return t->rows[row].seeds > 0 && none->seeds > 0 && text->seeds > 0
               ? difference(out, t, none, &t->rows[row], text, e)
               : 0;
}

double sheet_compression(const struct sheet *t, int row) {
    const struct sheet_figures *f = &t->rows[row];
    return f->positions > 0 ? f->shown / f->positions : (double)NAN;
}
