/* vector_math.h - vectors of LANES floats, which the including file defines (4, 8, 16), and what is
 * computed of them without libm. Vectors are GCC's vector extension, so the same text serves every
 * instruction set. */
#if LANES > 4
#include <immintrin.h>
#endif
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Of all lanes: halves onto each other until one is left. */
static inline float sum_of(vec v) {
#if LANES == 16
    return _mm512_reduce_add_ps((__m512)v);
#else
    float lanes[LANES];
    memcpy(lanes, &v, sizeof lanes);
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lanes[i] += lanes[i + half];
        }
    }
    return lanes[0];
#endif
}

static inline float largest_of(vec v) {
#if LANES == 16
    return _mm512_reduce_max_ps((__m512)v);
#else
    float lanes[LANES];
    memcpy(lanes, &v, sizeof lanes);
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
        }
    }
    return lanes[0];
#endif
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

static inline hvec bf16_lanes(vec x) {
#if defined(__AVX512BF16__) && LANES == 16
    /* The instruction takes numbers below 2^-126 for zeros, which is as near as BF16's products
     * get to them. */
    return (hvec)_mm512_cvtneps_pbh((__m512)x);
#else
    uvec bits = (uvec)x;
    uvec rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    uvec quiet = bits >> 16 | 0x40;
    uvec is_nan = (uvec)((bits & 0x7FFFFFFF) > 0x7F800000);
    rounded = (is_nan & quiet) | (~is_nan & rounded);
    return __builtin_convertvector(rounded, hvec);
#endif
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

/* 2^x for x <= 127; from -127 down it gives 0. x = n + r, |r| <= 1/2; 2^r by its Taylor polynomial:
 * of degree 6 the relative error is below 2e-7, of degree 4 below 5e-5, which is far less than a
 * rounding to BF16. */
static inline vec power_of_two(vec x, bool coarse) {
    const vec magic = all(12582912.0f);
    x = larger(x, all(-127.0f));
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

/* Phi(x) = erfc(-x / sqrt 2) / 2; erfc by the Chebyshev fit of Numerical Recipes (erfcc), whose
 * relative error is below 1.2e-7. */
static inline vec normal_cdf(vec x) {
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
    return pick(x > 0, 1.0f - half, half);
}

static inline vec gelu_of(vec x) {
    return x * normal_cdf(x);
}

/* 1 / (1 + e^-x) */
static inline vec sigmoid(vec x) {
    return 1.0f / (1.0f + exponential(smaller(-x, all(88.0f))));
}

static inline vec quick_gelu_of(vec x) {
    return x / (1.0f + exponential(smaller(x * -1.702f, all(88.0f))));
}
