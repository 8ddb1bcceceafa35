/* buffer.h - scratch memory that grows to the largest use of it and is kept until the end. */
#ifndef OCC_STORE_BUFFER_H
#define OCC_STORE_BUFFER_H

#include <stddef.h>

#include "store/error.h"

enum { BUFFER_ALIGNMENT = 64 }; /* a cache line, and the widest vector */

/* All zero is an empty one. */
struct buffer {
    void *data;  /* NULL, or aligned to BUFFER_ALIGNMENT; owned */
    size_t size; /* bytes at `data` */
};

/* Makes `data` hold at least `count` items of `size` bytes. What was in it is lost where it grows;
 * new memory is not cleared. On failure (ERR_MEMORY) the buffer is empty. */
int buffer_reserve(struct buffer *b, size_t count, size_t size, struct error *e);
void buffer_free(struct buffer *b); /* then empty again */

/* Memory of `bytes`, aligned to BUFFER_ALIGNMENT, not cleared, which free() ends; NULL: there is
 * none. Where it is large, the system is asked for huge pages: who walks through all of it again
 * and again then misses the processor's table of pages less. */
void *buffer_memory(size_t bytes);

#endif
