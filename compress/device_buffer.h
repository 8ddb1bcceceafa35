/* device_buffer.h - memory of a device that grows to the largest size requested. */
#ifndef OCC_COMPRESS_DEVICE_BUFFER_H
#define OCC_COMPRESS_DEVICE_BUFFER_H

#include "compress/ops.h"

struct device_buffer { /* {0}: empty */
    struct tensor memory;
};

/* Makes room for `count` elements of F32; what was there is lost where it grows. */
int device_buffer_reserve(struct device_buffer *b, struct device *d, int64_t count,
                          struct error *e);
void device_buffer_release(struct device_buffer *b, struct device *d);

/* The beginning of it as a matrix of F32; there must be room. */
struct tensor device_buffer_matrix(const struct device_buffer *b, int64_t rows, int64_t width);

#endif
