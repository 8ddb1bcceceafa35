/* device_buffer.h - memory of a device, and of the host beside it, that grows to the largest size
 * requested. */
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

/* The beginning of it as a matrix, of F32 or of another type; there must be room. */
struct tensor device_buffer_matrix(const struct device_buffer *b, int64_t rows, int64_t width);
struct tensor device_buffer_matrix_of(const struct device_buffer *b, enum dtype type, int64_t rows,
                                      int64_t width);

/* Of the host, as the backend likes it best (host_alloc): of a thread that has a device open. */
struct host_buffer { /* {0}: empty */
    void *data;
    size_t size; /* bytes */
};

/* Makes room for `count` items of `size` bytes; what was there is lost where it grows. */
int host_buffer_reserve(struct host_buffer *b, const struct backend *backend, size_t count,
                        size_t size, struct error *e);
void host_buffer_release(struct host_buffer *b, const struct backend *backend);

#endif
