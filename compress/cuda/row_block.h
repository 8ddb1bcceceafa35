/* row_block.h - rows, each taken by a team of threads: a warp or, where it is too wide for one, a
 * block. Threads of a team lie along x, teams of a block along y.
 *
 * A row is taken a tile at a time, of which each thread holds ROW_HELD numbers, LANES (1 or 4) of
 * them together. Most rows are a single tile, which stays in registers while a kernel passes over
 * it again:
 *
 *     float v[ROW_HELD];
 *     for (int first = 0; first < width; first += row_tile()) {
 *         row_read<LANES>(v, &x, row, first, width, 0);
 *         ... sums
 *     }
 *     for (int first = 0; first < width; first += row_tile()) {
 *         row_read_again<LANES>(v, &x, row, first, width, 0);
 *         ... results
 *         row_write<LANES>(&out, row, first, width, v);
 *     }
 *
 * A thread reads again only what is its own, so that `out` may be `x`. */
#ifndef OCC_COMPRESS_CUDA_ROW_BLOCK_H
#define OCC_COMPRESS_CUDA_ROW_BLOCK_H

#include "compress/cuda/device.h"
#include "compress/cuda/rows.h"

enum {
    ROW_HELD = 8,
    ROW_THREADS = 512, /* of a team, at most */
    ROW_TEAMS = 8      /* of a block, at most: of warps */
};

/* ---- Places ---------------------------------------------------------------------------------- */

/* for (row = row_first(); row < rows; row += row_step()) */
static __device__ inline int64_t row_first(void) {
    return (int64_t)blockIdx.x * blockDim.y + threadIdx.y;
}

static __device__ inline int64_t row_step(void) {
    return (int64_t)gridDim.x * blockDim.y;
}

static __device__ inline int row_tile(void) {
    return (int)blockDim.x * ROW_HELD;
}

/* Of number i of this thread, in the tile that begins at `first`. */
template <int LANES> static __device__ inline int row_column(int first, int i) {
    return first + (i / LANES * (int)blockDim.x + (int)threadIdx.x) * LANES + i % LANES;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* Beyond the row's end: `beyond`. */
template <int LANES>
static __device__ inline void row_read(float *v, const struct gpu_rows *x, int64_t row, int first,
                                       int width, float beyond) {
    for (int i = 0; i < ROW_HELD; i += LANES) {
        if (row_column<LANES>(first, i) < width) {
            gpu_load<LANES>(v + i, x, row, row_column<LANES>(first, i));
        }
    }
    for (int i = 0; i < ROW_HELD; i += LANES) {
        gpu_unpack<LANES>(v + i, x->bf16);
        for (int lane = 0; lane < LANES; lane++) {
            v[i + lane] = row_column<LANES>(first, i) < width ? v[i + lane] : beyond;
        }
    }
}

/* What of an earlier pass is no longer held. */
template <int LANES>
static __device__ inline void row_read_again(float *v, const struct gpu_rows *x, int64_t row,
                                             int first, int width, float beyond) {
    if (width > row_tile()) {
        row_read<LANES>(v, x, row, first, width, beyond);
    }
}

template <int LANES>
static __device__ inline void row_write(const struct gpu_rows *x, int64_t row, int64_t first,
                                        int64_t width, const float *v) {
    for (int i = 0; i < ROW_HELD; i += LANES) {
        if (row_column<LANES>(first, i) < width) {
            gpu_store<LANES>(x, row, row_column<LANES>(first, i), v + i);
        }
    }
}

/* ---- Sums of a team -------------------------------------------------------------------------- */

/* Every thread has the result, and all have read what they read before. shared: GPU_WARP floats. */
static __device__ inline float row_sum(float x, float *shared) {
    if ((int)blockDim.x > GPU_WARP) {
        return block_sum(x, shared);
    }
    __syncwarp();
    return warp_sum(x);
}

static __device__ inline float row_largest(float x, float *shared) {
    if ((int)blockDim.x > GPU_WARP) {
        return block_largest(x, shared);
    }
    __syncwarp();
    return warp_largest(x);
}

/* ---- Launches -------------------------------------------------------------------------------- */

struct row_grid {
    unsigned grid;
    dim3 block;
};

/* Teams that hold a row, where so many threads can; several in a block only where every
 * multiprocessor has one. */
static inline struct row_grid row_grid_of(struct device *d, int64_t rows, int64_t width) {
    assert(width <= INT32_MAX / 2);
    int threads = GPU_WARP, teams = 1;
    while (threads < ROW_THREADS && threads * ROW_HELD < width) {
        threads += GPU_WARP;
    }
    while (threads == GPU_WARP && teams < ROW_TEAMS &&
           rows / (2 * teams) >= cuda_device(d)->multiprocessors) {
        teams *= 2;
    }
    return (struct row_grid){cuda_blocks(d, rows, teams), dim3((unsigned)threads, (unsigned)teams)};
}

enum { ROW_SHARED = GPU_WARP * sizeof(float) };

#endif
