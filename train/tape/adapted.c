/* adapted.c - a frozen matrix and what is trained beside it, some rows at a time, so that what is
 * between is never all there: y = x W^T + h B^T + x D^T with h = scale drop(x) A^T, where D has
 * rows for some rows of W.
 *
 * Backward: dh = scale dy B, dx = dy W + drop(dh A) + dy D, dA = dh^T drop(x), dB = dy^T h; D and W
 * itself: chosen.c. What is added comes first and the large product last, so that the sum is
 * rounded once. */
#include <assert.h>

#include "train/tape/state.h"

enum { ROWS = 512 /* of a thread, at a time */ };

static int64_t rows_at_once(const struct tape *t) {
    return ROWS * t->batch;
}

struct adapted_record {
    struct record record;
    const struct packed *w;
    struct tape_adapter options;
    int64_t first_row; /* of x in the whole */
    struct tensor low; /* h, as products read it; only where B learns */
};

static struct tensor matrix_space(struct tape *t, enum dtype type, int64_t rows, int64_t width) {
    return tape_scratch(t, type, TENSOR_SHAPE(1, 1, rows, width));
}

/* ---- What thin products read ----------------------------------------------------------------- */

/* Rows of x, dropped out of, in the type that products read: themselves, or in `space`. */
struct dropped {
    struct tensor space; /* data NULL: x is read where it lies */
    struct tensor x;
    int64_t first_row; /* of x in the whole */
};

static struct dropped dropped_open(struct tape *t, const struct tensor *x,
                                   const struct tape_adapter *o, int64_t first_row) {
    struct dropped d = {.x = tensor_as_matrix(x), .first_row = first_row};
    const int64_t rows = tensor_rows(x), most = rows_at_once(t);
    if (o->dropout > 0 || x->type != t->compute) {
        d.space = matrix_space(t, t->compute, rows < most ? rows : most, tensor_width(x));
    }
    return d;
}

static struct tensor dropped_rows(struct tape *t, const struct dropped *d,
                                  const struct tape_adapter *o, int64_t first, int64_t count) {
    const struct tensor from = tensor_row_range(&d->x, first, count);
    if (d->space.data == NULL) {
        return from;
    }
    const struct tensor to = tensor_row_range(&d->space, 0, count);
    if (o->dropout > 0) {
        CALL(t, dropout, &to, &from, o->dropout, o->seed,
             (d->first_row + first) * tensor_width(&d->x));
    } else {
        CALL(t, copy, &to, &from);
    }
    return to;
}

/* ---- Forward --------------------------------------------------------------------------------- */

/* y = h B^T, and h. */
static void low_forward(struct tape *t, const struct tape_adapter *o, const struct tensor *y,
                        const struct tensor *input, const struct tensor *h) {
    const struct tensor down = tensor_transpose(&o->a->value);
    const struct tensor up = tensor_transpose(&o->b->value);
    CALL(t, matmul, h, input, &down, NULL, false);
    CALL(t, combine, h, o->scale, h, 0, NULL);
    CALL(t, matmul, y, h, &up, NULL, false);
}

/* y = x W^T + h B^T + x D^T, and h. */
static void forward(struct tape *t, const struct node *y, const struct node *x,
                    const struct packed *w, const struct tape_adapter *o,
                    const struct tensor *low) {
    const int64_t rows = tensor_rows(&x->value), step = rows_at_once(t);
    const bool adds = o->a != NULL || o->rows != NULL;
    struct dropped dropped = {.first_row = 0};
    if (o->a != NULL) {
        dropped = dropped_open(t, &x->value, o, t->first_row);
    }
    for (int64_t first = 0; first < rows && t->rc == 0; first += step) {
        const int64_t count = rows - first < step ? rows - first : step;
        const struct tensor from = tensor_row_range(&x->value, first, count);
        const struct tensor to = tensor_row_range(&y->value, first, count);
        if (o->a != NULL) {
            const struct tensor input = dropped_rows(t, &dropped, o, first, count);
            const struct tensor h = tensor_row_range(low, first, count);
            low_forward(t, o, &to, &input, &h);
        } else if (adds) {
            CALL(t, fill, &to, 0);
        }
        if (o->rows != NULL) {
            tape_chosen_forward(t, o, &to, &from);
        }
        CALL(t, linear, &to, &from, w, ACTIVATION_NONE, adds ? &to : NULL);
    }
    tape_scratch_end(t, &dropped.space);
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* What the gradients of a step's rows are added to; NULL: not wanted. */
struct thin_gradients {
    const struct tensor *dx, *da, *db;
    bool x_holds, a_holds, b_holds;
    struct chosen_gradients chosen;
};

/* dx += drop(dh A). */
static void low_input_backward(struct tape *t, const struct adapted_record *r,
                               const struct tensor *dx, const struct tensor *dlow, int64_t first) {
    const struct tape_adapter *o = &r->options;
    const struct tensor a = o->a->value;
    if (o->dropout <= 0) {
        CALL(t, matmul, dx, dlow, &a, NULL, true);
        return;
    }
    struct tensor part = matrix_space(t, DTYPE_F32, tensor_rows(dx), tensor_width(dx));
    CALL(t, matmul, &part, dlow, &a, NULL, false);
    CALL(t, dropout, &part, &part, o->dropout, o->seed, (r->first_row + first) * tensor_width(dx));
    CALL(t, accumulate, dx, &part);
    tape_scratch_end(t, &part);
}

/* dh, as products read it. */
static struct tensor low_gradient(struct tape *t, const struct adapted_record *r,
                                  const struct tensor *dy) {
    const struct tensor b = r->options.b->value;
    struct tensor sums = matrix_space(t, DTYPE_F32, tensor_rows(dy), tensor_width(&b));
    struct tensor dlow = matrix_space(t, t->compute, tensor_rows(dy), tensor_width(&b));
    CALL(t, matmul, &sums, dy, &b, NULL, false);
    CALL(t, combine, &dlow, r->options.scale, &sums, 0, NULL);
    tape_scratch_end(t, &sums);
    return dlow;
}

static void low_backward(struct tape *t, const struct adapted_record *r,
                         const struct thin_gradients *g, const struct dropped *dropped,
                         const struct tensor *dy, int64_t first) {
    const int64_t count = tensor_rows(dy);
    struct tensor dlow = low_gradient(t, r, dy);
    if (g->db != NULL) {
        const struct tensor turned = tensor_transpose(dy);
        const struct tensor h = tensor_row_range(&r->low, first, count);
        CALL(t, matmul, g->db, &turned, &h, NULL, g->b_holds || first > 0);
    }
    if (g->da != NULL) {
        const struct tensor turned = tensor_transpose(&dlow);
        const struct tensor input = dropped_rows(t, dropped, &r->options, first, count);
        CALL(t, matmul, g->da, &turned, &input, NULL, g->a_holds || first > 0);
    }
    if (g->dx != NULL) {
        const struct tensor dx = tensor_row_range(g->dx, first, count);
        low_input_backward(t, r, &dx, &dlow, first);
    }
    tape_scratch_end(t, &dlow);
}

/* All that these rows of dy give. */
static void backward_rows(struct tape *t, const struct adapted_record *r,
                          const struct thin_gradients *g, const struct dropped *dropped,
                          const struct tensor *dy, int64_t first) {
    const struct tape_adapter *o = &r->options;
    const int64_t count = tensor_rows(dy);
    struct tensor dx = {.data = NULL};
    if (g->dx != NULL) {
        dx = tensor_row_range(g->dx, first, count);
        CALL(t, linear_backward, &dx, dy, r->w, g->x_holds);
    }
    if (o->a != NULL && (g->dx != NULL || g->da != NULL || g->db != NULL)) {
        low_backward(t, r, g, dropped, dy, first);
    }
    const struct tensor x = tensor_as_matrix(&r->record.x[0]->value);
    const struct tensor part = tensor_row_range(&x, first, count);
    tape_chosen_backward(t, o, &g->chosen, g->dx != NULL ? &dx : NULL, dy, &part);
}

static struct thin_gradients gradients_of(struct tape *t, const struct adapted_record *r) {
    const struct tape_adapter *o = &r->options;
    struct thin_gradients g = {.dx = NULL};
    g.dx = tape_gradient_to_set(t, r->record.x[0], &g.x_holds);
    if (o->a != NULL) {
        g.da = tape_gradient_to_set(t, o->a, &g.a_holds);
        g.db = tape_gradient_to_set(t, o->b, &g.b_holds);
    }
    g.chosen = tape_chosen_gradients(t, o);
    return g;
}

static void adapted_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct adapted_record *r = (const struct adapted_record *)record;
    const int64_t rows = tensor_rows(dy), step = rows_at_once(t);
    if (rows == 0) { /* no product sets them */
        for (int i = 0; i < RECORD_INPUTS; i++) {
            tape_gradient(t, record->x[i]);
        }
        return;
    }
    const struct thin_gradients g = gradients_of(t, r);
    struct dropped dropped = {.first_row = 0};
    if (g.da != NULL) {
        dropped = dropped_open(t, &record->x[0]->value, &r->options, r->first_row);
    }
    for (int64_t first = 0; first < rows && t->rc == 0; first += step) {
        const int64_t count = rows - first < step ? rows - first : step;
        const struct tensor part = tensor_row_range(dy, first, count);
        struct tensor slopes = tape_converted(t, &part, t->compute);
        backward_rows(t, r, &g, &dropped, &slopes, first);
        tape_converted_end(t, &slopes, &part);
    }
    tape_scratch_end(t, &dropped.space);
}

/* ---- The node -------------------------------------------------------------------------------- */

/* False: the tape has failed. */
static bool check(const struct tape *t, const struct node *x, const struct packed *w,
                  const struct tape_adapter *o) {
    if (!tape_ready(t, x)) {
        return false;
    }
    assert(tensor_width(&x->value) == w->inputs && (o->a == NULL) == (o->b == NULL));
    if (o->a != NULL) {
        assert(tensor_width(&o->a->value) == w->inputs);
        assert(tensor_rows(&o->b->value) == w->outputs);
        assert(tensor_width(&o->b->value) == tensor_rows(&o->a->value));
    }
    tape_chosen_check(o, w);
    return true;
}

/* Memory for h, for good or until the node is there. */
static void low_open(struct tape *t, struct tensor *low, const struct node *x,
                     const struct tape_adapter *o) {
    *low = tensor_matrix(NULL, t->compute, NULL, tensor_rows(&x->value), tensor_rows(&o->a->value));
    if (o->b->needs_gradient) {
        tape_keep(t, low);
    } else {
        *low = tape_scratch(t, low->type, low->shape);
    }
}

struct node *tape_adapted_linear(struct tape *t, struct node *x, const struct packed *w,
                                 const struct tape_adapter *o) {
    if (!check(t, x, w, o)) {
        return NULL;
    }
    struct node *const *inputs = INPUTS(x, o->a, o->b, o->rows, o->whole);
    struct node *y = tape_rows(t, t->options.storage, tensor_rows(&x->value), w->outputs, inputs);
    struct tensor *low = tape_host(t, 1, sizeof *low);
    if (y == NULL || low == NULL) {
        return NULL;
    }
    *low = (struct tensor){.data = NULL};
    if (o->a != NULL) {
        low_open(t, low, x, o);
    }
    if (t->rc == 0) {
        forward(t, y, x, w, o, low);
    }
    struct adapted_record *r = tape_record(t, sizeof *r, adapted_backward, y, inputs);
    if (r != NULL) {
        r->w = w;
        r->options = *o;
        r->low = *low;
        r->first_row = t->first_row;
    }
    if (o->a != NULL && !o->b->needs_gradient) {
        tape_scratch_end(t, low);
    }
    return tape_done(t, y);
}
