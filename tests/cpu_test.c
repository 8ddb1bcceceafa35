/* cpu_test.c - kernels of the CPU's levels that no operation shows by itself. */
#define _DEFAULT_SOURCE /* setenv */
#include "compress/cpu/level.h"

#include <stdint.h>

#include "store/dtype.h"
#include "tests/test.h"

/* Largest errors allowed, relative to the largest value. */
#define ATTENTION_LIMIT 3e-6
#define ATTENTION_BF16_LIMIT 1.2e-2

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

/* ---- BF16 ----------------------------------------------------------------------------- */

static double gelu_of(double x) {
    return 0.5 * x * erfc(-x / sqrt(2));
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

/* ---- Attention ---------------------------------------------------------------------------- */

struct problem {
    int64_t tokens, dim, stride;
    struct head_position position; /* height 0: none */
    float *qkv, *rel_h, *rel_w;
    double *want;
};

static double dot(const float *a, const float *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static void solve(struct problem *p) {
    const struct head_position *at = &p->position;
    double *scores = malloc((size_t)p->tokens * sizeof *scores);
    if (scores == NULL) {
        exit(1);
    }
    for (int64_t i = 0; i < p->tokens; i++) {
        const float *q = p->qkv + i * p->stride;
        double most = -1e300, total = 0;
        for (int64_t j = 0; j < p->tokens; j++) {
            const float *k = p->qkv + j * p->stride + p->dim;
            scores[j] = dot(q, k, p->dim) / sqrt((double)p->dim);
            if (at->height > 0) {
                int64_t dy = i / at->width - j / at->width + at->height - 1;
                int64_t dx = i % at->width - j % at->width + at->width - 1;
                scores[j] += dot(q, at->rel_h + dy * p->dim, p->dim) +
                             dot(q, at->rel_w + dx * p->dim, p->dim);
            }
            most = fmax(most, scores[j]);
        }
        for (int64_t j = 0; j < p->tokens; j++) {
            scores[j] = exp(scores[j] - most);
            total += scores[j];
        }
        for (int64_t d = 0; d < p->dim; d++) {
            double sum = 0;
            for (int64_t j = 0; j < p->tokens; j++) {
                sum += scores[j] * (double)p->qkv[j * p->stride + 2 * p->dim + d];
            }
            p->want[i * p->dim + d] = sum / total;
        }
    }
    free(scores);
}

static void problem_new(struct problem *p, int64_t tokens, int64_t dim, int64_t height,
                        float spread) {
    int64_t width = height > 0 ? tokens / height : 0;
    *p = (struct problem){.tokens = tokens, .dim = dim, .stride = 3 * dim + 5};
    p->qkv = floats(tokens * p->stride);
    p->rel_h = floats((2 * height + 1) * dim);
    p->rel_w = floats((2 * width + 1) * dim);
    p->want = malloc((size_t)(tokens * dim) * sizeof *p->want);
    for (int64_t i = 0; i < tokens * p->stride; i++) {
        p->qkv[i] = normal() * (i % p->stride < 2 * dim ? spread : 1);
    }
    for (int64_t i = 0; i < (2 * height + 1) * dim; i++) {
        p->rel_h[i] = 0.2f * normal();
    }
    for (int64_t i = 0; i < (2 * width + 1) * dim; i++) {
        p->rel_w[i] = 0.2f * normal();
    }
    p->position = (struct head_position){height, width, p->rel_h, p->rel_w};
    solve(p);
}

static void problem_end(struct problem *p) {
    free(p->qkv);
    free(p->rel_h);
    free(p->rel_w);
    free(p->want);
}

/* max|out - want| / max|v|; also that nothing is written beside the output, and that nothing
 * depends on what the scratch memory held. */
static double attention_error(const struct level *ops, const struct problem *p, bool bf16) {
    const struct head_position *position = p->position.height > 0 ? &p->position : NULL;
    int64_t out_stride = p->dim + 3;
    size_t scratch_size = ops->attention_scratch(p->tokens, p->dim, position);
    float *out = floats(p->tokens * out_stride), *scratch = floats((int64_t)(scratch_size / 4) + 1);
    for (size_t i = 0; i < scratch_size / 4; i++) {
        scratch[i] = NAN;
    }
    for (int64_t i = 0; i < p->tokens * out_stride; i++) {
        out[i] = SENTINEL;
    }
    ops->attention(out, out_stride, p->qkv, p->qkv + p->dim, p->qkv + 2 * p->dim, p->stride,
                   p->tokens, p->dim, position, bf16, scratch);
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < p->tokens; i++) {
        for (int64_t d = 0; d < out_stride; d++) {
            double got = (double)out[i * out_stride + d];
            if (d >= p->dim) {
                CHECK(got == (double)SENTINEL);
                continue;
            }
            double miss = fabs(got - p->want[i * p->dim + d]);
            worst = miss > worst || isnan(miss) ? miss : worst;
            largest = fmax(largest, fabs((double)p->qkv[i * p->stride + 2 * p->dim + d]));
        }
    }
    free(out);
    free(scratch);
    return worst / largest;
}

/* tokens, head_dim, rows of the grid (0: no positions) */
static const int64_t SHAPES[][3] = {
    {1, 16, 0},    {1, 64, 1},   {4, 12, 2},    {5, 7, 0},     {16, 16, 4},  {25, 12, 5},
    {49, 12, 7},   {50, 80, 5},  {64, 32, 8},   {64, 64, 0},   {65, 64, 0},  {96, 64, 6},
    {100, 1, 10},  {127, 64, 1}, {196, 64, 14}, {255, 64, 0},  {257, 64, 0}, {300, 33, 0},
    {400, 64, 20}, {520, 16, 0}, {800, 64, 20}, {1025, 32, 0}, {36, 256, 4}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static void attention_equals_the_plain_formula(void) {
    for (int i = 0; i < SHAPE_COUNT; i++) {
        struct problem p;
        problem_new(&p, SHAPES[i][0], SHAPES[i][1], SHAPES[i][2], 1);
        int level = 0;
        for (const struct level *ops = next_level(&level); ops != NULL; ops = next_level(&level)) {
            bool ok = CHECK_NEAR(attention_error(ops, &p, false), 0, ATTENTION_LIMIT);
            if (ops->has_bf16) {
                ok &= CHECK_NEAR(attention_error(ops, &p, true), 0, ATTENTION_BF16_LIMIT);
            }
            if (!ok) {
                printf("# %s, %d tokens of %d, %d rows\n", ops->name, (int)SHAPES[i][0],
                       (int)SHAPES[i][1], (int)SHAPES[i][2]);
            }
        }
        problem_end(&p);
    }
}

/* One key takes all: weights of the others are below what F32 can hold. */
static void a_huge_spread_of_scores_gives_no_nan(void) {
    struct problem p;
    problem_new(&p, 300, 64, 0, 30);
    int level = 0;
    for (const struct level *ops = next_level(&level); ops != NULL; ops = next_level(&level)) {
        CHECK_NEAR(attention_error(ops, &p, false), 0, 1e-3);
        if (ops->has_bf16) {
            CHECK(isfinite(attention_error(ops, &p, true)));
        }
    }
    problem_end(&p);
}

int main(void) {
    RUN(to_bf16_rounds_to_nearest_even);
    RUN(gelu_to_bf16_is_as_good_as_bf16);
    RUN(attention_equals_the_plain_formula);
    RUN(a_huge_spread_of_scores_gives_no_nan);
    return test_finish();
}
