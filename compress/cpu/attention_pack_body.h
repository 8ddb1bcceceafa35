/* attention_pack_body.h - how the attention of a level lays out what it multiplies. An element is 4
 * bytes: PACK values of the inner dimension of a product, 1 (F32) or 2 (BF16). */

/* ---- Rows of numbers --------------------------------------------------------------------- */

/* One head of tokens in rows, of which lines of `wide` floats are made: in whole vectors. */
struct source {
    const struct attention_rows *rows;
    const int64_t *place;
    int64_t head, dim, wide;
};

/* A line of one token, zeros where there is nothing. */
static void stage_line(float *to, const struct source *x, int64_t token) {
    const struct attention_rows *rows = x->rows;
    int64_t t = x->place != NULL ? x->place[token] : token;
    int64_t at = x->head * rows->head + t * rows->step;
    if (t >= 0 && rows->type == DTYPE_BF16) {
        const uint16_t *from = (const uint16_t *)rows->data + at;
        int64_t d = 0;
        for (; d + LANES <= x->dim; d += LANES) {
            store(to + d, (vec)(wide_halves((const char *)(from + d)) << 16));
        }
        for (; d < x->dim; d++) {
            to[d] = float_of_bf16(from[d]);
        }
    } else {
        const float *from = t < 0 ? rows->pad + x->head * x->dim : (const float *)rows->data + at;
        memcpy(to, from, (size_t)x->dim * sizeof *to);
    }
    for (int64_t d = x->dim; d < x->wide; d++) {
        to[d] = 0;
    }
}

/* lines (total) become those of tokens [first, first + count), and zeros: where they lie already,
 * or in `room` (total + 1, wide). */
static void find_lines(const float **lines, float *room, const struct source *x, int64_t first,
                       int64_t count, int64_t total) {
    const struct attention_rows *rows = x->rows;
    bool there = rows->type == DTYPE_F32 && x->dim == x->wide;
    for (int64_t i = 0; i < count; i++) {
        int64_t t = x->place != NULL ? x->place[first + i] : first + i;
        if (there) {
            lines[i] = t < 0 ? rows->pad + x->head * x->dim
                             : (const float *)rows->data + x->head * rows->head + t * rows->step;
        } else {
            stage_line(room + i * x->wide, x, first + i);
            lines[i] = room + i * x->wide;
        }
    }
    float *nothing = room + total * x->wide;
    for (int64_t d = 0; d < x->wide && count < total; d++) {
        nothing[d] = 0;
    }
    for (int64_t i = count; i < total; i++) {
        lines[i] = nothing;
    }
}

/* Those of a dense matrix. */
static void dense_lines(const float **lines, const float *matrix, int64_t width, int64_t total) {
    for (int64_t i = 0; i < total; i++) {
        lines[i] = matrix + i * width;
    }
}

/* Sets those tokens to `factor` times lines of `wide` floats. */
static void set_rows(const struct attention_rows *x, const int64_t *place, int64_t head,
                     int64_t first, int64_t count, int64_t dim, const float *from, int64_t wide,
                     const float *factors) {
    for (int64_t i = 0; i < count; i++, from += wide) {
        int64_t t = place != NULL ? place[first + i] : first + i;
        int64_t at = head * x->head + t * x->step;
        if (t < 0) {
            continue;
        }
        if (x->type == DTYPE_F32) {
            float *to = (float *)x->data + at;
            for (int64_t d = 0; d < dim; d++) {
                to[d] = from[d] * factors[i];
            }
        } else {
            uint16_t *to = (uint16_t *)x->data + at;
            for (int64_t d = 0; d < dim; d++) {
                to[d] = bf16_of(from[d] * factors[i]);
            }
        }
    }
}

/* Adds `factor` times lines of `wide` floats. */
static void add_rows(const struct attention_rows *x, int64_t head, int64_t first, int64_t count,
                     int64_t dim, const float *from, int64_t wide, float factor) {
    for (int64_t i = 0; i < count; i++, from += wide) {
        int64_t at = head * x->head + (first + i) * x->step;
        if (x->type == DTYPE_F32) {
            float *to = (float *)x->data + at;
            for (int64_t d = 0; d < dim; d++) {
                to[d] += from[d] * factor;
            }
        } else {
            uint16_t *to = (uint16_t *)x->data + at;
            for (int64_t d = 0; d < dim; d++) {
                to[d] = bf16_of(float_of_bf16(to[d]) + from[d] * factor);
            }
        }
    }
}

/* ---- Elements ------------------------------------------------------------------------------ */

/* Every other lane of two vectors, beginning with the first half or the second. */
#if LANES == 16
#define MERGED(a, b, half)                                                                         \
    __builtin_shufflevector(a, b, (half), 16 + (half), 1 + (half), 17 + (half), 2 + (half),        \
                            18 + (half), 3 + (half), 19 + (half), 4 + (half), 20 + (half),         \
                            5 + (half), 21 + (half), 6 + (half), 22 + (half), 7 + (half),          \
                            23 + (half))
#elif LANES == 8
#define MERGED(a, b, half)                                                                         \
    __builtin_shufflevector(a, b, (half), 8 + (half), 1 + (half), 9 + (half), 2 + (half),          \
                            10 + (half), 3 + (half), 11 + (half))
#else
#define MERGED(a, b, half) __builtin_shufflevector(a, b, (half), 4 + (half), 1 + (half), 5 + (half))
#endif

/* One turn of the bits of an element's place, (row, column), by one. */
static inline void turn_bits(vec *out, const vec *in) {
    for (int i = 0; i < LANES / 2; i++) {
        out[2 * i] = MERGED(in[i], in[i + LANES / 2], 0);
        out[2 * i + 1] = MERGED(in[i], in[i + LANES / 2], LANES / 2);
    }
}

/* out (LANES, LANES) = in turned over: half of the bits have changed places with the others. */
static inline void turn_square(float *out, int64_t out_stride, const float *in, int64_t in_stride) {
    vec a[LANES], b[LANES];
    for (int i = 0; i < LANES; i++) {
        a[i] = load(in + i * in_stride);
    }
    turn_bits(b, a);
    turn_bits(a, b);
#if LANES > 4
    turn_bits(b, a);
#endif
#if LANES > 8
    turn_bits(a, b);
#endif
    for (int i = 0; i < LANES; i++) {
        store(out + i * out_stride, LANES == 8 ? b[i] : a[i]);
    }
}

/* out (columns, rows) = in (rows, columns), both whole vectors. */
static void turn(float *out, int64_t out_stride, const float *in, int64_t in_stride, int64_t rows,
                 int64_t columns) {
    for (int64_t i = 0; i < rows; i += LANES) {
        for (int64_t j = 0; j < columns; j += LANES) {
            turn_square(out + j * out_stride + i, out_stride, in + i * in_stride + j, in_stride);
        }
    }
}

/* As a product reads it. */
static inline vec rounded(vec v) {
#if PACK == 1
    return v;
#else
    uvec bits = (uvec)v;
    return (vec)((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
#endif
}

static inline void store_elements(float *out, vec v) {
#if PACK == 1
    store(out, v);
#else
    store_bf16((uint16_t *)(void *)out, v);
#endif
}

/* Elements of pairs in a line: (count, width / PACK), rows `stride` apart. */
static void pack_lines(float *out, int64_t stride, const float *const *lines, int64_t count,
                       int64_t width) {
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < width; j += LANES) {
            store_elements(out + i * stride + j / PACK, load(lines[i] + j));
        }
    }
}

/* Elements of pairs of lines: (count / PACK, width). */
static void pack_pairs(float *out, const float *const *lines, int64_t count, int64_t width) {
    for (int64_t i = 0; i < count; i += PACK, out += width) {
        for (int64_t j = 0; j < width; j += LANES) {
#if PACK == 1
            store(out + j, load(lines[i] + j));
#else
            store(out + j, pair_of(load(lines[i] + j), load(lines[i + 1] + j)));
#endif
        }
    }
}

/* ---- Products ---------------------------------------------------------------------------- */

#ifndef BLOCK_PRODUCT
#define ROW_UNIT TILE_ROWS

/* c (tile_rows, vectors) (+)= a (tile_rows, depth) b (depth, vectors); strides in elements. */
static inline __attribute__((always_inline)) void
tile_product(float *c, int64_t c_stride, const float *a, int64_t a_stride, const float *b,
             int64_t b_stride, int64_t depth, int tile_rows, int vectors, bool accumulate) {
    vec sums[2 * TILE_ROWS][TILE_VECTORS];
    for (int i = 0; i < tile_rows; i++) {
        for (int j = 0; j < vectors; j++) {
            sums[i][j] = accumulate ? load(c + i * c_stride + j * LANES) : (vec){0};
        }
    }
    for (int64_t d = 0; d < depth; d++) {
        vec row[TILE_VECTORS];
        for (int j = 0; j < vectors; j++) {
            row[j] = load(b + d * b_stride + j * LANES);
        }
        for (int i = 0; i < tile_rows; i++) {
            vec element = all_of(a + i * a_stride + d);
            for (int j = 0; j < vectors; j++) {
                sums[i][j] = multiply_add(sums[i][j], element, row[j]);
            }
        }
    }
    for (int i = 0; i < tile_rows; i++) {
        for (int j = 0; j < vectors; j++) {
            store(c + i * c_stride + j * LANES, sums[i][j]);
        }
    }
}

/* c (rows, columns of a tile) likewise. One vector alone takes more rows, so that no sum waits for
 * the one before. */
static inline __attribute__((always_inline)) void
tiles_product(float *c, int64_t c_stride, const float *a, int64_t a_stride, const float *b,
              int64_t b_stride, int64_t rows, int64_t depth, int vectors, bool accumulate) {
    int64_t i = 0;
    for (; vectors == 1 && i + 2 * TILE_ROWS <= rows; i += 2 * TILE_ROWS) {
        tile_product(c + i * c_stride, c_stride, a + i * a_stride, a_stride, b, b_stride, depth,
                     2 * TILE_ROWS, 1, accumulate);
    }
    for (; i < rows; i += TILE_ROWS) {
        tile_product(c + i * c_stride, c_stride, a + i * a_stride, a_stride, b, b_stride, depth,
                     TILE_ROWS, vectors, accumulate);
    }
}

/* c (rows, columns) (+)= a (rows, depth) b (depth, columns). rows: rounded up to whole tiles by the
 * callers' buffers; columns: whole vectors. */
static void block_product(float *c, int64_t c_stride, const float *a, int64_t a_stride,
                          const float *b, int64_t b_stride, int64_t rows, int64_t columns,
                          int64_t depth, bool accumulate) {
    int64_t step = TILE_VECTORS * LANES;
    for (int64_t j = 0; j < columns; j += step) {
        int64_t vectors = columns - j < step ? (columns - j) / LANES : TILE_VECTORS;
        switch (vectors) {
#if TILE_VECTORS > 2
        case 4:
            tiles_product(c + j, c_stride, a, a_stride, b + j, b_stride, rows, depth, 4,
                          accumulate);
            break;
        case 3:
            tiles_product(c + j, c_stride, a, a_stride, b + j, b_stride, rows, depth, 3,
                          accumulate);
            break;
#endif
        case 2:
            tiles_product(c + j, c_stride, a, a_stride, b + j, b_stride, rows, depth, 2,
                          accumulate);
            break;
        default:
            tiles_product(c + j, c_stride, a, a_stride, b + j, b_stride, rows, depth, 1,
                          accumulate);
        }
    }
}
#endif
