/* attention_tile.h - tiles of F32 in shared memory and products of them, for the parts of attention
 * that do without tensor cores: T rows at a time, by blocks of 4 T threads. */
#ifndef OCC_COMPRESS_CUDA_ATTENTION_TILE_H
#define OCC_COMPRESS_CUDA_ATTENTION_TILE_H

#include "compress/cuda/attention.h"

enum {
    TILE_LANES = 16,      /* threads that share a row of a product */
    TILE_EACH = 4,        /* rows and columns of a thread */
    TILE_BYTES = 99 << 10 /* of shared memory: what a block has on the least of the GPUs */
};

/* Of rows as wide as a head, or as many; odd, so that columns are spread over all banks. */
static __host__ __device__ inline int tile_stride(int width) {
    return width | 1;
}

/* Rows of so many tiles as wide as a head and of so many (T, T). */
static inline size_t tile_bytes(int rows, int dim, int wide, int square) {
    return (size_t)rows * (size_t)(wide * tile_stride(dim) + square * tile_stride(rows)) *
           sizeof(float);
}

/* The most rows at a time, 64, 32 or 16, for which there is room. */
static inline int tile_rows(int dim, int wide, int square) {
    int rows = 64;
    while (rows > 16 && tile_bytes(rows, dim, wide, square) > TILE_BYTES) {
        rows /= 2;
    }
    return rows;
}

/* A matrix in shared memory: how far apart rows and columns lie. */
struct tile {
    float *data;
    int row, column;
};

static __device__ inline struct tile tile_of(float *data, int row) {
    struct tile x = {data, row, 1};
    return x;
}

static __device__ inline struct tile tile_turned(float *data, int row) {
    struct tile x = {data, 1, row};
    return x;
}

/* c (T, columns) = a (T, depth) b (depth, columns), or that is added. */
template <int T>
static __device__ inline void tile_product(struct tile c, struct tile a, struct tile b, int columns,
                                           int depth, bool add) {
    const int x = (int)threadIdx.x % TILE_LANES, y = (int)threadIdx.x / TILE_LANES;
    for (int first = x; first < columns; first += TILE_EACH * TILE_LANES) {
        float sums[TILE_EACH][TILE_EACH] = {};
        for (int k = 0; k < depth; k++) {
            float left[TILE_EACH], right[TILE_EACH];
            GPU_UNROLL for (int i = 0; i < TILE_EACH; i++) {
                const int column = first + i * TILE_LANES;
                left[i] = a.data[(y + i * (T / TILE_EACH)) * a.row + k * a.column];
                right[i] = column < columns ? b.data[k * b.row + column * b.column] : 0;
            }
            GPU_UNROLL for (int i = 0; i < TILE_EACH; i++) {
                GPU_UNROLL for (int j = 0; j < TILE_EACH; j++) {
                    sums[i][j] += left[i] * right[j];
                }
            }
        }
        GPU_UNROLL for (int i = 0; i < TILE_EACH; i++) {
            float *row = c.data + (y + i * (T / TILE_EACH)) * c.row;
            GPU_UNROLL for (int j = 0; j < TILE_EACH; j++) {
                const int column = first + j * TILE_LANES;
                if (column < columns) {
                    row[column] = (add ? row[column] : 0) + sums[i][j];
                }
            }
        }
    }
}

/* What a block's threads go through a tile by: a warp a row. */
static __device__ inline int tile_lane(void) {
    return (int)threadIdx.x % GPU_WARP;
}
static __device__ inline int tile_warp(void) {
    return (int)threadIdx.x / GPU_WARP;
}
static __device__ inline int tile_warps(void) {
    return (int)blockDim.x / GPU_WARP;
}

/* Tokens [first, first + T) of a head of the tile's sequence, zeros from `end` on. */
template <int T>
static __device__ inline void
tile_stage(float *to, const struct attention_call *c, const struct attention_tile *t,
           const struct attention_rows *rows, int head, int first, int end) {
    for (int i = tile_warp(); i < T; i += tile_warps()) {
        const int64_t at = first + i < end ? attention_at(c, t, rows, head, first + i) : 0;
        for (int d = tile_lane(); d < c->dim; d += GPU_WARP) {
            to[i * tile_stride(c->dim) + d] =
                first + i < end ? attention_number(c, rows, head, at, d) : 0;
        }
    }
}

static __device__ inline void tile_fill(float *to, int count, float value) {
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) {
        to[i] = value;
    }
}

/* Tokens [first, first + T) below `end` of a head += scale times a tile. */
template <int T>
static __device__ inline void tile_add(const struct attention_call *c,
                                       const struct attention_tile *t,
                                       const struct attention_rows *rows, int head, int first,
                                       int end, const float *from, float scale) {
    for (int i = tile_warp(); i < T && first + i < end; i += tile_warps()) {
        const int64_t at = attention_at(c, t, rows, head, first + i);
        for (int d = tile_lane(); d < c->dim; d += GPU_WARP) {
            attention_put(rows, at + d,
                          attention_get(rows, at + d) + scale * from[i * tile_stride(c->dim) + d]);
        }
    }
}

/* sides (rows, height + width) += dscores (rows, count) of keys from `first` on, summed over those
 * of each row and each column of the grid. A thread adds to what no other adds to. */
static __device__ inline void tile_add_sides(float *sides, const struct attention_call *c, int rows,
                                             const float *dscores, int stride, int first,
                                             int count) {
    const int top = first / c->width, left = first % c->width, wide = c->height + c->width;
    const int down = (left + count - 1) / c->width + 1; /* rows of the grid that the keys meet */
    for (int u = (int)threadIdx.x; u < rows * down; u += (int)blockDim.x) {
        const int i = u % rows, y = u / rows;
        const int from = y > 0 ? y * c->width - left : 0, to = (y + 1) * c->width - left;
        float sum = 0;
        for (int j = from; j < to && j < count; j++) {
            sum += dscores[i * stride + j];
        }
        sides[i * wide + top + y] += sum;
    }
    for (int i = tile_warp(); i < rows; i += tile_warps()) {
        for (int x = tile_lane(); x < c->width; x += GPU_WARP) {
            float sum = 0;
            for (int j = x < left ? x + c->width - left : x - left; j < count; j += c->width) {
                sum += dscores[i * stride + j];
            }
            sides[i * wide + c->height + x] += sum;
        }
    }
}

#endif
