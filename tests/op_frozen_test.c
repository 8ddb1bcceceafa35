/* op_frozen_test.c - products with matrices that stay in the format of their file, forward and
 * back, their rows, and the loss of a head of them. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/frozen_matrix.h"
#include "tests/ops.h"

/* Relative to the largest sum of sizes: where BF16 is multiplied, each factor is
 * rounded by 2^-8 at most. */
static double limit_of(const struct device *d) {
    return d->compute == DTYPE_BF16 ? 0x1.02p-7 : 3e-7;
}

/* `size`: of the largest sum of sizes. */
static void near(const struct array *a, const double *want, double size, double limit) {
    double largest = 1e-30;
    for (int64_t i = 0; i < tensor_count(&a->t); i++) {
        largest = fmax(largest, fabs(want[i]));
    }
    array_near(a, want, limit * fmax(size / largest, 1));
}

static struct packed *packed_of(struct device *d, const struct frozen_test *f) {
    struct packed *w = NULL;
    CHECK_NUMBER(d->ops->pack_frozen(d, &w, &f->matrix, NULL), 0);
    CHECK_NUMBER(w->outputs, f->matrix.outputs);
    CHECK_NUMBER(w->inputs, f->matrix.inputs);
    CHECK_NUMBER((int64_t)w->bytes, (int64_t)frozen_bytes(&f->matrix));
    return w;
}

/* ---- Linear ---------------------------------------------------------------------------------- */

/* Rows, outputs, inputs: around the sizes of vectors, panels and blocks of rows. */
static const int64_t SHAPES[][3] = {{1, 1, 32},    {1, 70, 96},    {2, 33, 64},  {3, 300, 32},
                                    {4, 16, 576},  {5, 31, 64},    {8, 17, 160}, {17, 257, 64},
                                    {300, 19, 32}, {1, 130, 1600}, {7, 65, 1056}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

struct layout {
    enum dtype type;
    int64_t gap;
};
static const struct layout LAYOUTS[] = {
    {DTYPE_F32, 0}, {DTYPE_F32, 3}, {DTYPE_BF16, 0}, {DTYPE_BF16, 5}};

static double silu(double x) {
    return x / (1 + exp(-x));
}

/* out (rows, outputs) += x W^T; returns the largest sum of sizes. */
static double solve(double *out, const double *x, int64_t rows, const struct frozen_test *f) {
    const int64_t outputs = f->matrix.outputs, inputs = f->matrix.inputs;
    double largest = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t o = 0; o < outputs; o++) {
            double sum = 0, size = 0;
            for (int64_t i = 0; i < inputs; i++) {
                double product = x[r * inputs + i] * f->values[o * inputs + i];
                sum += product;
                size += fabs(product);
            }
            out[r * outputs + o] += sum;
            largest = fmax(largest, size);
        }
    }
    return largest;
}

static void check_linear(struct device *d, const struct frozen_test *f, int64_t rows, int at) {
    const struct layout *in = &LAYOUTS[at % 4], *to = &LAYOUTS[at / 2 % 4];
    const int64_t *shape = TENSOR_SHAPE(1, 1, rows, f->matrix.inputs);
    const int64_t *result = TENSOR_SHAPE(1, 1, rows, f->matrix.outputs);
    struct packed *w = packed_of(d, f);
    struct array *x = array_random(d, in->type, in->gap, shape, 1);
    struct array *out = array_random(d, to->type, to->gap, result, 1);
    struct array *residual = array_random(d, in->type, in->gap, result, 1);
    double *want = array_numbers(out), *more = array_copy(residual);
    double size = solve(want, x->values, rows, f);
    solve(more, x->values, rows, f);
    CHECK_NUMBER(d->ops->linear(d, &out->t, &x->t, w, ACTIVATION_NONE, NULL, NULL), 0);
    near(out, want, size, limit_of(d));
    CHECK_NUMBER(d->ops->linear(d, &out->t, &x->t, w, ACTIVATION_NONE, &residual->t, NULL), 0);
    near(out, more, size, limit_of(d));
    CHECK_NUMBER(d->ops->linear(d, &residual->t, &x->t, w, ACTIVATION_NONE, &residual->t, NULL), 0);
    near(residual, more, size, limit_of(d));
    for (int64_t i = 0; i < tensor_count(&out->t); i++) {
        want[i] = silu(want[i]);
    }
    CHECK_NUMBER(d->ops->linear(d, &out->t, &x->t, w, ACTIVATION_SILU, NULL, NULL), 0);
    near(out, want, size, limit_of(d));
    d->ops->packed_close(w);
    arrays_release();
}

static void check_linears(struct device *d) {
    for (int k = 0; k < FROZEN_KIND_COUNT; k++) {
        for (int i = 0; i < SHAPE_COUNT; i++) {
            struct frozen_test f = frozen_make(&FROZEN_KINDS[k], SHAPES[i][1], SHAPES[i][2], 1);
            check_linear(d, &f, SHAPES[i][0], k + i);
            frozen_free(&f);
        }
    }
}

static void linear_is_a_product_with_residual_or_activation(void) {
    each_device_of(check_linears, true);
}

/* Formats without blocks have any number of inputs. */
static void check_odd(struct device *d) {
    for (int k = 0; k < 4; k++) {
        for (int64_t rows = 1; rows <= 9; rows += 4) {
            for (int64_t inputs = 1; inputs < 80; inputs += 19) {
                struct frozen_test f = frozen_make(&FROZEN_KINDS[k], 21, inputs, 1);
                check_linear(d, &f, rows, (int)(rows + inputs));
                frozen_free(&f);
            }
        }
    }
}

static void inputs_are_of_any_number(void) {
    each_device_of(check_odd, true);
}

/* ---- Backward -------------------------------------------------------------------------------- */

static void check_backward(struct device *d, const struct frozen_test *f, int64_t rows, int at) {
    const int64_t outputs = f->matrix.outputs, inputs = f->matrix.inputs;
    const struct layout *from = &LAYOUTS[at % 4];
    struct packed *w = packed_of(d, f);
    struct array *dy = array_random(d, from->type, from->gap, TENSOR_SHAPE(1, 1, rows, outputs), 1);
    struct array *dx = array_random(d, DTYPE_F32, at % 3, TENSOR_SHAPE(1, 1, rows, inputs), 1);
    double *alone = array_numbers(dx), *added = array_copy(dx), size = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < inputs; i++) {
            double sum = 0, sizes = 0;
            for (int64_t o = 0; o < outputs; o++) {
                double product = dy->values[r * outputs + o] * f->values[o * inputs + i];
                sum += product;
                sizes += fabs(product);
            }
            size = fmax(size, sizes);
            alone[r * inputs + i] += sum;
            added[r * inputs + i] += sum;
        }
    }
    CHECK_NUMBER(d->ops->linear_backward(d, &dx->t, &dy->t, w, true, NULL), 0);
    near(dx, added, size, limit_of(d));
    CHECK_NUMBER(d->ops->linear_backward(d, &dx->t, &dy->t, w, false, NULL), 0);
    near(dx, alone, size, limit_of(d));
    d->ops->packed_close(w);
    arrays_release();
}

static void check_backwards(struct device *d) {
    for (int k = 0; k < FROZEN_KIND_COUNT; k++) {
        for (int i = 0; i < SHAPE_COUNT; i++) {
            struct frozen_test f = frozen_make(&FROZEN_KINDS[k], SHAPES[i][1], SHAPES[i][2], 1);
            check_backward(d, &f, SHAPES[i][0], k + i);
            frozen_free(&f);
        }
    }
}

static void gradients_go_back_through_it(void) {
    each_device_of(check_backwards, true);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void check_rows(struct device *d) {
    enum { FROM = 40, INPUTS = 96, ROWS = 9 };
    for (int k = 0; k < FROZEN_KIND_COUNT; k++) {
        for (int i = 0; i < 4; i++) {
            struct frozen_test f = frozen_make(&FROZEN_KINDS[k], FROM, INPUTS, 1);
            struct packed *w = packed_of(d, &f);
            struct array *out = array_random(d, LAYOUTS[i].type, LAYOUTS[i].gap,
                                             TENSOR_SHAPE(1, 1, ROWS, INPUTS), 1);
            struct array *index = array_indices(d, ROWS, -1, FROM);
            double *want = array_numbers(out);
            for (int64_t j = 0; j < ROWS * INPUTS; j++) {
                int64_t row = (int64_t)index->values[j / INPUTS];
                want[j] = row < 0 ? 0 : f.values[row * INPUTS + j % INPUTS];
            }
            CHECK_NUMBER(d->ops->gather_packed(d, &out->t, w, &index->t, NULL), 0);
            array_near(out, want, 1e-7);
            d->ops->packed_close(w);
            arrays_release();
            frozen_free(&f);
        }
    }
}

static void rows_are_found_by_number(void) {
    each_device_of(check_rows, true);
}

/* ---- Loss ------------------------------------------------------------------------------------ */

/* Adds the loss of one row, and its gradient. */
static double classify_row(double *dx, const double *x, const struct frozen_test *f, int64_t label,
                           double scale) {
    enum { MOST = 300 };
    double logits[MOST], total = 0;
    const int64_t outputs = f->matrix.outputs, inputs = f->matrix.inputs;
    for (int64_t o = 0; o < outputs; o++) {
        logits[o] = 0;
        for (int64_t i = 0; i < inputs; i++) {
            logits[o] += x[i] * f->values[o * inputs + i];
        }
        total += exp(logits[o]);
    }
    for (int64_t o = 0; o < outputs; o++) {
        double slope = scale * (exp(logits[o]) / total - (o == label));
        for (int64_t i = 0; i < inputs; i++) {
            dx[i] += slope * f->values[o * inputs + i];
        }
    }
    return log(total) - logits[label];
}

static void check_loss(struct device *d, const struct frozen_test *f, int64_t rows, int at) {
    const int64_t inputs = f->matrix.inputs;
    const struct layout *from = &LAYOUTS[at % 4];
    const double limit = d->compute == DTYPE_BF16 ? 2e-2 : 3e-6, scale = 0.3, before = 2;
    struct packed *w = packed_of(d, f);
    struct array *x = array_random(d, from->type, from->gap, TENSOR_SHAPE(1, 1, rows, inputs), 0.2);
    const enum dtype to = at % 3 == 1 ? DTYPE_BF16 : DTYPE_F32;
    struct array *dx = array_random(d, to, 0, TENSOR_SHAPE(1, 1, rows, inputs), 0.1);
    struct array *labels = array_indices(d, rows, -2, f->matrix.outputs);
    struct array *loss = array_vector(d, 1, 0);
    double *want = array_copy(dx), sum = before;
    for (int64_t r = 0; r < rows; r++) {
        int64_t label = (int64_t)labels->values[r];
        if (label >= 0) {
            sum += classify_row(want + r * inputs, x->values + r * inputs, f, label, scale);
        }
    }
    CHECK_NUMBER(d->ops->fill(d, &loss->t, (float)before, NULL), 0);
    CHECK_NUMBER(
        d->ops->classify_packed(d, &loss->t, &dx->t, &x->t, w, &labels->t, (float)scale, NULL), 0);
    CHECK_NEAR(array_read(loss)[0], sum, limit * sum);
    array_near_sum(dx, want, limit);
    CHECK_NUMBER(d->ops->fill(d, &loss->t, (float)before, NULL), 0);
    CHECK_NUMBER(
        d->ops->classify_packed(d, &loss->t, NULL, &x->t, w, &labels->t, (float)scale, NULL), 0);
    CHECK_NEAR(array_read(loss)[0], sum, limit * sum);
    d->ops->packed_close(w);
    arrays_release();
}

static void check_losses(struct device *d) {
    static const int64_t SIZES[][3] = {{1, 3, 32}, {7, 40, 64}, {33, 290, 96}, {290, 17, 32}};
    for (int k = 0; k < FROZEN_KIND_COUNT; k++) {
        for (int i = 0; i < 4; i++) {
            struct frozen_test f = frozen_make(&FROZEN_KINDS[k], SIZES[i][1], SIZES[i][2], 1);
            check_loss(d, &f, SIZES[i][0], k + i);
            frozen_free(&f);
        }
    }
}

static void a_head_has_the_loss_and_gradient_of_the_formula(void) {
    each_device_of(check_losses, true);
}

/* Logits of all rows would take 128 MiB, the matrix in floats 8 MiB; those of a chunk take 32, and
 * cuBLASLt works in up to 32 of its own. */
static void check_memory(struct device *d) {
    enum { ROWS = 2048, INPUTS = 128, OUTPUTS = 16384, MOST = 96 << 20 };
    struct frozen_test f = frozen_make(&FROZEN_KINDS[6], OUTPUTS, INPUTS, 1);
    struct packed *w = packed_of(d, &f);
    struct array *x = array_random(d, DTYPE_BF16, 0, TENSOR_SHAPE(1, 1, ROWS, INPUTS), 0.1);
    struct array *dx = array_random(d, DTYPE_F32, 0, x->t.shape, 0);
    struct array *labels = array_indices(d, ROWS, -OUTPUTS, OUTPUTS), *loss = array_vector(d, 1, 0);
    size_t before = d->bytes;
    CHECK_NUMBER(d->ops->classify_packed(d, &loss->t, &dx->t, &x->t, w, &labels->t, 1, NULL), 0);
    CHECK(d->peak_bytes > before && d->peak_bytes - before < MOST);
    d->ops->packed_close(w);
    arrays_release();
    frozen_free(&f);
}

static void memory_does_not_grow_with_rows(void) {
    op_run("cpu", NULL, DTYPE_F32, check_memory);
    op_run("cuda", NULL, DTYPE_F32, check_memory);
}

int main(void) {
    RUN(linear_is_a_product_with_residual_or_activation);
    RUN(inputs_are_of_any_number);
    RUN(gradients_go_back_through_it);
    RUN(rows_are_found_by_number);
    RUN(a_head_has_the_loss_and_gradient_of_the_formula);
    RUN(memory_does_not_grow_with_rows);
    return test_finish();
}
