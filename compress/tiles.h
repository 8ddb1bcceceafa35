/* tiles.h - the tokens of tiles as one grid, the local view of DeepSeek-OCR's decoder. */
#ifndef OCC_COMPRESS_TILES_H
#define OCC_COMPRESS_TILES_H

#include <stdint.h>

/* Tokens of tile_rows * tile_columns tiles, row-major, (side, side, dim) each, become one grid
 * (tile_rows * side, tile_columns * side, dim). */
void tiles_join(float *grid, const float *const *tiles, int64_t tile_rows, int64_t tile_columns,
                int64_t side, int64_t dim);

#endif
