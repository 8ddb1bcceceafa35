/* head.h - a reading head (compress/reading.h) on a tape, and the labels that it learns from. */
#ifndef OCC_TRAIN_READ_HEAD_H
#define OCC_TRAIN_READ_HEAD_H

#include "compress/reading.h"
#include "train/tape/source.h"

/* A character on a page: the cell row (pixels / READING_ROW) and the column (pixels /
 * READING_COLUMN) of its middle. In order of row, then column; no two in one place. */
struct read_label {
    int16_t row, column;
    int32_t class_index;
};

/* What a head should read: rows of cells of a batch of pages, and what stands in them. All arrays
 * are the host's and the caller's. */
struct read_targets {
    const int32_t *rows; /* page * rows of a page + row; -1: none, only to fill up */
    int64_t count;
    int64_t page_rows, steps;  /* cells of a page, down and across */
    int32_t *presence;         /* (count, steps * READING_COLUMNS): 0 or 1, -1: not counted */
    int32_t *places, *classes; /* of the characters: index into presence; class */
    int64_t characters;
    float scale; /* of its losses */
};

/* Where a head's losses go: sums of cross-entropies, not scaled. */
enum { READ_PRESENCE, READ_CHARACTER, READ_LOSSES };

/* Adds the scaled cross-entropies of what the head `prefix` reads at targets[0 .. count - 1] to the
 * tape's loss, and their sums to losses[0 .. count - 1], each F32 (READ_LOSSES) of the device.
 * x (batch * tokens, dim), grid of one page. */
void read_head_tape(const struct reading_config *config, const struct tape_source *parameters,
                    struct tape *t, const char *prefix, struct node *x,
                    const struct reading_grid *grid, const struct read_targets *targets,
                    const struct tensor *losses, int64_t count);

/* What the head `prefix` sees of the tokens x (count * tokens, dim) of `count` pages that were
 * halved halvings[i] times, at most config->nested: the numbers that are left, and its trunk. */
struct node *read_trunk_tape(const struct reading_config *config,
                             const struct tape_source *parameters, struct tape *t,
                             const char *prefix, struct node *x, const int *halvings,
                             int64_t count);

#endif
