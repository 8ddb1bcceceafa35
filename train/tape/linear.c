/* linear.c - products with parameters. */
#include <assert.h>

#include "train/tape/state.h"

/* x in the type that products read; where it is not to be kept for the weight's gradient, in
 * scratch memory if it is not there already. */
static struct tensor input_of(struct tape *t, struct node *x, bool keep) {
    const bool there = tape_root(x)->product.data != NULL;
    const struct tensor input =
        keep || there ? tape_operand(t, x) : tape_converted(t, &x->value, t->compute);
    return t->rc == 0 ? tensor_as_matrix(&input) : input;
}

static void input_end(struct tape *t, struct tensor *input, struct node *x, bool keep) {
    if (!keep && tape_root(x)->product.data == NULL) {
        tape_converted_end(t, input, &x->value);
    }
}

void tape_product(struct tape *t, struct node *y, const struct tensor *x,
                  const struct tensor *weight, const struct node *bias) {
    const struct tensor transposed = tensor_transpose(weight);
    if (bias == NULL) {
        CALL(t, matmul, &y->value, x, &transposed, NULL, false);
        return;
    }
    struct tensor row = tape_converted(t, &bias->value, DTYPE_F32); /* a frozen one may be BF16 */
    CALL(t, matmul, &y->value, x, &transposed, &row, false);
    tape_converted_end(t, &row, &bias->value);
}

void tape_bias_backward(struct tape *t, struct node *bias, const struct tensor *dy) {
    const struct tensor *db = tape_gradient(t, bias);
    if (db != NULL) {
        CALL(t, sum_rows, db, dy);
    }
}

void tape_weight_backward(struct tape *t, struct node *weight, const struct tensor *dy,
                          const struct tensor *input) {
    bool holds = false;
    const struct tensor *dw = tape_gradient_to_set(t, weight, &holds);
    if (dw != NULL) {
        const struct tensor transposed = tensor_transpose(dy);
        CALL(t, matmul, dw, &transposed, input, NULL, holds);
    }
}

/* dx += dy W. */
static void input_backward(struct tape *t, struct node *x, const struct tensor *dy,
                           struct node *weight) {
    bool holds = false;
    const struct tensor *dx = tape_gradient_to_set(t, x, &holds);
    const struct tensor matrix = tape_operand(t, weight);
    if (dx != NULL && t->rc == 0) {
        const struct tensor rows = tensor_as_matrix(dx);
        CALL(t, matmul, &rows, dy, &matrix, NULL, holds);
    }
}

static void linear_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    struct node *x = r->x[0], *weight = r->x[1];
    struct tensor product = tape_converted(t, dy, t->compute);
    if (weight->needs_gradient) {
        const struct tensor input = tape_operand(t, x);
        const struct tensor rows = t->rc == 0 ? tensor_as_matrix(&input) : input;
        tape_weight_backward(t, weight, &product, &rows);
    }
    tape_bias_backward(t, r->x[2], dy);
    if (x->needs_gradient) {
        input_backward(t, x, &product, weight);
    }
    tape_converted_end(t, &product, dy);
}

struct node *tape_linear(struct tape *t, struct node *x, struct node *weight, struct node *bias) {
    if (!tape_ready(t, x) || weight == NULL) {
        return NULL;
    }
    const int64_t outputs = tensor_rows(&weight->value);
    assert(tensor_width(&x->value) == tensor_width(&weight->value));
    struct node *y =
        tape_rows(t, t->options.storage, tensor_rows(&x->value), outputs, INPUTS(x, weight, bias));
    const struct tensor matrix = tape_operand(t, weight);
    struct tensor input = input_of(t, x, weight->needs_gradient);
    if (tape_ready(t, y)) {
        tape_product(t, y, &input, &matrix, bias);
        tape_record(t, sizeof(struct record), linear_backward, y, INPUTS(x, weight, bias));
    }
    input_end(t, &input, x, weight->needs_gradient);
    return tape_done(t, y);
}
