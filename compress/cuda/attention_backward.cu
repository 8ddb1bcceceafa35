/* attention_backward.cu - the gradients of attention by tensor cores, as FlashAttention-2 finds
 * them (Dao 2023): weights come again from queries, keys and log-sum-exps; with D = out . dout,
 * dscores = weights (dout v^T - D). One kernel has a block for 64 queries and makes dq, another one
 * for 64 keys and makes dk and dv, so that each sum belongs to one warp. */
#include "compress/cuda/attention_mma.h"
#include "compress/cuda/attention_tile.h"

enum {
    DSCORE_STRIDE = MMA_ROWS + 1,
    DSCORE_COUNT = MMA_ROWS * (MMA_ROWS + 1),
    COLUMNS = MMA_ROWS / 8
};

/* Adds scale times sums (16, D) to tokens from `first` on, below `end`. */
template <int D>
static __device__ inline void add_rows(const struct attention_call *c,
                                       const struct attention_tile *t,
                                       const struct attention_rows *rows, int head, int first,
                                       int end, const float (*sums)[4], float scale) {
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        const int token = first + 8 * half + mma_lane() / 4;
        const int64_t at = token < end ? attention_at(c, t, rows, head, token) : 0;
        GPU_UNROLL for (int n = 0; n < D / 4; n++) {
            const int d = n / 2 * 8 + mma_lane() % 4 * 2 + n % 2;
            if (token < end && d < c->dim) {
                attention_put(rows, at + d,
                              attention_get(rows, at + d) + scale * sums[n / 2][2 * half + n % 2]);
            }
        }
    }
}

/* ---- Of queries ------------------------------------------------------------------------------ */

/* Scores (16, 64) of queries from `query` on and products of dout and values become dscores. */
template <bool BIASED>
static __device__ inline void differentiate(float (*dscores)[4], float (*scores)[4],
                                            const struct attention_call *c,
                                            const struct attention_tile *t, int query, int key) {
    const float scale = c->scale * ATTENTION_LOG2_E;
    GPU_UNROLL for (int i = 0; i < 4 * COLUMNS; i++) {
        scores[i / 4][i % 4] *= scale;
    }
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        const int i = query + 8 * half + mma_lane() / 4;
        const int64_t line = t->line + (i < t->queries ? i : t->first);
        GPU_UNROLL for (int n = 0; n < 2 * COLUMNS && BIASED; n++) {
            const int j = key + n / 2 * 8 + mma_lane() % 4 * 2 + n % 2;
            scores[n / 2][2 * half + n % 2] +=
                j < t->keys ? attention_bias(c, line, j) * ATTENTION_LOG2_E : 0;
        }
    }
    const int last = query + 15 < t->queries ? query + 15 : t->queries - 1;
    if (key + MMA_ROWS > attention_to(c, t, query) || key < attention_from(c, last)) {
        mma_exclude<MMA_ROWS>(scores, c, t, query, key);
    }
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        const int i = query + 8 * half + mma_lane() / 4;
        const int64_t line = t->line + (i < t->queries ? i : t->first);
        const float log_sum = c->log_sum_exp[line] * ATTENTION_LOG2_E, product = c->products[line];
        GPU_UNROLL for (int n = 0; n < 2 * COLUMNS; n++) {
            const int at = 2 * half + n % 2;
            dscores[n / 2][at] =
                mma_power_of_two(scores[n / 2][at] - log_sum) * (dscores[n / 2][at] - product);
        }
    }
}

/* Dscores of a warp's queries to shared memory, where they are summed over rows and columns of the
 * grid. */
static __device__ inline void show_dscores(float *to, const float (*dscores)[4]) {
    GPU_UNROLL for (int i = 0; i < 4 * COLUMNS; i++) {
        const int row = 16 * mma_warp() + i % 4 / 2 * 8 + mma_lane() / 4;
        to[row * DSCORE_STRIDE + i / 4 * 8 + mma_lane() % 4 * 2 + i % 2] = dscores[i / 4][i % 4];
    }
}

/* Shared memory: the tile; queries, dout, keys and values; dscores and their sums. */
template <int D, bool BIASED>
__global__ void __launch_bounds__(MMA_THREADS, 2) attention_dq_kernel(struct attention_call c) {
    GPU_SHARED(struct attention_tile, t);
    enum { PART = MMA_ROWS * mma_line<D>() };
    const int64_t number = c.causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x; /* longest first */
    if (!mma_tile_at(t, &c, number, c.queries, MMA_ROWS)) {
        return;
    }
    uint16_t *const q = (uint16_t *)(t + 1), *const dout = q + PART;
    uint16_t *const k = dout + PART, *const v = k + PART;
    float *const shown = (float *)(v + PART), *const dsides = shown + DSCORE_COUNT;
    const int row = 16 * mma_warp(), key_head = t->head / c.group, sides = c.height + c.width;
    const int rows = t->queries - t->first < MMA_ROWS ? t->queries - t->first : MMA_ROWS;
    const int end = attention_to(&c, t, t->first + rows - 1);
    float dq[D / 8][4] = {};
    mma_stage<D>(q, &c, t, &c.q, t->head, t->first, t->queries, MMA_ROWS);
    mma_stage<D>(dout, &c, t, &c.dout, t->head, t->first, t->queries, MMA_ROWS);
    if (BIASED) {
        tile_fill(dsides, rows * sides, 0);
    }
    GPU_ROLLED for (int key = attention_from(&c, t->first) / MMA_ROWS * MMA_ROWS; key < end;
                    key += MMA_ROWS) {
        mma_stage<D>(k, &c, t, &c.k, key_head, key, t->keys, MMA_ROWS);
        mma_stage<D>(v, &c, t, &c.v, key_head, key, t->keys, MMA_ROWS);
        mma_copies_wait();
        __syncthreads();
        float scores[COLUMNS][4], dscores[COLUMNS][4];
        mma_multiply<D, MMA_ROWS>(scores, q, row, k);
        mma_multiply<D, MMA_ROWS>(dscores, dout, row, v);
        differentiate<BIASED>(dscores, scores, &c, t, t->first + row, key);
        mma_add<D, MMA_ROWS>(dq, dscores, k);
        if (BIASED) {
            show_dscores(shown, dscores);
            __syncthreads();
            tile_add_sides(dsides, &c, rows, shown, DSCORE_STRIDE, key,
                           t->keys - key < MMA_ROWS ? t->keys - key : MMA_ROWS);
        }
        __syncthreads();
    }
    for (int i = (int)threadIdx.x; i < rows * sides && BIASED; i += MMA_THREADS) {
        c.dsides[(t->line + t->first) * sides + i] = dsides[i];
    }
    if (c.dq.data != NULL) {
        add_rows<D>(&c, t, &c.dq, t->head, t->first + row, t->queries, dq, c.scale);
    }
}

/* ---- Of keys --------------------------------------------------------------------------------- */

/* Log-sum-exps, in units of ln 2, and D of queries [query, query + N); weights of a query after the
 * last are 0. */
template <int N>
static __device__ inline void stage_lines(float *log_sums, float *products,
                                          const struct attention_call *c,
                                          const struct attention_tile *t, int head, int query) {
    if ((int)threadIdx.x < N) {
        const int i = query + (int)threadIdx.x;
        const int64_t line = attention_line(c, t, head) + i;
        const bool there = i < t->queries;
        log_sums[threadIdx.x] =
            there ? c->log_sum_exp[line] * ATTENTION_LOG2_E : -ATTENTION_EXCLUDED;
        products[threadIdx.x] = there ? c->products[line] : 0;
    }
}

/* Products (16, N) of keys from `key` on with queries, of values with dout, become weights and
 * dscores. */
template <int N, bool BIASED>
static __device__ inline void
differentiate_turned(float (*weights)[4], float (*dscores)[4], const struct attention_call *c,
                     const struct attention_tile *t, const float *log_sums, const float *products,
                     int head, int query, int key) {
    const float scale = c->scale * ATTENTION_LOG2_E;
    const int64_t line = attention_line(c, t, head);
    const bool cut =
        key + 15 >= attention_to(c, t, query) || key < attention_from(c, query + N - 1);
    GPU_UNROLL for (int half = 0; half < 2; half++) {
        const int j = key + 8 * half + mma_lane() / 4;
        GPU_UNROLL for (int n = 0; n < N / 4; n++) {
            const int column = n / 2 * 8 + mma_lane() % 4 * 2 + n % 2, at = 2 * half + n % 2;
            const int i = query + column;
            float score = weights[n / 2][at] * scale;
            if (BIASED && i < t->queries && j < t->keys) {
                score += attention_bias(c, line + i, j) * ATTENTION_LOG2_E;
            }
            if (cut && (j < attention_from(c, i) || j >= attention_to(c, t, i))) {
                score = ATTENTION_EXCLUDED;
            }
            const float weight = mma_power_of_two(score - log_sums[column]);
            weights[n / 2][at] = weight;
            dscores[n / 2][at] = weight * (dscores[n / 2][at] - products[column]);
        }
    }
}

/* Shared memory: the tile; keys and values; queries and dout, N at a time, and what is known of
 * each. */
template <int D, int N, bool BIASED>
__global__ void __launch_bounds__(MMA_THREADS, 2) attention_dkv_kernel(struct attention_call c) {
    GPU_SHARED(struct attention_tile, t);
    enum { PART = MMA_ROWS * mma_line<D>(), QUERIES = N * mma_line<D>() };
    if (!mma_tile_at(t, &c, blockIdx.x, c.keys, MMA_ROWS)) {
        return;
    }
    uint16_t *const k = (uint16_t *)(t + 1), *const v = k + PART, *const q = v + PART;
    uint16_t *const dout = q + QUERIES;
    float *const log_sums = (float *)(dout + QUERIES), *const products = log_sums + N;
    const int row = 16 * mma_warp(), head = t->head * c.group;
    const int last = t->first + MMA_ROWS < t->keys ? t->first + MMA_ROWS : t->keys;
    int from, to;
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};
    attention_seers(&c, t, t->first, last, &from, &to);
    mma_stage<D>(k, &c, t, &c.k, t->head, t->first, t->keys, MMA_ROWS);
    mma_stage<D>(v, &c, t, &c.v, t->head, t->first, t->keys, MMA_ROWS);
    for (int i = 0; i < c.group; i++) {
        GPU_ROLLED for (int query = from; query < to; query += N) {
            mma_stage<D>(q, &c, t, &c.q, head + i, query, t->queries, N);
            mma_stage<D>(dout, &c, t, &c.dout, head + i, query, t->queries, N);
            stage_lines<N>(log_sums, products, &c, t, head + i, query);
            mma_copies_wait();
            __syncthreads();
            float weights[N / 8][4], dscores[N / 8][4];
            mma_multiply<D, N>(weights, k, row, q);
            mma_multiply<D, N>(dscores, v, row, dout);
            differentiate_turned<N, BIASED>(weights, dscores, &c, t, log_sums, products, head + i,
                                            query, t->first + row);
            mma_add<D, N>(dv, weights, dout);
            mma_add<D, N>(dk, dscores, q);
            __syncthreads();
        }
    }
    mma_copies_wait(); /* of keys that no query sees */
    if (c.dk.data != NULL) {
        add_rows<D>(&c, t, &c.dk, t->head, t->first + row, t->keys, dk, c.scale);
    }
    if (c.dv.data != NULL) {
        add_rows<D>(&c, t, &c.dv, t->head, t->first + row, t->keys, dv, 1);
    }
}

/* ---- Launches -------------------------------------------------------------------------------- */

typedef void backward_kernel(struct attention_call);

/* For heads of up to `dim` numbers; each kernel without a bias and with one. */
struct plan {
    int dim, queries; /* of a step of dkv */
    backward_kernel *dq[2], *dkv[2];
};

#define PLAN(D, N)                                                                                 \
    {                                                                                              \
        D, N, {attention_dq_kernel<D, false>, attention_dq_kernel<D, true>}, {                     \
            attention_dkv_kernel<D, N, false>, attention_dkv_kernel<D, N, true>                    \
        }                                                                                          \
    }
static const struct plan PLANS[] = {PLAN(32, 64), PLAN(64, 64), PLAN(96, 32),
                                    PLAN(ATTENTION_MMA_DIM, 32)};

static const struct plan *plan_of(const struct attention_call *c) {
    const struct plan *p = PLANS;
    while (p->dim < c->dim) {
        p++;
    }
    return p;
}

size_t attention_backward_bytes(const struct attention_call *c) {
    const size_t line = (size_t)plan_of(c)->dim + 8, sides = (size_t)(c->height + c->width);
    const size_t dscores = sides > 0 ? (DSCORE_COUNT + MMA_ROWS * sides) * sizeof(float) : 0;
    return sizeof(struct attention_tile) + 4 * MMA_ROWS * line * sizeof(uint16_t) + dscores;
}

static size_t dkv_bytes(const struct plan *p) {
    const size_t line = (size_t)p->dim + 8, queries = (size_t)p->queries;
    return sizeof(struct attention_tile) + 2 * (MMA_ROWS + queries) * line * sizeof(uint16_t) +
           2 * queries * sizeof(float);
}

static int launch(struct device *d, const struct attention_call *c, backward_kernel *kernel,
                  int length, int heads, size_t bytes, struct error *e) {
    int rc = attention_allow(kernel, bytes, e);
    if (rc == 0) {
        GPU_LAUNCH(kernel, (unsigned)(attention_tiles(c, length, MMA_ROWS) * heads), MMA_THREADS,
                   bytes, cuda_stream(d), *c);
        rc = cuda_launched("attention_backward", e);
    }
    return rc;
}

int attention_backward_dq(struct device *d, const struct attention_call *c, struct error *e) {
    return launch(d, c, plan_of(c)->dq[c->height > 0], c->queries, c->heads,
                  attention_backward_bytes(c), e);
}

int attention_backward_dkv(struct device *d, const struct attention_call *c, struct error *e) {
    const struct plan *p = plan_of(c);
    return launch(d, c, p->dkv[c->height > 0], c->keys, c->heads / c->group, dkv_bytes(p), e);
}
