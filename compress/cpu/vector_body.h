/* vector_body.h - the body of a level: included once by each vector_LEVEL.c, which is compiled for
 * its instruction set and has defined
 *
 *     LANES          floats in a vector: 4, 8, 16
 *     TILE_ROWS, TILE_VECTORS  of the block of a product that is kept in registers
 *     QUERY_BLOCK    queries that an attention takes at a time, a multiple of TILE_ROWS
 */
#include "compress/cpu/vector.h"
#include "compress/cpu/vector_math.h"

static void gelu(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(x + i, gelu_of(load(x + i)));
    }
    if (i < count) {
        store_part(x + i, gelu_of(load_part(x + i, count - i)), count - i);
    }
}

static void quick_gelu(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(x + i, quick_gelu_of(load(x + i)));
    }
    if (i < count) {
        store_part(x + i, quick_gelu_of(load_part(x + i, count - i)), count - i);
    }
}

/* ---- Layer norm, sum, BF16 ----------------------------------------------------------- */

static void layer_norm_row(float *out, const float *x, size_t width, const float *gamma,
                           const float *beta, float eps) {
    size_t i = 0, rest = width % LANES, whole = width - rest;
    vec sum = {0}, squares = {0};
    for (i = 0; i < whole; i += LANES) {
        sum += load(x + i);
    }
    sum += load_part(x + whole, rest);
    float mean = sum_of(sum) / (float)width;
    for (i = 0; i < whole; i += LANES) {
        vec d = load(x + i) - mean;
        squares += d * d;
    }
    float variance = sum_of(squares);
    for (i = whole; i < width; i++) {
        variance += (x[i] - mean) * (x[i] - mean);
    }
    float scale = 1.0f / sqrtf(variance / (float)width + eps);
    for (i = 0; i < whole; i += LANES) {
        store(out + i, (load(x + i) - mean) * scale * load(gamma + i) + load(beta + i));
    }
    for (i = whole; i < width; i++) {
        out[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
    }
}

static void layer_norm(float *out, const float *x, int64_t rows, int64_t width, const float *gamma,
                       const float *beta, float eps) {
    for (int64_t r = 0; r < rows; r++) {
        layer_norm_row(out + r * width, x + r * width, (size_t)width, gamma, beta, eps);
    }
}

static void add(float *out, const float *a, const float *b, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        store(out + i, load(a + i) + load(b + i));
    }
    for (; i < count; i++) {
        out[i] = a[i] + b[i];
    }
}

static inline hvec bf16_lanes(vec x) {
    uvec bits = (uvec)x;
    uvec rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    uvec quiet = bits >> 16 | 0x40;
    uvec is_nan = (uvec)((bits & 0x7FFFFFFF) > 0x7F800000);
    rounded = (is_nan & quiet) | (~is_nan & rounded);
    return __builtin_convertvector(rounded, hvec);
}

static void to_bf16(uint16_t *out, const float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        *(loose_half *)(out + i) = bf16_lanes(load(x + i));
    }
    for (; i < count; i++) {
        out[i] = bf16_of(x[i]);
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
