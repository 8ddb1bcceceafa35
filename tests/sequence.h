/* sequence.h - visual tokens in the order in which DeepSeek-OCR's decoder reads them, for comparing
 * with the published code.
 *
 * A view is a grid of tokens; image_newline follows each of its rows. An image is [local view,]
 * global view, view_seperator; the local view is the tiles' tokens as one grid. */
#ifndef OCC_TESTS_SEQUENCE_H
#define OCC_TESTS_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sequence_view {
    const float *tokens; /* (rows, columns, dim); NULL: no such view */
    int64_t rows, columns;
};

/* Positions: rows * (columns + 1) of each view, and one. */
static int64_t sequence_length(const struct sequence_view *local,
                               const struct sequence_view *global) {
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

/* `vectors`: image_newline, view_seperator (2, dim). out (sequence_length, dim). */
static void sequence_build(float *out, const struct sequence_view *local,
                           const struct sequence_view *global, const float *vectors, int64_t dim) {
    out = append_view(out, local, vectors, dim);
    out = append_view(out, global, vectors, dim);
    memcpy(out, vectors + dim, (size_t)dim * sizeof *out);
}

#endif
