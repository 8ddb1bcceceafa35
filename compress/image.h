/* image.h - picture files become what an encoder takes: grey or RGB pixels of its size.
 *
 * Decodes PNG (libpng), JPEG (libjpeg-turbo) and binary PNM (P5, P6, 8 bit; ours). Resizing is
 * the bicubic of Pillow up to 12.3 to the bit (13.0 resizes portrait pictures otherwise; a = -0.5,
 * antialiased, 22-bit coefficients, horizontal pass first, each rounded to 8 bits), because the
 * published weights were trained on its output. */
#ifndef OCC_COMPRESS_IMAGE_H
#define OCC_COMPRESS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "compress/tensor.h"
#include "store/error.h"

/* Pillow's limit against decompression bombs, also ours. */
#define IMAGE_PIXELS ((size_t)178956970)

struct image {
    int width, height;
    int channels;    /* 1: grey, or 3: RGB */
    uint8_t *pixels; /* (height, width, channels); owned */
};
/* Its pixels are not set. ERR_LIMIT, ERR_MEMORY. */
int image_new(struct image *i, int64_t width, int64_t height, int channels, struct error *e);
void image_close(struct image *i);
size_t image_stride(const struct image *i); /* bytes of a row */

/* Whatever of the three the bytes are. The orientation that EXIF or XMP tells (image_exif.h) is
 * applied; alpha is dropped as Pillow's convert("RGB") does; of 16 bits the high byte is taken,
 * where Pillow clips grey; palettes become RGB, grey stays grey. ERR_FORMAT, ERR_TRUNCATED,
 * ERR_LIMIT, ERR_UNSUPPORTED, ERR_MEMORY. */
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

/* One channel: luma as the renderer's grey pages have it (BT.601 in 1/256). */
void image_grey(struct image *i);

/* Pixels are (v / 255 - IMAGE_MEAN) / IMAGE_DEVIATION to an encoder: in [-1, 1]. */
#define IMAGE_MEAN 0.5f
#define IMAGE_DEVIATION 0.5f

/* A view of it, of the host: (1, height, width, channels). */
struct tensor image_tensor(const struct image *i);

#endif
