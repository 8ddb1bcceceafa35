/* tape.c - memory, tensors and the way back; the operations are in tape_*.c. */
#include "train/tape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/tape_state.h"

/* ---- Memory -------------------------------------------------------------------------- */

enum { ALIGNMENT = 64, BLOCK = 32 << 20 };

struct tape_block {
    struct tape_block *next;
    size_t size, used;
    unsigned char *data;
};

int tape_fail(struct tape *t, int rc, const struct error *e) {
    if (t->rc == 0) {
        t->rc = rc;
        t->failure = *e;
    }
    return rc;
}

static void out_of_memory(struct tape *t) {
    struct error e;
    tape_fail(t, error_set(&e, ERR_MEMORY, "out of memory for a training step"), &e);
}

static struct tape_block *block_make(size_t size) {
    struct tape_block *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    b->size = size > BLOCK ? size : BLOCK;
    b->data = aligned_alloc(ALIGNMENT, b->size);
    if (b->data == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

/* The next block that has room, a new one where none has. */
static struct tape_block *block_with(struct tape *t, size_t size) {
    struct tape_block *b = t->current;
    while (b != NULL && b->size - b->used < size && b->next != NULL) {
        b = b->next;
        b->used = 0;
    }
    if (b == NULL || b->size - b->used < size) {
        struct tape_block *fresh = block_make(size);
        if (fresh == NULL) {
            return NULL;
        }
        if (b == NULL) {
            t->blocks = fresh;
        } else {
            b->next = fresh;
        }
        b = fresh;
    }
    t->current = b;
    return b;
}

void *tape_alloc(struct tape *t, size_t count, size_t size) {
    if (t->rc < 0) {
        return NULL;
    }
    if (size != 0 && count > (SIZE_MAX / 2 - ALIGNMENT) / size) {
        out_of_memory(t);
        return NULL;
    }
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct tape_block *b = block_with(t, bytes);
    if (b == NULL) {
        out_of_memory(t);
        return NULL;
    }
    void *data = b->data + b->used;
    b->used += bytes;
    t->used += bytes;
    t->peak = t->used > t->peak ? t->used : t->peak;
    return data;
}

struct tape_mark tape_mark(const struct tape *t) {
    return (struct tape_mark){
        .block = t->current, .used = t->current != NULL ? t->current->used : 0, .total = t->used};
}

void tape_release(struct tape *t, struct tape_mark mark) {
    t->current = mark.block != NULL ? mark.block : t->blocks;
    if (t->current != NULL) {
        t->current->used = mark.used;
    }
    t->used = mark.total;
}

int tape_open(struct tape **out, const struct backend_ops *ops, enum dtype compute,
              struct error *e) {
    *out = NULL;
    struct tape *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    t->ops = ops;
    t->compute = compute;
    t->kernels = kernels_choose(e);
    int rc = t->kernels != NULL ? ops->context_open(&t->context, compute, e) : ERR_UNSUPPORTED;
    if (rc < 0) {
        free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void tape_close(struct tape *t) {
    if (t == NULL) {
        return;
    }
    while (t->blocks != NULL) {
        struct tape_block *first = t->blocks;
        t->blocks = first->next;
        free(first->data);
        free(first);
    }
    t->ops->context_close(t->context);
    free(t);
}

void tape_begin(struct tape *t) {
    tape_release(t, (struct tape_mark){.block = NULL});
    t->last = NULL;
    t->rc = 0;
}

size_t tape_peak(const struct tape *t) {
    return t->peak;
}

/* ---- Tensors --------------------------------------------------------------------------- */

static struct tensor *tensor_make(struct tape *t) {
    struct tensor *x = tape_alloc(t, 1, sizeof *x);
    if (x != NULL) {
        *x = (struct tensor){.rows = 0};
    }
    return x;
}

struct tensor *tape_tensor(struct tape *t, int64_t rows, int64_t width, bool wanted) {
    struct tensor *x = tensor_make(t);
    if (x == NULL) {
        return NULL;
    }
    x->rows = rows;
    x->width = width;
    x->wanted = wanted;
    x->value = tape_alloc(t, tensor_count(x), sizeof *x->value);
    return x->value != NULL ? x : NULL;
}

struct tensor *tape_input(struct tape *t, float *value, const uint16_t *half, int64_t rows,
                          int64_t width, float *gradient) {
    struct tensor *x = tensor_make(t);
    if (x != NULL) {
        *x = (struct tensor){.value = value,
                             .half = half,
                             .gradient = gradient,
                             .rows = rows,
                             .width = width,
                             .wanted = gradient != NULL};
    }
    return x;
}

struct tensor *tape_shape(struct tape *t, struct tensor *x, int64_t rows, int64_t width) {
    struct tensor *view = x != NULL ? tensor_make(t) : NULL;
    if (view != NULL) {
        assert(rows * width == x->rows * x->width);
        *view = (struct tensor){.value = x->value,
                                .half = x->half,
                                .rows = rows,
                                .width = width,
                                .wanted = x->wanted,
                                .whole = x->whole != NULL ? x->whole : x};
    }
    return view;
}

float *tape_gradient(struct tape *t, struct tensor *x) {
    struct tensor *owner = x->whole != NULL ? x->whole : x;
    if (!owner->wanted) {
        return NULL;
    }
    if (owner->gradient == NULL) {
        owner->gradient = tape_alloc(t, tensor_count(owner), sizeof *owner->gradient);
        if (owner->gradient != NULL) {
            memset(owner->gradient, 0, tensor_count(owner) * sizeof *owner->gradient);
        }
    }
    return owner->gradient;
}

const float *tape_arrived(const struct tensor *x) {
    return x->whole != NULL ? x->whole->gradient : x->gradient;
}

const void *tape_convert(struct tape *t, const float *x, size_t count) {
    if (t->compute != DTYPE_BF16) {
        return x;
    }
    uint16_t *half = tape_alloc(t, count, sizeof *half);
    if (half == NULL) {
        return NULL;
    }
    struct error e;
    int rc = t->ops->to_bf16(t->context, half, x, count, &e);
    if (rc < 0) {
        tape_fail(t, rc, &e);
        return NULL;
    }
    return half;
}

const void *tape_operand(struct tape *t, struct tensor *x) {
    if (t->compute != DTYPE_BF16) {
        return x->value;
    }
    if (x->half == NULL) {
        x->half = tape_convert(t, x->value, tensor_count(x));
    }
    return x->half;
}

/* ---- The way back ------------------------------------------------------------------------ */

void *tape_note(struct tape *t, size_t size, void (*backward)(struct tape *, struct step *)) {
    struct step *step = tape_alloc(t, 1, size);
    if (step == NULL) {
        return NULL;
    }
    memset(step, 0, size);
    step->earlier = t->last;
    step->backward = backward;
    t->last = step;
    return step;
}

void tape_seed(struct tape *t, struct tensor *x, const float *gradient) {
    float *to = x != NULL && t->rc == 0 ? tape_gradient(t, x) : NULL;
    if (to != NULL) {
        t->kernels->accumulate(to, gradient, tensor_count(x));
    }
}

int tape_backward(struct tape *t, struct error *e) {
    for (struct step *s = t->last; s != NULL && t->rc == 0; s = s->earlier) {
        s->backward(t, s);
    }
    if (t->rc < 0 && e != NULL) {
        *e = t->failure;
    }
    return t->rc;
}
