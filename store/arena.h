/* arena.h - memory for one record: allocate freely, release all at once.
 *
 * Per-record work comes from the record's arena, which is rewound after the record; long-lived
 * objects have an _open and a _close of their own. Blocks are kept across a rewind, so a steady
 * stream of records stops asking the system for memory after the first few. */
#ifndef OCC_STORE_ARENA_H
#define OCC_STORE_ARENA_H

#include <stddef.h>

#include "store/error.h"

struct arena; /* opaque */

/* `limit`: most bytes this arena may hold; an allocation past it fails as if memory had run out. */
int arena_open(struct arena **out, size_t limit, struct error *e);
void arena_close(struct arena *a); /* NULL is allowed */

/* `count` zeroed elements of `size` bytes, aligned for any type; NULL when memory or the limit is
 * used up or the product overflows. Owned by the arena: valid until the rewind past it or the
 * close. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* Copies `size` bytes of text and ends them with a zero byte, without any alignment; NULL as for
 * arena_alloc. */
char *arena_text(struct arena *a, const char *text, size_t size);

/* Everything allocated after the mark was taken is given up by the rewind to it. */
struct arena_mark {
    void *block;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);
void arena_reset(struct arena *a); /* rewind to the beginning */

/* Grows an array of `size`-byte elements in the arena so that one more fits; `*items` moves (old
 * copies stay in the arena until the rewind: growth doubles, so at most as much again). */
int arena_grow(struct arena *a, void **items, size_t count, size_t *capacity, size_t size,
               struct error *e);

#endif
