/* image_exif.h - which way up a picture is (EXIF, tag 0x0112); for image_decode.c. */
#ifndef OCC_COMPRESS_IMAGE_EXIF_H
#define OCC_COMPRESS_IMAGE_EXIF_H

#include "compress/image.h"

/* Orientation 1..8 of a TIFF structure, or of a JPEG's APP1 segment; 1 where nothing is said. */
int exif_orientation(const uint8_t *tiff, size_t size);
int exif_jpeg_orientation(const uint8_t *data, size_t size);

/* Turns the picture upright. */
int exif_apply(struct image *i, int orientation, struct error *e);

/* An image of that size, its pixels not set. ERR_LIMIT, ERR_MEMORY. */
int image_new(struct image *i, int64_t width, int64_t height, struct error *e);

#endif
