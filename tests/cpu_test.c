/* cpu_test.c - kernels of the CPU's levels that no operation shows by itself. */
#define _DEFAULT_SOURCE /* setenv */
#include "compress/cpu/level.h"

#include <stdint.h>

#include "store/dtype.h"
#include "tests/test.h"

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

static const size_t COUNTS[] = {0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 100, 1000};
enum { COUNT_COUNT = sizeof COUNTS / sizeof *COUNTS };
#define SENTINEL 12345.0f

/* ---- BF16 ----------------------------------------------------------------------------- */

static double gelu_of(double x) {
    return 0.5 * x * erfc(-x / sqrt(2));
}

/* The processor's instruction takes numbers below 2^-126 for zero, as its products do. */
static void check_bf16(uint16_t got, float x, bool instruction) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bool tiny = (bits & 0x7F800000) == 0;
    CHECK_NUMBER(got, tiny && instruction ? bits >> 31 << 15 : bf16_of(x));
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
                check_bf16(out[i], x[i], ops->has_bf16);
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

int main(void) {
    RUN(to_bf16_rounds_to_nearest_even);
    RUN(gelu_to_bf16_is_as_good_as_bf16);
    return test_finish();
}
