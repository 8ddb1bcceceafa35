/* chosen.c - rows of a frozen matrix that are trained: D has a row for each, the difference from
 * what is frozen. A run of them is a range of columns of the result; these are put side by side, so
 * that there is one product for all of them.
 *
 * Backward: dD = dy^T x of these columns, dx = dy D. And the gradient of the frozen matrix itself,
 * for who chooses: dW = dy^T x. */
#include <assert.h>

#include "train/tape/state.h"

void tape_chosen_check(const struct tape_adapter *o, const struct packed *w) {
    int64_t rows = 0, end = 0;
    for (size_t i = 0; i < o->run_count; i++) {
        const struct tape_row_run *run = &o->runs[i];
        assert(run->first >= end && run->rows > 0 && run->first + run->rows <= w->outputs);
        end = run->first + run->rows;
        rows += run->rows;
    }
    assert(o->rows == NULL ||
           (tensor_rows(&o->rows->value) == rows && tensor_width(&o->rows->value) == w->inputs));
    assert(o->whole == NULL || (tensor_rows(&o->whole->value) == w->outputs &&
                                tensor_width(&o->whole->value) == w->inputs));
    (void)w; /* without assertions */
    (void)rows;
    (void)end;
}

/* Columns of all runs side by side: `count` rows in the type that products read. */
static struct tensor side_by_side(struct tape *t, const struct tape_adapter *o, int64_t count) {
    const int64_t chosen = tensor_rows(&o->rows->value);
    return tape_scratch(t, t->compute, TENSOR_SHAPE(1, 1, count, chosen));
}

void tape_chosen_forward(struct tape *t, const struct tape_adapter *o, const struct tensor *y,
                         const struct tensor *x) {
    const struct tensor turned = tensor_transpose(&o->rows->value);
    struct tensor input = tape_converted(t, x, t->compute);
    struct tensor h = side_by_side(t, o, tensor_rows(x));
    int64_t at = 0;
    CALL(t, matmul, &h, &input, &turned, NULL, false);
    for (size_t i = 0; i < o->run_count && t->rc == 0; i++) {
        const struct tensor from = tensor_column_range(&h, at, o->runs[i].rows);
        const struct tensor to = tensor_column_range(y, o->runs[i].first, o->runs[i].rows);
        CALL(t, accumulate, &to, &from);
        at += o->runs[i].rows;
    }
    tape_scratch_end(t, &h);
    tape_converted_end(t, &input, x);
}

/* Those of them that learn; neighbours are one product. */
static void rows_backward(struct tape *t, const struct tape_adapter *o, const struct tensor *drows,
                          const struct tensor *dh, const struct tensor *x) {
    int64_t at = 0;
    for (size_t i = 0; i < o->run_count && t->rc == 0;) {
        const bool learns = o->runs[i].learns;
        int64_t count = 0;
        for (; i < o->run_count && o->runs[i].learns == learns; i++) {
            count += o->runs[i].rows;
        }
        if (learns) {
            const struct tensor columns = tensor_column_range(dh, at, count);
            const struct tensor turned = tensor_transpose(&columns);
            const struct tensor to = tensor_row_range(drows, at, count);
            CALL(t, matmul, &to, &turned, x, NULL, true);
        }
        at += count;
    }
}

struct chosen_gradients tape_chosen_gradients(struct tape *t, const struct tape_adapter *o) {
    return (struct chosen_gradients){.rows = o->rows != NULL ? tape_gradient(t, o->rows) : NULL,
                                     .whole = o->whole != NULL ? tape_gradient(t, o->whole) : NULL};
}

void tape_chosen_backward(struct tape *t, const struct tape_adapter *o,
                          const struct chosen_gradients *g, const struct tensor *dx,
                          const struct tensor *dy, const struct tensor *x) {
    struct tensor dh = {.data = NULL};
    struct tensor input =
        g->rows != NULL || g->whole != NULL ? tape_converted(t, x, t->compute) : *x;
    if (o->rows != NULL && (dx != NULL || g->rows != NULL)) {
        int64_t at = 0;
        dh = side_by_side(t, o, tensor_rows(dy));
        for (size_t i = 0; i < o->run_count && t->rc == 0; i++) {
            const struct tensor to = tensor_column_range(&dh, at, o->runs[i].rows);
            const struct tensor from = tensor_column_range(dy, o->runs[i].first, o->runs[i].rows);
            CALL(t, copy, &to, &from);
            at += o->runs[i].rows;
        }
    }
    if (dh.data != NULL && dx != NULL) {
        CALL(t, matmul, dx, &dh, &o->rows->value, NULL, true);
    }
    if (g->rows != NULL) {
        rows_backward(t, o, g->rows, &dh, &input);
    }
    if (g->whole != NULL) {
        const struct tensor turned = tensor_transpose(dy);
        CALL(t, matmul, g->whole, &turned, &input, NULL, true);
    }
    tape_scratch_end(t, &dh);
    tape_converted_end(t, &input, x);
}
