/* im2col.h - patches of a picture, for convolutions that gather a block of them at a time. */
#ifndef OCC_COMPRESS_CPU_IM2COL_H
#define OCC_COMPRESS_CPU_IM2COL_H

#include "compress/cpu/device.h"

/* The patch under output (oy, ox) of the picture x: size * size * channels numbers of `unit`
 * bytes. */
void patch_gather(char *patch, const char *x, size_t unit, const struct convolution_options *o,
                  int64_t oy, int64_t ox);

#endif
