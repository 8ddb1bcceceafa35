/* buffer.c - see buffer.h. */
#include "store/buffer.h"

#include <stdint.h>
#include <stdlib.h>

int buffer_reserve(struct buffer *b, size_t count, size_t size, struct error *e) {
    if (size > 0 && count > SIZE_MAX / 2 / size) {
        buffer_free(b);
        return error_memory(e, NULL);
    }
    size_t bytes = count * size;
    if (b->data != NULL && bytes <= b->size) {
        return 0;
    }
    buffer_free(b); /* before the new one is there: nothing has to be kept */
    size_t lines = bytes / BUFFER_ALIGNMENT + 1; /* never 0 bytes, which may give NULL */
    b->data = aligned_alloc(BUFFER_ALIGNMENT, lines * BUFFER_ALIGNMENT);
    if (b->data == NULL) {
        return error_memory(e, NULL);
    }
    b->size = lines * BUFFER_ALIGNMENT;
    return 0;
}

void buffer_free(struct buffer *b) {
    free(b->data);
    *b = (struct buffer){.data = NULL};
}
