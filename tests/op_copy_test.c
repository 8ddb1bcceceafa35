/* op_copy_test.c - filling, copying and adding up tensors of any strides. */
#define _DEFAULT_SOURCE /* setenv */
#include "tests/ops.h"

static const enum dtype TYPES[] = {DTYPE_F32, DTYPE_BF16, DTYPE_I32, DTYPE_U8};

/* A view of an array: itself, turned, columns, or a part of an inner axis. */
static struct tensor view_of(const struct tensor *t, int kind) {
    struct tensor view = *t;
    switch (kind) {
    case 1:
        return tensor_transpose(t);
    case 2:
        return tensor_slice(t, 3, 1, t->shape[3] - 1);
    case 3:
        return tensor_slice(t, 1, 1, t->shape[1] - 1);
    default:
        return view;
    }
}
enum { VIEWS = 4 };

static double wrapped(double x, enum dtype type) {
    return type == DTYPE_U8    ? (double)((int64_t)fabs(x * 50) % 256)
           : type == DTYPE_I32 ? floor(x * 1e6)
                               : x;
}

static struct array *filled(struct device *d, enum dtype type, int64_t gap,
                            const int64_t shape[TENSOR_RANK]) {
    struct array *a = array_new(d, type, gap, shape);
    for (int64_t i = 0; i < tensor_count(&a->t); i++) {
        a->values[i] = wrapped(op_normal(), type);
    }
    array_write(d, a);
    return a;
}

/* Which element of the array each element of a view of it is. */
static int64_t *elements_of(const struct array *a, const struct tensor *view) {
    struct array part = *a;
    part.t = *view;
    int64_t *elements = op_block((size_t)tensor_count(view), sizeof *elements);
    int64_t width = tensor_width(&a->t), stride = a->t.stride[2], first = op_place(a, 0);
    for (int64_t i = 0; i < tensor_count(view); i++) {
        int64_t at = op_place(&part, i) - first;
        elements[i] = at / stride * width + at % stride;
    }
    return elements;
}

/* A view of one array into an array of its shape, and from there into the view of a third. */
static void check_view(struct device *d, enum dtype from, enum dtype to, int kind, int64_t gap) {
    struct array *x = filled(d, from, gap, TENSOR_SHAPE(2, 3, 5, 19));
    struct array *back = filled(d, from, gap, x->t.shape);
    struct tensor view = view_of(&x->t, kind), back_view = view_of(&back->t, kind);
    struct array *out = filled(d, to, 2 - gap, view.shape);
    const int64_t *elements = elements_of(x, &view);
    double *want = array_numbers(out), *want_back = array_copy(back);
    for (int64_t i = 0; i < tensor_count(&view); i++) {
        want[i] = op_rounded(x->values[elements[i]], to);
        want_back[elements[i]] = want[i];
    }
    CHECK_NUMBER(d->ops->copy(d, &out->t, &view, NULL), 0);
    CHECK_NUMBER(d->ops->copy(d, &back_view, &out->t, NULL), 0);
    array_near(out, want, 0);
    array_near(back, want_back, 0);
    arrays_release();
}

/* 32 columns from `first` on of rows of 512 and `more`: units of 16 bytes and less. */
static void check_columns(struct device *d, enum dtype from, enum dtype to, int64_t first,
                          int64_t more) {
    const int64_t width = 512 + more, columns = 32;
    struct array *x = filled(d, from, 0, TENSOR_SHAPE(1, 2, 3, width));
    struct array *out = filled(d, to, 0, TENSOR_SHAPE(1, 2, 3, columns));
    struct array *back = filled(d, from, 0, x->t.shape);
    struct tensor view = tensor_slice(&x->t, 3, first, columns);
    struct tensor back_view = tensor_slice(&back->t, 3, first, columns);
    double *want = array_numbers(out), *want_back = array_copy(back);
    for (int64_t i = 0; i < tensor_count(&view); i++) {
        int64_t at = i / columns * width + first + i % columns;
        want[i] = want_back[at] = op_rounded(x->values[at], to);
    }
    CHECK_NUMBER(d->ops->copy(d, &out->t, &view, NULL), 0);
    CHECK_NUMBER(d->ops->copy(d, &back_view, &out->t, NULL), 0);
    array_near(out, want, 0);
    array_near(back, want_back, 0);
    arrays_release();
}

static void check_copy(struct device *d, enum dtype from, enum dtype to) {
    for (int kind = 0; kind < VIEWS; kind++) {
        for (int64_t gap = 0; gap < 3; gap++) {
            check_view(d, from, to, kind, gap);
        }
    }
    for (int64_t unit = 1; unit <= 16; unit *= 2) {
        check_columns(d, from, to, unit, 0);
        check_columns(d, from, to, 0, unit);
    }
}

static void check_copies(struct device *d) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        check_copy(d, TYPES[i], TYPES[i]);
    }
    check_copy(d, DTYPE_F32, DTYPE_BF16);
    check_copy(d, DTYPE_BF16, DTYPE_F32);
}

static void copies_are_exact_whatever_the_strides(void) {
    each_device(check_copies);
}

/* ---- Fill ------------------------------------------------------------------------------ */

static void check_fill(struct device *d) {
    static const double VALUES[] = {0, 3, 1.5};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        for (int k = 0; k < (TYPES[i] == DTYPE_F32 || TYPES[i] == DTYPE_BF16 ? 3 : 2); k++) {
            struct array *x = filled(d, TYPES[i], k, TENSOR_SHAPE(1, 2, 3, 19));
            struct tensor view = tensor_slice(&x->t, 3, 0, 17);
            double *want = array_copy(x);
            CHECK_NUMBER(d->ops->fill(d, &view, (float)VALUES[k], NULL), 0);
            for (int64_t j = 0; j < tensor_count(&x->t); j++) {
                want[j] = j % 19 < 17 ? VALUES[k] : want[j];
            }
            array_near(x, want, 0);
            arrays_release();
        }
    }
}

static void fill_writes_the_view_and_nothing_else(void) {
    each_device(check_fill);
}

/* ---- Accumulate ------------------------------------------------------------------------ */

static void check_accumulate(struct device *d, const struct op_case *c) {
    static const enum dtype OTHERS[] = {DTYPE_F32, DTYPE_BF16};
    for (int k = 0; k < 2; k++) {
        struct op_case other = {c->rows, c->width, OTHERS[k], 0};
        struct array *to = array_normal(d, c, 1), *x = array_normal(d, &other, 1);
        double *want = array_copy(to);
        CHECK_NUMBER(d->ops->accumulate(d, &to->t, &x->t, NULL), 0);
        for (int64_t i = 0; i < c->rows * c->width; i++) {
            want[i] += x->values[i];
        }
        array_near(to, want, 1e-7);
        /* one row for all, and one column for all */
        struct array *row = array_vector(d, c->width, 1), *column = array_vector(d, c->rows, 1);
        struct tensor turned = tensor_transpose(&column->t);
        want = array_read(to);
        CHECK_NUMBER(d->ops->accumulate(d, &to->t, &row->t, NULL), 0);
        for (int64_t i = 0; i < c->rows * c->width; i++) {
            want[i] = op_rounded(want[i] + row->values[i % c->width], c->type);
        }
        CHECK_NUMBER(d->ops->accumulate(d, &to->t, &turned, NULL), 0);
        for (int64_t i = 0; i < c->rows * c->width; i++) {
            want[i] += column->values[i / c->width];
        }
        array_near(to, want, 2e-7);
    }
}

/* x^T into a matrix. */
static void check_turned(struct device *d, const struct op_case *c) {
    struct op_case other = {c->width, c->rows, c->type, 1};
    struct array *to = array_normal(d, c, 1), *x = array_normal(d, &other, 1);
    struct tensor turned = tensor_transpose(&x->t);
    double *want = array_copy(to);
    CHECK_NUMBER(d->ops->accumulate(d, &to->t, &turned, NULL), 0);
    for (int64_t i = 0; i < c->rows * c->width; i++) {
        want[i] += x->values[i % c->width * c->rows + i / c->width];
    }
    array_near(to, want, 1e-7);
}

static void sums_of_any_float_and_sizes_of_one_are_repeated(void) {
    each_case(check_accumulate);
    each_case(check_turned);
}

int main(void) {
    RUN(copies_are_exact_whatever_the_strides);
    RUN(fill_writes_the_view_and_nothing_else);
    RUN(sums_of_any_float_and_sizes_of_one_are_repeated);
    return test_finish();
}
