/* frozen.h - the numbers of a frozen matrix, as kernels read them: eight of a row at a time. */
#ifndef OCC_COMPRESS_CUDA_FROZEN_H
#define OCC_COMPRESS_CUDA_FROZEN_H

#include "compress/cuda/halves.h"
#include "compress/cuda/linear.h"
#include "compress/cuda/rows.h"

enum { FROZEN_PIECE = 8, FROZEN_FEW = 8 /* rows that are multiplied without unpacking */ };

struct frozen_rows {
    const void *values, *scales, *minima;
    int64_t inputs;
    int blocks; /* of a row, each with its scale */
    int block;  /* inputs of one */
    bool half;  /* scales and minima are F16 */
};

static inline struct frozen_rows frozen_rows_of(const struct packed *w) {
    const struct frozen_matrix *m = &cuda_packed(w)->frozen;
    struct frozen_rows rows = {m->values, m->scales, m->minima, m->inputs, 0, 0, false};
    if (m->scales != NULL) {
        rows.blocks = (int)(m->inputs / m->block);
        rows.block = (int)m->block;
        rows.half = m->scale_type == DTYPE_F16;
    }
    return rows;
}

/* Whether rows are whole pieces, each of which lies as it can be loaded. */
static inline bool frozen_in_pieces(const struct packed *w) {
    return w->inputs % FROZEN_PIECE == 0;
}

static __device__ inline float frozen_scale(const struct frozen_rows *w, const void *scales,
                                            int64_t at) {
    return w->half ? gpu_float_of_f16(((const uint16_t *)scales)[at]) : ((const float *)scales)[at];
}

/* ---- A piece --------------------------------------------------------------------------------- */

/* As it is loaded. */
template <enum frozen_format format> struct frozen_piece {
    unsigned words[format == FROZEN_F32    ? 8
                   : format == FROZEN_BF16 ? 4
                   : format == FROZEN_I8   ? 2
                                           : 1];
    float scale, minimum; /* where the format has them */
};

/* Of 4 bits a piece is the two halves of 4 bytes, and its numbers stand in two fours; of all others
 * they follow each other. The column of the first four and of the second. */
template <enum frozen_format format> static __device__ inline int frozen_first(int piece) {
    return format == FROZEN_U4 ? piece / 4 * 32 + piece % 4 * 4 : piece * FROZEN_PIECE;
}

template <enum frozen_format format> static __device__ inline int frozen_second(int piece) {
    return frozen_first<format>(piece) + (format == FROZEN_U4 ? 16 : 4);
}

template <enum frozen_format format>
static __device__ inline struct frozen_piece<format> frozen_load(const struct frozen_rows *w,
                                                                 int64_t row, int piece) {
    struct frozen_piece<format> p;
    enum { WORDS = sizeof p.words / sizeof *p.words };
    const int64_t at = row * (w->inputs / FROZEN_PIECE) + piece;
    const unsigned *words = (const unsigned *)w->values + at * WORDS;
    if (format == FROZEN_U4) {
        const int64_t block = row * w->blocks + piece / 4;
        p.words[0] = *words;
        p.scale = frozen_scale(w, w->scales, block);
        p.minimum = frozen_scale(w, w->minima, block);
    } else if (format == FROZEN_I8) {
        const int block = w->blocks == 1 ? 0 : piece * FROZEN_PIECE / w->block;
        const uint2 two = *(const uint2 *)words;
        p.words[0] = two.x;
        p.words[1 % WORDS] = two.y;
        p.scale = frozen_scale(w, w->scales, row * w->blocks + block);
    } else {
        GPU_UNROLL
        for (int i = 0; i < WORDS; i += 4) {
            const uint4 four = *(const uint4 *)(words + i);
            p.words[i] = four.x;
            p.words[(i + 1) % WORDS] = four.y;
            p.words[(i + 2) % WORDS] = four.z;
            p.words[(i + 3) % WORDS] = four.w;
        }
    }
    return p;
}

/* Whole numbers become floats without a conversion, which is slow: 2^23 with a byte in its lowest
 * bits is 2^23 and that byte. */
static __device__ inline float
frozen_byte(unsigned bits, float less) {
    return __uint_as_float(0x4B000000u | bits) - less;
}

template <enum frozen_format format>
static __device__ inline void frozen_numbers(float out[FROZEN_PIECE],
                                             const struct frozen_piece<format> *p) {
    enum { WORDS = sizeof p->words / sizeof *p->words };
    GPU_UNROLL
    for (int i = 0; i < FROZEN_PIECE; i++) {
        if (format == FROZEN_F32) {
            out[i] = __uint_as_float(p->words[i % WORDS]);
        } else if (format == FROZEN_BF16) {
            const unsigned word = p->words[i / 2 % WORDS];
            out[i] = __uint_as_float(i % 2 == 0 ? word << 16 : word & 0xFFFF0000u);
        } else if (format == FROZEN_I8) {
            const unsigned word = p->words[i / 4 % WORDS] ^ 0x80808080u;
            out[i] = frozen_byte(word >> i % 4 * 8 & 0xFF, 0x1p23f + 128) * p->scale;
        } else {
            const unsigned half = p->words[0] >> (i % 4 * 8 + i / 4 * 4) & 0xF;
            out[i] = fmaf(frozen_byte(half, 0x1p23f), p->scale, p->minimum);
        }
    }
}

/* ---- Products -------------------------------------------------------------------------------- */

/* frozen_linear of FROZEN_FEW rows at most (frozen_few.cu): the matrix is read once, and nothing of
 * it written. x in fours. */
int frozen_few(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct packed *w, const struct tensor *residual, struct error *e);

#endif
