/* store_cells.h - what `occ store get --cells` prints. */
#ifndef OCC_CLI_STORE_CELLS_H
#define OCC_CLI_STORE_CELLS_H

#include "store/store.h"

/* One JSON object a line for each token of a sample's pages, in order: page, index, row, column,
 * bucket, start and end (bytes of the page's text), text, ranges. ERR_FORMAT: no page has cells;
 * ERR_UNSUPPORTED: the tokens of a page stand for no cells any more. */
int store_cells_print(struct store *s, const char *key, struct error *e);

#endif
