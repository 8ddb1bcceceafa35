/* resample.h - position tables made for one grid, fitted to another, as PyTorch does it. */
#ifndef OCC_COMPRESS_RESAMPLE_H
#define OCC_COMPRESS_RESAMPLE_H

#include <stdint.h>

#include "store/error.h"

/* (rows, columns, width) from (from_rows, from_columns, width): interpolate(mode="bicubic",
 * antialias=True, align_corners=False), a = -0.5. Equal sizes are copied. */
int resample_bicubic(float *to, int64_t rows, int64_t columns, const float *from, int64_t from_rows,
                     int64_t from_columns, int64_t width, struct error *e);
/* (rows, width) from (from_rows, width): interpolate(mode="linear", align_corners=False). */
void resample_linear(float *to, int64_t rows, const float *from, int64_t from_rows, int64_t width);

#endif
