/* gemm_body.h - see gemm.h: what a level packs and multiplies with, after attention_body.h, whose
 * products and squares it has. */
#include "compress/cpu/gemm.h"

/* LANES numbers, which lie at any alignment, and those of them that are there. */
static inline vec line_floats(const void *line, enum dtype type, int64_t i) {
    return type == DTYPE_F32 ? (vec) * (const stray *)((const char *)line + i * 4)
                             : (vec)(wide_halves((const char *)line + i * 2) << 16);
}

static inline vec rest_floats(const void *line, enum dtype type, int64_t i, int64_t count) {
    char rest[LANES * 4] = {0};
    const int64_t size = type == DTYPE_F32 ? 4 : 2;
    if (count > 0) {
        memcpy(rest, (const char *)line + i * size,
               (size_t)(count < LANES ? count * size : LANES * size));
    }
    return line_floats(rest, type, 0);
}

static inline vec floats_at(const void *line, enum dtype type, int64_t i, int64_t width) {
    return i + LANES <= width ? line_floats(line, type, i) : rest_floats(line, type, i, width - i);
}

static void gemm_pack_line(float *out, int64_t elements, const void *line, enum dtype type,
                           int64_t width) {
    const int64_t numbers = elements * PACK;
    int64_t i = 0;
    width = line != NULL ? width : 0;
    if (PACK == 2 && type == DTYPE_BF16) {
        if (width > 0) {
            memcpy(out, line, (size_t)width * 2);
        }
        memset((char *)out + width * 2, 0, (size_t)(numbers - width) * 2);
        return;
    }
    for (; i < numbers; i += LANES) {
        store_elements(out + i / PACK, floats_at(line, type, i, width));
    }
}

#if PACK == 2
/* Whole runs of 32 of two lines of BF16; returns how many numbers that were. */
static int64_t pack_whole_pairs(float *out, const uint16_t *first, const uint16_t *second,
                                int64_t width) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    int64_t i = 0;
    for (; i + 32 <= width; i += 32) {
        const __m512i a = _mm512_loadu_si512((const void *)(first + i));
        const __m512i b = _mm512_loadu_si512((const void *)(second + i));
        _mm512_storeu_si512((void *)(out + i), _mm512_permutex2var_epi16(a, low, b));
        _mm512_storeu_si512((void *)(out + i + 16), _mm512_permutex2var_epi16(a, high, b));
    }
    return i;
}
#endif

static void gemm_pack_pair(float *out, int64_t elements, const void *const lines[2],
                           enum dtype type, int64_t width) {
    int64_t i = 0;
#if PACK == 2
    if (type == DTYPE_BF16 && lines[0] != NULL && lines[1] != NULL) {
        i = pack_whole_pairs(out, lines[0], lines[1], width);
    }
#endif
    for (; i < elements; i += LANES) {
        const vec first = floats_at(lines[0], type, i, lines[0] != NULL ? width : 0);
#if PACK == 1
        store(out + i, first);
#else
        const vec second = floats_at(lines[1], type, i, lines[1] != NULL ? width : 0);
        if (type == DTYPE_BF16) {
            store(out + i, (vec)((uvec)first >> 16 | (uvec)second));
        } else {
            store(out + i, pair_of(first, second));
        }
#endif
    }
}

#ifndef GEMM_BEGIN
#define GEMM_BEGIN
#define GEMM_END
#endif

static void gemm_multiply(float *c, int64_t c_stride, const float *a, int64_t a_stride,
                          const float *b, int64_t b_stride, int64_t rows, int64_t columns,
                          int64_t depth, bool accumulate) {
    GEMM_BEGIN;
    block_product(c, c_stride, a, a_stride, b, b_stride, rows, columns, depth, accumulate);
    GEMM_END;
}

#define GEMM                                                                                       \
    {                                                                                              \
        .pack = PACK, .row_unit = ROW_UNIT, .column_unit = LANES, .depth_unit = DEPTH_UNIT,        \
        .square = LANES, .pack_line = gemm_pack_line, .pack_pair = gemm_pack_pair, .turn = turn,   \
        .multiply = gemm_multiply                                                                  \
    }
