/* arena.c - a chain of blocks, filled in order.
 *
 *   first -> block -> block -> NULL        current: the one being filled; those behind it are free
 */
#include "store/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, BLOCK_BYTES = 64 * 1024 };

struct block {
    alignas(ALIGNMENT) struct block *next;
    size_t capacity;
    size_t used;
    alignas(ALIGNMENT) unsigned char data[];
};

struct arena {
    struct block *first, *current;
    size_t held;  /* capacity of all blocks */
    size_t limit; /* `held` never exceeds this */
};

int arena_open(struct arena **out, size_t limit, struct error *e) {
    *out = calloc(1, sizeof **out);
    if (!*out) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    (*out)->limit = limit;
    return 0;
}

void arena_close(struct arena *a) {
    if (!a) {
        return;
    }
    for (struct block *block = a->first; block;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(a);
}

static struct block *block_add(struct arena *a, size_t need) {
    size_t capacity = need > BLOCK_BYTES ? need : BLOCK_BYTES;
    if (capacity > a->limit || a->held > a->limit - capacity) {
        return NULL;
    }
    struct block *block = aligned_alloc(ALIGNMENT, sizeof *block + capacity);
    if (!block) {
        return NULL;
    }
    struct block **place = a->current ? &a->current->next : &a->first;
    *block = (struct block){.next = *place, .capacity = capacity};
    *place = block;
    a->held += capacity;
    return block;
}

void *arena_alloc(struct arena *a, size_t count, size_t size) {
    if (size && count > (SIZE_MAX / 2 - ALIGNMENT) / size) {
        return NULL;
    }
    size_t need = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    need = need ? need : ALIGNMENT;
    struct block *block = a->current ? a->current : a->first;
    while (block && block->capacity - block->used < need) {
        a->current = block;
        block = block->next;
        if (block) {
            block->used = 0;
        }
    }
    if (!block) {
        block = block_add(a, need);
    }
    if (!block) {
        return NULL;
    }
    a->current = block;
    void *memory = block->data + block->used;
    block->used += need;
    return memset(memory, 0, need);
}

char *arena_text(struct arena *a, const char *text, size_t size) {
    if (size == SIZE_MAX) {
        return NULL;
    }
    char *copy = arena_alloc(a, size + 1, 1);
    if (copy && size) {
        memcpy(copy, text, size);
    }
    return copy;
}

struct arena_mark arena_mark(const struct arena *a) {
    return (struct arena_mark){.block = a->current, .used = a->current ? a->current->used : 0};
}

void arena_rewind(struct arena *a, struct arena_mark mark) {
    a->current = mark.block ? mark.block : a->first;
    if (a->current) {
        a->current->used = mark.used;
    }
}

void arena_reset(struct arena *a) {
    arena_rewind(a, (struct arena_mark){0});
}

int arena_grow(struct arena *a, void **items, size_t count, size_t *capacity, size_t size,
               struct error *e) {
    if (count < *capacity) {
        return 0;
    }
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *larger = arena_alloc(a, wanted, size);
    if (!larger) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    if (count) {
        memcpy(larger, *items, count * size);
    }
    *items = larger;
    *capacity = wanted;
    return 0;
}
