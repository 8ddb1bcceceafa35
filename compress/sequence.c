/* sequence.c - see sequence.h. */
#include "compress/sequence.h"

#include <stddef.h>
#include <string.h>

void sequence_join_tiles(float *grid, const float *tiles, int64_t tile_rows, int64_t tile_columns,
                         int64_t side, int64_t dim) {
    size_t row = (size_t)(side * dim);
    for (int64_t y = 0; y < tile_rows * side; y++) {
        for (int64_t tile = 0; tile < tile_columns; tile++) {
            int64_t source = (y / side * tile_columns + tile) * side + y % side;
            memcpy(grid, tiles + source * side * dim, row * sizeof *grid);
            grid += row;
        }
    }
}

int64_t sequence_length(const struct sequence_view *local, const struct sequence_view *global) {
    int64_t length = 1;
    length += local->tokens != NULL ? local->rows * (local->columns + 1) : 0;
    length += global->tokens != NULL ? global->rows * (global->columns + 1) : 0;
    return length;
}

static float *append_view(float *out, const struct sequence_view *view, const float *newline,
                          int64_t dim) {
    size_t row = (size_t)(view->columns * dim), one = (size_t)dim;
    for (int64_t y = 0; y < view->rows && view->tokens != NULL; y++) {
        memcpy(out, view->tokens + (size_t)y * row, row * sizeof *out);
        memcpy(out + row, newline, one * sizeof *out);
        out += row + one;
    }
    return out;
}

void sequence_build(float *out, const struct sequence_view *local,
                    const struct sequence_view *global, const float *vectors, int64_t dim) {
    out = append_view(out, local, vectors, dim);
    out = append_view(out, global, vectors, dim);
    memcpy(out, vectors + dim, (size_t)dim * sizeof *out);
}
