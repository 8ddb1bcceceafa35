/* reading.h - the reading head: from visual tokens straight to characters. Its sizes and tensors.
 *
 * A page is a lattice of squares of 8 x 8 pixels, in each 4 columns of 2 pixels; a token stands for
 * 8 x 8 squares, its 64 x 64 pixels. A square's features, with those of its neighbours in the row,
 * give for each column whether the middle of a character falls in it, and which character. Rows of
 * 16 pixels use the upper of their two rows of squares. No language model: what is read is what the
 * token holds.
 *
 *     x        = token + level[k]                   a trunk only: k, how often it was halved
 *     x        = x + trunk.1 gelu(trunk.0 x)
 *     features = unfold x                           (rows * steps * channels)
 *     hidden   = gelu(mix [features of 2 reach + 1 squares])
 *     presence = hidden -> (columns, 2); character = hidden -> (columns, embedding) -> classes
 *
 * Forgetting is nested where the configuration says so: of k halvings a token keeps the first
 * dim >> k of its numbers (store/nest.h), and the head is told k. Heads from before that merge by
 * maps: merge.columns makes one token of two beside each other, merge.rows of two above each other,
 * unmerge.* two of one; a page of bucket k is unmerged k times in the reverse order and then read
 * as any other. */
#ifndef OCC_COMPRESS_READING_H
#define OCC_COMPRESS_READING_H

#include "compress/config.h"

enum {
    READING_ROW = 8,     /* pixels: height of a square */
    READING_STEP = 8,    /* width of a square */
    READING_COLUMN = 2,  /* width of a column */
    READING_ROWS = 8,    /* squares of a token, down */
    READING_STEPS = 8,   /* and across */
    READING_COLUMNS = 4, /* of a square */
};

struct reading_config {
    int64_t channels, hidden, embedding; /* of a square, between, of a character */
    int64_t classes;                     /* of the alphabet */
    int64_t reach;                       /* neighbours on each side that a square sees */
    bool cells;     /* it sees those of its own cell alone: text does not run on to the next one */
    int64_t trunk;  /* between trunk.0 and trunk.1; 0: there is none */
    int64_t nested; /* halvings that it was trained for */
};
#define READING_DEFAULTS                                                                           \
    {                                                                                              \
        .channels = 64, .hidden = 320, .embedding = 64, .reach = 4, .cells = true, .trunk = 1024,  \
        .nested = 4                                                                                \
    }
#define READING_OLD_REACH 2            /* of files that do not say */
#define READING_METADATA "occ.reading" /* the key under which safetensors files hold the JSON */

#define READING_GROUP "reader"
#define MERGE_GROUP "merge"

/* The same sizes without a trunk: those of a head that only helps to train. */
struct reading_config reading_without_trunk(const struct reading_config *c);
/* Neighbours that a square sees, and itself. */
static inline int64_t reading_seen(const struct reading_config *c) {
    return 2 * c->reach + 1;
}

/* The tensors of a head called `prefix` ("reader.") that reads tokens of `dim` numbers, each
 * rows x steps squares. Calls `take` as config_tensors does. */
int reading_tensors(const struct reading_config *c, const char *prefix, int64_t dim, int64_t rows,
                    int64_t steps, tensor_spec_take *take, void *context, struct error *e);
/* merge.columns, merge.rows, unmerge.columns, unmerge.rows of tokens of `dim` numbers. */
int merge_tensors(int64_t dim, tensor_spec_take *take, void *context, struct error *e);

/* The tokens of a page, (rows, columns) of them, and how its text lies on them: see token_header
 * (store/store.h). */
struct reading_page {
    int rows, columns;
    int column_offsets;          /* 1 or 2 */
    int cell_rows, cell_columns; /* text runs through one of so many cells after another, as a rule
                                    through those of the tokens; 0: in rows across the page */
    int halvings; /* of nested tokens, which were expanded (store/nest.h); beyond those that a head
                     was trained for it reads as after the last of these */
};

/* With two column offsets each token is 8 squares wide, but they stand 4 squares apart. A square
 * belongs to the token *first, and with two offsets also to *second (else equal to it); gives their
 * place in a page's list of unfolded squares (token, row, step). */
struct reading_grid {
    int64_t rows, columns; /* of tokens */
    int64_t down, across;  /* squares of a token */
    int column_offsets;
    int64_t stretch; /* squares side by side that see each other: see reading_stretch */
};
void reading_place(const struct reading_grid *g, int64_t row, int64_t step, int32_t *first,
                   int32_t *second);
/* Squares side by side that see each other on a page of `steps` across: all of them, or those of a
 * cell, which is as wide as tokens of the page stand apart. */
int64_t reading_stretch(const struct reading_config *c, int column_offsets, int64_t steps);

/* Where the middles of characters lie in a row of `width` columns: pairs (width, 2), logits of
 * presence, become width probabilities, and those of the columns that hold one are negative. No
 * character lies across a multiple of `stretch` columns. */
void reading_columns(float *pairs, int64_t width, int64_t stretch);

#endif
