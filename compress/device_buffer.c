/* device_buffer.c - see device_buffer.h. */
#include "compress/device_buffer.h"

#include <assert.h>
#include <stdlib.h>

#include "store/buffer.h"

int device_buffer_reserve(struct device_buffer *b, struct device *d, int64_t count,
                          struct error *e) {
    if (b->memory.data != NULL && tensor_count(&b->memory) >= count) {
        return 0;
    }
    device_buffer_release(b, d);
    b->memory = tensor_vector(NULL, DTYPE_F32, d, count);
    return d->ops->alloc(d, &b->memory, e);
}

void device_buffer_release(struct device_buffer *b, struct device *d) {
    if (b->memory.data != NULL) {
        d->ops->release(d, &b->memory);
    }
}

struct tensor device_buffer_matrix(const struct device_buffer *b, int64_t rows, int64_t width) {
    return device_buffer_matrix_of(b, DTYPE_F32, rows, width);
}

struct tensor device_buffer_matrix_of(const struct device_buffer *b, enum dtype type, int64_t rows,
                                      int64_t width) {
    const struct tensor t = tensor_matrix(b->memory.data, type, b->memory.home, rows, width);
    assert(tensor_bytes(&t) <= tensor_bytes(&b->memory));
    return t;
}

int host_buffer_reserve(struct host_buffer *b, const struct backend *backend, size_t count,
                        size_t size, struct error *e) {
    if (size != 0 && count > SIZE_MAX / 2 / size) {
        return error_memory(e, NULL);
    }
    const size_t bytes = count * size;
    if (b->data != NULL && b->size >= bytes) {
        return 0;
    }
    host_buffer_release(b, backend);
    b->data = backend->host_alloc != NULL ? backend->host_alloc(bytes) : buffer_memory(bytes);
    b->size = b->data != NULL ? bytes : 0;
    return b->data != NULL ? 0 : error_memory(e, NULL);
}

void host_buffer_release(struct host_buffer *b, const struct backend *backend) {
    if (b->data != NULL && backend->host_free != NULL) {
        backend->host_free(b->data);
    } else {
        free(b->data);
    }
    *b = (struct host_buffer){.data = NULL};
}
