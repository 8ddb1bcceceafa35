/* attention_mma.h - how the kernels of attention that multiply by tensor cores lay out rows in
 * shared memory and read them again. A block is four warps. */
#ifndef OCC_COMPRESS_CUDA_ATTENTION_MMA_H
#define OCC_COMPRESS_CUDA_ATTENTION_MMA_H

#include "compress/cuda/attention.h"
#include "compress/cuda/mma.h"

enum {
    MMA_WARPS = 4,
    MMA_THREADS = MMA_WARPS * (int)GPU_WARP,
    MMA_ROWS = 64, /* tokens that are staged together */
    MMA_LOADS = 4  /* of 32 bytes, that a thread has on their way */
};

/* Numbers from row to row of a staged matrix of width D: 16 bytes more than they take, so that the
 * eight rows of a matrix that is loaded lie in different banks. */
template <int D> static __host__ __device__ constexpr int mma_line(void) {
    return D + 8;
}

static __device__ inline int mma_lane(void) {
    return (int)threadIdx.x % GPU_WARP;
}
static __device__ inline int mma_warp(void) {
    return (int)threadIdx.x / GPU_WARP;
}

/* attention_tile_at in shared memory. */
static __device__ inline bool mma_tile_at(struct attention_tile *shared,
                                          const struct attention_call *c, int64_t number,
                                          int length, int size) {
    struct attention_tile t;
    const bool there = attention_tile_at(&t, c, number, length, size);
    if (threadIdx.x == 0) {
        *shared = t;
    }
    __syncthreads();
    return there;
}

/* ---- Staging --------------------------------------------------------------------------------- */

/* Where row i lies: a token of the tile's sequence or, without a tile, a row of a table. */
static __device__ inline int64_t mma_at(const struct attention_call *c,
                                        const struct attention_tile *t,
                                        const struct attention_rows *rows, int head, int i) {
    return t != NULL ? attention_at(c, t, rows, head, i) : i * rows->token;
}

/* Numbers d to d + 7 of a head, rounded; zeros where there are none. */
static __device__ inline uint4 mma_eight(const struct attention_call *c,
                                         const struct attention_rows *rows, int head, int64_t at,
                                         int d) {
    unsigned pairs[4];
    GPU_UNROLL for (int i = 0; i < 4; i++) {
        const int left = c->dim - d - 2 * i;
        pairs[i] = mma_pair(left > 0 ? attention_number(c, rows, head, at, d + 2 * i) : 0,
                            left > 1 ? attention_number(c, rows, head, at, d + 2 * i + 1) : 0);
    }
    return make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}

static __device__ inline uint4 mma_eight_of(float4 left, float4 right) {
    return make_uint4(mma_pair(left.x, left.y), mma_pair(left.z, left.w),
                      mma_pair(right.x, right.y), mma_pair(right.z, right.w));
}

/* Whether they go to shared memory as they are, 16 bytes at a time. */
static __device__ inline bool mma_is_copied(const struct attention_rows *rows) {
    return rows->together == 8 && rows->bf16;
}

/* Tokens of F32 that lie aligned: loads that are on their way together, before any is stored. */
template <int D>
static __device__ inline void
mma_stage_wide(uint16_t *to, const struct attention_call *c, const struct attention_tile *t,
               const struct attention_rows *rows, int head, int first, int end, int count) {
    for (int u = (int)threadIdx.x; u < count * (D / 8); u += MMA_LOADS * MMA_THREADS) {
        float4 x[MMA_LOADS][2];
        GPU_UNROLL for (int i = 0; i < MMA_LOADS; i++) {
            const int token = first + (u + i * MMA_THREADS) / (D / 8);
            const int d = (u + i * MMA_THREADS) % (D / 8) * 8;
            x[i][0] = x[i][1] = make_float4(0, 0, 0, 0);
            if (token < end && d < c->dim) {
                const int64_t at = mma_at(c, t, rows, head, token);
                const float *from =
                    at < 0 ? rows->pad + head * c->dim : (const float *)rows->data + at;
                x[i][0] = *(const float4 *)(from + d);
                x[i][1] = *(const float4 *)(from + d + 4);
            }
        }
        GPU_UNROLL for (int i = 0; i < MMA_LOADS; i++) {
            const int v = u + i * MMA_THREADS;
            if (v < count * (D / 8)) {
                *(uint4 *)(to + v / (D / 8) * mma_line<D>() + v % (D / 8) * 8) =
                    mma_eight_of(x[i][0], x[i][1]);
            }
        }
    }
}

/* Rows [first, first + count), zeros from `end` on: tokens of a head of the tile's sequence or,
 * without a tile, rows of a table. They are there after mma_copies_wait and a barrier. */
template <int D>
static __device__ inline void
mma_stage(uint16_t *to, const struct attention_call *c, const struct attention_tile *t,
          const struct attention_rows *rows, int head, int first, int end, int count) {
    if (rows->together == 8 && !rows->bf16) {
        mma_stage_wide<D>(to, c, t, rows, head, first, end, count);
        return;
    }
    GPU_ROLLED for (int u = (int)threadIdx.x; u < count * (D / 8); u += MMA_THREADS) {
        const int i = u / (D / 8), d = u % (D / 8) * 8;
        const bool there = first + i < end;
        const int64_t at = there ? mma_at(c, t, rows, head, first + i) : 0;
        uint16_t *place = to + i * mma_line<D>() + d;
        if (rows->together == 8 && at >= 0) {
            mma_copy(place, (const uint16_t *)rows->data + at + (d < c->dim ? d : 0),
                     there && d < c->dim);
        } else {
            *(uint4 *)place = there ? mma_eight(c, rows, head, at, d) : make_uint4(0, 0, 0, 0);
        }
    }
}

/* ---- Fragments ------------------------------------------------------------------------------- */

/* Of rows that are an a, from `row` and `column` on. */
template <int D>
static __device__ inline void mma_load_a(unsigned a[4], const uint16_t *rows, int row, int column) {
    const int lane = mma_lane();
    mma_load(a, rows + (row + lane % 16) * mma_line<D>() + column + lane / 16 * 8);
}

/* Of 16 rows that are columns of b: those of the first eight rows, then those of the others. */
template <int D>
static __device__ inline void mma_load_b(unsigned b[4], const uint16_t *rows, int row, int column) {
    const int lane = mma_lane();
    mma_load(b,
             rows + (row + lane / 16 * 8 + lane % 8) * mma_line<D>() + column + lane / 8 % 2 * 8);
}

/* Of 16 rows that are rows of b: those of the first eight columns, then those of the others. */
template <int D>
static __device__ inline void mma_load_b_turned(unsigned b[4], const uint16_t *rows, int row,
                                                int column) {
    const int lane = mma_lane();
    mma_load_turned(b, rows + (row + lane % 16) * mma_line<D>() + column + lane / 16 * 8);
}

/* Sixteen columns of a sum of products, rounded, as an a. */
static __device__ inline void mma_a_of(unsigned a[4], const float left[4], const float right[4]) {
    a[0] = mma_pair(left[0], left[1]);
    a[1] = mma_pair(left[2], left[3]);
    a[2] = mma_pair(right[0], right[1]);
    a[3] = mma_pair(right[2], right[3]);
}

/* out (16, N) = rows [row, row + 16) of a times N rows of b. */
template <int D, int N>
static __device__ inline void mma_multiply(float (*out)[4], const uint16_t *a, int row,
                                           const uint16_t *b) {
    GPU_UNROLL for (int i = 0; i < N / 2; i++) {
        out[i / 4][i % 4] = 0;
    }
    GPU_UNROLL for (int k = 0; k < D / 16; k++) {
        unsigned left[4], right[4];
        mma_load_a<D>(left, a, row, 16 * k);
        GPU_UNROLL for (int n = 0; n < N / 8; n += 2) {
            mma_load_b<D>(right, b, 8 * n, 16 * k);
            mma_bf16(out[n], left, right[0], right[1]);
            mma_bf16(out[n + 1], left, right[2], right[3]);
        }
    }
}

/* out (16, D) += a (16, N), rounded, times N rows of b. */
template <int D, int N>
static __device__ inline void mma_add(float (*out)[4], const float (*a)[4], const uint16_t *b) {
    GPU_UNROLL for (int k = 0; k < N / 16; k++) {
        unsigned left[4], right[4];
        mma_a_of(left, a[2 * k], a[2 * k + 1]);
        GPU_UNROLL for (int n = 0; n < D / 8; n += 2) {
            mma_load_b_turned<D>(right, b, 16 * k, 8 * n);
            mma_bf16(out[n], left, right[0], right[1]);
            mma_bf16(out[n + 1], left, right[2], right[3]);
        }
    }
}

/* Scores (16, N) of queries in rows from `query` on at keys that they do not see. */
template <int N>
static __device__ inline void mma_exclude(float (*scores)[4], const struct attention_call *c,
                                          const struct attention_tile *t, int query, int key) {
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        const int i = query + 8 * half + mma_lane() / 4;
        const int from = attention_from(c, i), to = attention_to(c, t, i);
        GPU_UNROLL for (int n = 0; n < N / 4; n++) {
            const int j = key + n / 2 * 8 + mma_lane() % 4 * 2 + n % 2;
            if (j < from || j >= to) {
                scores[n / 2][2 * half + n % 2] = ATTENTION_EXCLUDED;
            }
        }
    }
}

/* Of values that the four lanes of a row have. */
static __device__ inline float mma_row_largest(float x) {
    x = fmaxf(x, __shfl_xor_sync(GPU_ALL_LANES, x, 1));
    return fmaxf(x, __shfl_xor_sync(GPU_ALL_LANES, x, 2));
}

static __device__ inline float mma_row_sum(float x) {
    x += __shfl_xor_sync(GPU_ALL_LANES, x, 1);
    return x + __shfl_xor_sync(GPU_ALL_LANES, x, 2);
}

/* Two numbers of a row side by side. */
static __device__ inline void mma_put_pair(const struct attention_rows *rows, int64_t at, int left,
                                           float x, float y) {
    if (rows->together > 1 && rows->bf16) {
        *(unsigned *)((uint16_t *)rows->data + at) = mma_pair(x, y);
    } else if (rows->together > 1) {
        *(float2 *)((float *)rows->data + at) = make_float2(x, y);
    } else {
        attention_put(rows, at, x);
        if (left > 1) {
            attention_put(rows, at + 1, y);
        }
    }
}

#endif
