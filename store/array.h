/* array.h - growing an array that malloc gave. */
#ifndef OCC_STORE_ARRAY_H
#define OCC_STORE_ARRAY_H

#include <stddef.h>

#include "store/error.h"

/* Makes room for `wanted` items of `size` bytes: returns `items` (NULL: none yet), moved where it
 * had to be, with *capacity set to what it holds now. Growth at least doubles, so that items
 * appended one by one cost the same each. Released by free().
 *
 * NULL: out of memory (`e` says so); `items` and *capacity are as they were, and still the
 * caller's:
 *
 *     struct entry *list = array_grow(t->list, &t->capacity, t->count + 1, sizeof *list, e);
 *     if (list == NULL) {
 *         return ERR_MEMORY;
 *     }
 *     t->list = list;
 */
void *array_grow(void *items, size_t *capacity, size_t wanted, size_t size, struct error *e);

#endif
