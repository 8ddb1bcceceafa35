/* op_rotary_test.c */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

#define LIMIT 1e-6

struct shape {
    int64_t batch, tokens, heads, dim, dims;
    int64_t beside; /* columns, half of them before the heads */
};

static const struct shape SHAPES[] = {
    {1, 1, 1, 2, 2, 5},   {2, 5, 3, 64, 64, 5}, {2, 5, 3, 64, 64, 4},
    {2, 5, 3, 64, 64, 8}, {1, 7, 2, 80, 40, 5}, {1, 7, 2, 80, 40, 8},
    {3, 2, 1, 15, 6, 5},  {1, 3, 4, 33, 0, 5},  {2, 40, 2, 8, 8, 9}};
enum { FARTHEST = 100000 };

/* What a matrix of heads becomes, and what stands beside them stays. */
static double *solve(const struct shape *s, const struct array *x, const struct array *positions,
                     const struct array *frequency, double sign) {
    double *want = array_copy(x);
    int64_t pairs = s->dims / 2, width = tensor_width(&x->t);
    for (int64_t i = 0; i < s->batch * s->tokens * s->heads * pairs; i++) {
        int64_t row = i / pairs / s->heads, pair = i % pairs;
        int64_t at = row * width + s->beside / 2 + i / pairs % s->heads * s->dim + pair;
        double angle = sign * positions->values[row] * frequency->values[pair];
        double a = x->values[at], b = x->values[at + pairs];
        want[at] = a * cos(angle) - b * sin(angle);
        want[at + pairs] = b * cos(angle) + a * sin(angle);
    }
    return want;
}

static void check_shape(struct device *d, const struct shape *s, enum dtype type, enum dtype to) {
    int64_t rows = s->batch * s->tokens, width = s->heads * s->dim + s->beside;
    struct array *x = array_random(d, type, 0, TENSOR_SHAPE(1, 1, rows, width), 1);
    struct array *out = array_new(d, to, 0, x->t.shape);
    struct array *positions = array_indices(d, rows, 0, FARTHEST);
    struct array *frequency = array_vector(d, s->dims / 2, 0);
    for (int64_t i = 0; i < s->dims / 2; i++) {
        frequency->values[i] = pow(1e4, -2.0 * (double)i / (double)s->dims);
    }
    array_write(d, frequency);
    memcpy(out->values, x->values, (size_t)(rows * width) * sizeof *x->values);
    array_write(d, out);
    struct rotary_options o = {.dims = s->dims, .frequency = &frequency->t};
    struct tensor heads = tensor_heads(&x->t, s->batch, s->beside / 2, s->heads, s->dim);
    struct tensor out_heads = tensor_heads(&out->t, s->batch, s->beside / 2, s->heads, s->dim);
    const double *want = solve(s, x, positions, frequency, 1);
    CHECK_NUMBER(d->ops->rotary(d, &out_heads, &heads, &positions->t, &o, NULL), 0);
    array_near(out, want, LIMIT);
    o.back = true;
    want = solve(s, x, positions, frequency, -1);
    CHECK_NUMBER(d->ops->rotary(d, &heads, &heads, &positions->t, &o, NULL), 0); /* in place */
    array_near(x, want, LIMIT);
    arrays_release();
}

static void check(struct device *d) {
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        for (int kind = 0; kind < 4; kind++) {
            check_shape(d, &SHAPES[i], kind % 2 == 0 ? DTYPE_F32 : DTYPE_BF16,
                        kind / 2 == 0 ? DTYPE_F32 : DTYPE_BF16);
        }
    }
}

static void pairs_turn_by_their_positions(void) {
    each_device(check);
}

int main(void) {
    RUN(pairs_turn_by_their_positions);
    return test_finish();
}
