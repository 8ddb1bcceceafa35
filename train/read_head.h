/* read_head.h - a reading head (compress/reading.h) on a tape, and the labels that it learns from.
 */
#ifndef OCC_TRAIN_READ_HEAD_H
#define OCC_TRAIN_READ_HEAD_H

#include "compress/reading.h"
#include "train/parameters.h"

/* A character on a page: the cell row (pixels / READING_ROW) and the column (pixels /
 * READING_COLUMN) of its middle. In order of row, then column; no two in one place. */
struct read_label {
    int16_t row, column;
    int32_t class_index;
};

/* What heads are asked: rows of cells of a batch of pages, and what stands in them. */
struct read_rows {
    const int32_t *rows; /* page * rows of a page + row; -1: none, only to fill up */
    int64_t count;
    int64_t page_rows, steps;  /* cells of a page, down and across */
    int32_t *presence;         /* (count, steps * READING_COLUMNS): 0 or 1, -1: not asked */
    int32_t *places, *classes; /* of the characters: index into presence; class */
    int64_t characters;
};

struct read_taping {
    const struct reading_config *config;
    const struct parameters *parameters; /* with reading_tensors */
    float *gradients;                    /* see parameters_tensor */
};

struct read_loss {
    double presence, character; /* sums of cross-entropies, not scaled */
    int64_t characters;
};

/* Adds `scale` times the cross-entropies of what the head `prefix` says of `asked` to the tape's
 * loss, and the sums to *loss. x (batch * tokens, dim), grid of one page. */
void read_head_tape(const struct read_taping *n, struct tape *t, const char *prefix,
                    struct tensor *x, const struct reading_grid *grid,
                    const struct read_rows *asked, float scale, struct read_loss *loss);

/* One merge of a grid, or back: (batch * rows * columns, dim) -> half as many tokens; *rows and
 * *columns become those of the result. Sides are even where they are halved. */
struct tensor *merge_tape(const struct read_taping *n, struct tape *t, struct tensor *x,
                          int64_t *rows, int64_t *columns, bool by_rows);
struct tensor *unmerge_tape(const struct read_taping *n, struct tape *t, struct tensor *x,
                            int64_t *rows, int64_t *columns, bool by_rows);

#endif
