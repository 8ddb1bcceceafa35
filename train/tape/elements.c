/* elements.c - what works element by element. */
#include <assert.h>

#include "train/tape/state.h"

/* ---- Activations ----------------------------------------------------------------------------- */

typedef int forward_entry(struct device *d, const struct tensor *out, const struct tensor *x,
                          struct error *e);
typedef int backward_entry(struct device *d, const struct tensor *dx, const struct tensor *x,
                           const struct tensor *dy, struct error *e);

struct activation_record {
    struct record record;
    backward_entry *entry;
};

static void activation_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct activation_record *r = (const struct activation_record *)record;
    const struct tensor *dx = tape_gradient(t, record->x[0]);
    if (dx != NULL) {
        tape_check(t, r->entry(t->device, dx, &record->x[0]->value, dy, &t->error));
    }
}

static struct node *activate(struct tape *t, struct node *x, forward_entry *forward,
                             backward_entry *backward) {
    struct node *y =
        tape_ready(t, x) ? tape_node(t, t->options.storage, x->value.shape, INPUTS(x)) : NULL;
    if (y == NULL) {
        return NULL;
    }
    tape_check(t, forward(t->device, &y->value, &x->value, &t->error));
    struct activation_record *r = tape_record(t, sizeof *r, activation_backward, y, INPUTS(x));
    if (r != NULL) {
        r->entry = backward;
    }
    return tape_done(t, y);
}

struct node *tape_gelu(struct tape *t, struct node *x) {
    return activate(t, x, t->ops->gelu, t->ops->gelu_backward);
}

struct node *tape_quick_gelu(struct tape *t, struct node *x) {
    return activate(t, x, t->ops->quick_gelu, t->ops->quick_gelu_backward);
}

struct node *tape_silu(struct tape *t, struct node *x) {
    return activate(t, x, t->ops->silu, t->ops->silu_backward);
}

/* ---- Of two of one shape --------------------------------------------------------------------- */

/* A node for the result; NULL: not to be computed. */
static struct node *of_two(struct tape *t, enum dtype type, struct node *a, struct node *b) {
    if (!tape_ready(t, a) || b == NULL) {
        return NULL;
    }
    assert(tensor_same_shape(&a->value, &b->value));
    return tape_node(t, type, a->value.shape, INPUTS(a, b));
}

static void swiglu_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    const struct tensor *dgate = tape_gradient(t, r->x[0]), *dup = tape_gradient(t, r->x[1]);
    CALL(t, swiglu_backward, dgate, dup, &r->x[0]->value, &r->x[1]->value, dy);
}

struct node *tape_swiglu(struct tape *t, struct node *gate, struct node *up) {
    struct node *y = of_two(t, t->options.storage, gate, up);
    if (y == NULL) {
        return NULL;
    }
    CALL(t, swiglu, &y->value, &gate->value, &up->value);
    tape_record(t, sizeof(struct record), swiglu_backward, y, INPUTS(gate, up));
    return tape_done(t, y);
}

static void multiply_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    const struct tensor *da = tape_gradient(t, r->x[0]), *db = tape_gradient(t, r->x[1]);
    CALL(t, multiply_backward, da, db, &r->x[0]->value, &r->x[1]->value, dy);
}

struct node *tape_multiply(struct tape *t, struct node *a, struct node *b) {
    struct node *y = of_two(t, t->options.storage, a, b);
    if (y == NULL) {
        return NULL;
    }
    CALL(t, multiply, &y->value, &a->value, &b->value);
    tape_record(t, sizeof(struct record), multiply_backward, y, INPUTS(a, b));
    return tape_done(t, y);
}

struct combine_record {
    struct record record;
    float factors[2];
};

static void combine_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct combine_record *r = (const struct combine_record *)record;
    for (int i = 0; i < 2; i++) {
        const struct tensor *dx = tape_gradient(t, record->x[i]);
        if (dx != NULL) {
            CALL(t, combine, dx, 1, dx, r->factors[i], dy);
        }
    }
}

struct node *tape_combine(struct tape *t, float alpha, struct node *a, float beta, struct node *b) {
    struct node *y = of_two(t, t->options.sums, a, b);
    if (y == NULL) {
        return NULL;
    }
    CALL(t, combine, &y->value, alpha, &a->value, beta, &b->value);
    struct combine_record *r = tape_record(t, sizeof *r, combine_backward, y, INPUTS(a, b));
    if (r != NULL) {
        r->factors[0] = alpha;
        r->factors[1] = beta;
    }
    return tape_done(t, y);
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* Of what is repeated: the sum over its repetitions. */
static void repeated_backward(struct tape *t, struct node *b, const struct tensor *dy) {
    const struct tensor *db = tape_gradient(t, b);
    const int64_t rows = tensor_rows(&b->value);
    if (db != NULL && rows == 1) {
        CALL(t, sum_rows, db, dy);
        return;
    }
    for (int64_t i = 0; i < tensor_rows(dy) && db != NULL; i += rows) {
        const struct tensor sum = tensor_as_matrix(db), part = tensor_row_range(dy, i, rows);
        CALL(t, accumulate, &sum, &part);
    }
}

static void add_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    struct node *a = r->x[0], *b = r->x[1];
    if (tensor_count(&a->value) == tensor_count(&b->value)) {
        tape_pass_on(t, b, r->y);
    } else {
        repeated_backward(t, b, dy);
    }
    tape_pass_on(t, a, r->y);
}

struct node *tape_add(struct tape *t, struct node *a, struct node *b) {
    if (!tape_ready(t, a) || b == NULL) {
        return NULL;
    }
    assert(tensor_width(&a->value) == tensor_width(&b->value) &&
           (tensor_rows(&a->value) == tensor_rows(&b->value) ||
            tensor_rows(&a->value) % tensor_rows(&b->value) == 0));
    struct node *y = tape_node(t, t->options.sums, a->value.shape, INPUTS(a, b));
    if (y == NULL) {
        return NULL;
    }
    CALL(t, add, &y->value, &a->value, &b->value);
    tape_record(t, sizeof(struct record), add_backward, y, INPUTS(a, b));
    return tape_done(t, y);
}
