/* frozen_body.h - frozen matrices: their rows as floats, and products with a few rows, for which
 * they are read once and never unpacked to memory. What lies in files has any alignment. */

/* Inputs are taken by as many at a time; blocks are whole pieces. */
enum { PIECE = 32, PIECE_VECTORS = PIECE / LANES };

typedef float stray __attribute__((vector_size(LANES * 4), aligned(1), may_alias));

#define SPECIALISED static inline __attribute__((always_inline))

/* LANES times 16 bits. */
static inline uvec wide_halves(const char *p) {
#if LANES == 16
    return (uvec)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
#elif LANES == 8
    return (uvec)_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));
#else
    hvec halves;
    memcpy(&halves, p, sizeof halves);
    return __builtin_convertvector(halves, uvec);
#endif
}

/* ---- Scales ---------------------------------------------------------------------------------- */

/* LANES numbers of F16. */
static inline vec floats_of_halves(const char *p) {
#if LANES == 16
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
#else
    /* Exponents of F16 count from 15 less. Numbers below 2^-14 have none: they are what is left
     * when 2^-14 is taken away from 2^-14 and themselves. */
    const uvec halves = wide_halves(p), bits = (halves & 0x7FFF) << 13,
               exponent = bits & 0x0F800000;
    const vec normal = (vec)(bits + ((127 - 15) << 23));
    const vec below = (vec)(bits + ((127 - 14) << 23)) - 0x1p-14f;
    const vec beyond = (vec)(bits | 0x7F800000);
    vec x = pick((ivec)(exponent == 0), below, normal);
    x = pick((ivec)(exponent == 0x0F800000), beyond, x);
    return (vec)((uvec)x | (halves & 0x8000) << 16);
#endif
}

/* `count` scales or minima from number `first` on, and LANES zeros. */
static void load_scales(float *out, const void *scales, enum dtype type, int64_t first,
                        int64_t count) {
    const char *at = (const char *)scales + first * (int64_t)dtype_size(type);
    int64_t i = 0;
    store(out + count, (vec){0});
    if (type == DTYPE_F32) {
        memcpy(out, at, (size_t)count * sizeof *out);
        return;
    }
    for (; i + LANES <= count; i += LANES) {
        store(out + i, floats_of_halves(at + i * 2));
    }
    if (i < count) {
        char rest[LANES * 2] = {0};
        memcpy(rest, at + i * 2, (size_t)(count - i) * 2);
        store_part(out + i, floats_of_halves(rest), (size_t)(count - i));
    }
}

/* ---- Values ---------------------------------------------------------------------------------- */

static inline ivec signed_bytes(const char *p) {
#if LANES == 16
    return (ivec)_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
#elif LANES == 8
    return (ivec)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p));
#else
    signed char bytes[LANES];
    memcpy(bytes, p, sizeof bytes);
    return (ivec){bytes[0], bytes[1], bytes[2], bytes[3]};
#endif
}

static inline vec floats_of(ivec x) {
    return __builtin_convertvector(x, vec);
}

/* The numbers in the low and in the high halves of LANES bytes. */
static inline void both_halves(vec *low, vec *high, const char *p) {
#if LANES == 16
    /* A look into a table takes the four lowest bits of each lane and no conversion. */
    const __m512 numbers = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i both = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
    *low = (vec)_mm512_permutexvar_ps(both, numbers);
    *high = (vec)_mm512_permutexvar_ps(_mm512_srli_epi32(both, 4), numbers);
#else
    const ivec both = signed_bytes(p);
    *low = floats_of(both & 15);
    *high = floats_of(both >> 4 & 15);
#endif
}

/* A piece of a row, without scale and minimum. */
SPECIALISED void load_piece(vec w[PIECE_VECTORS], enum frozen_format format, const char *p) {
    if (format == FROZEN_U4) {
        for (int v = 0; v < PIECE_VECTORS / 2; v++) {
            both_halves(&w[v], &w[PIECE_VECTORS / 2 + v], p + v * LANES);
        }
        return;
    }
    for (int v = 0; v < PIECE_VECTORS; v++) {
        if (format == FROZEN_F32) {
            w[v] = *(const stray *)(p + v * LANES * 4);
        } else if (format == FROZEN_BF16) {
            w[v] = (vec)(wide_halves(p + v * LANES * 2) << 16);
        } else {
            w[v] = floats_of(signed_bytes(p + v * LANES));
        }
    }
}

/* Bytes of `count` inputs. */
SPECIALISED int64_t value_bytes(enum frozen_format format, int64_t count) {
    return format == FROZEN_F32    ? count * 4
           : format == FROZEN_BF16 ? count * 2
           : format == FROZEN_I8   ? count
                                   : count / 2;
}

/* The same of what is left after whole pieces, with zeros. Never of 4 bits. */
SPECIALISED void load_rest(vec w[PIECE_VECTORS], enum frozen_format format, const char *p,
                           int64_t count) {
    char rest[PIECE * sizeof(float)] = {0};
    memcpy(rest, p, (size_t)value_bytes(format, count));
    load_piece(w, format, rest);
}

/* ---- A row as floats ------------------------------------------------------------------------- */

SPECIALISED void unpack_part(float *out, enum frozen_format format, const char *values,
                             int64_t count, float scale, float minimum) {
    vec w[PIECE_VECTORS];
    for (int64_t i = 0; i < count; i += PIECE) {
        const char *p = values + value_bytes(format, i);
        const int64_t rest = count - i;
        float numbers[PIECE], *to = rest < PIECE ? numbers : out + i;
        if (rest < PIECE) {
            load_rest(w, format, p, rest);
        } else {
            load_piece(w, format, p);
        }
        for (int v = 0; v < PIECE_VECTORS; v++) {
            const bool scaled = format == FROZEN_I8 || format == FROZEN_U4;
            store(to + v * LANES, scaled ? w[v] * scale + minimum : w[v]);
        }
        if (rest < PIECE) {
            memcpy(out + i, numbers, (size_t)rest * sizeof *out);
        }
    }
}

enum { SCALES = 64 /* that are converted at a time */ };

/* Inputs [first, first + count) of a row; of blocks where they are not whole, a part. */
SPECIALISED void unpack_blocks(float *out, const struct frozen_matrix *m, int64_t row,
                               int64_t first, int64_t count, enum frozen_format format) {
    const char *values = (const char *)m->values + value_bytes(format, row * m->inputs);
    const int64_t blocks = m->inputs / m->block, end = first + count;
    float scales[SCALES + LANES], minima[SCALES + LANES] = {0};
    for (int64_t b = first / m->block; b * m->block < end; b += SCALES) {
        const int64_t left = (end + m->block - 1) / m->block - b;
        const int64_t converted = left < SCALES ? left : SCALES;
        load_scales(scales, m->scales, m->scale_type, row * blocks + b, converted);
        if (format == FROZEN_U4) {
            load_scales(minima, m->minima, m->scale_type, row * blocks + b, converted);
        }
        for (int64_t k = 0; k < converted; k++) {
            const int64_t begin = (b + k) * m->block, from = begin > first ? begin : first;
            const int64_t to = begin + m->block < end ? begin + m->block : end;
            unpack_part(out + from - first, format, values + value_bytes(format, from), to - from,
                        scales[k], minima[k]);
        }
    }
}

static void unpack(float *out, const struct frozen_matrix *m, int64_t row, int64_t first,
                   int64_t count) {
    const char *values = m->values;
    const int64_t at = row * m->inputs + first;
    switch (m->format) {
    case FROZEN_F32:
        memcpy(out, values + at * 4, (size_t)count * sizeof *out);
        break;
    case FROZEN_BF16:
        unpack_part(out, FROZEN_BF16, values + at * 2, count, 1, 0);
        break;
    case FROZEN_I8:
        unpack_blocks(out, m, row, first, count, FROZEN_I8);
        break;
    case FROZEN_U4:
        unpack_blocks(out, m, row, first, count, FROZEN_U4);
        break;
    }
}

/* ---- Products with a few rows ---------------------------------------------------------------- */

/* Rows are read one after the other: as a single stream memory is fastest. */
enum { AHEAD = 1024 /* bytes that are asked for before they are read */ };

/* A piece of a row by rows of x. */
SPECIALISED void add_piece(vec sums[FROZEN_DOT_ROWS][PIECE_VECTORS], const vec w[PIECE_VECTORS],
                           const float *x, int64_t x_stride, int rows) {
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < PIECE_VECTORS; v++) {
            sums[r][v] += w[v] * load(x + r * x_stride + v * LANES);
        }
    }
}

/* Sums over `count` inputs, lane by lane. */
SPECIALISED void add_products(vec sums[FROZEN_DOT_ROWS][PIECE_VECTORS], const char *values,
                              const float *x, int64_t x_stride, int64_t count,
                              enum frozen_format format, int rows) {
    vec w[PIECE_VECTORS];
    int64_t i = 0;
    for (; i + PIECE <= count; i += PIECE) {
        const char *p = values + value_bytes(format, i);
        __builtin_prefetch(p + AHEAD);
        load_piece(w, format, p);
        add_piece(sums, w, x + i, x_stride, rows);
    }
    if (i < count) {
        load_rest(w, format, values + value_bytes(format, i), count - i);
        add_piece(sums, w, x + i, x_stride, rows);
    }
}

/* The same of a block, times its scale. */
SPECIALISED void add_block(vec sums[FROZEN_DOT_ROWS], const char *values, float scale,
                           const float *x, int64_t x_stride, int64_t block,
                           enum frozen_format format, int rows) {
    vec parts[FROZEN_DOT_ROWS][PIECE_VECTORS] = {0};
    add_products(parts, values, x, x_stride, block, format, rows);
    for (int r = 0; r < rows; r++) {
        vec part = parts[r][0];
        for (int v = 1; v < PIECE_VECTORS; v++) {
            part += parts[r][v];
        }
        sums[r] += part * scale;
    }
}

/* A row of the matrix with its scales and minima by rows of x. */
SPECIALISED void dot_blocks(const struct frozen_dots *d, const char *values, const float *scales,
                            const float *minima, int64_t blocks, int64_t block, float *out,
                            enum frozen_format format, int rows) {
    vec sums[2][FROZEN_DOT_ROWS] = {0}; /* in turns, so that none waits for the one before */
    int64_t b = 0;
    for (; b + 2 <= blocks; b += 2) {
        for (int k = 0; k < 2; k++) {
            const int64_t at = (b + k) * block;
            add_block(sums[k], values + value_bytes(format, at), scales[b + k], d->x + at,
                      d->x_stride, block, format, rows);
        }
    }
    if (b < blocks) {
        add_block(sums[0], values + value_bytes(format, b * block), scales[b], d->x + b * block,
                  d->x_stride, block, format, rows);
    }
    for (int r = 0; r < rows; r++) {
        for (int64_t i = 0; i < blocks && format == FROZEN_U4; i += LANES) {
            sums[1][r] += load(minima + i) * load(d->sums + r * d->sums_stride + i);
        }
        out[r * d->out_stride] = sum_of(sums[0][r] + sums[1][r]);
    }
}

#if defined(__AVX512BF16__) && LANES == 16
/* In BF16 the number 128 + q, exactly, is the bits of 128 with q in the lowest ones: four halves of
 * bytes of each 16 bits become numbers without a conversion. The 128 are taken off with the
 * minimum: a block is scale (sum of (128 + q) x) + (minimum - 128 scale) (sum of x). */
static inline __m512bh with_128(__m512i of) {
    const __m512i lowest = _mm512_set1_epi16(0x000F), bits = _mm512_set1_epi16(0x4300);
    return (__m512bh)_mm512_ternarylogic_epi32(of, lowest, bits, 0xEA); /* of & lowest | bits */
}

/* See struct frozen_dots. Of each block the even bytes' numbers go first, low halves before high
 * ones; then the quarters of four blocks are turned like a matrix. */
static void order_halves(uint16_t *out, float *x, int64_t count) {
    const __m512i apart =
        _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 30, 28, 26, 24,
                         22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    for (int64_t i = 0; i < count; i += 4 * PIECE, x += 4 * PIECE, out += 4 * PIECE) {
        __m512i b[4];
        for (int k = 0; k < 4; k++) {
            float *at = x + k * PIECE;
            b[k] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(at + LANES), _mm512_loadu_ps(at));
            _mm512_storeu_si512((void *)out, b[k]);
            from_bf16(at, out, PIECE);
            b[k] = _mm512_permutexvar_epi16(apart, b[k]);
        }
        const __m512i even0 = _mm512_shuffle_i32x4(b[0], b[1], 0x44);
        const __m512i odd0 = _mm512_shuffle_i32x4(b[0], b[1], 0xEE);
        const __m512i even1 = _mm512_shuffle_i32x4(b[2], b[3], 0x44);
        const __m512i odd1 = _mm512_shuffle_i32x4(b[2], b[3], 0xEE);
        _mm512_storeu_si512((void *)out, _mm512_shuffle_i32x4(even0, even1, 0x88));
        _mm512_storeu_si512((void *)(out + 32), _mm512_shuffle_i32x4(even0, even1, 0xDD));
        _mm512_storeu_si512((void *)(out + 64), _mm512_shuffle_i32x4(odd0, odd1, 0x88));
        _mm512_storeu_si512((void *)(out + 96), _mm512_shuffle_i32x4(odd0, odd1, 0xDD));
    }
}

static inline __m512bh loose_pairs(const uint16_t *p) {
    return (__m512bh)_mm512_loadu_si512((const void *)p);
}

/* Four blocks, of which each has four lanes. */
SPECIALISED void add_four_blocks(vec sums[FROZEN_DOT_ROWS], __m512i values, const float *scales,
                                 const uint16_t *x, int64_t x_stride, int rows) {
    const __m512i which = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m512 four = _mm512_broadcast_f32x4(_mm_loadu_ps(scales));
    __asm__("" : "+v"(values)); /* stays in a register: loads are what there are most of */
    const vec scale = (vec)_mm512_permutevar_ps(four, which);
    const __m512bh w[4] = {with_128(values), with_128(_mm512_srli_epi16(values, 4)),
                           with_128(_mm512_srli_epi16(values, 8)),
                           with_128(_mm512_srli_epi16(values, 12))};
    for (int r = 0; r < rows; r++) {
        __m512 part = _mm512_setzero_ps();
        for (int i = 0; i < 4; i++) {
            part = _mm512_dpbf16_ps(part, w[i], loose_pairs(x + r * x_stride + 32 * i));
        }
        sums[r] += (vec)part * scale;
    }
}

/* What dot_blocks does, of 4 bits in BF16. */
SPECIALISED void dot_halves(const struct frozen_dots *d, const char *values, const float *scales,
                            const float *minima, int64_t blocks, float *out, int rows) {
    enum { BYTES = PIECE / 2 /* of a block */, TOGETHER = 4 };
    vec sums[2][FROZEN_DOT_ROWS] = {0};
    int64_t b = 0;
    for (; b + 2 * TOGETHER <= blocks; b += 2 * TOGETHER) {
        for (int k = 0; k < 2; k++) {
            const int64_t at = b + TOGETHER * k;
            __builtin_prefetch(values + at * BYTES + AHEAD);
            add_four_blocks(sums[k], _mm512_loadu_si512((const void *)(values + at * BYTES)),
                            scales + at, d->halves + at * PIECE, d->halves_stride, rows);
        }
    }
    for (; b < blocks; b += TOGETHER) {
        const int64_t rest = (blocks - b) * BYTES;
        const __mmask64 there = rest < 64 ? ((__mmask64)1 << rest) - 1 : ~(__mmask64)0;
        add_four_blocks(sums[0], _mm512_maskz_loadu_epi8(there, values + b * BYTES), scales + b,
                        d->halves + b * PIECE, d->halves_stride, rows);
    }
    for (int r = 0; r < rows; r++) {
        for (int64_t i = 0; i < blocks; i += LANES) {
            sums[1][r] += (load(minima + i) - 128 * load(scales + i)) *
                          load(d->sums + r * d->sums_stride + i);
        }
        out[r * d->out_stride] = sum_of(sums[0][r] + sums[1][r]);
    }
}
#endif

/* Scales of as many rows as there is room for are converted together. */
SPECIALISED void dots_of_blocks(const struct frozen_dots *d, const struct frozen_matrix *m,
                                int64_t first, int64_t count, int64_t block,
                                enum frozen_format format, int rows) {
    float scales[FROZEN_DOT_BLOCKS + LANES], minima[FROZEN_DOT_BLOCKS + LANES];
    const int64_t blocks = m->inputs / block, together = FROZEN_DOT_BLOCKS / blocks;
    const char *values = (const char *)m->values + first * value_bytes(format, m->inputs);
    for (int64_t begin = 0; begin < count; begin += together) {
        const int64_t end = count < begin + together ? count : begin + together;
        const int64_t at = (first + begin) * blocks, converted = (end - begin) * blocks;
        load_scales(scales, m->scales, m->scale_type, at, converted);
        if (format == FROZEN_U4) {
            load_scales(minima, m->minima, m->scale_type, at, converted);
        }
        for (int64_t o = begin; o < end; o++) {
            const int64_t scale = (o - begin) * blocks;
#if defined(__AVX512BF16__) && LANES == 16
            if (format == FROZEN_U4 && d->halves != NULL) {
                dot_halves(d, values, scales + scale, minima + scale, blocks, d->out + o, rows);
                values += value_bytes(format, m->inputs);
                continue;
            }
#endif
            dot_blocks(d, values, scales + scale, minima + scale, blocks, block, d->out + o, format,
                       rows);
            values += value_bytes(format, m->inputs);
        }
    }
}

static inline float scale_of(const struct frozen_matrix *m, int64_t i) {
    float scale[1 + LANES];
    load_scales(scale, m->scales, m->scale_type, i, 1);
    return scale[0];
}

/* Without blocks. */
SPECIALISED void dots_of_floats(const struct frozen_dots *d, const struct frozen_matrix *m,
                                int64_t first, int64_t count, enum frozen_format format, int rows) {
    const int64_t row_bytes = value_bytes(format, m->inputs);
    const char *values = (const char *)m->values + first * row_bytes;
    for (int64_t o = 0; o < count; o++) {
        const float scale = format == FROZEN_I8 ? scale_of(m, first + o) : 1;
        vec sums[FROZEN_DOT_ROWS][PIECE_VECTORS] = {0};
        add_products(sums, values + o * row_bytes, d->x, d->x_stride, m->inputs, format, rows);
        for (int r = 0; r < rows; r++) {
            vec sum = sums[r][0];
            for (int v = 1; v < PIECE_VECTORS; v++) {
                sum += sums[r][v];
            }
            d->out[r * d->out_stride + o] = sum_of(sum) * scale;
        }
    }
}

SPECIALISED void dots_of(const struct frozen_dots *d, const struct frozen_matrix *m, int64_t first,
                         int64_t count, int rows) {
    switch (m->format) {
    case FROZEN_F32:
        dots_of_floats(d, m, first, count, FROZEN_F32, rows);
        break;
    case FROZEN_BF16:
        dots_of_floats(d, m, first, count, FROZEN_BF16, rows);
        break;
    case FROZEN_I8:
        if (m->block == m->inputs) {
            dots_of_floats(d, m, first, count, FROZEN_I8, rows);
        } else if (m->block == PIECE) {
            dots_of_blocks(d, m, first, count, PIECE, FROZEN_I8, rows);
        } else {
            dots_of_blocks(d, m, first, count, m->block, FROZEN_I8, rows);
        }
        break;
    case FROZEN_U4:
        dots_of_blocks(d, m, first, count, PIECE, FROZEN_U4, rows);
        break;
    }
}

static void frozen_dots(const struct frozen_dots *d, const struct frozen_matrix *m, int64_t first,
                        int64_t count) {
    switch (d->rows) {
    case 1:
        dots_of(d, m, first, count, 1);
        break;
    case 2:
        dots_of(d, m, first, count, 2);
        break;
    default:
        dots_of(d, m, first, count, FROZEN_DOT_ROWS);
    }
}

#if defined(__AVX512BF16__) && LANES == 16
#define ORDER_HALVES order_halves
#else
#define ORDER_HALVES NULL
#endif
