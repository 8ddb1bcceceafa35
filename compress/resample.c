/* resample.c - see resample.h. */
#include "compress/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

int resample_bicubic(float *to, int64_t rows, int64_t columns, const float *from, int64_t from_rows,
                     int64_t from_columns, int64_t width, struct error *e) {
    if (rows == from_rows && columns == from_columns) {
        memcpy(to, from, (size_t)(rows * columns * width) * sizeof *to);
        return 0;
    }
    float *between = calloc((size_t)(from_rows * columns * width), sizeof *between);
    if (between == NULL) {
        return error_memory(e, NULL);
    }
    int rc = resample_axis(between, from, from_rows, columns, from_columns, width, e);
    if (rc == 0) {
        rc = resample_axis(to, between, 1, rows, from_rows, columns * width, e);
    }
    free(between);
    return rc;
}

void resample_linear(float *to, int64_t rows, const float *from, int64_t from_rows, int64_t width) {
    double scale = (double)from_rows / (double)rows;
    for (int64_t i = 0; i < rows; i++) {
        double source = fmax(scale * ((double)i + 0.5) - 0.5, 0);
        int64_t low = (int64_t)source, high = low + 1 < from_rows ? low + 1 : low;
        double share = source - (double)low;
        for (int64_t x = 0; x < width; x++) {
            to[i * width + x] = (float)((1 - share) * (double)from[low * width + x] +
                                        share * (double)from[high * width + x]);
        }
    }
}
