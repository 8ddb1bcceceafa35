/* image.h - picture files become what an encoder takes: RGB pixels of its size.
 *
 * Decodes PNG (libpng), JPEG (libjpeg-turbo) and binary PNM (P5, P6, 8 bit; ours). Resizing is
 * the bicubic of Pillow up to 12.3 to the bit (13.0 resizes portrait pictures otherwise; a = -0.5,
 * antialiased, 22-bit coefficients, horizontal pass first, each rounded to 8 bits), because the
 * published weights were trained behind it. */
#ifndef OCC_COMPRESS_IMAGE_H
#define OCC_COMPRESS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

#define IMAGE_PIXELS                                                                               \
    ((size_t)178956970) /* Pillow's limit against decompression bombs, also ours                   \
                         */

struct image {
    int width, height;
    uint8_t *rgb; /* (height, width, 3); owned */
};
void image_close(struct image *i);

/* Whatever of the three the bytes are. The orientation that EXIF or XMP tells (image_exif.h) is
 * applied; alpha is dropped as Pillow's convert("RGB") does; of 16 bits the high byte is taken,
 * where Pillow clips grey; grey and palettes become RGB. ERR_FORMAT, ERR_TRUNCATED, ERR_LIMIT,
 * ERR_UNSUPPORTED, ERR_MEMORY. */
int image_decode(struct image *out, const void *data, size_t size, struct error *e);

int image_resize(struct image *out, const struct image *in, int width, int height, struct error *e);
/* Keeps proportions, centred on grey 127: deepencoder.md section 1. */
int image_letterbox(struct image *out, const struct image *in, int side, struct error *e);
/* What the published code does for a mode of this side without crops: stretch up to 640, else
 * letterbox. An image that has the size already is copied. */
int image_fit(struct image *out, const struct image *in, int side, struct error *e);

/* Gundam: the grid of tiles of `side` for an image of this size, at most `most` tiles; 1 x 1: none
 * are used. */
void image_grid(int width, int height, int side, int most, int *columns, int *rows);
/* Stretched over the grid and cut, row-major: out[rows * columns]. */
int image_tiles(struct image *out, const struct image *in, int side, int columns, int rows,
                struct error *e);

/* Luma in all three channels, as the renderer's grey pages have it (BT.601 in 1/256). */
void image_grey(struct image *i);

/* (height, width, 3) floats in [-1, 1]: (v / 255 - 0.5) / 0.5. */
void image_normalize(float *out, const struct image *in);

#endif
