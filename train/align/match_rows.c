/* match_rows.c - how near soft tokens are to what they are to be: see match.h. */
#include <math.h>

#include "train/align/match.h"

/* Adds to the sums over columns, of which the centred cosine is made. */
static void add_means(struct match_sums *sums, const float *s, const float *aim, int64_t width) {
    for (int64_t i = 0; i < width; i++) {
        sums->means[0][i] += (double)s[i];
        sums->means[1][i] += (double)aim[i];
    }
}

static void match_row(struct match_sums *sums, const float *s, const float *aim, int64_t width,
                      double square, float scale, float *gradient) {
    double product = 0, squares[2] = {0, 0}, error = 0;
    for (int64_t i = 0; i < width; i++) {
        const double a = (double)s[i], b = (double)aim[i];
        product += a * b;
        squares[0] += a * a;
        squares[1] += b * b;
        error += (a - b) * (a - b);
    }
    const double length = sqrt(squares[0] * squares[1]);
    const double cosine = length > 0 ? product / length : 0;
    const double weight = 1 / (square * (double)width);
    sums->loss += 1 - cosine + weight * error;
    sums->cosine += cosine;
    sums->product += product;
    sums->squares[0] += squares[0];
    sums->squares[1] += squares[1];
    sums->rows++;
    if (sums->means[0] != NULL) {
        add_means(sums, s, aim, width);
    }
    if (gradient == NULL) {
        return;
    }
    const double to = length > 0 ? 1 / length : 0;
    const double from = squares[0] > 0 ? cosine / squares[0] : 0;
    for (int64_t i = 0; i < width; i++) {
        const double a = (double)s[i], b = (double)aim[i];
        gradient[i] = scale * (float)(from * a - to * b + 2 * weight * (a - b));
    }
}

void match_rows(struct match_sums *sums, const float *s, const float *aims, int64_t rows,
                int64_t width, double square, float scale, float *gradient) {
    for (int64_t i = 0; i < rows; i++) {
        match_row(sums, s + i * width, aims + i * width, width, square, scale,
                  gradient != NULL ? gradient + i * width : NULL);
    }
}

double match_cosine(const struct match_sums *sums, int64_t width) {
    double product = 0, squares[2] = {0, 0};
    for (int64_t i = 0; i < width; i++) {
        const double a = sums->means[0][i], b = sums->means[1][i];
        product += a * b;
        squares[0] += a * a;
        squares[1] += b * b;
    }
    const double rows = sums->rows > 0 ? (double)sums->rows : 1;
    const double length =
        sqrt((sums->squares[0] - squares[0] / rows) * (sums->squares[1] - squares[1] / rows));
    return length > 0 ? (sums->product - product / rows) / length : 0;
}
