/* packed.c - frozen matrices: what is multiplied with them has gradients, they have none. */
#include <assert.h>

#include "train/tape/state.h"

struct packed_record {
    struct record record;
    const struct packed *w;
};

static void linear_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    bool holds = false;
    const struct tensor *dx = tape_gradient_to_set(t, r->x[0], &holds);
    if (dx != NULL) {
        const struct tensor rows = tensor_as_matrix(dx);
        CALL(t, linear_backward, &rows, dy, ((const struct packed_record *)r)->w, holds);
    }
}

struct node *tape_packed_linear(struct tape *t, struct node *x, const struct packed *w) {
    struct node *y = tape_ready(t, x) ? tape_rows(t, t->options.storage, tensor_rows(&x->value),
                                                  w->outputs, INPUTS(x))
                                      : NULL;
    if (y == NULL) {
        return NULL;
    }
    assert(tensor_width(&x->value) == w->inputs);
    CALL(t, linear, &y->value, &x->value, w, ACTIVATION_NONE, NULL);
    struct packed_record *r = tape_record(t, sizeof *r, linear_backward, y, INPUTS(x));
    if (r != NULL) {
        r->w = w;
    }
    return tape_done(t, y);
}

struct node *tape_packed_gather(struct tape *t, const struct packed *w,
                                const struct tensor *index) {
    struct node *y =
        t->rc == 0 && index->data != NULL
            ? tape_rows(t, t->options.storage, tensor_count(index), w->inputs, INPUTS(NULL))
            : NULL;
    if (y == NULL) {
        return NULL;
    }
    CALL(t, gather_packed, &y->value, w, index);
    return tape_done(t, y);
}

void tape_packed_classify(struct tape *t, struct node *x, const struct packed *w,
                          const struct tensor *labels, float scale, const struct tensor *loss) {
    if (!tape_ready(t, x) || labels->data == NULL) {
        return;
    }
    assert(tensor_width(&x->value) == w->inputs);
    const struct tensor *dx = tape_gradient(t, x);
    struct tensor lent = tape_lend(t, tensor_rows(&x->value), w->inputs, w->outputs);
    CALL(t, classify_packed, loss, dx, &x->value, w, labels, scale);
    tape_lend_end(t, &lent);
    if (dx != NULL) {
        tape_record_loss(t, INPUTS(x));
    }
}
