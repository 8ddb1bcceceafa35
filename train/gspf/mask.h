/* mask.h - which rows of a decoder's frozen matrices are trained: a text file, which people read,
 * edit and pass in again.
 *
 *     # occ mask 1
 *     # smollm2-135m, rows of 32; 2% of the parameters
 *     model.layers.12.mlp.up_proj.weight 128 32 0.0123
 *
 * The first line says what it is. A line a unit, in any order: the matrix, its first row, how many
 * rows, and its score, which nothing is done with and which may be missing. Other lines that begin
 * with # are comments. */
#ifndef OCC_TRAIN_GSPF_MASK_H
#define OCC_TRAIN_GSPF_MASK_H

#include <stddef.h>

#include "train/decoder/config.h"

struct mask_unit {
    int32_t layer;
    enum decoder_matrix matrix;
    int32_t first_row, rows;
    double score;
};
struct mask {
    struct mask_unit *units; /* owned; by layer, matrix and row, none overlapping */
    size_t count;
};
/* ERR_FORMAT names file and line: no such matrix, rows beyond it, rows named twice. */
int mask_read(struct mask *m, const char *path, const struct decoder_config *c, struct error *e);
/* The same of text in memory; `path` stands before messages. */
int mask_parse(struct mask *m, const char *path, const char *text, size_t size,
               const struct decoder_config *c, struct error *e);
/* `comment`: lines that follow the first one; NULL: none. */
int mask_write(const char *path, const struct mask *m, const char *comment, struct error *e);
void mask_close(struct mask *m); /* {0} is allowed */

/* Puts units in order. ERR_FORMAT, naming the matrix, where two have a row in common. */
int mask_sort(struct mask *m, struct error *e);
/* The units of a matrix: *count of them, from the returned one on; of an empty mask NULL. */
const struct mask_unit *mask_find(const struct mask *m, int64_t layer, enum decoder_matrix which,
                                  size_t *count);
int64_t mask_rows(const struct mask *m, int64_t layer, enum decoder_matrix which);
int64_t mask_parameters(const struct mask *m, const struct decoder_config *c);
uint64_t mask_hash(const struct mask *m); /* of the rows, not of their scores */

#endif
