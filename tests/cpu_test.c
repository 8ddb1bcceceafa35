/* cpu_test.c - each level of the CPU's operations against plain double precision. */
#define _DEFAULT_SOURCE /* setenv */
#include "compress/cpu/level.h"

#include <stdint.h>

#include "store/dtype.h"
#include "tests/test.h"

/* Largest errors allowed: of elementwise operations relative to max(1, |x|), of a layer norm to the
 * largest output. */
#define GELU_LIMIT 4e-7
#define NORM_LIMIT 2e-6

static const char *const LEVELS[] = {"portable", "avx2", "avx512", "avx512bf16", "amx"};
enum { LEVEL_COUNT = 5 };

/* The next level that this processor has, from *i on; NULL: none. */
static const struct level *next_level(int *i) {
    for (; *i < LEVEL_COUNT; ++*i) {
        setenv("OCC_CPU", LEVELS[*i], 1);
        const struct level *ops = level_choose(NULL);
        if (ops != NULL) {
            ++*i;
            return ops;
        }
    }
    unsetenv("OCC_CPU");
    return NULL;
}

static uint32_t random_state = 1;

static float uniform(void) { /* -1 .. 1 */
    random_state = random_state * 1664525 + 1013904223;
    return (float)(random_state >> 8) / 8388608.0f - 1;
}

static float normal(void) {
    float sum = 0;
    for (int i = 0; i < 12; i++) {
        sum += uniform();
    }
    return sum / 2;
}

static float *floats(int64_t count) {
    float *values = aligned_alloc(64, ((size_t)count * sizeof *values + 127) / 64 * 64);
    if (values == NULL) {
        exit(1);
    }
    return values;
}

static const size_t COUNTS[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 100, 1000};
enum { COUNT_COUNT = sizeof COUNTS / sizeof *COUNTS };
#define SENTINEL 12345.0f

/* ---- Elementwise ---------------------------------------------------------------------- */

static double gelu_of(double x) {
    return 0.5 * x * erfc(-x / sqrt(2));
}

static double quick_gelu_of(double x) {
    return x / (1 + exp(-1.702 * x));
}

static void check_activation(void (*apply)(float *out, const float *x, size_t count),
                             double (*want)(double x), const char *level) {
    static const float SPECIAL[] = {0,   -0.0f, 1e-40f, -1e-40f, 1e-20f, 3,
                                    -3,  5.5f,  -5.5f,  9.2f,    -9.2f,  30,
                                    -30, 1e5f,  -1e5f,  1e30f,   -1e30f};
    enum { SPECIALS = sizeof SPECIAL / sizeof *SPECIAL };
    for (int c = 0; c < COUNT_COUNT; c++) {
        size_t count = COUNTS[c];
        float *x = floats((int64_t)count + 1), *in = floats((int64_t)count + 1);
        for (size_t i = 0; i < count; i++) {
            in[i] = i < SPECIALS ? SPECIAL[i] : 4 * normal();
        }
        memcpy(x, in, count * sizeof *x);
        x[count] = SENTINEL;
        apply(x, x, count);
        for (size_t i = 0; i < count; i++) {
            double right = want((double)in[i]);
            if (!CHECK_NEAR((double)x[i], right, GELU_LIMIT * fmax(1, fabs((double)in[i])))) {
                printf("# %s of %g\n", level, (double)in[i]);
            }
        }
        CHECK(x[count] == SENTINEL);
        free(x);
        free(in);
    }
}

static void gelu_is_exact(void) {
    int i = 0;
    for (const struct level *ops = next_level(&i); ops != NULL; ops = next_level(&i)) {
        check_activation(ops->gelu, gelu_of, ops->name);
    }
}

static void quick_gelu_is_exact(void) {
    int i = 0;
    for (const struct level *ops = next_level(&i); ops != NULL; ops = next_level(&i)) {
        check_activation(ops->quick_gelu, quick_gelu_of, ops->name);
    }
}

static void check_norm(const struct level *ops, int64_t rows, int64_t width, float offset) {
    float *x = floats(rows * width), *out = floats(rows * width + 1);
    float *gamma = floats(width), *beta = floats(width);
    double worst = 0, largest = 0, condition = 1;
    for (int64_t i = 0; i < rows * width; i++) {
        x[i] = normal() + offset;
    }
    for (int64_t i = 0; i < width; i++) {
        gamma[i] = 1 + 0.3f * normal();
        beta[i] = normal();
    }
    out[rows * width] = SENTINEL;
    for (int64_t r = 0; r < rows; r++) {
        ops->layer_norm(out + r * width, x + r * width, (size_t)width, gamma, beta, 1e-6f);
    }
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < width; i++) {
            mean += (double)x[r * width + i] / (double)width;
        }
        for (int64_t i = 0; i < width; i++) {
            variance += pow((double)x[r * width + i] - mean, 2) / (double)width;
        }
        condition = fmax(condition, fabs(mean) / sqrt(variance + (double)1e-6f));
        for (int64_t i = 0; i < width; i++) {
            double want = ((double)x[r * width + i] - mean) / sqrt(variance + (double)1e-6f) *
                              (double)gamma[i] +
                          (double)beta[i];
            worst = fmax(worst, fabs((double)out[r * width + i] - want));
            largest = fmax(largest, fabs(want));
        }
    }
    /* the mean is rounded: values that lie close together far from 0 cost precision in any order of
     * sums */
    CHECK_NEAR(worst / largest, 0, NORM_LIMIT * condition);
    CHECK(out[rows * width] == SENTINEL);
    for (int64_t r = 0; r < rows; r++) {
        ops->layer_norm(x + r * width, x + r * width, (size_t)width, gamma, beta, 1e-6f);
    }
    CHECK(memcmp(x, out, (size_t)(rows * width) * sizeof *x) == 0);
    free(x);
    free(out);
    free(gamma);
    free(beta);
}

static void layer_norm_is_accurate_in_place_too(void) {
    static const int64_t WIDTHS[] = {1, 2, 3, 15, 48, 80, 96, 257, 768, 1024};
    int i = 0;
    for (const struct level *ops = next_level(&i); ops != NULL; ops = next_level(&i)) {
        for (size_t w = 0; w < sizeof WIDTHS / sizeof *WIDTHS; w++) {
            check_norm(ops, 3, WIDTHS[w], 0);
            check_norm(ops, 2, WIDTHS[w], 10);
        }
    }
}

static void add_is_a_sum(void) {
    int level = 0;
    for (const struct level *ops = next_level(&level); ops != NULL; ops = next_level(&level)) {
        for (int c = 0; c < COUNT_COUNT; c++) {
            size_t count = COUNTS[c];
            float a[1001], b[1001], out[1001];
            for (size_t i = 0; i < count; i++) {
                a[i] = normal();
                b[i] = normal();
            }
            out[count] = SENTINEL;
            ops->add(out, a, b, count);
            for (size_t i = 0; i < count; i++) {
                CHECK(out[i] == a[i] + b[i]);
            }
            CHECK(out[count] == SENTINEL);
        }
    }
}

static void to_bf16_rounds_to_nearest_even(void) {
    static const uint32_t BITS[] = {0,          0x80000000, 0x3F800000, 0x3F808000, 0x3F818000,
                                    0x3F807FFF, 0x3F808001, 0x7F800000, 0xFF800000, 0x7F7FFFFF,
                                    0x7F800001, 0xFFC00000, 0x00000001, 0x00018000, 0x007FFFFF};
    enum { BIT_COUNT = sizeof BITS / sizeof *BITS };
    int level = 0;
    for (const struct level *ops = next_level(&level); ops != NULL; ops = next_level(&level)) {
        for (int c = 0; c < COUNT_COUNT; c++) {
            size_t count = COUNTS[c];
            float x[1001];
            uint16_t out[1001];
            for (size_t i = 0; i < count; i++) {
                uint32_t bits = BITS[i % BIT_COUNT] + (i < BIT_COUNT ? 0 : (uint32_t)i * 7919);
                memcpy(&x[i], &bits, sizeof bits);
            }
            out[count] = 0xABCD;
            ops->to_bf16(out, x, count);
            for (size_t i = 0; i < count; i++) {
                CHECK_NUMBER(out[i], bf16_of(x[i]));
            }
            CHECK_NUMBER(out[count], 0xABCD);
        }
    }
}

static void gelu_to_bf16_is_as_good_as_bf16(void) {
    int level = 0;
    for (const struct level *ops = next_level(&level); ops != NULL; ops = next_level(&level)) {
        for (int c = 0; c < COUNT_COUNT; c++) {
            size_t count = COUNTS[c];
            float x[1001];
            uint16_t out[1001];
            for (size_t i = 0; i < count; i++) {
                x[i] = i % 7 == 3 ? 40 * uniform() : 3 * normal();
            }
            out[count] = 0xABCD;
            ops->gelu_to_bf16(out, x, count);
            for (size_t i = 0; i < count; i++) {
                double want = gelu_of((double)x[i]);
                CHECK_NEAR((double)float_of_bf16(out[i]), want,
                           0x1p-8 * fabs(want) + 1e-4 * fabs((double)x[i]));
            }
            CHECK_NUMBER(out[count], 0xABCD);
        }
    }
}

/* ---- The choice ------------------------------------------------------------------------------ */

static void an_unknown_level_is_refused_with_those_that_are_known(void) {
    struct error e;
    setenv("OCC_CPU", "nonsense", 1);
    CHECK(level_choose(&e) == NULL);
    CHECK_TEXT(e.text, "OCC_CPU=nonsense: the levels are amx, avx512bf16, avx512, avx2, portable");
    setenv("OCC_CPU", "portable", 1);
    CHECK_TEXT(level_choose(&e)->name, "portable");
    unsetenv("OCC_CPU");
    CHECK(level_choose(&e) != NULL);
}

int main(void) {
    RUN(gelu_is_exact);
    RUN(quick_gelu_is_exact);
    RUN(layer_norm_is_accurate_in_place_too);
    RUN(add_is_a_sum);
    RUN(to_bf16_rounds_to_nearest_even);
    RUN(gelu_to_bf16_is_as_good_as_bf16);
    RUN(an_unknown_level_is_refused_with_those_that_are_known);
    return test_finish();
}
