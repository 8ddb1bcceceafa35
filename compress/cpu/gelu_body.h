/* gelu_body.h - GELU, its approximation by a sigmoid, and their slopes. */

static void gelu(float *out, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(out + i, gelu_of(load(x + i)));
    }
    if (i < count) {
        store_part(out + i, gelu_of(load_part(x + i, count - i)), count - i);
    }
}

/* (x Phi(x))' = Phi(x) + x phi(x) */
static inline vec gelu_slope(vec x) {
    return normal_cdf(x) + x * 0.39894228f * exponential(x * x * -0.5f);
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

/* As gelu_of, by the shorter fit of Abramowitz and Stegun (7.1.26), absolute error of erf 1e-4 with
 * this exponential. */
static inline vec coarse_gelu_of(vec x) {
    vec z = x * 0.70710678f;
    z = smaller(larger(z, -z), all(9.0f));
    vec t = 1.0f / (1.0f + 0.3275911f * z);
    vec p = all(1.061405429f);
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    vec half = 0.5f * t * p * power_of_two(z * z * -1.44269504f, true);
    return x * pick(x > 0, 1.0f - half, half);
}

static void gelu_to_bf16(uint16_t *out, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        *(loose_half *)(out + i) = bf16_lanes(coarse_gelu_of(load(x + i)));
    }
    if (i < count) {
        hvec rest = bf16_lanes(coarse_gelu_of(load_part(x + i, count - i)));
        memcpy(out + i, &rest, (count - i) * sizeof *out);
    }
}

static void quick_gelu(float *out, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(out + i, quick_gelu_of(load(x + i)));
    }
    if (i < count) {
        store_part(out + i, quick_gelu_of(load_part(x + i, count - i)), count - i);
    }
}

/* (x s(1.702 x))' = s + 1.702 x s (1 - s) */
static inline vec quick_gelu_slope(vec x) {
    vec s = sigmoid(x * 1.702f);
    return s + 1.702f * x * s * (1.0f - s);
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
