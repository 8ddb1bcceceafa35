/* op_linear_test.c - products by packed weights, alone, in twos and of patches. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

/* Relative to the largest; where BF16 is multiplied its rounding decides. */
static double limit_of(const struct device *d) {
    return d->compute == DTYPE_BF16 ? 1e-2 : 2e-6;
}

/* What is left of numbers that cancel out, as a product and its bias may, has the roundings of
 * those to BF16. `size`: the largest sum of sizes. */
static void near(const struct device *d, const struct array *a, const double *want, double size) {
    double largest = 1e-30;
    for (int64_t i = 0; i < tensor_count(&a->t); i++) {
        largest = fmax(largest, fabs(want[i]));
    }
    array_near(a, want, limit_of(d) * (d->compute == DTYPE_BF16 ? fmax(size / largest, 1) : 1));
}

/* ---- Plain ----------------------------------------------------------------------------- */

struct matrix {
    int64_t outputs, inputs;
    double *values, *bias; /* bias NULL: none */
    struct packed *packed;
};

/* Random, packed from `type`. */
static struct matrix matrix_new(struct device *d, int64_t outputs, int64_t inputs, enum dtype type,
                                bool biased) {
    struct matrix m = {.outputs = outputs, .inputs = inputs};
    size_t count = (size_t)(outputs * inputs);
    struct tensor host = tensor_matrix(op_block(count, sizeof(float)), type, NULL, outputs, inputs);
    struct tensor bias =
        tensor_vector(op_block((size_t)outputs, sizeof(float)), DTYPE_F32, NULL, outputs);
    float *values = op_block(count, sizeof *values);
    m.values = op_block(count, sizeof *m.values);
    m.bias = biased ? op_block((size_t)outputs, sizeof *m.bias) : NULL;
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)op_normal();
    }
    dtype_from_float(host.data, type, values, count);
    dtype_to_float(values, host.data, type, count);
    for (size_t i = 0; i < count; i++) {
        m.values[i] = (double)values[i];
    }
    for (int64_t i = 0; i < outputs && biased; i++) {
        ((float *)bias.data)[i] = (float)op_normal();
        m.bias[i] = (double)((float *)bias.data)[i];
    }
    CHECK_NUMBER(d->ops->pack(d, &m.packed, &host, biased ? &bias : NULL, NULL), 0);
    CHECK_NUMBER(m.packed->outputs, outputs);
    CHECK_NUMBER(m.packed->inputs, inputs);
    CHECK(m.packed->bytes >= count * dtype_size(d->compute));
    return m;
}

static double activated(double x, enum activation activation) {
    switch (activation) {
    case ACTIVATION_GELU:
        return 0.5 * x * erfc(-x / sqrt(2));
    case ACTIVATION_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case ACTIVATION_NONE:
        break;
    }
    return x;
}

/* out (rows, outputs) += activation(x W^T + b); returns the largest sum of sizes. */
static double solve(double *out, const double *x, int64_t rows, const struct matrix *m,
                    enum activation activation) {
    double largest = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t o = 0; o < m->outputs; o++) {
            double sum = m->bias != NULL ? m->bias[o] : 0, size = fabs(sum);
            for (int64_t i = 0; i < m->inputs; i++) {
                double product = x[r * m->inputs + i] * m->values[o * m->inputs + i];
                sum += product;
                size += fabs(product);
            }
            out[r * m->outputs + o] += activated(sum, activation);
            largest = fmax(largest, size);
        }
    }
    return largest;
}

/* ---- Linear ---------------------------------------------------------------------------- */

/* Rows below, at and above a block. */
static const int64_t SHAPES[][3] = {{1, 1, 1},    {1, 33, 7},   {3, 16, 16},
                                    {17, 19, 70}, {256, 8, 12}, {300, 31, 9}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

struct layout {
    enum dtype type;
    int64_t gap;
};
static const struct layout LAYOUTS[] = {
    {DTYPE_F32, 0}, {DTYPE_F32, 3}, {DTYPE_BF16, 0}, {DTYPE_BF16, 5}};

static void check_linear(struct device *d, const int64_t shape[3], const struct layout *x_layout,
                         const struct layout *out_layout) {
    const int64_t *in = TENSOR_SHAPE(1, 1, shape[0], shape[2]);
    const int64_t *result = TENSOR_SHAPE(1, 1, shape[0], shape[1]);
    struct matrix m = matrix_new(d, shape[1], shape[2], DTYPE_F32, shape[1] % 2 == 1);
    struct array *x = array_random(d, x_layout->type, x_layout->gap, in, 1);
    struct array *out = array_random(d, out_layout->type, out_layout->gap, result, 1);
    static const enum activation ACTIVATIONS[] = {ACTIVATION_NONE, ACTIVATION_GELU,
                                                  ACTIVATION_QUICK_GELU, ACTIVATION_SILU};
    for (int i = 0; i < 4; i++) {
        double *want = array_numbers(out);
        double size = solve(want, x->values, shape[0], &m, ACTIVATIONS[i]);
        CHECK_NUMBER(d->ops->linear(d, &out->t, &x->t, m.packed, ACTIVATIONS[i], NULL, NULL), 0);
        near(d, out, want, size);
    }
    struct array *residual = array_random(d, x_layout->type, x_layout->gap, result, 1);
    double *want = array_copy(residual);
    double size = solve(want, x->values, shape[0], &m, ACTIVATION_NONE);
    CHECK_NUMBER(d->ops->linear(d, &out->t, &x->t, m.packed, ACTIVATION_NONE, &residual->t, NULL),
                 0);
    near(d, out, want, size);
    CHECK_NUMBER(
        d->ops->linear(d, &residual->t, &x->t, m.packed, ACTIVATION_NONE, &residual->t, NULL), 0);
    near(d, residual, want, size);
    d->ops->packed_close(m.packed);
    arrays_release();
}

static void check_linears(struct device *d) {
    for (int i = 0; i < SHAPE_COUNT; i++) {
        for (int k = 0; k < 4; k++) {
            check_linear(d, SHAPES[i], &LAYOUTS[k], &LAYOUTS[(k + i) % 4]);
        }
    }
}

static void linear_is_a_product_with_bias_activation_or_residual(void) {
    each_device_of(check_linears, true);
}

static void check_types(struct device *d) {
    static const enum dtype TYPES[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    for (int i = 0; i < 3; i++) {
        struct matrix m = matrix_new(d, 21, 13, TYPES[i], true);
        struct array *x = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, 5, 13), 1);
        struct array *out = array_random(d, DTYPE_F32, 0, TENSOR_SHAPE(1, 1, 5, 21), 1);
        double *want = array_numbers(out);
        solve(want, x->values, 5, &m, ACTIVATION_NONE);
        CHECK_NUMBER(d->ops->linear(d, &out->t, &x->t, m.packed, ACTIVATION_NONE, NULL, NULL), 0);
        array_near(out, want, limit_of(d));
        d->ops->packed_close(m.packed);
        arrays_release();
    }
    d->ops->packed_close(NULL);
}

static void matrices_of_files_are_packed_from_their_types(void) {
    each_device_of(check_types, true);
}

/* ---- Mlp ------------------------------------------------------------------------------- */

static void check_mlp(struct device *d, int64_t rows, enum activation activation,
                      const struct layout *layout) {
    struct matrix m1 = matrix_new(d, 40, 11, DTYPE_F32, true);
    struct matrix m2 = matrix_new(d, 13, 40, DTYPE_F32, true);
    struct array *x = array_random(d, layout->type, layout->gap, TENSOR_SHAPE(1, 1, rows, 11), 1);
    struct array *out = array_random(d, layout->type, layout->gap, TENSOR_SHAPE(1, 1, rows, 13), 1);
    double *want = array_copy(out), *hidden = op_block((size_t)(rows * 40), sizeof *hidden);
    double *alone = array_numbers(out);
    solve(hidden, x->values, rows, &m1, activation);
    solve(want, hidden, rows, &m2, ACTIVATION_NONE);
    solve(alone, hidden, rows, &m2, ACTIVATION_NONE);
    CHECK_NUMBER(d->ops->mlp(d, &out->t, &x->t, m1.packed, activation, m2.packed, &out->t, NULL),
                 0);
    array_near(out, want, limit_of(d));
    CHECK_NUMBER(d->ops->mlp(d, &out->t, &x->t, m1.packed, activation, m2.packed, NULL, NULL), 0);
    array_near(out, alone, limit_of(d));
    d->ops->packed_close(m1.packed);
    d->ops->packed_close(m2.packed);
    arrays_release();
}

static void check_mlps(struct device *d) {
    for (int i = 0; i < 4; i++) {
        check_mlp(d, 5, ACTIVATION_GELU, &LAYOUTS[i]);
        check_mlp(d, 270, ACTIVATION_QUICK_GELU, &LAYOUTS[i]);
        check_mlp(d, 3, ACTIVATION_SILU, &LAYOUTS[i]);
    }
    check_mlp(d, 257, ACTIVATION_GELU, &LAYOUTS[0]);
}

static void mlp_is_two_of_them(void) {
    each_device_of(check_mlps, true);
}

/* ---- Convolve -------------------------------------------------------------------------- */

static const struct convolution_options CONVOLUTIONS[] = {
    {.height = 8, .width = 12, .channels = 3, .size = 4, .stride_y = 4, .stride_x = 4, .pad = 0},
    {.height = 9, .width = 7, .channels = 6, .size = 3, .stride_y = 2, .stride_x = 2, .pad = 1},
    {.height = 12, .width = 13, .channels = 2, .size = 3, .stride_y = 1, .stride_x = 1, .pad = 1}};

static void check_convolution(struct device *d, const struct convolution_options *o,
                              enum dtype type) {
    enum { BATCH = 2, OUTPUTS = 10 };
    int64_t height = convolution_height(o), width = convolution_width(o);
    int64_t patch = (int64_t)o->size * o->size * o->channels, rows = BATCH * height * width;
    struct matrix m = matrix_new(d, OUTPUTS, patch, DTYPE_F32, true);
    struct array *x =
        array_random(d, type, 0, TENSOR_SHAPE(BATCH, o->height, o->width, o->channels), 1);
    struct array *out = array_random(d, type, 0, TENSOR_SHAPE(BATCH, height, width, OUTPUTS), 1);
    struct array *patches = array_random(d, type, 0, TENSOR_SHAPE(1, 1, rows, patch), 1);
    double *want = array_numbers(out);
    CHECK_NUMBER(d->ops->im2col(d, &patches->t, &x->t, o, NULL), 0);
    solve(want, array_read(patches), rows, &m, ACTIVATION_NONE);
    CHECK_NUMBER(d->ops->convolve(d, &out->t, &x->t, o, m.packed, NULL), 0);
    array_near(out, want, limit_of(d));
    d->ops->packed_close(m.packed);
    arrays_release();
}

static void check_convolutions(struct device *d) {
    for (int i = 0; i < 3; i++) {
        check_convolution(d, &CONVOLUTIONS[i], DTYPE_F32);
        check_convolution(d, &CONVOLUTIONS[i], DTYPE_BF16);
    }
}

static void convolve_is_a_product_of_patches(void) {
    each_device_of(check_convolutions, true);
}

/* What cannot be computed is refused when the device is opened. */
static void a_level_without_bf16_products_refuses_them(void) {
    const struct backend *b;
    struct device *d = NULL;
    struct error e;
    setenv("OCC_CPU", "portable", 1);
    CHECK_NUMBER(backend_open(&b, "cpu", &e), 0);
    CHECK(!b->has_bf16());
    CHECK_NUMBER(device_open(&d, b, DTYPE_BF16, &e), ERR_UNSUPPORTED);
    CHECK_TEXT(e.text, "no bf16 products at level portable of this processor");
    CHECK(d == NULL);
    unsetenv("OCC_CPU");
}

int main(void) {
    RUN(linear_is_a_product_with_bias_activation_or_residual);
    RUN(matrices_of_files_are_packed_from_their_types);
    RUN(mlp_is_two_of_them);
    RUN(convolve_is_a_product_of_patches);
    RUN(a_level_without_bf16_products_refuses_them);
    return test_finish();
}
