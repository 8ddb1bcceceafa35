/* image_exif.h - which way up a picture is (EXIF, tag 0x0112); for image_decode.c. */
#ifndef OCC_COMPRESS_IMAGE_EXIF_H
#define OCC_COMPRESS_IMAGE_EXIF_H

#include "compress/image.h"

/* Orientations are 1 to 8, values out of that range 1; 0 where nothing is said. They are looked for
 * where Pillow's ImageOps.exif_transpose looks: EXIF first, then the tiff:Orientation of XMP. */

/* Of a TIFF structure, with or without "Exif\0\0" before it: the tag's last entry that is a whole
 * number of 8 bits with a sign, of 16 or of 32 bits. */
int exif_orientation(const uint8_t *data, size_t size);
/* Of the hexadecimal text that ImageMagick 6 writes into PNGs as "Raw profile type exif". */
int exif_profile_orientation(const char *text, size_t size);
/* Of an XMP packet. */
int exif_xmp_orientation(const void *packet, size_t size);
/* Of a JPEG's first EXIF segment, or of its XMP. */
int exif_jpeg_orientation(const uint8_t *data, size_t size);

/* Turns the picture upright; orientations of 0 and 1 leave it as it is. */
int exif_apply(struct image *i, int orientation, struct error *e);

#endif
