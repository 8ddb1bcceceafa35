/* sequence.h - visual tokens in the order in which DeepSeek-OCR's decoder reads them.
 *
 * A view is a grid of tokens; image_newline follows each of its rows. An image is [local view,]
 * global view, view_seperator; the local view is the tiles' tokens as one grid. */
#ifndef OCC_COMPRESS_SEQUENCE_H
#define OCC_COMPRESS_SEQUENCE_H

#include <stdint.h>

struct sequence_view {
    const float *tokens; /* (rows, columns, dim); NULL: no such view */
    int64_t rows, columns;
};

/* Tokens of tiles (tile_rows * tile_columns, side, side, dim), row-major, become one grid
 * (tile_rows * side, tile_columns * side, dim). */
void sequence_join_tiles(float *grid, const float *tiles, int64_t tile_rows, int64_t tile_columns,
                         int64_t side, int64_t dim);

/* Positions: rows * (columns + 1) of each view, and one. */
int64_t sequence_length(const struct sequence_view *local, const struct sequence_view *global);
/* `vectors`: image_newline, view_seperator (2, dim). out (sequence_length, dim). */
void sequence_build(float *out, const struct sequence_view *local,
                    const struct sequence_view *global, const float *vectors, int64_t dim);

#endif
