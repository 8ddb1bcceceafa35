/* tape_resample.c - position tables fitted to another grid: one matrix a direction. */
#include <assert.h>
#include <string.h>

#include "compress/resample.h"
#include "train/tape_state.h"

struct resampling {
    struct step step;
    struct tensor *x, *y;
    int64_t from_rows, from_columns, rows, columns;
    const float *down, *across; /* (rows, from_rows), (columns, from_columns) */
};

/* to (count, width) += matrix (count, from) x (from, width); `back`: x += matrix^T to. Matrices of
 * resampling are mostly zeros. */
static void mix(float *to, float *x, const float *matrix, int64_t count, int64_t from,
                int64_t width, bool back) {
    for (int64_t i = 0; i < count * from; i++) {
        float factor = matrix[i];
        const float *source = back ? to + i / from * width : x + i % from * width;
        float *target = back ? x + i % from * width : to + i / from * width;
        for (int64_t j = 0; j < width && factor != 0; j++) {
            target[j] += factor * source[j];
        }
    }
}

static void resample_backward(struct tape *t, struct step *step) {
    struct resampling *s = (struct resampling *)step;
    float *dy = s->y->gradient, *dx = dy != NULL ? tape_gradient(t, s->x) : NULL;
    int64_t width = s->x->width;
    struct tape_mark mark = tape_mark(t);
    size_t between = (size_t)(s->from_rows * s->columns * width);
    float *middle = dx != NULL ? tape_alloc(t, between, sizeof *middle) : NULL;
    if (middle == NULL) {
        return;
    }
    memset(middle, 0, between * sizeof *middle);
    mix(dy, middle, s->down, s->rows, s->from_rows, s->columns * width, true);
    for (int64_t r = 0; r < s->from_rows; r++) {
        mix(middle + r * s->columns * width, dx + r * s->from_columns * width, s->across,
            s->columns, s->from_columns, width, true);
    }
    tape_release(t, mark);
}

static struct tensor *resample(struct tape *t, struct tensor *x, const struct resampling *wanted) {
    int64_t width = x->width;
    struct tensor *y = tape_tensor(t, wanted->rows * wanted->columns, width, x->wanted);
    struct tape_mark mark = tape_mark(t);
    size_t between = (size_t)(wanted->from_rows * wanted->columns * width);
    float *middle = tape_alloc(t, between, sizeof *middle);
    if (y == NULL || middle == NULL) {
        return NULL;
    }
    memset(middle, 0, between * sizeof *middle);
    memset(y->value, 0, tensor_count(y) * sizeof *y->value);
    for (int64_t r = 0; r < wanted->from_rows; r++) {
        mix(middle + r * wanted->columns * width, x->value + r * wanted->from_columns * width,
            wanted->across, wanted->columns, wanted->from_columns, width, false);
    }
    mix(y->value, middle, wanted->down, wanted->rows, wanted->from_rows, wanted->columns * width,
        false);
    tape_release(t, mark);
    struct resampling *s = x->wanted ? tape_note(t, sizeof *s, resample_backward) : NULL;
    if (s != NULL) {
        struct step noted = s->step;
        *s = *wanted;
        s->step = noted;
        s->x = x;
        s->y = y;
    }
    return t->rc == 0 ? y : NULL;
}

/* What a resampling of `from` numbers to `to` does, as a matrix (to, from): that of the unit
 * vectors. */
static const float *matrix_of(struct tape *t, int64_t from, int64_t to, bool bicubic) {
    float *unit = tape_alloc(t, (size_t)(from * from), sizeof *unit);
    float *matrix = tape_alloc(t, (size_t)(to * from), sizeof *matrix);
    if (unit == NULL || matrix == NULL) {
        return NULL;
    }
    memset(unit, 0, (size_t)(from * from) * sizeof *unit);
    for (int64_t i = 0; i < from; i++) {
        unit[i * from + i] = 1;
    }
    if (bicubic) {
        struct error e;
        int rc = resample_bicubic(matrix, to, 1, unit, from, 1, from, &e);
        if (rc < 0) {
            tape_fail(t, rc, &e);
            return NULL;
        }
    } else {
        resample_linear(matrix, to, unit, from, from);
    }
    return matrix;
}

struct tensor *tape_resample_bicubic(struct tape *t, struct tensor *x, int64_t from_rows,
                                     int64_t from_columns, int64_t rows, int64_t columns) {
    if (x == NULL || t->rc < 0 || (rows == from_rows && columns == from_columns)) {
        return x;
    }
    assert(x->rows == from_rows * from_columns);
    const struct resampling wanted = {.from_rows = from_rows,
                                      .from_columns = from_columns,
                                      .rows = rows,
                                      .columns = columns,
                                      .down = matrix_of(t, from_rows, rows, true),
                                      .across = matrix_of(t, from_columns, columns, true)};
    return t->rc == 0 ? resample(t, x, &wanted) : NULL;
}

struct tensor *tape_resample_linear(struct tape *t, struct tensor *x, int64_t rows) {
    static const float one = 1;
    if (x == NULL || t->rc < 0 || rows == x->rows) {
        return x;
    }
    const struct resampling wanted = {.from_rows = x->rows,
                                      .from_columns = 1,
                                      .rows = rows,
                                      .columns = 1,
                                      .down = matrix_of(t, x->rows, rows, false),
                                      .across = &one};
    return t->rc == 0 ? resample(t, x, &wanted) : NULL;
}
