/* memory.c - memory of the device for one step: cut from large blocks, given back by size. */
#include <stdlib.h>

#include "train/tape/state.h"

enum { ALIGNMENT = 64, BLOCK = 32 << 20 };

struct memory_block {
    struct memory_block *next;
    struct tensor bytes; /* U8 */
    size_t used;
};

struct free_chunk {
    struct free_chunk *next;
    void *data;
};

struct size_class {
    struct size_class *next;
    size_t bytes;
    struct free_chunk *free;
};

void memory_open(struct tape_memory *m, struct device *device, struct arena *arena) {
    *m = (struct tape_memory){.device = device, .arena = arena};
}

void memory_close(struct tape_memory *m) {
    while (m->blocks != NULL) {
        struct memory_block *first = m->blocks;
        m->blocks = first->next;
        m->device->ops->release(m->device, &first->bytes);
        free(first);
    }
}

void memory_reset(struct tape_memory *m) {
    m->current = m->blocks;
    if (m->current != NULL) {
        m->current->used = 0;
    }
    m->used = 0;
    m->classes = NULL;
    m->spare = NULL;
}

static int block_make(struct tape_memory *m, size_t size, struct memory_block **out,
                      struct error *e) {
    struct memory_block *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return error_memory(e, "a training step");
    }
    size = size > BLOCK ? size : BLOCK;
    b->bytes = tensor_vector(NULL, DTYPE_U8, NULL, (int64_t)size);
    int rc = m->device->ops->alloc(m->device, &b->bytes, e);
    if (rc < 0) {
        free(b);
        return rc;
    }
    *out = b;
    return 0;
}

static size_t room(const struct memory_block *b) {
    return tensor_bytes(&b->bytes) - b->used;
}

/* The next block that has room, a new one where none has. */
static int block_with(struct tape_memory *m, size_t size, struct error *e) {
    struct memory_block *b = m->current;
    while (b != NULL && room(b) < size && b->next != NULL) {
        b = b->next;
        b->used = 0;
    }
    if (b == NULL || room(b) < size) {
        struct memory_block *fresh = NULL;
        int rc = block_make(m, size, &fresh, e);
        if (rc < 0) {
            return rc;
        }
        if (b == NULL) {
            m->blocks = fresh;
        } else {
            b->next = fresh;
        }
        b = fresh;
    }
    m->current = b;
    return 0;
}

static size_t rounded(const struct tensor *x) {
    return (tensor_bytes(x) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct size_class *class_of(const struct tape_memory *m, size_t bytes) {
    struct size_class *c = m->classes;
    while (c != NULL && c->bytes != bytes) {
        c = c->next;
    }
    return c;
}

int memory_take(struct tape_memory *m, struct tensor *x, struct error *e) {
    const size_t bytes = rounded(x);
    struct size_class *c = class_of(m, bytes);
    if (c != NULL && c->free != NULL) {
        struct free_chunk *chunk = c->free;
        c->free = chunk->next;
        *x = tensor_of(chunk->data, x->type, m->device, x->shape);
        chunk->next = m->spare;
        m->spare = chunk;
        return 0;
    }
    int rc = block_with(m, bytes, e);
    if (rc < 0) {
        return rc;
    }
    struct memory_block *b = m->current;
    struct tensor cut = tensor_column_range(&b->bytes, (int64_t)b->used, (int64_t)bytes);
    *x = tensor_of(cut.data, x->type, m->device, x->shape);
    b->used += bytes;
    m->used += bytes;
    m->peak = m->used > m->peak ? m->used : m->peak;
    return 0;
}

void memory_give(struct tape_memory *m, struct tensor *x) {
    if (x->data == NULL) {
        return;
    }
    const size_t bytes = rounded(x);
    struct size_class *c = class_of(m, bytes);
    if (c == NULL) {
        c = arena_alloc(m->arena, 1, sizeof *c);
        if (c != NULL) {
            *c = (struct size_class){.next = m->classes, .bytes = bytes};
            m->classes = c;
        }
    }
    struct free_chunk *chunk = m->spare;
    if (chunk != NULL) {
        m->spare = chunk->next;
    } else {
        chunk = arena_alloc(m->arena, 1, sizeof *chunk);
    }
    if (c != NULL && chunk != NULL) { /* else it comes back with the next reset */
        *chunk = (struct free_chunk){.next = c->free, .data = x->data};
        c->free = chunk;
    }
    x->data = NULL;
}
