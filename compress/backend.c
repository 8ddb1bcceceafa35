/* backend.c - what all backends have in common. */
#include "compress/backend.h"

int64_t convolution_out_height(const struct convolution *c) {
    return (c->height + 2 * c->pad - c->size) / c->stride_y + 1;
}

int64_t convolution_out_width(const struct convolution *c) {
    return (c->width + 2 * c->pad - c->size) / c->stride_x + 1;
}
