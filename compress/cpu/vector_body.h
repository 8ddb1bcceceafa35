/* vector_body.h - the body of a level: included once by each vector_LEVEL.c, which is compiled for
 * its instruction set and has defined
 *
 *     LANES          floats in a vector: 4, 8, 16
 *     TILE_ROWS, TILE_VECTORS  of the block of a product that is kept in registers
 *     QUERY_BLOCK    queries that an attention takes at a time, a multiple of TILE_ROWS
 *
 * Vectors are GCC's vector extension, so the same text serves every level. */
#if LANES > 4
#include <immintrin.h>
#endif
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "compress/cpu/vector.h"

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
typedef uint32_t uvec __attribute__((vector_size(LANES * 4)));
typedef uint16_t hvec __attribute__((vector_size(LANES * 2)));
typedef float loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t loose_half __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

static inline vec load(const float *p) {
    return *(const loose *)p;
}

static inline void store(float *p, vec v) {
    *(loose *)p = v;
}

static inline vec all(float x) {
    return x - (vec){0};
}

/* a where the mask is set, else b. */
static inline vec pick(ivec mask, vec a, vec b) {
    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
}

/* GCC knows the pattern of a maximum for single numbers, not for vectors. */
static inline vec larger(vec a, vec b) {
#if LANES == 16
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif LANES == 8
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return pick(a > b, a, b);
#endif
}

static inline vec smaller(vec a, vec b) {
    return -larger(-a, -b);
}

static inline float sum_of(vec v) {
    float lanes[LANES], sum = 0;
    memcpy(lanes, &v, sizeof lanes);
    for (int i = 0; i < LANES; i++) {
        sum += lanes[i];
    }
    return sum;
}

static inline float largest_of(vec v) {
    float lanes[LANES];
    memcpy(lanes, &v, sizeof lanes);
    float largest = lanes[0];
    for (int i = 1; i < LANES; i++) {
        largest = lanes[i] > largest ? lanes[i] : largest;
    }
    return largest;
}

/* The first `count` lanes from memory, the rest zeros; and back. */
static inline vec load_part(const float *p, size_t count) {
    float lanes[LANES] = {0};
    memcpy(lanes, p, count * sizeof *p);
    return load(lanes);
}

static inline void store_part(float *p, vec v, size_t count) {
    float lanes[LANES];
    store(lanes, v);
    memcpy(p, lanes, count * sizeof *p);
}

/* ---- exp, and what is made of it -------------------------------------------------- */

/* e^x for x <= 88, relative error below 2e-7; what is below -87 gives e^-87, near enough to 0.
 * x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7. Adding 1.5 * 2^23
 * leaves n in the low bits of the sum. */
static inline vec exponential(vec x) {
    x = larger(x, all(-87.0f));
    const vec magic = all(12582912.0f);
    vec shifted = x * 1.44269504f + magic, n = shifted - magic;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = all(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

/* 2^x for x <= 127; below -126 it gives 2^-126, near enough to 0. x = n + r, |r| <= 1/2; 2^r by its
 * Taylor polynomial: of degree 6 the relative error is below 2e-7, of degree 4 below 5e-5, which is
 * far less than a rounding to BF16. */
static inline vec power_of_two(vec x, bool coarse) {
    const vec magic = all(12582912.0f);
    x = larger(x, all(-126.0f));
    vec shifted = x + magic, r = x - (shifted - magic), p;
    if (coarse) {
        p = all(9.61812911e-3f) * r + 5.55041087e-2f;
    } else {
        p = all(1.54035304e-4f) * r + 1.33335581e-3f;
        p = p * r + 9.61812911e-3f;
        p = p * r + 5.55041087e-2f;
    }
    p = p * r + 2.40226507e-1f;
    p = p * r + 6.93147181e-1f;
    p = p * r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

/* x Phi(x) = x erfc(-x / sqrt 2) / 2; erfc by the Chebyshev fit of Numerical Recipes (erfcc), whose
 * relative error is below 1.2e-7. */
static inline vec gelu_of(vec x) {
    vec z = x * 0.70710678f;
    vec negative = -z;
    z = larger(z, negative);
    z = smaller(z, all(9.0f)); /* erfc(9) is 0 in F32; keeps z * z in range */
    vec t = 1.0f / (1.0f + 0.5f * z);
    vec p = all(0.17087277f);
    p = p * t - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t - 1.26551223f;
    vec half = 0.5f * t * exponential(p - z * z); /* erfc(|z|) / 2 */
    return x * pick(x > 0, 1.0f - half, half);
}

static inline vec quick_gelu_of(vec x) {
    return x / (1.0f + exponential(smaller(x * -1.702f, all(88.0f))));
}

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
