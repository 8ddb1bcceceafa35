/* array.c - see array.h. */
#include "store/array.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void *array_grow(void *items, size_t *capacity, size_t wanted, size_t size, struct error *e) {
    if (items != NULL && wanted <= *capacity) {
        return items;
    }
    size = size > 0 ? size : 1;
    size_t most = SIZE_MAX / 2 / size;
    size_t larger = *capacity < most / 2 ? 2 * *capacity : most;
    larger = larger < wanted ? wanted : larger;
    larger = larger < FIRST_CAPACITY ? FIRST_CAPACITY : larger;
    void *moved = larger <= most ? realloc(items, larger * size) : NULL;
    if (moved == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    *capacity = larger;
    return moved;
}
