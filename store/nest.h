/* nest.h - nested tokens: forgetting by keeping the first half of the numbers.
 *
 * An encoder that was trained for it puts what matters most first: the first dim / 2^k numbers of a
 * token say nearly what all of them do. A token of bucket k holds the first dim >> k numbers of 2^k
 * cells of the page, side by side, cells in reading order (row by row). So halving takes neighbours
 * (2i, 2i+1) in reading order, across the ends of rows too, and keeps the first half of each of
 * their segments, first those of 2i, then those of 2i+1; the last of an odd number stands alone,
 * and the second half of its token is zero. Nothing is computed: no encoder, no maps, and halving
 * twice is keeping a quarter at once. */
#ifndef OCC_STORE_NEST_H
#define OCC_STORE_NEST_H

#include <stdint.h>

#include "store/error.h"

enum { NEST_LEVELS = 15 }; /* halvings at most */

/* Tokens (*count, dim) of bucket k become tokens (half of *count, rounded up, dim) of bucket k + 1,
 * in place. ERR_USAGE: dim is no multiple of 2^(k + 1), or k is out of range. */
int nest_halve(float *tokens, int64_t *count, int64_t dim, int k, struct error *e);

/* The first nest_count(cells, k) tokens, of bucket k, become the page's own grid again, in place:
 * (cells, dim), each cell its dim >> k numbers and zeros after them. Room for cells * dim floats;
 * k = 0 changes nothing. ERR_USAGE as above. */
int nest_expand(float *tokens, int64_t cells, int64_t dim, int k, struct error *e);

/* Tokens of bucket k of a page of `cells` cells: cells / 2^k, rounded up. */
int64_t nest_count(int64_t cells, int k);
/* Their grid: columns are halved while they are even, else rows while these are, else the tokens
 * stand in one row. 16x16, 16x8, 16x4, ...; 20x40, 20x20, 20x10, 20x5, 10x5, ... */
void nest_grid(int *rows, int *columns, int k);

#endif
