/* picture.h - small pictures for pages: thumbnails and the log-mel strip.
 *
 * Decoded by libjpeg-turbo and scaled by area averaging in integers: the same bytes on
 * every CPU. */
#ifndef OCC_RENDER_PAGE_PICTURE_H
#define OCC_RENDER_PAGE_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/bytes.h"
#include "store/error.h"

struct picture {
    int width, height;
    bool color;
    const uint8_t *pixels; /* grey: 1 byte, colour: R, G, B; rows without padding; in an arena */
};

/* Decodes a JPEG (baseline or progressive; grey, YCbCr, also CMYK/YCCK) and scales it to the
 * largest size that fits into width x height with its proportions kept; smaller pictures stay as
 * they are. At most PICTURE_PIXELS pixels are decoded (ERR_LIMIT). ERR_FORMAT when it is not a JPEG
 * or broken, ERR_TRUNCATED when it ends early. */
#define PICTURE_PIXELS (64 << 20)
int picture_read_jpeg(struct picture *p, const void *data, size_t size, int width, int height,
                      struct arena *arena, struct error *e);

/* Appends a grey picture as a JPEG, as `ingest` writes thumbnails. */
int picture_write_jpeg(struct bytes *out, const struct picture *p, struct error *e);

/* A binary PGM (P5, 8 bit), as `ingest` writes the log-mel picture: scaled by area averaging
 * to exactly width x height (stretched; enlarging repeats pixels). At most PICTURE_SIDE pixels a
 * side. ERR_FORMAT, ERR_TRUNCATED, ERR_LIMIT. */
enum { PICTURE_SIDE = 65535 };
int picture_read_pgm(struct picture *p, const void *data, size_t size, int width, int height,
                     struct arena *arena, struct error *e);

#endif
