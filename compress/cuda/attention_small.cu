/* attention_small.cu - attention of at most 16 tokens by tensor cores: of small windows.
 *
 * A warp has a head of one sequence or window for itself: a product of tensor cores holds all its
 * scores, and nothing is shared with other warps but the relative positions. It reads and writes
 * each number once and computes little, so that memory is the limit, which many warps keep busy:
 * while some compute, others wait for what they have asked for. */
#include "compress/cuda/attention_mma.h"

enum {
    TOKENS = ATTENTION_SMALL,
    PLACES = ATTENTION_SMALL_PLACES,
    LINE = PLACES + 8, /* of the table: rows of 8 banks more, so that four rows lie in all banks */
    SCORES = 8         /* of a lane: of rows g and g + 8, at two columns of either tile */
};

/* Numbers of a staged matrix. */
template <int D> static __host__ __device__ constexpr int matrix_size(void) {
    return TOKENS * mma_line<D>();
}

/* What a block has of relative positions, and a warp of queries, keys and values; over queries and
 * keys, when they are no longer needed, the warp's table of the bias. */
template <int D> static __host__ __device__ constexpr int places_size(void) {
    return PLACES * mma_line<D>();
}
template <int D> static __host__ __device__ constexpr int warp_size(void) {
    static_assert(2 * matrix_size<D>() * sizeof(uint16_t) >= TOKENS * LINE * sizeof(float),
                  "the table has room");
    return 3 * matrix_size<D>();
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

/* Heads of one sequence lie side by side, and warps side by side take them. */
static __device__ inline struct attention_tile small_tile(const struct attention_call *c,
                                                          int item) {
    struct attention_tile t = {.batch = item / c->heads,
                               .line = item * c->lines,
                               .head = item % c->heads,
                               .queries = c->queries,
                               .keys = c->keys};
    if (c->window > 0) {
        attention_window_at(&t, c, item / c->heads);
    }
    return t;
}

/* Which token of the sequence or of the grid is number lane % TOKENS of the tile; less than 0: a
 * pad. */
static __device__ inline int token_of_lane(const struct attention_call *c,
                                           const struct attention_tile *t) {
    const int i = mma_lane() % TOKENS;
    if (c->window == 0) {
        return i;
    }
    const int y = t->window_top + i / c->window, x = t->window_left + i % c->window;
    return y < c->grid_height && x < c->grid_width ? y * c->grid_width + x : -1;
}

static __device__ inline int64_t token_at(const struct attention_tile *t,
                                          const struct attention_rows *rows, int head, int token) {
    return token < 0 ? -1 : t->batch * rows->batch + token * rows->token + head * rows->head;
}

/* The first `count` tokens of a head, then zeros; token: of each lane. */
template <int D>
static __device__ inline void
stage(uint16_t *to, const struct attention_call *c, const struct attention_tile *t,
      const struct attention_rows *rows, int head, int token, int count) {
    GPU_ROLLED for (int round = 0; round < D / 16; round++) {
        const int u = round * GPU_WARP + mma_lane(), i = u / (D / 8), d = u % (D / 8) * 8;
        const int64_t at = token_at(t, rows, head, __shfl_sync(GPU_ALL_LANES, token, i));
        uint16_t *place = to + i * mma_line<D>() + d;
        if (i < count && d < c->dim && at >= 0 && rows->bf16 && rows->together == 8) {
            mma_copy(place, (const uint16_t *)rows->data + at + d, true);
        } else {
            *(uint4 *)place = i < count ? mma_eight(c, rows, head, at, d) : make_uint4(0, 0, 0, 0);
        }
    }
}

/* ---- The bias -------------------------------------------------------------------------------- */

template <int D>
static __device__ inline void stage_places(uint16_t *to, const struct attention_call *c) {
    const int places = attention_places(c);
    for (int i = mma_warp(); i < PLACES; i += MMA_WARPS) {
        for (int d = mma_lane(); d < D; d += GPU_WARP) {
            const bool there = i < places && d < c->dim;
            to[i * mma_line<D>() + d] = gpu_bf16_of(there ? attention_place(c, i, d) : 0);
        }
    }
}

/* Where in the table each of this lane's scores has both parts of its bias: that of rows of the
 * grid in the lower half. Scores that are not there have those of others. */
static __device__ inline void find_bias(unsigned at[SCORES], const struct attention_call *c) {
    GPU_UNROLL for (int i = 0; i < SCORES; i++) {
        const int row = i % 4 / 2 * 8 + mma_lane() / 4;
        const int column = i / 4 * 8 + mma_lane() % 4 * 2 + i % 2;
        const int query = c->start + (row < c->queries ? row : 0);
        const int key = column < c->keys ? column : 0;
        const int down = query / c->width - key / c->width + c->height - 1;
        const int across = query % c->width - key % c->width + c->width - 1;
        at[i] = (unsigned)(row * LINE + down) | (unsigned)(row * LINE + 2 * c->height - 1 + across)
                                                    << 16;
    }
}

/* out (TOKENS, 16) = queries times 16 rows. */
template <int D>
static __device__ inline void multiply(float (*out)[4], const unsigned (*q)[4],
                                       const uint16_t *rows) {
    GPU_UNROLL for (int i = 0; i < SCORES; i++) {
        out[i / 4][i % 4] = 0;
    }
    GPU_UNROLL for (int k = 0; k < D / 16; k++) {
        unsigned b[4];
        mma_load_b<D>(b, rows, 0, 16 * k);
        mma_bf16(out[0], q[k], b[0], b[1]);
        mma_bf16(out[1], q[k], b[2], b[3]);
    }
}

/* Products of queries with all places. */
template <int D>
static __device__ inline void make_table(float *table, const struct attention_call *c,
                                         const unsigned (*q)[4], const uint16_t *places) {
    const int row = mma_lane() / 4, column = mma_lane() % 4 * 2;
    GPU_ROLLED for (int first = 0; first < attention_places(c); first += 16) {
        float products[2][4];
        multiply<D>(products, q, places + first * mma_line<D>());
        GPU_UNROLL for (int i = 0; i < SCORES; i += 2) {
            float *to = table + (row + i % 4 / 2 * 8) * LINE + first + i / 4 * 8 + column;
            *(float2 *)to = make_float2(products[i / 4][i % 4], products[i / 4][i % 4 + 1]);
        }
    }
}

/* ---- A head ---------------------------------------------------------------------------------- */

/* Scores, in units of ln 2, become weights 2^(score - largest). */
static __device__ inline void weigh(float (*scores)[4], float largest[2], float total[2]) {
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        float *left = &scores[0][2 * half], *right = &scores[1][2 * half];
        const float most = fmaxf(fmaxf(left[0], left[1]), fmaxf(right[0], right[1]));
        largest[half] = mma_row_largest(most);
        GPU_UNROLL for (int n = 0; n < 2; n++) {
            left[n] = mma_power_of_two(left[n] - largest[half]);
            right[n] = mma_power_of_two(right[n] - largest[half]);
        }
        total[half] = mma_row_sum(left[0] + left[1] + right[0] + right[1]);
    }
}

/* Sums over totals. In rows of 16 bytes where these are aligned, by way of `staged`. */
template <int D>
static __device__ inline void put(const float (*sums)[4], const float total[2],
                                  const struct attention_call *c, const struct attention_tile *t,
                                  int token, uint16_t *staged) {
    const bool whole = c->out.bf16 && c->out.together == 8;
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        const int row = 8 * half + mma_lane() / 4;
        const int64_t at = token_at(t, &c->out, t->head, __shfl_sync(GPU_ALL_LANES, token, row));
        const float factor = 1.0f / total[half];
        GPU_UNROLL for (int n = 0; n < D / 8; n++) {
            const int d = 8 * n + mma_lane() % 4 * 2;
            const float x = sums[n][2 * half] * factor, y = sums[n][2 * half + 1] * factor;
            if (whole) {
                *(unsigned *)(staged + row * mma_line<D>() + d) = mma_pair(x, y);
            } else if (row < t->queries && at >= 0 && d < c->dim) {
                mma_put_pair(&c->out, at + d, c->dim - d, x, y);
            }
        }
    }
    __syncwarp();
    GPU_ROLLED for (int round = 0; round < D / 16; round++) {
        const int u = round * GPU_WARP + mma_lane(), i = u / (D / 8), d = u % (D / 8) * 8;
        const int64_t at = token_at(t, &c->out, t->head, __shfl_sync(GPU_ALL_LANES, token, i));
        if (whole && i < t->queries && at >= 0 && d < c->dim) {
            *(uint4 *)((uint16_t *)c->out.data + at + d) =
                *(const uint4 *)(staged + i * mma_line<D>() + d);
        }
    }
}

/* Weights of one head, from staged queries and keys, which are overwritten. */
template <int D, bool BIASED>
static __device__ inline void score(float (*scores)[4], const struct attention_call *c,
                                    const struct attention_tile *t, uint16_t *staged,
                                    const uint16_t *places, const unsigned bias[SCORES]) {
    const float scale = c->scale * ATTENTION_LOG2_E;
    float *table = (float *)staged;
    unsigned q[D / 16][4];
    GPU_UNROLL for (int k = 0; k < D / 16; k++) {
        mma_load_a<D>(q[k], staged, 0, 16 * k);
    }
    multiply<D>(scores, q, staged + matrix_size<D>());
    __syncwarp();
    if (BIASED) {
        make_table<D>(table, c, q, places);
        __syncwarp();
    }
    GPU_UNROLL for (int i = 0; i < SCORES; i++) {
        float *score = &scores[i / 4][i % 4];
        *score *= scale;
        if (BIASED) {
            *score += (table[bias[i] & 0xFFFF] + table[bias[i] >> 16]) * ATTENTION_LOG2_E;
        }
    }
    if (c->causal || t->keys < TOKENS) {
        mma_exclude<TOKENS>(scores, c, t, 0, 0);
    }
}

template <int D, bool BIASED>
static __device__ inline void attend(const struct attention_call *c, const struct attention_tile *t,
                                     uint16_t *staged, const uint16_t *places,
                                     const unsigned bias[SCORES]) {
    uint16_t *const keys = staged + matrix_size<D>(), *const values = keys + matrix_size<D>();
    const int token = token_of_lane(c, t), head = t->head / c->group;
    float scores[2][4], sums[D / 8][4], largest[2], total[2];
    stage<D>(staged, c, t, &c->q, t->head, token, t->queries);
    stage<D>(keys, c, t, &c->k, head, token, t->keys);
    stage<D>(values, c, t, &c->v, head, token, t->keys);
    mma_copies_wait();
    __syncwarp();
    score<D, BIASED>(scores, c, t, staged, places, bias);
    weigh(scores, largest, total);
    GPU_UNROLL for (int n = 0; n < D / 2; n++) {
        sums[n / 4][n % 4] = 0;
    }
    mma_add<D, TOKENS>(sums, scores, values);
    __syncwarp();
    put<D>(sums, total, c, t, token, staged);
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        const int query = 8 * half + mma_lane() / 4;
        if (c->log_sum_exp != NULL && mma_lane() % 4 == 0 && query < t->queries) {
            c->log_sum_exp[t->line + query] = largest[half] * ATTENTION_LN_2 + logf(total[half]);
        }
    }
    __syncwarp();
}

/* Twenty warps to a multiprocessor, where heads are of 64, have enough loads under way. */
template <int D, bool BIASED>
__global__ void __launch_bounds__(MMA_THREADS, D > 64 ? 3 : 5)
    attention_small_kernel(struct attention_call c) {
    GPU_SHARED(uint16_t, places);
    uint16_t *staged = places + (BIASED ? places_size<D>() : 0) + mma_warp() * warp_size<D>();
    unsigned bias[SCORES] = {};
    if (BIASED) {
        stage_places<D>(places, &c);
        find_bias(bias, &c);
        __syncthreads();
    }
    const int step = (int)gridDim.x * MMA_WARPS, items = c.sequences * c.heads;
    for (int item = (int)blockIdx.x * MMA_WARPS + mma_warp(); item < items; item += step) {
        const struct attention_tile t = small_tile(&c, item);
        attend<D, BIASED>(&c, &t, staged, places, bias);
    }
}

/* ---- Launches -------------------------------------------------------------------------------- */

template <int D>
static int launch(struct device *d, const struct attention_call *c, struct error *e) {
    void (*kernel)(struct attention_call) =
        c->height > 0 ? attention_small_kernel<D, true> : attention_small_kernel<D, false>;
    const int numbers = (c->height > 0 ? places_size<D>() : 0) + MMA_WARPS * warp_size<D>();
    const size_t bytes = (size_t)numbers * sizeof(uint16_t);
    int rc = attention_allow(kernel, bytes, e);
    if (rc == 0) {
        GPU_LAUNCH(kernel, cuda_blocks(d, (int64_t)c->sequences * c->heads * GPU_WARP, MMA_THREADS),
                   MMA_THREADS, bytes, cuda_stream(d), *c);
        rc = cuda_launched("attention", e);
    }
    return rc;
}

int attention_small(struct device *d, const struct attention_call *c, struct error *e) {
    return c->dim <= 32   ? launch<32>(d, c, e)
           : c->dim <= 64 ? launch<64>(d, c, e)
           : c->dim <= 96 ? launch<96>(d, c, e)
                          : launch<ATTENTION_MMA_DIM>(d, c, e);
}
