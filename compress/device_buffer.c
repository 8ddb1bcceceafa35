/* device_buffer.c - see device_buffer.h. */
#include "compress/device_buffer.h"

#include <assert.h>

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
    assert(rows * width <= tensor_count(&b->memory));
    return tensor_matrix(b->memory.data, DTYPE_F32, b->memory.home, rows, width);
}
