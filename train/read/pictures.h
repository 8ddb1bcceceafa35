/* pictures.h - made-up pictures for pages: soft noise with a hard edge, of the sizes of
 * thumbnails. */
#ifndef OCC_TRAIN_READ_PICTURES_H
#define OCC_TRAIN_READ_PICTURES_H

#include <stdint.h>

#include "store/bytes.h"

/* Grey, (height, width). */
void picture_fill(uint8_t *pixels, int width, int height, uint64_t *random);
/* Appends such a picture as a JPEG. */
int picture_put_jpeg(struct bytes *out, int width, int height, uint64_t *random, struct error *e);

#endif
