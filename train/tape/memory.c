/* memory.c - memory of the device for one step: cut from blocks, where it fits best, and joined
 * again with what is free beside it. A step asks for tensors of many sizes and gives most of them
 * back, so that what is there at the same time decides what it takes. */
#include <stdlib.h>

#include "train/tape/state.h"

enum { ALIGNMENT = 64, BLOCK = 4 << 20, LARGE = BLOCK / 8 };

/* Memory of a block that nobody has. */
struct free_range {
    struct free_range *next; /* of its block, by address */
    char *data;
    size_t bytes;
};

struct memory_block {
    struct memory_block *next;
    struct tensor bytes; /* U8 */
    struct free_range *free;
};

void memory_open(struct tape_memory *m, struct device *device, struct arena *arena) {
    *m = (struct tape_memory){.device = device, .arena = arena};
}

static void block_end(struct tape_memory *m, struct memory_block **place) {
    struct memory_block *b = *place;
    *place = b->next;
    m->device->ops->release(m->device, &b->bytes);
    free(b);
}

void memory_close(struct tape_memory *m) {
    while (m->blocks != NULL) {
        block_end(m, &m->blocks);
    }
}

void memory_reset(struct tape_memory *m) {
    for (struct memory_block *b = m->blocks; b != NULL; b = b->next) {
        b->free = NULL;
    }
    m->used = 0;
    m->spare = NULL;
    m->touched = 0;
}

/* ---- Ranges: in the arena of the host -------------------------------------------------------- */

static struct free_range *range_make(struct tape_memory *m, char *data, size_t bytes) {
    struct free_range *r = m->spare;
    if (r != NULL) {
        m->spare = r->next;
    } else {
        r = arena_alloc(m->arena, 1, sizeof *r);
    }
    if (r != NULL) {
        *r = (struct free_range){.data = data, .bytes = bytes};
    }
    return r;
}

static void range_end(struct tape_memory *m, struct free_range *r) {
    r->next = m->spare;
    m->spare = r;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* Puts a new block where *place is. */
static int block_make(struct tape_memory *m, struct memory_block **place, size_t size,
                      struct error *e) {
    struct memory_block *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return error_memory(e, "a training step");
    }
    size = size > LARGE ? size : BLOCK; /* a large one has a block of its own size */
    b->bytes = tensor_vector(NULL, DTYPE_U8, NULL, (int64_t)size);
    int rc = m->device->ops->alloc(m->device, &b->bytes, e);
    if (rc < 0) {
        free(b);
        return rc;
    }
    b->next = *place;
    *place = b;
    return 0;
}

/* The next block that this step has not touched, wholly free. Steps ask for the same sizes in the
 * same order; where one is longer than those before it, its blocks take the place of theirs. */
static int block_add(struct tape_memory *m, size_t size, struct error *e) {
    struct memory_block **place = &m->blocks;
    for (size_t i = 0; i < m->touched; i++) {
        place = &(*place)->next;
    }
    while (*place != NULL && tensor_bytes(&(*place)->bytes) < size) {
        block_end(m, place);
    }
    int rc = *place == NULL ? block_make(m, place, size, e) : 0;
    if (rc < 0) {
        return rc;
    }
    struct memory_block *b = *place;
    b->free = range_make(m, b->bytes.data, tensor_bytes(&b->bytes));
    m->touched++;
    return b->free != NULL ? 0 : error_memory(e, "a training step");
}

/* The smallest range that is large enough. */
static struct free_range **best_fit(struct tape_memory *m, size_t bytes) {
    struct free_range **best = NULL;
    for (struct memory_block *b = m->blocks; b != NULL; b = b->next) {
        for (struct free_range **r = &b->free; *r != NULL; r = &(*r)->next) {
            if ((*r)->bytes >= bytes && (best == NULL || (*r)->bytes < (*best)->bytes)) {
                best = r;
            }
        }
    }
    return best;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static size_t rounded(const struct tensor *x) {
    const size_t bytes = (tensor_bytes(x) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return bytes > 0 ? bytes : ALIGNMENT;
}

int memory_take(struct tape_memory *m, struct tensor *x, struct error *e) {
    const size_t bytes = rounded(x);
    struct free_range **place = best_fit(m, bytes);
    if (place == NULL) {
        int rc = block_add(m, bytes, e);
        if (rc < 0) {
            return rc;
        }
        place = best_fit(m, bytes);
    }
    struct free_range *r = *place;
    *x = tensor_of(r->data, x->type, m->device, x->shape);
    r->data += bytes;
    r->bytes -= bytes;
    if (r->bytes == 0) {
        *place = r->next;
        range_end(m, r);
    }
    m->used += bytes;
    m->peak = m->used > m->peak ? m->used : m->peak;
    return 0;
}

/* Joins a range with the one after it, where they touch. */
static void join(struct tape_memory *m, struct free_range *r) {
    struct free_range *next = r->next;
    if (next != NULL && r->data + r->bytes == next->data) {
        r->bytes += next->bytes;
        r->next = next->next;
        range_end(m, next);
    }
}

static struct memory_block *block_of(const struct tape_memory *m, const char *data) {
    struct memory_block *b = m->blocks;
    while (data < (char *)b->bytes.data ||
           data >= (char *)b->bytes.data + tensor_bytes(&b->bytes)) {
        b = b->next;
    }
    return b;
}

void memory_give(struct tape_memory *m, struct tensor *x) {
    if (x->data == NULL) {
        return;
    }
    struct free_range *r = range_make(m, x->data, rounded(x)), *before = NULL;
    struct memory_block *b = block_of(m, x->data);
    m->used -= rounded(x);
    x->data = NULL;
    if (r == NULL) {
        return; /* it comes back with the next reset */
    }
    for (struct free_range *next = b->free; next != NULL && next->data < r->data;
         next = next->next) {
        before = next;
    }
    struct free_range **place = before != NULL ? &before->next : &b->free;
    r->next = *place;
    *place = r;
    join(m, r);
    if (before != NULL) {
        join(m, before);
    }
}
