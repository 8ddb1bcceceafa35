/* frozen_matrix.h - random matrices in each format in which they stay, and what they stand for in
 * double precision. */
#ifndef OCC_TESTS_FROZEN_MATRIX_H
#define OCC_TESTS_FROZEN_MATRIX_H

#include <stdlib.h>
#include <string.h>

#include "compress/ops.h"
#include "tests/test.h"

/* Which way the numbers of a format are kept. */
struct frozen_kind {
    const char *name;
    enum frozen_format format;
    int64_t block; /* 0: a row */
    enum dtype scale_type;
};

static const struct frozen_kind FROZEN_KINDS[] = {
    {"f32", FROZEN_F32, 0, DTYPE_F32},
    {"bf16", FROZEN_BF16, 0, DTYPE_F32},
    {"int8 by row", FROZEN_I8, 0, DTYPE_F32},
    {"int8 by row, f16", FROZEN_I8, 0, DTYPE_F16},
    {"int8 in blocks", FROZEN_I8, 32, DTYPE_F16},
    {"int8 in blocks, f32", FROZEN_I8, 32, DTYPE_F32},
    {"int4", FROZEN_U4, 32, DTYPE_F16},
    {"int4, f32", FROZEN_U4, 32, DTYPE_F32},
};
enum { FROZEN_KIND_COUNT = sizeof FROZEN_KINDS / sizeof *FROZEN_KINDS };

struct frozen_test {
    struct frozen_matrix matrix;
    double *values; /* (outputs, inputs) */
    char *memory;   /* what `matrix` shows, one byte beyond any alignment */
};

static uint64_t frozen_state = 1;

static inline double frozen_random(void) { /* -1 to 1 */
    frozen_state = frozen_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(frozen_state >> 11) * 0x1p-52 - 1.0;
}

/* `count` numbers of `type` in memory of any alignment, as they are then read. */
static inline void frozen_put(char *to, double *values, enum dtype type, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float number = (float)values[i];
        char bytes[4];
        dtype_from_float(bytes, type, &number, 1);
        dtype_to_float(&number, bytes, type, 1);
        memcpy(to + i * (int64_t)dtype_size(type), bytes, dtype_size(type));
        values[i] = (double)number;
    }
}

/* Scales from 2^-18, which F16 has as a number below its normal ones, up to 1/8. */
static inline double frozen_scale(int64_t i) {
    return (1 + frozen_random() / 2) * (i % 7 == 3 ? 0x1p-18 : 0.125) / 16;
}

/* Numbers up to about `size`. */
static inline struct frozen_test frozen_make(const struct frozen_kind *k, int64_t outputs,
                                             int64_t inputs, double size) {
    const int64_t count = outputs * inputs, block = k->block > 0 ? k->block : inputs;
    const int64_t scales = outputs * (inputs / block);
    const int64_t scale_bytes = scales * (int64_t)dtype_size(k->scale_type);
    struct frozen_test f = {.matrix = {.format = k->format,
                                       .outputs = outputs,
                                       .inputs = inputs,
                                       .block = block,
                                       .scale_type = k->scale_type}};
    double *factors = calloc((size_t)scales, sizeof *factors);
    double *minima = calloc((size_t)scales, sizeof *minima);
    f.values = calloc((size_t)count, sizeof *f.values);
    f.memory = calloc(1, (size_t)(count * 4 + 2 * scale_bytes + 8));
    if (factors == NULL || minima == NULL || f.values == NULL || f.memory == NULL) {
        exit(1);
    }
    char *values = f.memory + 1, *at = values + count * 4;
    for (int64_t i = 0; i < count; i++) {
        f.values[i] = size * frozen_random();
    }
    for (int64_t i = 0; i < scales; i++) {
        factors[i] = size * frozen_scale(i);
        minima[i] = size * frozen_random();
    }
    f.matrix.values = values;
    if (k->format == FROZEN_F32 || k->format == FROZEN_BF16) {
        frozen_put(values, f.values, k->format == FROZEN_F32 ? DTYPE_F32 : DTYPE_BF16, count);
    } else {
        frozen_put(at, factors, k->scale_type, scales);
        f.matrix.scales = at;
    }
    if (k->format == FROZEN_U4) {
        frozen_put(at + scale_bytes, minima, k->scale_type, scales);
        f.matrix.minima = at + scale_bytes;
    }
    for (int64_t i = 0; i < count && f.matrix.scales != NULL; i++) {
        if (k->format == FROZEN_I8) {
            int q = (int)(f.values[i] / size * 127.9);
            values[i] = (char)q;
            f.values[i] = q * factors[i / block];
        } else {
            int q = (int)((f.values[i] / size + 1) * 7.999);
            int64_t in_block = i % 32;
            values[i / 32 * 16 + in_block % 16] |= (char)(in_block < 16 ? q : q << 4);
            f.values[i] = q * factors[i / 32] + minima[i / 32];
        }
    }
    free(factors);
    free(minima);
    return f;
}

static inline void frozen_free(struct frozen_test *f) {
    free(f->values);
    free(f->memory);
}

#endif
