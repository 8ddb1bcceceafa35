/* tiles.c - see tiles.h. */
#include "compress/tiles.h"

#include <stddef.h>
#include <string.h>

void tiles_join(float *grid, const float *const *tiles, int64_t tile_rows, int64_t tile_columns,
                int64_t side, int64_t dim) {
    size_t row = (size_t)(side * dim);
    for (int64_t y = 0; y < tile_rows * side; y++) {
        for (int64_t tile = 0; tile < tile_columns; tile++) {
            const float *from = tiles[y / side * tile_columns + tile];
            memcpy(grid, from + y % side * side * dim, row * sizeof *grid);
            grid += row;
        }
    }
}
