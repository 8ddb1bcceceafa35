/* kernels_body.h - the body of a level: included once by each kernels_LEVEL.c, which is compiled
 * for its instruction set and has defined LANES (see compress/cpu/vector_math.h). */
#include "compress/cpu/vector_math.h"
#include "train/kernels.h"

static inline vec root(vec x) {
#if LANES == 16
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif LANES == 8
    return (vec)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < LANES; i++) {
        x[i] = sqrtf(x[i]);
    }
    return x;
#endif
}

/* ---- Element by element -------------------------------------------------------------- */

/* (x Phi(x))' = Phi(x) + x phi(x) */
static inline vec gelu_slope(vec x) {
    return normal_cdf(x) + x * 0.39894228f * exponential(x * x * -0.5f);
}

/* (x s(1.702 x))' = s + 1.702 x s (1 - s) */
static inline vec quick_gelu_slope(vec x) {
    vec s = sigmoid(x * 1.702f);
    return s + 1.702f * x * s * (1.0f - s);
}

static void gelu_backward(float *dx, const float *x, const float *dy, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(dx + i, load(dx + i) + load(dy + i) * gelu_slope(load(x + i)));
    }
    if (i < count) {
        vec slope = gelu_slope(load_part(x + i, count - i));
        for (size_t lane = 0; i + lane < count; lane++) {
            dx[i + lane] += dy[i + lane] * slope[lane];
        }
    }
}

static void quick_gelu_backward(float *dx, const float *x, const float *dy, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(dx + i, load(dx + i) + load(dy + i) * quick_gelu_slope(load(x + i)));
    }
    if (i < count) {
        vec slope = quick_gelu_slope(load_part(x + i, count - i));
        for (size_t lane = 0; i + lane < count; lane++) {
            dx[i + lane] += dy[i + lane] * slope[lane];
        }
    }
}

static void accumulate(float *to, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(to + i, load(to + i) + load(x + i));
    }
    for (; i < count; i++) {
        to[i] += x[i];
    }
}

static void add_rows(float *sums, const float *x, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; r++) {
        accumulate(sums, x + r * width, (size_t)width);
    }
}

/* Sums of a thousand numbers in F32, sums of these in double. */
static double square_sum(const float *x, size_t count) {
    enum { BLOCK = 64 * LANES };
    double sum = 0;
    size_t i = 0;
    while (i + LANES <= count) {
        vec squares = {0};
        for (size_t end = i + BLOCK; i < end && i + LANES <= count; i += LANES) {
            vec v = load(x + i);
            squares += v * v;
        }
        sum += (double)sum_of(squares);
    }
    for (; i < count; i++) {
        sum += (double)x[i] * (double)x[i];
    }
    return sum;
}

/* ---- Rows ------------------------------------------------------------------------------ */

/* With h = (x - mean) / deviation and g = dy gamma:
 * dx = (g - mean(g) - h mean(g h)) / deviation; dgamma = dy h; dbeta = dy. */
static void layer_norm_row_backward(float *dx, float *dgamma, float *dbeta, const float *x,
                                    const float *dy, const float *gamma, size_t width, float eps) {
    float sum = 0, squares = 0, sum_g = 0, sum_gh = 0;
    size_t whole = width - width % LANES;
    vec sums = {0};
    for (size_t i = 0; i < whole; i += LANES) {
        sums += load(x + i);
    }
    sum = sum_of(sums);
    for (size_t i = whole; i < width; i++) {
        sum += x[i];
    }
    float mean = sum / (float)width;
    vec square_lanes = {0}, g_lanes = {0}, gx_lanes = {0};
    for (size_t i = 0; i < whole; i += LANES) {
        vec d = load(x + i) - mean, g = load(dy + i) * load(gamma + i);
        square_lanes += d * d;
        g_lanes += g;
        gx_lanes += g * d;
    }
    squares = sum_of(square_lanes);
    sum_g = sum_of(g_lanes);
    sum_gh = sum_of(gx_lanes);
    for (size_t i = whole; i < width; i++) {
        float d = x[i] - mean, g = dy[i] * gamma[i];
        squares += d * d;
        sum_g += g;
        sum_gh += g * d;
    }
    float scale = 1.0f / sqrtf(squares / (float)width + eps);
    float mean_g = sum_g / (float)width, mean_gh = sum_gh * scale / (float)width;
    for (size_t i = 0; i < whole; i += LANES) {
        vec h = (load(x + i) - mean) * scale, dy_lanes = load(dy + i);
        vec g = dy_lanes * load(gamma + i);
        if (dx != NULL) {
            store(dx + i, load(dx + i) + (g - mean_g - h * mean_gh) * scale);
        }
        if (dgamma != NULL) {
            store(dgamma + i, load(dgamma + i) + dy_lanes * h);
            store(dbeta + i, load(dbeta + i) + dy_lanes);
        }
    }
    for (size_t i = whole; i < width; i++) {
        float h = (x[i] - mean) * scale, g = dy[i] * gamma[i];
        if (dx != NULL) {
            dx[i] += (g - mean_g - h * mean_gh) * scale;
        }
        if (dgamma != NULL) {
            dgamma[i] += dy[i] * h;
            dbeta[i] += dy[i];
        }
    }
}

static void layer_norm_backward(float *dx, float *dgamma, float *dbeta, const float *x,
                                const float *dy, const float *gamma, int64_t rows, int64_t width,
                                float eps) {
    for (int64_t r = 0; r < rows; r++) {
        layer_norm_row_backward(dx != NULL ? dx + r * width : NULL, dgamma, dbeta, x + r * width,
                                dy + r * width, gamma, (size_t)width, eps);
    }
}

static float largest_in(const float *x, size_t width) {
    size_t i = 0;
    float largest = x[0];
    if (width >= LANES) {
        vec lanes = load(x);
        for (i = LANES; i + LANES <= width; i += LANES) {
            lanes = larger(lanes, load(x + i));
        }
        largest = largest_of(lanes);
    }
    for (; i < width; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

/* x becomes exp(x - largest); the sum comes back. */
static float exponentials(float *x, size_t width, float largest) {
    vec sums = {0};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        vec v = exponential(load(x + i) - largest);
        store(x + i, v);
        sums += v;
    }
    float sum = sum_of(sums);
    if (i < width) {
        vec v = exponential(load_part(x + i, width - i) - largest);
        store_part(x + i, v, width - i);
        for (size_t lane = 0; i + lane < width; lane++) {
            sum += v[lane];
        }
    }
    return sum;
}

static void scale_row(float *x, size_t width, float scale) {
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        store(x + i, load(x + i) * scale);
    }
    for (; i < width; i++) {
        x[i] *= scale;
    }
}

static void softmax(float *x, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; r++) {
        float *row = x + r * width;
        float sum = exponentials(row, (size_t)width, largest_in(row, (size_t)width));
        scale_row(row, (size_t)width, 1.0f / sum);
    }
}

static void softmax_gradient(float *dp, const float *p, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; r++) {
        float *d = dp + r * width;
        const float *row = p + r * width;
        vec sums = {0};
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            sums += load(d + i) * load(row + i);
        }
        float sum = sum_of(sums);
        for (; i < width; i++) {
            sum += d[i] * row[i];
        }
        for (i = 0; i + LANES <= width; i += LANES) {
            store(d + i, (load(d + i) - sum) * load(row + i));
        }
        for (; i < width; i++) {
            d[i] = (d[i] - sum) * row[i];
        }
    }
}

static double cross_entropy(float *logits, const int32_t *labels, int64_t rows, int64_t width,
                            float scale) {
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        float *row = logits + r * width;
        if (labels[r] < 0) {
            memset(row, 0, (size_t)width * sizeof *row);
            continue;
        }
        float largest = largest_in(row, (size_t)width), at_label = row[labels[r]];
        float sum = exponentials(row, (size_t)width, largest);
        loss += log((double)sum) + (double)(largest - at_label);
        scale_row(row, (size_t)width, scale / sum);
        row[labels[r]] -= scale;
    }
    return loss;
}

/* ---- AdamW ------------------------------------------------------------------------------- */

static inline void adamw_lanes(vec *weight, vec *mean, vec *variance, vec gradient,
                               const struct adamw_step *s) {
    vec g = gradient * s->scale;
    *mean = s->beta1 * *mean + (1.0f - s->beta1) * g;
    *variance = s->beta2 * *variance + (1.0f - s->beta2) * g * g;
    *weight = *weight - s->decay * *weight -
              s->rate * *mean / (root(*variance) * s->correction + s->epsilon);
}

static void adamw(float *weight, float *mean, float *variance, const float *gradient, size_t count,
                  const struct adamw_step *step) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec w = load(weight + i), m = load(mean + i), v = load(variance + i);
        adamw_lanes(&w, &m, &v, load(gradient + i), step);
        store(weight + i, w);
        store(mean + i, m);
        store(variance + i, v);
    }
    if (i < count) {
        size_t rest = count - i;
        vec w = load_part(weight + i, rest), m = load_part(mean + i, rest);
        vec v = load_part(variance + i, rest);
        adamw_lanes(&w, &m, &v, load_part(gradient + i, rest), step);
        store_part(weight + i, w, rest);
        store_part(mean + i, m, rest);
        store_part(variance + i, v, rest);
    }
}

#define KERNELS(level)                                                                             \
    {                                                                                              \
        .name = level, .gelu_backward = gelu_backward, .quick_gelu_backward = quick_gelu_backward, \
        .layer_norm_backward = layer_norm_backward, .softmax = softmax,                            \
        .softmax_gradient = softmax_gradient, .cross_entropy = cross_entropy,                      \
        .add_rows = add_rows, .accumulate = accumulate, .square_sum = square_sum, .adamw = adamw   \
    }
