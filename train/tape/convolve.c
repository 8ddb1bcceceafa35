/* convolve.c - convolutions as products.
 *
 * Columns come in the order (ky, kx, channel), weights in that of files, (channel, ky, kx): the one
 * of the two that has fewer rows is put into the order of the other. */
#include <assert.h>

#include "train/tape/state.h"

struct convolve_record {
    struct record record;
    struct convolution_options options;
    int64_t batch;
};

static int64_t taps_of(const struct convolution_options *o) {
    return (int64_t)o->size * o->size;
}

/* Whether the product is computed in the order of files, from the weight as it lies. A part of a
 * weight is made dense, which products read faster. */
static bool in_file_order(const struct node *weight, const struct convolution_options *o,
                          int64_t rows) {
    return tensor_is_dense(&weight->value) &&
           (o->channels == 1 || o->size == 1 || rows < tensor_rows(&weight->value));
}

/* A matrix in the order of files, shown in that of columns: (1, rows, taps, channels). */
static struct tensor by_taps(const struct tensor *x, const struct convolution_options *o) {
    const struct tensor matrix = tensor_as_matrix(x);
    const int64_t rows = tensor_rows(x), row = matrix.stride[TENSOR_RANK - 2];
    return (struct tensor){.data = matrix.data,
                           .type = matrix.type,
                           .home = matrix.home,
                           .shape = {1, rows, taps_of(o), o->channels},
                           .stride = {row * rows, row, 1, taps_of(o)}};
}

/* A dense matrix in the order of columns, shown in the same shape. */
static struct tensor apart(const struct tensor *x, const struct convolution_options *o) {
    return tensor_reshape(x, TENSOR_SHAPE(1, tensor_rows(x), taps_of(o), o->channels));
}

static struct tensor picture_of(const struct tensor *x, int64_t batch,
                                const struct convolution_options *o) {
    return tensor_reshape(x, TENSOR_SHAPE(batch, o->height, o->width, o->channels));
}

/* The weight as products read it; scratch memory, unless in the order of files. */
static struct tensor weight_of(struct tape *t, struct node *weight,
                               const struct convolution_options *o, bool filed) {
    const struct tensor matrix = tape_operand(t, weight);
    if (filed) {
        return matrix;
    }
    struct tensor ordered = tape_scratch(t, t->compute, weight->value.shape);
    if (t->rc == 0) {
        const struct tensor to = apart(&ordered, o), from = by_taps(&matrix, o);
        CALL(t, copy, &to, &from);
    }
    return ordered;
}

static void weight_end(struct tape *t, struct tensor *matrix, bool filed) {
    if (!filed) {
        tape_scratch_end(t, matrix);
    }
}

/* The inputs of each output, a row for each: scratch memory. */
static struct tensor columns_of(struct tape *t, struct node *x, int64_t batch, int64_t rows,
                                const struct convolution_options *o, bool filed) {
    const int64_t *shape = TENSOR_SHAPE(1, 1, rows, taps_of(o) * o->channels);
    const struct tensor matrix = tape_operand(t, x);
    struct tensor columns = tape_scratch(t, t->compute, shape);
    if (t->rc == 0) {
        const struct tensor picture = picture_of(&matrix, batch, o);
        CALL(t, im2col, &columns, &picture, o);
    }
    if (!filed || o->channels == 1 || o->size == 1) {
        return columns;
    }
    struct tensor ordered = tape_scratch(t, t->compute, shape);
    if (t->rc == 0) {
        const struct tensor to = by_taps(&ordered, o), from = apart(&columns, o);
        CALL(t, copy, &to, &from);
    }
    tape_scratch_end(t, &columns);
    return ordered;
}

static void kernel_backward(struct tape *t, const struct convolve_record *r,
                            const struct tensor *dy, bool filed) {
    const struct convolution_options *o = &r->options;
    struct node *weight = r->record.x[1];
    struct tensor columns = columns_of(t, r->record.x[0], r->batch, tensor_rows(dy), o, filed);
    if (filed) {
        tape_weight_backward(t, weight, dy, &columns);
        tape_scratch_end(t, &columns);
        return;
    }
    const struct tensor *dw = tape_gradient(t, weight);
    struct tensor ordered = tape_scratch(t, DTYPE_F32, weight->value.shape);
    if (dw != NULL && t->rc == 0) {
        const struct tensor transposed = tensor_transpose(dy);
        const struct tensor to = by_taps(dw, o), from = apart(&ordered, o);
        CALL(t, matmul, &ordered, &transposed, &columns, NULL, false);
        CALL(t, accumulate, &to, &from);
    }
    tape_scratch_end(t, &ordered);
    tape_scratch_end(t, &columns);
}

/* By way of the gradient of the columns. */
static void columns_backward(struct tape *t, const struct convolve_record *r,
                             const struct tensor *dy, bool filed) {
    const struct convolution_options *o = &r->options;
    const int64_t *shape = TENSOR_SHAPE(1, 1, tensor_rows(dy), taps_of(o) * o->channels);
    const struct tensor *dx = tape_gradient(t, r->record.x[0]);
    struct tensor matrix = weight_of(t, r->record.x[1], o, filed);
    struct tensor columns = tape_scratch(t, DTYPE_F32, shape);
    if (t->rc == 0) {
        CALL(t, matmul, &columns, dy, &matrix, NULL, false);
    }
    if (filed && o->channels > 1 && o->size > 1) {
        struct tensor ordered = tape_scratch(t, DTYPE_F32, shape);
        if (t->rc == 0) {
            const struct tensor to = apart(&ordered, o), from = by_taps(&columns, o);
            CALL(t, copy, &to, &from);
        }
        tape_scratch_end(t, &columns);
        columns = ordered;
    }
    if (dx != NULL && t->rc == 0) {
        const struct tensor picture = picture_of(dx, r->batch, o);
        CALL(t, im2col_backward, &picture, &columns, o);
    }
    tape_scratch_end(t, &columns);
    weight_end(t, &matrix, filed);
}

/* Whether the gradient of the picture is itself a convolution of a picture of its size. */
static bool keeps_size(const struct convolution_options *o) {
    return o->stride_y == 1 && o->stride_x == 1 && 2 * o->pad == o->size - 1;
}

/* The weight of that convolution, its taps the other way round: (channels, taps, outputs) of
 * (outputs, channels, taps); scratch memory. */
static struct tensor weight_back(struct tape *t, struct node *weight,
                                 const struct convolution_options *o) {
    const struct tensor matrix = tape_operand(t, weight);
    const int64_t outputs = tensor_rows(&weight->value), taps = taps_of(o);
    struct tensor turned =
        tape_scratch(t, t->compute, TENSOR_SHAPE(1, 1, o->channels, taps * outputs));
    if (t->rc == 0) {
        const struct tensor shown = by_taps(&matrix, o);
        struct tensor from = tensor_slice(&shown, 2, taps - 1, 1);
        from.shape[1] = o->channels;
        from.stride[1] = shown.stride[3];
        from.shape[2] = taps;
        from.stride[2] = -shown.stride[2];
        from.shape[3] = outputs;
        from.stride[3] = shown.stride[1];
        const struct tensor to = tensor_reshape(&turned, from.shape);
        CALL(t, copy, &to, &from);
    }
    return turned;
}

/* dx += what each place sees of dy, times the weight: much less is written than by columns. */
static void picture_backward(struct tape *t, const struct convolve_record *r,
                             const struct tensor *dy) {
    struct convolution_options o = r->options;
    const int64_t outputs = tensor_width(dy), rows = tensor_rows(dy);
    bool holds = false;
    const struct tensor *dx = tape_gradient_to_set(t, r->record.x[0], &holds);
    struct tensor matrix = weight_back(t, r->record.x[1], &o);
    struct tensor columns =
        tape_scratch(t, t->compute, TENSOR_SHAPE(1, 1, rows, taps_of(&o) * outputs));
    o.channels = outputs;
    if (dx != NULL && t->rc == 0) {
        const struct tensor picture = picture_of(dy, r->batch, &o);
        const struct tensor transposed = tensor_transpose(&matrix), out = tensor_as_matrix(dx);
        CALL(t, im2col, &columns, &picture, &o);
        CALL(t, matmul, &out, &columns, &transposed, NULL, holds);
    }
    tape_scratch_end(t, &columns);
    tape_scratch_end(t, &matrix);
}

static void convolve_backward(struct tape *t, struct record *record, const struct tensor *dy) {
    const struct convolve_record *r = (const struct convolve_record *)record;
    const bool filed = in_file_order(record->x[1], &r->options, tensor_rows(dy));
    struct tensor product = tape_converted(t, dy, t->compute);
    if (record->x[1]->needs_gradient) {
        kernel_backward(t, r, &product, filed);
    }
    tape_bias_backward(t, record->x[2], dy);
    if (record->x[0]->needs_gradient && keeps_size(&r->options)) {
        picture_backward(t, r, &product);
    } else if (record->x[0]->needs_gradient) {
        columns_backward(t, r, &product, filed);
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
           tensor_width(&weight->value) == o->channels * taps_of(o));
    const int64_t rows = batch * convolution_height(o) * convolution_width(o);
    const bool filed = in_file_order(weight, o, rows);
    struct node *y = tape_rows(t, t->options.storage, rows, tensor_rows(&weight->value),
                               INPUTS(x, weight, bias));
    struct tensor matrix = weight_of(t, weight, o, filed);
    struct tensor columns = columns_of(t, x, batch, rows, o, filed);
    struct convolve_record *r = NULL;
    if (tape_ready(t, y)) {
        tape_product(t, y, &columns, &matrix, bias);
        r = tape_record(t, sizeof *r, convolve_backward, y, INPUTS(x, weight, bias));
    }
    if (r != NULL) {
        r->options = *o;
        r->batch = batch;
    }
    tape_scratch_end(t, &columns);
    weight_end(t, &matrix, filed);
    return tape_done(t, y);
}
