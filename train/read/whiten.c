/* whiten.c - see whiten.h. */
#include "train/read/whiten.h"

#include <math.h>
#include <string.h>

/* Added to every variance, as a part of their mean: noise that no two letters differ by. */
#define FLOOR 0.02

/* (p - 1) of a patch. */
static void read_patch(float *out, const uint8_t *grey, int width, int patch) {
    int across = width / WHITEN_SIDE;
    const uint8_t *corner = grey + (size_t)(patch / across * WHITEN_SIDE) * (size_t)width +
                            patch % across * WHITEN_SIDE;
    for (int y = 0; y < WHITEN_SIDE; y++, corner += width) {
        for (int x = 0; x < WHITEN_SIDE; x++) {
            *out++ = ((float)corner[x] - 255.0f) * (2.0f / 255.0f);
        }
    }
}

void whiten_add(struct whitening *w, const uint8_t *grey, int width, int height) {
    float patch[WHITEN_AREA];
    int patches = width / WHITEN_SIDE * (height / WHITEN_SIDE);
    for (int i = 0; i < patches; i++) {
        read_patch(patch, grey, width, i);
        for (int a = 0; a < WHITEN_AREA; a++) {
            for (int b = 0; b <= a && patch[a] < 0; b++) {
                w->moments[a][b] += (double)(patch[a] * patch[b]);
            }
        }
    }
    w->count += patches;
}

/* Cholesky's factor in place of the lower triangle. */
static int factor(double m[WHITEN_AREA][WHITEN_AREA], struct error *e) {
    for (int i = 0; i < WHITEN_AREA; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = m[i][j];
            for (int k = 0; k < j; k++) {
                sum -= m[i][k] * m[j][k];
            }
            if (i == j && !(sum > 0)) {
                return error_set(e, ERR_FORMAT, "the pages to learn from are empty");
            }
            m[i][j] = i == j ? sqrt(sum) : sum / m[j][j];
        }
    }
    return 0;
}

int whiten_finish(struct whitening *w, struct error *e) {
    double mean = 0;
    for (int i = 0; i < WHITEN_AREA; i++) {
        mean += w->moments[i][i] / w->count / WHITEN_AREA;
    }
    for (int i = 0; i < WHITEN_AREA; i++) {
        for (int j = 0; j <= i; j++) {
            w->moments[i][j] = w->moments[i][j] / w->count + (i == j ? FLOOR * mean : 0);
        }
    }
    int rc = factor(w->moments, e);
    if (rc < 0) {
        return rc;
    }
    for (int column = 0; column < WHITEN_AREA; column++) { /* L x = unit vector */
        double x[WHITEN_AREA] = {0};
        for (int i = column; i < WHITEN_AREA; i++) {
            double sum = i == column;
            for (int k = column; k < i; k++) {
                sum -= w->moments[i][k] * x[k];
            }
            x[i] = sum / w->moments[i][i];
            w->inverse[column][i] = (float)x[i];
        }
    }
    return 0;
}

/* sums = inverse * patch, four of its pixels at a time; most of a page is white, which is 0. */
static void whiten_patch(const struct whitening *w, float *sums, const float *patch) {
    enum { TOGETHER = 4 };
    int ink[WHITEN_AREA + TOGETHER], count = 0;
    for (int j = 0; j < WHITEN_AREA; j++) {
        ink[count] = j;
        count += patch[j] != 0;
    }
    memset(sums, 0, WHITEN_AREA * sizeof *sums);
    for (int i = 0; i < count; i += TOGETHER) {
        const float *rows[TOGETHER];
        float factors[TOGETHER];
        for (int n = 0; n < TOGETHER; n++) {
            const int j = ink[i + n < count ? i + n : i];
            rows[n] = w->inverse[j];
            factors[n] = i + n < count ? patch[j] : 0;
        }
        for (int k = ink[i]; k < WHITEN_AREA; k++) {
            sums[k] = sums[k] + rows[0][k] * factors[0] + rows[1][k] * factors[1] +
                      rows[2][k] * factors[2] + rows[3][k] * factors[3];
        }
    }
}

void whiten_page(const struct whitening *w, float *out, const uint8_t *grey, int width,
                 int height) {
    float patch[WHITEN_AREA], sums[WHITEN_AREA];
    int across = width / WHITEN_SIDE;
    for (int i = 0; i < across * (height / WHITEN_SIDE); i++) {
        read_patch(patch, grey, width, i);
        int top = i / across * WHITEN_SIDE, left = i % across * WHITEN_SIDE;
        whiten_patch(w, sums, patch);
        for (int k = 0; k < WHITEN_AREA; k++) {
            int y = top + k / WHITEN_SIDE, x = left + k % WHITEN_SIDE;
            out[y * width + x] = sums[k];
        }
    }
}

void whiten_fuse(const struct whitening *w, float *weight, float *bias, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        float *row = weight + r * 3 * WHITEN_AREA;
        double fused[WHITEN_AREA] = {0}, sum = 0;
        for (int k = 0; k < WHITEN_AREA; k++) {
            for (int j = 0; j <= k; j++) {
                fused[j] += (double)row[k] * (double)w->inverse[j][k];
            }
        }
        for (int j = 0; j < WHITEN_AREA; j++) {
            sum += fused[j];
            for (int channel = 0; channel < 3; channel++) {
                row[channel * WHITEN_AREA + j] = (float)(fused[j] / 3);
            }
        }
        bias[r] -= (float)sum;
    }
}

void whiten_unfuse(const struct whitening *w, float *weight, float *bias, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        float *row = weight + r * 3 * WHITEN_AREA;
        double ink[WHITEN_AREA], sum = 0;
        for (int j = 0; j < WHITEN_AREA; j++) {
            ink[j] =
                (double)row[j] + (double)row[WHITEN_AREA + j] + (double)row[2 * WHITEN_AREA + j];
            sum += ink[j];
        }
        memset(row, 0, 3 * WHITEN_AREA * sizeof *row);
        for (int k = 0; k < WHITEN_AREA; k++) {
            double whitened = 0;
            for (int j = k; j < WHITEN_AREA; j++) {
                whitened += ink[j] * w->moments[j][k];
            }
            row[k] = (float)whitened;
        }
        bias[r] += (float)sum;
    }
}
