/* node.c - nodes, views of them, and the memory of their values. */
#include <assert.h>

#include "train/tape/state.h"

/* ---- Memory ---------------------------------------------------------------------------------- */

void tape_keep(struct tape *t, struct tensor *x) {
    if (t->rc < 0) {
        return;
    }
    void *kept = t->kept;
    int rc =
        arena_grow(t->arena, &kept, t->kept_count, &t->kept_capacity, sizeof *t->kept, &t->error);
    t->kept = kept;
    if (rc == 0) {
        rc = memory_take(&t->memory, x, &t->error);
    }
    if (rc == 0) {
        t->kept[t->kept_count++] = x;
    }
    tape_check(t, rc);
}

void tape_forget(struct tape *t, size_t mark, struct node *y) {
    const struct tensor *result = y != NULL ? &tape_root(y)->value : NULL;
    size_t count = mark;
    for (size_t i = mark; i < t->kept_count; i++) {
        if (t->kept[i] == result) {
            t->kept[count++] = t->kept[i];
        } else {
            memory_give(&t->memory, t->kept[i]);
        }
    }
    t->kept_count = count;
}

struct tensor tape_scratch(struct tape *t, enum dtype type, const int64_t shape[TENSOR_RANK]) {
    struct tensor x = tensor_of(NULL, type, NULL, shape);
    if (t->rc == 0) {
        tape_check(t, memory_take(&t->memory, &x, &t->error));
    }
    return x;
}

void tape_scratch_end(struct tape *t, struct tensor *x) {
    memory_give(&t->memory, x);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

struct node *tape_empty(struct tape *t) {
    return tape_host(t, 1, sizeof(struct node));
}

struct node *tape_node(struct tape *t, enum dtype type, const int64_t shape[TENSOR_RANK],
                       struct node *const inputs[RECORD_INPUTS]) {
    struct node *x = tape_empty(t);
    if (x == NULL) {
        return NULL;
    }
    x->value = tensor_of(NULL, type, NULL, shape);
    for (int i = 0; i < RECORD_INPUTS; i++) {
        x->needs_gradient |= inputs[i] != NULL && inputs[i]->needs_gradient;
    }
    tape_keep(t, &x->value);
    return tape_done(t, x);
}

struct node *tape_rows(struct tape *t, enum dtype type, int64_t rows, int64_t width,
                       struct node *const inputs[RECORD_INPUTS]) {
    return tape_node(t, type, TENSOR_SHAPE(1, 1, rows, width), inputs);
}

struct tensor tape_operand(struct tape *t, struct node *x) {
    struct node *root = tape_root(x);
    if (root->value.type == t->compute) {
        return x->value;
    }
    if (root->product.data == NULL) {
        root->product = tensor_of(NULL, t->compute, NULL, root->value.shape);
        tape_keep(t, &root->product);
        CALL(t, copy, &root->product, &root->value);
    }
    return t->rc == 0 ? tape_shown(x, &root->product) : root->product;
}

struct tensor tape_converted(struct tape *t, const struct tensor *x, enum dtype type) {
    if (x->type == type) {
        return *x;
    }
    struct tensor other = tape_scratch(t, type, x->shape);
    CALL(t, copy, &other, x);
    return other;
}

void tape_converted_end(struct tape *t, struct tensor *converted, const struct tensor *x) {
    if (converted->type != x->type) {
        tape_scratch_end(t, converted);
    }
}

/* ---- Views ----------------------------------------------------------------------------------- */

struct node_view {
    struct tensor (*apply)(const struct tensor *x, const int64_t *p);
    int64_t p[TENSOR_RANK];
};

struct node *tape_root(struct node *x) {
    while (x->owner != NULL) {
        x = x->owner;
    }
    return x;
}

struct tensor tape_shown(const struct node *x, const struct tensor *root) {
    if (x->owner == NULL) {
        return *root;
    }
    const struct tensor whole = tape_shown(x->owner, root);
    return x->shown->apply(&whole, x->shown->p);
}

static struct node *view_of(struct tape *t, struct node *x,
                            struct tensor (*apply)(const struct tensor *, const int64_t *),
                            const int64_t p[TENSOR_RANK]) {
    struct node *view = tape_ready(t, x) ? tape_empty(t) : NULL;
    struct node_view *shown = view != NULL ? tape_host(t, 1, sizeof *shown) : NULL;
    if (shown == NULL) {
        return NULL;
    }
    *shown = (struct node_view){.apply = apply, .p = {p[0], p[1], p[2], p[3]}};
    view->value = apply(&x->value, p);
    view->needs_gradient = x->needs_gradient;
    view->owner = x;
    view->shown = shown;
    return view;
}

static struct tensor reshaped(const struct tensor *x, const int64_t *p) {
    return tensor_reshape(x, p);
}

static struct tensor some_rows(const struct tensor *x, const int64_t *p) {
    return tensor_row_range(x, p[0], p[1]);
}

static struct tensor some_columns(const struct tensor *x, const int64_t *p) {
    const struct tensor matrix = tensor_as_matrix(x);
    return tensor_column_range(&matrix, p[0], p[1]);
}

static struct tensor heads_of(const struct tensor *x, const int64_t *p) {
    return tensor_heads(x, p[0], p[1], p[2], p[3]);
}

struct node *tape_reshape(struct tape *t, struct node *x, const int64_t shape[TENSOR_RANK]) {
    return view_of(t, x, reshaped, shape);
}

struct node *tape_matrix(struct tape *t, struct node *x, int64_t rows, int64_t width) {
    return tape_reshape(t, x, TENSOR_SHAPE(1, 1, rows, width));
}

struct node *tape_row_range(struct tape *t, struct node *x, int64_t first, int64_t count) {
    return view_of(t, x, some_rows, TENSOR_SHAPE(first, count, 0, 0));
}

struct node *tape_column_range(struct tape *t, struct node *x, int64_t first, int64_t count) {
    return view_of(t, x, some_columns, TENSOR_SHAPE(first, count, 0, 0));
}

struct node *tape_heads(struct tape *t, struct node *matrix, int64_t batch, int64_t first,
                        int64_t heads, int64_t head_dim) {
    return view_of(t, matrix, heads_of, TENSOR_SHAPE(batch, first, heads, head_dim));
}
