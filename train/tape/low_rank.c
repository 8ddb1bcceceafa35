/* low_rank.c - a frozen matrix and two thin ones beside it, some rows at a time, so that what is
 * between them is never all there: y = x W^T + h B^T with h = scale drop(x) A^T.
 *
 * Backward: dh = scale dy B, dx = dy W + drop(dh A), dA = dh^T drop(x), dB = dy^T h. */
#include <assert.h>

#include "train/tape/state.h"

enum { ROWS = 512 /* at a time */ };

struct low_rank_record {
    struct record record;
    const struct packed *w;
    struct tape_low_rank options;
    int64_t first_row; /* of x in the whole */
    struct tensor low; /* h, as products read it */
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
                                   const struct tape_low_rank *o, int64_t first_row) {
    struct dropped d = {.x = tensor_as_matrix(x), .first_row = first_row};
    const int64_t rows = tensor_rows(x);
    if (o->dropout > 0 || x->type != t->compute) {
        d.space = matrix_space(t, t->compute, rows < ROWS ? rows : ROWS, tensor_width(x));
    }
    return d;
}

static struct tensor dropped_rows(struct tape *t, const struct dropped *d,
                                  const struct tape_low_rank *o, int64_t first, int64_t count) {
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

/* y = x W^T + h B^T, and h. */
static void forward(struct tape *t, const struct node *y, const struct node *x,
                    const struct packed *w, const struct tape_low_rank *o,
                    const struct tensor *low) {
    const int64_t rows = tensor_rows(&x->value);
    const struct tensor a = o->a->value, b = o->b->value;
    struct dropped dropped = dropped_open(t, &x->value, o, t->first_row);
    for (int64_t first = 0; first < rows && t->rc == 0; first += ROWS) {
        const int64_t count = rows - first < ROWS ? rows - first : ROWS;
        const struct tensor input = dropped_rows(t, &dropped, o, first, count);
        const struct tensor h = tensor_row_range(low, first, count);
        const struct tensor from = tensor_row_range(&x->value, first, count);
        const struct tensor to = tensor_row_range(&y->value, first, count);
        const struct tensor down = tensor_transpose(&a), up = tensor_transpose(&b);
        CALL(t, matmul, &h, &input, &down, NULL, false);
        CALL(t, combine, &h, o->scale, &h, 0, NULL);
        CALL(t, matmul, &to, &h, &up, NULL, false);
        CALL(t, linear, &to, &from, w, ACTIVATION_NONE, &to);
    }
    tape_scratch_end(t, &dropped.space);
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* What the gradients of a step's rows are added to; NULL: not wanted. */
struct thin_gradients {
    const struct tensor *dx, *da, *db;
    bool x_holds, a_holds, b_holds;
};

/* dx [+]= dy W + drop(dh A). */
static void input_backward(struct tape *t, const struct low_rank_record *r, const struct tensor *dx,
                           bool holds, const struct tensor *dy, const struct tensor *dlow,
                           int64_t first) {
    const struct tape_low_rank *o = &r->options;
    const struct tensor a = o->a->value;
    CALL(t, linear_backward, dx, dy, r->w, holds);
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
static struct tensor low_backward(struct tape *t, const struct low_rank_record *r,
                                  const struct tensor *dy) {
    const struct tensor b = r->options.b->value;
    struct tensor sums = matrix_space(t, DTYPE_F32, tensor_rows(dy), tensor_width(&b));
    struct tensor dlow = matrix_space(t, t->compute, tensor_rows(dy), tensor_width(&b));
    CALL(t, matmul, &sums, dy, &b, NULL, false);
    CALL(t, combine, &dlow, r->options.scale, &sums, 0, NULL);
    tape_scratch_end(t, &sums);
    return dlow;
}

static void backward_rows(struct tape *t, const struct low_rank_record *r,
                          const struct thin_gradients *g, const struct dropped *dropped,
                          const struct tensor *dy, int64_t first) {
    const int64_t count = tensor_rows(dy);
    const struct tensor h = tensor_row_range(&r->low, first, count);
    struct tensor dlow = low_backward(t, r, dy);
    if (g->db != NULL) {
        const struct tensor turned = tensor_transpose(dy);
        CALL(t, matmul, g->db, &turned, &h, NULL, g->b_holds || first > 0);
    }
    if (g->da != NULL) {
        const struct tensor turned = tensor_transpose(&dlow);
        const struct tensor input = dropped_rows(t, dropped, &r->options, first, count);
        CALL(t, matmul, g->da, &turned, &input, NULL, g->a_holds || first > 0);
    }
    if (g->dx != NULL) {
        const struct tensor dx = tensor_row_range(g->dx, first, count);
        input_backward(t, r, &dx, g->x_holds, dy, &dlow, first);
    }
    tape_scratch_end(t, &dlow);
}

static void low_rank_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    struct low_rank_record *r = (struct low_rank_record *)record;
    struct node *x = record->x[0];
    const int64_t rows = tensor_rows(dy);
    struct thin_gradients g = {.dx = NULL};
    if (rows == 0) { /* no product sets them */
        for (int i = 0; i < 3; i++) {
            tape_gradient(t, record->x[i]);
        }
        return;
    }
    g.dx = tape_gradient_to_set(t, x, &g.x_holds);
    g.da = tape_gradient_to_set(t, r->options.a, &g.a_holds);
    g.db = tape_gradient_to_set(t, r->options.b, &g.b_holds);
    struct dropped dropped = {.x = tensor_as_matrix(&x->value)};
    if (g.da != NULL) {
        dropped = dropped_open(t, &x->value, &r->options, r->first_row);
    }
    for (int64_t first = 0; first < rows && t->rc == 0; first += ROWS) {
        const int64_t count = rows - first < ROWS ? rows - first : ROWS;
        const struct tensor part = tensor_row_range(dy, first, count);
        struct tensor slopes = tape_converted(t, &part, t->compute);
        backward_rows(t, r, &g, &dropped, &slopes, first);
        tape_converted_end(t, &slopes, &part);
    }
    tape_scratch_end(t, &dropped.space);
}

/* ---- The node -------------------------------------------------------------------------------- */

struct node *tape_adapted_linear(struct tape *t, struct node *x, const struct packed *w,
                                 const struct tape_low_rank *o) {
    if (!tape_ready(t, x) || o->a == NULL || o->b == NULL) {
        return NULL;
    }
    assert(tensor_width(&x->value) == w->inputs && tensor_width(&o->a->value) == w->inputs);
    assert(tensor_rows(&o->b->value) == w->outputs);
    assert(tensor_width(&o->b->value) == tensor_rows(&o->a->value));
    struct node *y =
        tape_rows(t, t->options.storage, tensor_rows(&x->value), w->outputs, INPUTS(x, o->a, o->b));
    struct tensor *low = tape_host(t, 1, sizeof *low);
    if (y == NULL || low == NULL) {
        return NULL;
    }
    *low = tensor_matrix(NULL, t->compute, NULL, tensor_rows(&x->value), tensor_rows(&o->a->value));
    if (y->needs_gradient) {
        tape_keep(t, low);
    } else {
        *low = tape_scratch(t, low->type, low->shape);
    }
    if (t->rc == 0) {
        forward(t, y, x, w, o, low);
    }
    struct low_rank_record *r =
        tape_record(t, sizeof *r, low_rank_backward, y, INPUTS(x, o->a, o->b));
    if (r != NULL) {
        r->w = w;
        r->options = *o;
        r->low = *low;
        r->first_row = t->first_row;
    }
    if (!y->needs_gradient) {
        tape_scratch_end(t, low);
    }
    return tape_done(t, y);
}
