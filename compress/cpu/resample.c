/* resample.c - position tables made for one grid, fitted to another. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

/* The taps of output `i`: weights[0 .. count) for inputs from *first on. `weights` has room for
 * taps_limit. */
static int64_t taps_limit(int64_t to, int64_t from) {
    double scale = (double)from / (double)to;
    return (int64_t)(4 * (scale > 1 ? scale : 1)) + 3;
}

static int64_t taps(double *weights, int64_t *first, int64_t i, int64_t to, int64_t from) {
    double scale = (double)from / (double)to, wide = scale > 1 ? scale : 1;
    double centre = scale * ((double)i + 0.5), sum = 0;
    int64_t begin = (int64_t)(centre - 2 * wide + 0.5), end = (int64_t)(centre + 2 * wide + 0.5);
    begin = centre - 2 * wide + 0.5 < 0 ? 0 : begin;
    end = end > from ? from : end;
    for (int64_t j = begin; j < end; j++) {
        weights[j - begin] = bicubic(((double)j - centre + 0.5) / wide);
        sum += weights[j - begin];
    }
    for (int64_t j = begin; j < end; j++) {
        weights[j - begin] /= sum;
    }
    *first = begin;
    return end - begin;
}

/* Along the middle axis: (outer, to, inner) from (outer, from, inner). */
static int resample_axis(float *out, const float *in, int64_t outer, int64_t to, int64_t from,
                         int64_t inner, struct error *e) {
    double *weights = calloc((size_t)taps_limit(to, from), sizeof *weights);
    if (weights == NULL) {
        return error_memory(e, NULL);
    }
    for (int64_t i = 0; i < to; i++) {
        int64_t first, count = taps(weights, &first, i, to, from);
        for (int64_t o = 0; o < outer; o++) {
            float *row = out + (o * to + i) * inner;
            for (int64_t x = 0; x < inner; x++) {
                double sum = 0;
                for (int64_t j = 0; j < count; j++) {
                    sum += weights[j] * (double)in[(o * from + first + j) * inner + x];
                }
                row[x] = (float)sum;
            }
        }
    }
    free(weights);
    return 0;
}

static int bicubic_forward(struct device *d, float *to, const float *from, int64_t width,
                           const struct resample_options *o, struct error *e) {
    if (o->rows == o->from_rows && o->columns == o->from_columns) {
        memcpy(to, from, (size_t)(o->rows * o->columns * width) * sizeof *to);
        return 0;
    }
    void *between = NULL;
    int rc = cpu_scratch(&between, d, SCRATCH_HIDDEN,
                         (size_t)(o->from_rows * o->columns * width) * sizeof *to, e);
    if (rc == 0) {
        rc = resample_axis(between, from, o->from_rows, o->columns, o->from_columns, width, e);
    }
    if (rc == 0) {
        rc = resample_axis(to, between, 1, o->rows, o->from_rows, o->columns * width, e);
    }
    return rc;
}

/* Output `i` is (1 - share) * input *low + share * input *high; returns the share. */
static double linear_place(int64_t *low, int64_t *high, int64_t i, int64_t rows,
                           int64_t from_rows) {
    double source = fmax((double)from_rows / (double)rows * ((double)i + 0.5) - 0.5, 0);
    *low = (int64_t)source;
    *high = *low + 1 < from_rows ? *low + 1 : *low;
    return source - (double)*low;
}

static void linear_forward(float *to, const float *from, int64_t width,
                           const struct resample_options *o) {
    for (int64_t i = 0; i < o->rows; i++) {
        int64_t low, high;
        double share = linear_place(&low, &high, i, o->rows, o->from_rows);
        for (int64_t x = 0; x < width; x++) {
            to[i * width + x] = (float)((1 - share) * (double)from[low * width + x] +
                                        share * (double)from[high * width + x]);
        }
    }
}

int cpu_resample(struct device *d, const struct tensor *out, const struct tensor *x,
                 const struct resample_options *o, struct error *e) {
    int64_t width = tensor_width(x);
    assert(out->type == DTYPE_F32 && x->type == DTYPE_F32);
    assert(tensor_is_dense(out) && tensor_is_dense(x) && tensor_width(out) == width);
    assert(tensor_rows(x) == o->from_rows * o->from_columns);
    assert(tensor_rows(out) == o->rows * o->columns);
    if (o->bicubic) {
        return bicubic_forward(d, out->data, x->data, width, o, e);
    }
    assert(o->columns == 1 && o->from_columns == 1);
    linear_forward(out->data, x->data, width, o);
    return 0;
}

/* The gradient of resample_axis: dx += the transposed taps of dy. */
static int axis_backward(const struct level *level, float *dx, const float *dy, int64_t outer,
                         int64_t to, int64_t from, int64_t inner, struct error *e) {
    double *weights = calloc((size_t)taps_limit(to, from), sizeof *weights);
    if (weights == NULL) {
        return error_memory(e, NULL);
    }
    for (int64_t i = 0; i < to; i++) {
        int64_t first, count = taps(weights, &first, i, to, from);
        for (int64_t o = 0; o < outer; o++) {
            for (int64_t j = 0; j < count; j++) {
                float *row = dx + (o * from + first + j) * inner;
                level->combine(row, 1, row, (float)weights[j], dy + (o * to + i) * inner,
                               (size_t)inner);
            }
        }
    }
    free(weights);
    return 0;
}

static int bicubic_backward(struct device *d, float *dx, const float *dy, int64_t width,
                            const struct resample_options *o, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    if (o->rows == o->from_rows && o->columns == o->from_columns) {
        level->accumulate(dx, dy, (size_t)(o->rows * o->columns * width));
        return 0;
    }
    size_t bytes = (size_t)(o->from_rows * o->columns * width) * sizeof *dx;
    void *between = NULL;
    int rc = cpu_scratch(&between, d, SCRATCH_HIDDEN, bytes, e);
    if (rc < 0) {
        return rc;
    }
    memset(between, 0, bytes);
    rc = axis_backward(level, between, dy, 1, o->rows, o->from_rows, o->columns * width, e);
    if (rc == 0) {
        rc = axis_backward(level, dx, between, o->from_rows, o->columns, o->from_columns, width, e);
    }
    return rc;
}

static void linear_backward(const struct level *level, float *dx, const float *dy, int64_t width,
                            const struct resample_options *o) {
    for (int64_t i = 0; i < o->rows; i++, dy += width) {
        int64_t low, high;
        float share = (float)linear_place(&low, &high, i, o->rows, o->from_rows);
        float *below = dx + low * width, *above = dx + high * width;
        level->combine(below, 1, below, 1 - share, dy, (size_t)width);
        level->combine(above, 1, above, share, dy, (size_t)width);
    }
}

int cpu_resample_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                          const struct resample_options *o, struct error *e) {
    int64_t width = tensor_width(dx);
    assert(dx->type == DTYPE_F32 && dy->type == DTYPE_F32);
    assert(tensor_is_dense(dx) && tensor_is_dense(dy) && tensor_width(dy) == width);
    assert(tensor_rows(dx) == o->from_rows * o->from_columns);
    assert(tensor_rows(dy) == o->rows * o->columns);
    if (o->bicubic) {
        return bicubic_backward(d, dx->data, dy->data, width, o, e);
    }
    linear_backward(cpu_device(d)->level, dx->data, dy->data, width, o);
    return 0;
}
