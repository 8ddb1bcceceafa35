/* arena.c - a chain of blocks, filled in order.
 *
 *   first -> block -> block -> NULL        current: the one being filled; those after it are free
 */
#include "store/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = alignof(max_align_t), BLOCK_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t capacity;
    size_t used;
    alignas(ALIGNMENT) unsigned char data[];
};

struct arena {
    struct arena_block *first, *current;
    size_t held;  /* capacity of all blocks */
    size_t limit; /* `held` never exceeds this */
};

int arena_open(struct arena **out, size_t limit, struct error *e) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return error_memory(e, NULL);
    }
    (*out)->limit = limit;
    return 0;
}

void arena_close(struct arena *a) {
    if (a == NULL) {
        return;
    }
    for (struct arena_block *block = a->first; block != NULL;) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    free(a);
}

static struct arena_block *block_add(struct arena *a, size_t need) {
    size_t capacity = need > BLOCK_BYTES ? need : BLOCK_BYTES;
    if (capacity > a->limit || a->held > a->limit - capacity) {
        return NULL;
    }
    struct arena_block *block = malloc(sizeof *block + capacity);
    if (block == NULL) {
        return NULL;
    }
    struct arena_block **place = a->current != NULL ? &a->current->next : &a->first;
    *block = (struct arena_block){.next = *place, .capacity = capacity};
    *place = block;
    a->held += capacity;
    return block;
}

/* `need` > 0 bytes at a multiple of `alignment`, not cleared. */
static void *take(struct arena *a, size_t need, size_t alignment) {
    struct arena_block *block = a->current != NULL ? a->current : a->first;
    size_t at = 0;
    while (block != NULL) {
        at = (block->used + alignment - 1) / alignment * alignment;
        if (at <= block->capacity && block->capacity - at >= need) {
            break;
        }
        a->current = block;
        block = block->next;
        if (block != NULL) {
            block->used = 0;
        }
    }
    if (block == NULL) {
        block = block_add(a, need);
        at = 0;
    }
    if (block == NULL) {
        return NULL;
    }
    a->current = block;
    block->used = at + need;
    return block->data + at;
}

void *arena_alloc(struct arena *a, size_t count, size_t size) {
    if (size && count > SIZE_MAX / 2 / size) {
        return NULL;
    }
    size_t need = count * size;
    need = need ? need : 1;
    void *memory = take(a, need, ALIGNMENT);
    return memory != NULL ? memset(memory, 0, need) : NULL;
}

char *arena_text(struct arena *a, const char *text, size_t size) {
    if (size >= SIZE_MAX / 2) {
        return NULL;
    }
    char *copy = take(a, size + 1, 1);
    if (copy != NULL) {
        memcpy(copy, text, size);
        copy[size] = 0;
    }
    return copy;
}

struct arena_mark arena_mark(const struct arena *a) {
    return (struct arena_mark){.block = a->current,
                               .used = a->current != NULL ? a->current->used : 0};
}

void arena_rewind(struct arena *a, struct arena_mark mark) {
    a->current = mark.block != NULL ? mark.block : a->first;
    if (a->current != NULL) {
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
    if (larger == NULL) {
        return error_memory(e, NULL);
    }
    if (count) {
        memcpy(larger, *items, count * size);
    }
    *items = larger;
    *capacity = wanted;
    return 0;
}
