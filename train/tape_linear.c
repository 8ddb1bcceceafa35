/* tape_linear.c - products, and convolutions as products. */
#include <assert.h>
#include <string.h>

#include "train/tape_state.h"

void tape_multiply(struct tape *t, float *out, const void *a, bool a_transposed, const void *b,
                   bool b_transposed, int64_t m, int64_t n, int64_t k, bool accumulate) {
    const struct product_shape shape = {.batch = 1,
                                        .m = m,
                                        .n = n,
                                        .k = k,
                                        .a_transposed = a_transposed,
                                        .b_transposed = b_transposed,
                                        .accumulate = accumulate,
                                        .type = t->compute};
    struct error e;
    int rc = t->rc == 0 ? t->ops->multiply(t->context, out, a, b, &shape, &e) : 0;
    if (rc < 0) {
        tape_fail(t, rc, &e);
    }
}

struct linear {
    struct step step;
    struct tensor *x, *weight, *bias, *y;
    const void *input; /* of the product: x's value */
};

/* dW += dy^T x; db += sum of dy's rows. `dy`: what products read of it. */
static void weights_backward(struct tape *t, struct tensor *weight, struct tensor *bias,
                             const struct tensor *y, const void *dy, const void *input) {
    float *dw = tape_gradient(t, weight), *db = bias != NULL ? tape_gradient(t, bias) : NULL;
    if (dw != NULL) {
        tape_multiply(t, dw, dy, true, input, false, weight->rows, weight->width, y->rows, true);
    }
    if (db != NULL) {
        t->kernels->add_rows(db, tape_arrived(y), y->rows, y->width);
    }
}

/* Before a mark is taken, so that they outlive the scratch memory behind it. */
static void make_gradients(struct tape *t, struct tensor *weight, struct tensor *bias) {
    tape_gradient(t, weight);
    if (bias != NULL) {
        tape_gradient(t, bias);
    }
}

static void linear_backward(struct tape *t, struct step *step) {
    struct linear *s = (struct linear *)step;
    const float *arrived = tape_arrived(s->y);
    if (arrived == NULL) {
        return;
    }
    float *dx = tape_gradient(t, s->x);
    make_gradients(t, s->weight, s->bias);
    struct tape_mark mark = tape_mark(t);
    const void *dy = tape_convert(t, arrived, tensor_count(s->y));
    if (dy != NULL) {
        weights_backward(t, s->weight, s->bias, s->y, dy, s->input);
    }
    if (dy != NULL && dx != NULL) {
        tape_multiply(t, dx, dy, false, tape_operand(t, s->weight), false, s->x->rows, s->x->width,
                      s->y->width, true);
    }
    tape_release(t, mark);
}

static void add_bias(struct tape *t, struct tensor *y, const struct tensor *bias) {
    for (int64_t r = 0; r < y->rows && bias != NULL; r++) {
        t->kernels->accumulate(y->value + r * y->width, bias->value, (size_t)y->width);
    }
}

struct tensor *tape_linear(struct tape *t, struct tensor *x, struct tensor *weight,
                           struct tensor *bias) {
    if (x == NULL || weight == NULL || t->rc < 0) {
        return NULL;
    }
    assert(x->width == weight->width);
    bool wanted = x->wanted || weight->wanted || (bias != NULL && bias->wanted);
    struct tensor *y = tape_tensor(t, x->rows, weight->rows, wanted);
    const void *matrix = tape_operand(t, weight);
    struct tape_mark mark = tape_mark(t);
    const void *input = weight->wanted    ? tape_operand(t, x)
                        : x->half != NULL ? (const void *)x->half
                                          : tape_convert(t, x->value, tensor_count(x));
    if (y == NULL || matrix == NULL || input == NULL) {
        return NULL;
    }
    tape_multiply(t, y->value, input, false, matrix, true, x->rows, weight->rows, x->width, false);
    add_bias(t, y, bias);
    if (!weight->wanted) {
        tape_release(t, mark); /* the input in BF16 serves the weight's gradient only */
    }
    struct linear *s = wanted ? tape_note(t, sizeof *s, linear_backward) : NULL;
    if (s != NULL) {
        s->x = x;
        s->weight = weight;
        s->bias = bias;
        s->y = y;
        s->input = input;
    }
    return t->rc == 0 ? y : NULL;
}

/* ---- Convolution ------------------------------------------------------------------------- */

struct convolve {
    struct step step;
    struct tensor *x, *weight, *bias, *y;
    struct convolution shape;
    int64_t batch;
    const void *columns; /* (rows of y, size * size * channels): what each output sees */
};

/* What an output sees, one row each, in the order (ky, kx, channel); or, `back`, sums those rows
 * into the picture. */
static void each_tap(const struct convolution *c, int64_t batch, float *columns, float *picture,
                     void (*take)(float *column, float *pixel, int64_t channels)) {
    int64_t height = convolution_out_height(c), width = convolution_out_width(c);
    for (int64_t row = 0; row < batch * height * width; row++) {
        int64_t b = row / (height * width), y = row / width % height, x = row % width;
        for (int64_t tap = 0; tap < (int64_t)c->size * c->size; tap++, columns += c->channels) {
            int64_t py = y * c->stride_y - c->pad + tap / c->size;
            int64_t px = x * c->stride_x - c->pad + tap % c->size;
            bool inside = py >= 0 && py < c->height && px >= 0 && px < c->width;
            take(columns,
                 inside ? picture + ((b * c->height + py) * c->width + px) * c->channels : NULL,
                 c->channels);
        }
    }
}

static void tap_read(float *column, float *pixel, int64_t channels) {
    if (pixel != NULL) {
        memcpy(column, pixel, (size_t)channels * sizeof *column);
    } else {
        memset(column, 0, (size_t)channels * sizeof *column);
    }
}

static void tap_add(float *column, float *pixel, int64_t channels) {
    for (int64_t i = 0; i < channels && pixel != NULL; i++) {
        pixel[i] += column[i];
    }
}

/* (outputs, channel, ky, kx) to (outputs, ky, kx, channel), or adds the other way round. */
static void reorder(float *to, const float *from, int64_t outputs, int64_t channels, int64_t taps,
                    bool back) {
    for (int64_t o = 0; o < outputs; o++, to += channels * taps, from += channels * taps) {
        for (int64_t i = 0; i < channels; i++) {
            for (int64_t k = 0; k < taps; k++) {
                if (back) {
                    to[i * taps + k] += from[k * channels + i];
                } else {
                    to[k * channels + i] = from[i * taps + k];
                }
            }
        }
    }
}

/* The weight as products read it; scratch. */
static const void *ordered_weight(struct tape *t, const struct tensor *weight,
                                  const struct convolution *c) {
    float *ordered = tape_alloc(t, tensor_count(weight), sizeof *ordered);
    if (ordered == NULL) {
        return NULL;
    }
    reorder(ordered, weight->value, weight->rows, c->channels, (int64_t)c->size * c->size, false);
    return tape_convert(t, ordered, tensor_count(weight));
}

static void convolve_weight_backward(struct tape *t, struct convolve *s, const void *dy) {
    struct tensor *w = s->weight;
    float *dw = tape_gradient(t, w);
    float *ordered = dw != NULL ? tape_alloc(t, tensor_count(w), sizeof *ordered) : NULL;
    if (ordered == NULL) {
        return;
    }
    tape_multiply(t, ordered, dy, true, s->columns, false, w->rows, w->width, s->y->rows, false);
    reorder(dw, ordered, w->rows, s->shape.channels, (int64_t)s->shape.size * s->shape.size, true);
}

static void convolve_backward(struct tape *t, struct step *step) {
    struct convolve *s = (struct convolve *)step;
    const float *arrived = tape_arrived(s->y);
    if (arrived == NULL) {
        return;
    }
    float *dx = tape_gradient(t, s->x);
    float *db = s->bias != NULL ? tape_gradient(t, s->bias) : NULL;
    make_gradients(t, s->weight, NULL);
    struct tape_mark mark = tape_mark(t);
    const void *dy = tape_convert(t, arrived, tensor_count(s->y));
    if (dy != NULL) {
        convolve_weight_backward(t, s, dy);
    }
    if (db != NULL) {
        t->kernels->add_rows(db, arrived, s->y->rows, s->y->width);
    }
    int64_t inputs = s->weight->width;
    const void *weight = dx != NULL ? ordered_weight(t, s->weight, &s->shape) : NULL;
    float *columns =
        weight != NULL ? tape_alloc(t, (size_t)(s->y->rows * inputs), sizeof *columns) : NULL;
    if (columns != NULL && dy != NULL) {
        tape_multiply(t, columns, dy, false, weight, false, s->y->rows, inputs, s->y->width, false);
        each_tap(&s->shape, s->batch, columns, dx, tap_add);
    }
    tape_release(t, mark);
}

struct tensor *tape_convolve(struct tape *t, struct tensor *x, int64_t batch,
                             const struct convolution *shape, struct tensor *weight,
                             struct tensor *bias) {
    if (x == NULL || weight == NULL || t->rc < 0) {
        return NULL;
    }
    assert(x->rows == batch * shape->height * shape->width && x->width == shape->channels &&
           weight->width == shape->channels * shape->size * shape->size);
    int64_t rows = batch * convolution_out_height(shape) * convolution_out_width(shape);
    bool wanted = x->wanted || weight->wanted || (bias != NULL && bias->wanted);
    struct tensor *y = tape_tensor(t, rows, weight->rows, wanted);
    size_t count = (size_t)(rows * weight->width);
    uint16_t *kept = NULL;
    if (t->compute == DTYPE_BF16) {
        kept = tape_alloc(t, count, sizeof *kept);
    }
    struct tape_mark mark = tape_mark(t);
    float *columns = tape_alloc(t, count, sizeof *columns);
    const void *matrix = ordered_weight(t, weight, shape);
    if (y == NULL || columns == NULL || matrix == NULL) {
        return NULL;
    }
    each_tap(shape, batch, columns, x->value, tap_read);
    if (kept != NULL) {
        struct error e;
        int rc = t->ops->to_bf16(t->context, kept, columns, count, &e);
        if (rc < 0) {
            tape_fail(t, rc, &e);
        }
    }
    const void *input = kept != NULL ? (const void *)kept : (const void *)columns;
    tape_multiply(t, y->value, input, false, matrix, true, rows, weight->rows, weight->width,
                  false);
    add_bias(t, y, bias);
    if (kept != NULL || !wanted) {
        tape_release(t, mark);
    }
    struct convolve *s = wanted ? tape_note(t, sizeof *s, convolve_backward) : NULL;
    if (s != NULL) {
        s->x = x;
        s->weight = weight;
        s->bias = bias;
        s->y = y;
        s->shape = *shape;
        s->batch = batch;
        s->columns = input;
    }
    return t->rc == 0 ? y : NULL;
}
