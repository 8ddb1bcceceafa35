/* pieces.c - rows that go through a network by themselves, some at a time. */
#include <assert.h>
#include <string.h>

#include "train/tape/state.h"

struct pieces {
    tape_forward *forward;
    const void *context;
    int64_t rows;         /* of x, at a time */
    int64_t given, taken; /* rows of the result for so many of x */
};

struct pieces_record {
    struct record record;
    struct pieces pieces;
    struct node **parts; /* NULL: they are computed again */
};

static int64_t count_at(const struct node *x, const struct pieces *p, int64_t first) {
    const int64_t rest = tensor_rows(&x->value) - first;
    return rest < p->rows ? rest : p->rows;
}

static struct node *part_at(struct tape *t, struct node *x, const struct pieces *p, int64_t first,
                            int64_t count) {
    return p->forward(t, tape_row_range(t, x, first, count), first, p->context);
}

/* Rows of the result for the first `rows` of x. */
static int64_t result_rows(const struct pieces *p, int64_t rows) {
    return rows / p->taken * p->given;
}

/* Those that a part of x gives. */
static struct tensor result_part(const struct pieces *p, const struct tensor *y, int64_t first,
                                 int64_t count) {
    return tensor_row_range(y, result_rows(p, first), result_rows(p, count));
}

/* Goes back over the part of rows [first, first + count) of x, of which nothing was kept. */
static void part_again(struct tape *t, struct node *x, const struct pieces *p, int64_t first,
                       int64_t count, const struct tensor *dy) {
    struct record *earlier = t->last;
    const size_t mark = t->kept_count;
    const bool repeating = t->repeating;
    t->last = NULL;
    t->repeating = true;
    struct node *y = part_at(t, x, p, first, count);
    struct record *last = t->last;
    t->last = earlier;
    if (y != NULL && y->needs_gradient) {
        tape_begin_with(t, tape_root(y), dy);
        tape_go_back(t, last);
    }
    t->repeating = repeating;
    tape_forget(t, mark, NULL);
}

static void pieces_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct pieces_record *r = (const struct pieces_record *)record;
    const struct pieces *p = &r->pieces;
    struct node *x = record->x[0];
    for (int64_t first = 0; first < tensor_rows(&x->value) && t->rc == 0; first += p->rows) {
        const int64_t count = count_at(x, p, first);
        const struct tensor part = result_part(p, dy, first, count);
        if (r->parts == NULL) {
            part_again(t, x, p, first, count, &part);
        } else {
            tape_backward_from(t, r->parts[first / p->rows], &part);
        }
    }
}

static void settle(struct pieces *p, int64_t given, int64_t taken) {
    const bool more = given >= taken;
    p->given = more ? given / taken : 1;
    p->taken = more ? 1 : taken / given;
    assert(given * p->taken == taken * p->given);
}

/* Puts a part into the whole, which is made with the first one. */
static void put(struct tape *t, struct node **y, const struct node *x, struct pieces *p,
                struct node *part, int64_t first, int64_t count) {
    const struct tensor from = tensor_as_matrix(&part->value);
    if (*y == NULL) {
        settle(p, tensor_rows(&from), count);
        *y = tape_rows(t, from.type, result_rows(p, tensor_rows(&x->value)), tensor_width(&from),
                       INPUTS(part));
    }
    if (tape_ready(t, *y)) {
        const struct tensor to = result_part(p, &(*y)->value, first, count);
        CALL(t, copy, &to, &from);
    }
}

/* parts: where they are kept, or NULL. */
static struct node *all_parts(struct tape *t, struct node *x, struct pieces *p,
                              struct node **parts) {
    struct node *y = NULL;
    for (int64_t first = 0; first < tensor_rows(&x->value) && t->rc == 0; first += p->rows) {
        const int64_t count = count_at(x, p, first);
        const size_t mark = t->kept_count;
        struct node *part = part_at(t, x, p, first, count);
        if (part != NULL) {
            put(t, &y, x, p, part, first, count);
        }
        if (parts != NULL && part != NULL && part->needs_gradient) {
            parts[first / p->rows] = part;
        } else {
            tape_forget(t, mark, y);
        }
    }
    return tape_done(t, y);
}

struct node *tape_pieces(struct tape *t, struct node *x, int64_t rows, tape_forward *forward,
                         const void *context, size_t size) {
    void *copy = tape_ready(t, x) ? tape_host(t, 1, size) : NULL;
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, context, size);
    struct pieces p = {.forward = forward, .context = copy, .rows = rows};
    struct node **parts = NULL;
    const bool discarding = t->discarding;
    if (t->options.recompute == RECOMPUTE_NONE && !discarding) {
        parts = tape_host(t, (size_t)((tensor_rows(&x->value) + rows - 1) / rows), sizeof *parts);
    } else {
        t->discarding = true;
    }
    struct node *y = all_parts(t, x, &p, parts);
    t->discarding = discarding;
    struct pieces_record *r =
        y != NULL ? tape_record(t, sizeof *r, pieces_backward, y, INPUTS(x)) : NULL;
    if (r != NULL) {
        r->pieces = p;
        r->parts = parts;
    }
    return y;
}

struct node *tape_passing(struct tape *t, struct node *x, tape_forward *forward, int64_t i,
                          const void *context) {
    const size_t mark = t->kept_count;
    struct node *y = t->rc == 0 ? forward(t, x, i, context) : NULL;
    if (y != NULL && !y->needs_gradient) {
        tape_forget(t, mark, y);
    }
    return y;
}
