/* linear.c - products, and convolutions as products. */
#include <assert.h>

#include "train/tape/state.h"

/* What products read of x; where it is not to be kept for the weight's gradient, in scratch memory
 * if it is not there already. */
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

/* y += bias. */
static void add_bias(struct tape *t, struct node *y, const struct node *bias) {
    if (bias != NULL && t->rc == 0) {
        CALL(t, add, &y->value, &y->value, &bias->value);
    }
}

static void bias_backward(struct tape *t, struct node *bias, const struct tensor *dy) {
    const struct tensor *db = tape_gradient(t, bias);
    if (db != NULL) {
        CALL(t, sum_rows, db, dy);
    }
}

/* dW += dy^T x. */
static void weight_backward(struct tape *t, struct node *weight, const struct tensor *dy,
                            const struct tensor *input) {
    bool holds = false;
    const struct tensor *dw = tape_gradient_to_set(t, weight, &holds);
    if (dw != NULL) {
        const struct tensor transposed = tensor_transpose(dy);
        CALL(t, matmul, dw, &transposed, input, holds);
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
        CALL(t, matmul, &rows, dy, &matrix, holds);
    }
}

static void linear_backward(struct tape *t, struct record *r, const struct tensor *dy) {
    struct node *x = r->x[0], *weight = r->x[1];
    struct tensor product = tape_converted(t, dy, t->compute);
    if (weight->needs_gradient) {
        const struct tensor input = tape_operand(t, x);
        const struct tensor rows = t->rc == 0 ? tensor_as_matrix(&input) : input;
        weight_backward(t, weight, &product, &rows);
    }
    bias_backward(t, r->x[2], dy);
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
        const struct tensor transposed = tensor_transpose(&matrix);
        CALL(t, matmul, &y->value, &input, &transposed, false);
        add_bias(t, y, bias);
        tape_record(t, sizeof(struct record), linear_backward, y, INPUTS(x, weight, bias));
    }
    input_end(t, &input, x, weight->needs_gradient);
    return tape_done(t, y);
}

/* ---- Convolution ----------------------------------------------------------------------------- */

struct convolve_record {
    struct record record;
    struct convolution_options options;
    int64_t batch;
};

/* x (outputs, channel, ky, kx), or its gradient, in the order of columns: (1, outputs, taps,
 * channels), without moving anything. */
static struct tensor by_taps(const struct tensor *x, const struct convolution_options *o) {
    const int64_t taps = (int64_t)o->size * o->size;
    const struct tensor matrix = tensor_as_matrix(x);
    const int64_t row = matrix.stride[TENSOR_RANK - 2];
    return (struct tensor){.data = matrix.data,
                           .type = matrix.type,
                           .home = matrix.home,
                           .shape = {1, tensor_rows(&matrix), taps, o->channels},
                           .stride = {row * tensor_rows(&matrix), row, 1, taps}};
}

/* The weight as products read it: scratch. */
static struct tensor ordered_weight(struct tape *t, struct node *weight,
                                    const struct convolution_options *o) {
    const struct tensor matrix = tape_operand(t, weight);
    struct tensor ordered = tape_scratch(t, t->compute, weight->value.shape);
    if (t->rc == 0) {
        const struct tensor from = by_taps(&matrix, o);
        const struct tensor to = tensor_reshape(&ordered, from.shape);
        CALL(t, copy, &to, &from);
    }
    return ordered;
}

/* What each output sees, a row each: scratch. */
static struct tensor columns_of(struct tape *t, struct node *x, int64_t batch, int64_t rows,
                                const struct convolution_options *o) {
    const struct tensor matrix = tape_operand(t, x);
    struct tensor columns = tape_scratch(
        t, t->compute, TENSOR_SHAPE(1, 1, rows, (int64_t)o->size * o->size * o->channels));
    if (t->rc == 0) {
        const struct tensor picture =
            tensor_reshape(&matrix, TENSOR_SHAPE(batch, o->height, o->width, o->channels));
        CALL(t, im2col, &columns, &picture, o);
    }
    return columns;
}

static void kernel_backward(struct tape *t, const struct convolve_record *r,
                            const struct tensor *dy) {
    struct node *x = r->record.x[0], *weight = r->record.x[1];
    const struct tensor *dw = tape_gradient(t, weight);
    struct tensor columns = columns_of(t, x, r->batch, tensor_rows(dy), &r->options);
    struct tensor ordered = tape_scratch(t, DTYPE_F32, weight->value.shape);
    if (dw != NULL && t->rc == 0) {
        const struct tensor transposed = tensor_transpose(dy);
        CALL(t, matmul, &ordered, &transposed, &columns, false);
        const struct tensor to = by_taps(dw, &r->options);
        const struct tensor from = tensor_reshape(&ordered, to.shape);
        CALL(t, accumulate, &to, &from);
    }
    tape_scratch_end(t, &ordered);
    tape_scratch_end(t, &columns);
}

static void picture_backward(struct tape *t, const struct convolve_record *r,
                             const struct tensor *dy) {
    struct node *x = r->record.x[0], *weight = r->record.x[1];
    const struct convolution_options *o = &r->options;
    const struct tensor *dx = tape_gradient(t, x);
    struct tensor matrix = ordered_weight(t, weight, o);
    struct tensor columns = tape_scratch(
        t, DTYPE_F32, TENSOR_SHAPE(1, 1, tensor_rows(dy), tensor_width(&weight->value)));
    if (dx != NULL && t->rc == 0) {
        const struct tensor picture =
            tensor_reshape(dx, TENSOR_SHAPE(r->batch, o->height, o->width, o->channels));
        CALL(t, matmul, &columns, dy, &matrix, false);
        CALL(t, im2col_backward, &picture, &columns, o);
    }
    tape_scratch_end(t, &columns);
    tape_scratch_end(t, &matrix);
}

static void convolve_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct convolve_record *r = (const struct convolve_record *)record;
    struct tensor product = tape_converted(t, dy, t->compute);
    if (record->x[1]->needs_gradient) {
        kernel_backward(t, r, &product);
    }
    bias_backward(t, record->x[2], dy);
    if (record->x[0]->needs_gradient) {
        picture_backward(t, r, &product);
    }
    tape_converted_end(t, &product, dy);
}

struct node *tape_convolve(struct tape *t, struct node *x, int64_t batch,
                           const struct convolution_options *o, struct node *weight,
                           struct node *bias) {
    if (!tape_ready(t, x) || weight == NULL) {
        return NULL;
    }
    assert(tensor_rows(&x->value) == batch * o->height * o->width &&
           tensor_width(&x->value) == o->channels &&
           tensor_width(&weight->value) == o->channels * o->size * o->size);
    const int64_t rows = batch * convolution_height(o) * convolution_width(o);
    struct node *y = tape_rows(t, t->options.storage, rows, tensor_rows(&weight->value),
                               INPUTS(x, weight, bias));
    struct tensor matrix = ordered_weight(t, weight, o);
    struct tensor columns = columns_of(t, x, batch, rows, o);
    struct convolve_record *r = NULL;
    if (tape_ready(t, y)) {
        const struct tensor transposed = tensor_transpose(&matrix);
        CALL(t, matmul, &y->value, &columns, &transposed, false);
        add_bias(t, y, bias);
        r = tape_record(t, sizeof *r, convolve_backward, y, INPUTS(x, weight, bias));
    }
    if (r != NULL) {
        r->options = *o;
        r->batch = batch;
    }
    tape_scratch_end(t, &columns);
    tape_scratch_end(t, &matrix);
    return tape_done(t, y);
}
