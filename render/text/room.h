/* room.h - arrays that are kept from one paragraph to the next and only grow. */
#ifndef OCC_RENDER_TEXT_ROOM_H
#define OCC_RENDER_TEXT_ROOM_H

#include <stdlib.h>

#include "store/error.h"

/* Makes room for `count` elements of `size` bytes; *items is malloc's, and the caller's. */
static inline int room_reserve(void **items, size_t *capacity, size_t count, size_t size,
                               struct error *e) {
    if (count <= *capacity) {
        return 0;
    }
    size_t more = count + count / 2 + 64;
    void *moved = realloc(*items, more * size);
    if (!moved) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    *items = moved;
    *capacity = more;
    return 0;
}

#endif
