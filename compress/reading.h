/* reading.h - the reading head: from visual tokens straight to characters. Its sizes and tensors.
 *
 * A page is a lattice of cells of 8 x 8 pixels, in each 4 columns of 2 pixels; a token stands for
 * 8 x 8 cells, its 64 x 64 pixels. A cell's features, with those of its neighbours in the row, two
 * on each side, give for each column whether the middle of a character falls in it, and which
 * character. Rows of 16 pixels use the upper of their two rows of cells. No language model: what is
 * read is what the token holds.
 *
 *     features = unfold token                       (rows * steps * channels)
 *     hidden   = gelu(mix [features of 5 cells])
 *     presence = hidden -> (columns, 2); character = hidden -> (columns, embedding) -> classes
 *
 * Merging (forgetting): merge.columns makes one token of two beside each other, merge.rows of two
 * above each other, unmerge.* two of one. A page of bucket k is unmerged k times in the reverse
 * order and then read as any other. */
#ifndef OCC_COMPRESS_READING_H
#define OCC_COMPRESS_READING_H

#include "compress/config.h"

enum {
    READING_ROW = 8,     /* pixels: height of a cell */
    READING_STEP = 8,    /* width of a cell */
    READING_COLUMN = 2,  /* width of a column */
    READING_ROWS = 8,    /* cells of a token, down */
    READING_STEPS = 8,   /* and across */
    READING_COLUMNS = 4, /* of a cell */
    READING_REACH = 2,   /* neighbours on each side */
    READING_SEEN = 2 * READING_REACH + 1,
};

struct reading_config {
    int64_t channels, hidden, embedding; /* of a cell, between, of a character */
    int64_t classes;                     /* of the alphabet */
};
#define READING_DEFAULTS                                                                           \
    { .channels = 64, .hidden = 320, .embedding = 64 }
#define READING_METADATA "occ.reading" /* the key under which safetensors files hold the JSON */

#define READING_GROUP "reader"
#define MERGE_GROUP "merge"

/* The tensors of a head called `prefix` ("reader.") that reads tokens of `dim` numbers, each
 * rows x steps cells. Calls `take` as config_tensors does. */
int reading_tensors(const struct reading_config *c, const char *prefix, int64_t dim, int64_t rows,
                    int64_t steps, tensor_spec_take *take, void *context, struct error *e);
/* merge.columns, merge.rows, unmerge.columns, unmerge.rows of tokens of `dim` numbers. */
int merge_tensors(int64_t dim, tensor_spec_take *take, void *context, struct error *e);

/* The tokens of a page, (rows, columns) of them, and how its text lies on it: see token_header
 * (store/store.h). */
struct reading_page {
    int rows, columns;
    int column_offsets;          /* 1 or 2 */
    int cell_rows, cell_columns; /* text runs through one of so many cells after another, as a rule
                                    through those of the tokens; 0: in rows across the page */
};

/* With two column offsets each token is 8 cells wide, but they stand 4 cells apart. A cell belongs
 * to the token *first, and with two offsets also to *second (else equal to it); gives their place
 * in a page's list of unfolded cells (token, row, step). */
struct reading_grid {
    int64_t rows, columns; /* of tokens */
    int64_t down, across;  /* cells of a token */
    int column_offsets;
};
void reading_place(const struct reading_grid *g, int64_t row, int64_t step, int32_t *first,
                   int32_t *second);

#endif
