/* buffer.c - see buffer.h. */
#define _GNU_SOURCE
#include "store/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

void *buffer_memory(size_t bytes) {
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : BUFFER_ALIGNMENT;
    void *data = aligned_alloc(alignment, (bytes / alignment + 1) * alignment); /* never 0 bytes */
    if (data != NULL && bytes >= HUGE_PAGE) {
        /* A wish: without it the memory is the same, but slower. Whole pages alone, so that what
         * lies beyond `bytes` takes no memory. */
        (void)madvise(data, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    }
    return data;
}

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
    b->data = buffer_memory(bytes);
    if (b->data == NULL) {
        return error_memory(e, NULL);
    }
    b->size = bytes / BUFFER_ALIGNMENT * BUFFER_ALIGNMENT + BUFFER_ALIGNMENT;
    return 0;
}

void buffer_free(struct buffer *b) {
    free(b->data);
    *b = (struct buffer){.data = NULL};
}
