/* attention_forward.cu - attention by tensor cores: flash attention (Dao 2023).
 *
 * A warp has M tiles of 16 queries for good, in registers, and goes through the keys 32 at a time,
 * which its block has staged 64 at a time, the next while these are multiplied. Two tiles make of
 * what is loaded from shared memory twice as many products, where a head is narrow enough for the
 * sums of both to stay in registers.
 *
 * The bias stands in two tables in shared memory, of each query's products with the relative
 * positions of all columns and rows of the grid, over scale, in F16; it is what sums of products of
 * queries and keys begin with. */
#include "compress/cuda/attention_mma.h"
#include "compress/cuda/halves.h"

enum { STEP = 32 /* keys */, STEP_COLUMNS = STEP / 8 /* tiles of 8 of them */ };

/* What a warp keeps of its queries: rows g and g + 8 of each tile. */
template <int D, int M> struct queries {
    unsigned q[M][D / 16][4];
    float sums[M][D / 8][4];
    float largest[M][2]; /* score, before scaling */
    float total[M][2];   /* of the weights of this lane's columns */
};

template <int M> static __host__ __device__ constexpr int queries_of_block(void) {
    return MMA_WARPS * 16 * M;
}

/* The first query of this warp. */
template <int M> static __device__ inline int first_query(const struct attention_tile *t) {
    return t->first + mma_warp() * 16 * M;
}

/* Row `half` of tile m, among those of the warp. */
static __device__ inline int row_of(int m, int half) {
    return 16 * m + 8 * half + mma_lane() / 4;
}

/* ---- Tables of the bias ---------------------------------------------------------------------- */

static __device__ inline uint16_t half_of(float x) {
    return gpu_f16_of(fminf(fmaxf(x, -65504.0f), 65504.0f));
}

/* A row of both tables: columns of the grid, an even number, then rows; so long that eight rows lie
 * in different banks. */
static __host__ __device__ inline int table_down(const struct attention_call *c) {
    return (c->width + 1) / 2 * 2;
}
static __host__ __device__ inline int table_stride(const struct attention_call *c) {
    return (table_down(c) + c->height + 15) / 16 * 16 + 8;
}

/* Products of the warp's queries with positions from `first` on of one table, whose grid has `size`
 * rows or columns, to where the keys that have them as bias look for it: those of `tables`. */
template <int M>
static __device__ inline void spread_positions(uint16_t *tables, const struct attention_call *c,
                                               const float (*products)[STEP_COLUMNS][4], int query,
                                               int first, bool down) {
    const float factor = 1.0f / c->scale;
    const unsigned size = (unsigned)(down ? c->height : c->width);
    GPU_UNROLL for (int i = 0; i < 2 * M; i++) {
        const int row = row_of(i / 2, i % 2), place = c->start + query + row;
        const int y = attention_quotient(place, c->per_width), x = place - y * c->width;
        uint16_t *const to = tables + row * table_stride(c) + (down ? table_down(c) : 0);
        GPU_UNROLL for (int n = 0; n < 2 * STEP_COLUMNS; n++) {
            const int position = first + n / 2 * 8 + mma_lane() % 4 * 2 + n % 2;
            const unsigned side = (unsigned)(down ? y : x) + size - 1 - (unsigned)position;
            if (side < size) {
                to[side] = half_of(products[i / 2][n / 2][i % 2 * 2 + n % 2] * factor);
            }
        }
    }
}

/* ---- A step ---------------------------------------------------------------------------------- */

/* scores += products of queries and staged rows. */
template <int D, int M>
static __device__ inline void multiply_keys(float (*scores)[STEP_COLUMNS][4],
                                            const struct queries<D, M> *x, const uint16_t *keys) {
    GPU_UNROLL for (int n = 0; n < STEP_COLUMNS; n += 2) {
        GPU_UNROLL for (int k = 0; k < D / 16; k++) {
            unsigned b[4];
            mma_load_b<D>(b, keys, 8 * n, 16 * k);
            GPU_UNROLL for (int m = 0; m < M; m++) {
                mma_bf16(scores[m][n], x->q[m][k], b[0], b[1]);
                mma_bf16(scores[m][n + 1], x->q[m][k], b[2], b[3]);
            }
        }
    }
}

/* The bias of a step's keys. Those of a step lie in one row of the grid where its width is a
 * multiple of STEP: what that row adds is then the same for all, and `lift` is it. */
template <int M>
static __device__ inline void begin_in_a_row(float (*scores)[STEP_COLUMNS][4], float (*lift)[2],
                                             const struct attention_call *c, const uint16_t *tables,
                                             int key) {
    const int y = attention_quotient(key, c->per_width);
    const int x = key - y * c->width + mma_lane() % 4 * 2;
    GPU_UNROLL for (int i = 0; i < 2 * M; i++) {
        const uint16_t *row = tables + row_of(i / 2, i % 2) * table_stride(c);
        lift[i / 2][i % 2] = gpu_float_of_f16(row[table_down(c) + y]);
        GPU_UNROLL for (int n = 0; n < STEP_COLUMNS; n++) {
            const unsigned pair = *(const unsigned *)(row + x + 8 * n);
            scores[i / 2][n][i % 2 * 2] = gpu_float_of_f16((uint16_t)pair);
            scores[i / 2][n][i % 2 * 2 + 1] = gpu_float_of_f16((uint16_t)(pair >> 16));
        }
    }
}

/* Keys two by two, at (y, x) of the grid and after that. */
template <int M>
static __device__ inline void begin_anywhere(float (*scores)[STEP_COLUMNS][4],
                                             const struct attention_call *c, const uint16_t *tables,
                                             int key) {
    const int down = table_down(c), last = c->height - 1;
    GPU_UNROLL for (int n = 0; n < STEP_COLUMNS; n++) {
        const int place = key + 8 * n + mma_lane() % 4 * 2;
        const int row_of_grid = attention_quotient(place, c->per_width);
        const int x = place - row_of_grid * c->width, next = x + 1 == c->width;
        const int y = row_of_grid < last ? row_of_grid : last;
        const int below = y + next < last ? y + next : last;
        GPU_UNROLL for (int i = 0; i < 2 * M; i++) {
            const uint16_t *row = tables + row_of(i / 2, i % 2) * table_stride(c);
            float *two = &scores[i / 2][n][i % 2 * 2];
            if (c->width % 2 == 0) {
                const unsigned pair = *(const unsigned *)(row + x);
                const float by_row = gpu_float_of_f16(row[down + y]);
                two[0] = gpu_float_of_f16((uint16_t)pair) + by_row;
                two[1] = gpu_float_of_f16((uint16_t)(pair >> 16)) + by_row;
            } else {
                two[0] = gpu_float_of_f16(row[x]) + gpu_float_of_f16(row[down + y]);
                two[1] =
                    gpu_float_of_f16(row[next ? 0 : x + 1]) + gpu_float_of_f16(row[down + below]);
            }
        }
    }
}

/* Scores of keys from `key` on; tables: of this warp. */
template <int M>
static __device__ inline void begin_scores(float (*scores)[STEP_COLUMNS][4], float (*lift)[2],
                                           const struct attention_call *c, const uint16_t *tables,
                                           int key) {
    if (c->width % STEP == 0) {
        begin_in_a_row<M>(scores, lift, c, tables, key);
    } else {
        begin_anywhere<M>(scores, c, tables, key);
    }
}

/* Scores, with `lift` added, become weights 2^(scale (score - largest)); sums so far shrink
 * likewise, which after the first keys is seldom needed. */
template <int D, int M>
static __device__ inline void weigh(float (*scores)[STEP_COLUMNS][4], const float (*lift)[2],
                                    struct queries<D, M> *x, float scale) {
    GPU_UNROLL for (int m = 0; m < M; m++) {
        float shrink[2];
        bool grown = false;
        GPU_UNROLL for (int half = 0; half < 2; half++) {
            const float before = x->largest[m][half];
            float now = ATTENTION_EXCLUDED, total = 0;
            GPU_UNROLL for (int n = 0; n < STEP_COLUMNS; n++) {
                now = fmaxf(now, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
            }
            now = fmaxf(before, mma_row_largest(now) + lift[m][half]);
            const float shift = (lift[m][half] - now) * scale;
            GPU_UNROLL for (int n = 0; n < 2 * STEP_COLUMNS; n++) {
                float *score = &scores[m][n / 2][2 * half + n % 2];
                *score = mma_power_of_two(*score * scale + shift);
                total += *score;
            }
            shrink[half] = mma_power_of_two((before - now) * scale);
            grown |= now != before;
            x->largest[m][half] = now;
            x->total[m][half] = x->total[m][half] * shrink[half] + total;
        }
        if (__any_sync(GPU_ALL_LANES, grown)) {
            GPU_UNROLL for (int n = 0; n < D / 2; n++) {
                x->sums[m][n / 4][n % 4] *= shrink[n % 4 / 2];
            }
        }
    }
}

template <int D, int M>
static __device__ inline void add_values(struct queries<D, M> *x,
                                         const float (*weights)[STEP_COLUMNS][4],
                                         const uint16_t *values) {
    GPU_UNROLL for (int k = 0; k < STEP / 16; k++) {
        unsigned a[M][4];
        GPU_UNROLL for (int m = 0; m < M; m++) {
            mma_a_of(a[m], weights[m][2 * k], weights[m][2 * k + 1]);
        }
        GPU_UNROLL for (int n = 0; n < D / 16; n++) {
            unsigned b[4];
            mma_load_b_turned<D>(b, values, 16 * k, 16 * n);
            GPU_UNROLL for (int m = 0; m < M; m++) {
                mma_bf16(x->sums[m][2 * n], a[m], b[0], b[1]);
                mma_bf16(x->sums[m][2 * n + 1], a[m], b[2], b[3]);
            }
        }
    }
}

/* The warp's queries, `rows` of which are there, against STEP keys, if one sees another. */
template <int D, int M, bool BIASED>
static __device__ inline void attend_step(struct queries<D, M> *x, const struct attention_call *c,
                                          const struct attention_tile *t, const uint16_t *tables,
                                          const uint16_t *keys, const uint16_t *values, int key) {
    const int first = first_query<M>(t), end = first + 16 * M;
    const int last = (end < t->queries ? end : t->queries) - 1;
    if (last < first || key >= attention_to(c, t, last) || key + STEP <= attention_from(c, first)) {
        return;
    }
    float scores[M][STEP_COLUMNS][4] = {}, lift[M][2] = {};
    if (BIASED) {
        begin_scores<M>(scores, lift, c, tables, key);
    }
    multiply_keys<D, M>(scores, x, keys);
    if (key + STEP > attention_to(c, t, first) || key < attention_from(c, last)) {
        GPU_UNROLL for (int m = 0; m < M; m++) {
            mma_exclude<STEP>(scores[m], c, t, first + 16 * m, key);
        }
    }
    weigh<D, M>(scores, lift, x, c->scale * ATTENTION_LOG2_E);
    add_values<D, M>(x, scores, values);
}

/* ---- A tile ---------------------------------------------------------------------------------- */

template <int D, int M>
static __device__ inline void load_queries(struct queries<D, M> *x, const uint16_t *staged,
                                           int row) {
    GPU_UNROLL for (int m = 0; m < M; m++) {
        GPU_UNROLL for (int k = 0; k < D / 16; k++) {
            mma_load_a<D>(x->q[m][k], staged, row + 16 * m, 16 * k);
        }
    }
}

template <int D, int M> static __device__ inline void begin_sums(struct queries<D, M> *x) {
    GPU_UNROLL for (int m = 0; m < M; m++) {
        GPU_UNROLL for (int n = 0; n < D / 2; n++) {
            x->sums[m][n / 4][n % 4] = 0;
        }
        GPU_UNROLL for (int half = 0; half < 2; half++) {
            x->largest[m][half] = ATTENTION_EXCLUDED;
            x->total[m][half] = 0;
        }
    }
}

template <int D, int M>
static __device__ inline void make_tables(uint16_t *tables, const struct queries<D, M> *x,
                                          const struct attention_call *c,
                                          const struct attention_tile *t, uint16_t *staged) {
    for (int down = 0; down < 2; down++) {
        const struct attention_rows *rows = down ? &c->rel_h : &c->rel_w;
        const int count = 2 * (down ? c->height : c->width) - 1;
        for (int first = 0; first < count; first += MMA_ROWS) {
            mma_stage<D>(staged, c, NULL, rows, 0, first, count, MMA_ROWS);
            mma_copies_wait();
            __syncthreads();
            GPU_ROLLED for (int i = 0; i < MMA_ROWS && first + i < count; i += STEP) {
                float products[M][STEP_COLUMNS][4] = {};
                multiply_keys<D, M>(products, x, staged + i * mma_line<D>());
                spread_positions<M>(tables, c, products, first_query<M>(t), first + i, down);
            }
            __syncthreads();
        }
    }
}

template <int D, int M>
static __device__ inline void finish(const struct queries<D, M> *x, const struct attention_call *c,
                                     const struct attention_tile *t) {
    GPU_UNROLL for (int i = 0; i < 2 * M; i++) {
        const int m = i / 2, half = i % 2, query = first_query<M>(t) + row_of(m, half);
        const float total = mma_row_sum(x->total[m][half]), factor = 1.0f / total;
        const int64_t at = query < t->queries ? attention_at(c, t, &c->out, t->head, query) : -1;
        GPU_UNROLL for (int n = 0; n < D / 8; n++) {
            const int d = 8 * n + mma_lane() % 4 * 2;
            if (at >= 0 && d < c->dim) {
                mma_put_pair(&c->out, at + d, c->dim - d, x->sums[m][n][2 * half] * factor,
                             x->sums[m][n][2 * half + 1] * factor);
            }
        }
        if (query < t->queries && c->log_sum_exp != NULL && mma_lane() % 4 == 0) {
            c->log_sum_exp[t->line + query] = x->largest[m][half] * c->scale + logf(total);
        }
    }
}

/* Keys and values of 64 tokens, one after the other. A thread copies the same numbers of several
 * tokens, and finds each token once. */
template <int D>
static __device__ inline void stage_keys(uint16_t *to, const struct attention_call *c,
                                         const struct attention_tile *t, int key) {
    const int each = D / 8, stride = MMA_THREADS / each;
    const int head = t->head / c->group, d = (int)threadIdx.x % each * 8;
    if (MMA_THREADS % each == 0 && MMA_ROWS % stride == 0 && c->dim == D && mma_is_copied(&c->k) &&
        mma_is_copied(&c->v)) {
        const uint16_t *k = (const uint16_t *)c->k.data + t->batch * c->k.batch + head * c->k.head;
        const uint16_t *v = (const uint16_t *)c->v.data + t->batch * c->v.batch + head * c->v.head;
        GPU_UNROLL for (int i = 0; i < MMA_ROWS / stride; i++) {
            const int row = (int)threadIdx.x / each + i * stride;
            const bool there = key + row < t->keys;
            const int64_t token = there ? attention_token(c, t, key + row) : 0;
            uint16_t *place = to + row * mma_line<D>() + d;
            if (token >= 0) {
                mma_copy(place, k + token * c->k.token + d, there);
                mma_copy(place + MMA_ROWS * mma_line<D>(), v + token * c->v.token + d, there);
            } else {
                *(uint4 *)place = mma_eight(c, &c->k, head, -1, d);
                *(uint4 *)(place + MMA_ROWS * mma_line<D>()) = mma_eight(c, &c->v, head, -1, d);
            }
        }
        return;
    }
    mma_stage<D>(to, c, t, &c->k, head, key, t->keys, MMA_ROWS);
    mma_stage<D>(to + MMA_ROWS * mma_line<D>(), c, t, &c->v, head, key, t->keys, MMA_ROWS);
}

/* Shared memory: the tile, which all threads read so that none has it in registers; keys and values
 * of two stages, of which the second holds the queries at first; the tables. */
template <int D, int M, bool BIASED>
__global__ void __launch_bounds__(MMA_THREADS, D % 64 == 0 ? 2 : 3)
    attention_forward_kernel(struct attention_call c) {
    GPU_SHARED(struct attention_tile, t);
    enum { ROWS = queries_of_block<M>(), HALF = MMA_ROWS * mma_line<D>() };
    const int64_t number = c.causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x; /* longest first */
    if (!mma_tile_at(t, &c, number, c.queries, ROWS)) {
        return;
    }
    uint16_t *const stages = (uint16_t *)(t + 1);
    const int first = mma_warp() * 16 * M; /* of this warp in the tile */
    const int last = t->first + ROWS < t->queries ? t->first + ROWS - 1 : t->queries - 1;
    const int begin = attention_from(&c, t->first) / MMA_ROWS * MMA_ROWS;
    const int end = attention_to(&c, t, last);
    uint16_t *tables = stages + 4 * HALF + first * table_stride(&c);
    struct queries<D, M> x;
    mma_stage<D>(stages + 2 * HALF, &c, t, &c.q, t->head, t->first, t->queries, ROWS);
    mma_copies_wait();
    __syncthreads();
    load_queries<D, M>(&x, stages + 2 * HALF, first);
    if (BIASED) {
        make_tables<D, M>(tables, &x, &c, t, stages);
    }
    stage_keys<D>(stages, &c, t, begin);
    begin_sums<D, M>(&x);
    GPU_ROLLED for (int key = begin, at = 0; key < end; key += MMA_ROWS, at = 2 * HALF - at) {
        mma_copies_wait();
        __syncthreads();
        if (key + MMA_ROWS < end) {
            stage_keys<D>(stages + 2 * HALF - at, &c, t, key + MMA_ROWS);
        }
        GPU_ROLLED for (int step = 0; step < MMA_ROWS && key + step < end; step += STEP) {
            const uint16_t *keys = stages + at + step * mma_line<D>();
            attend_step<D, M, BIASED>(&x, &c, t, tables, keys, keys + HALF, key + step);
        }
    }
    finish<D, M>(&x, &c, t);
}

/* ---- Launches -------------------------------------------------------------------------------- */

/* For heads of up to `dim` numbers. */
struct plan {
    int dim, rows; /* queries of a block */
    void (*kernel)(struct attention_call), (*biased)(struct attention_call);
};

#define PLAN(D, M)                                                                                 \
    {                                                                                              \
        D, queries_of_block<M>(), attention_forward_kernel<D, M, false>,                           \
            attention_forward_kernel<D, M, true>                                                   \
    }
static const struct plan PLANS[] = {PLAN(32, 2), PLAN(64, 2), PLAN(96, 1),
                                    PLAN(ATTENTION_MMA_DIM, 1)};

static const struct plan *plan_of(const struct attention_call *c) {
    const struct plan *p = PLANS;
    while (p->dim < c->dim) {
        p++;
    }
    return p;
}

static size_t bytes_of(const struct plan *p, const struct attention_call *c) {
    const size_t keys = 4 * MMA_ROWS * (size_t)(p->dim + 8);
    const size_t tables = c->height > 0 ? (size_t)p->rows * (size_t)table_stride(c) : 0;
    return sizeof(struct attention_tile) + (keys + tables) * sizeof(uint16_t);
}

size_t attention_forward_bytes(const struct attention_call *c) {
    return bytes_of(plan_of(c), c);
}

int attention_forward(struct device *d, const struct attention_call *c, struct error *e) {
    const struct plan *p = plan_of(c);
    void (*kernel)(struct attention_call) = c->height > 0 ? p->biased : p->kernel;
    const size_t bytes = bytes_of(p, c);
    int rc = attention_allow(kernel, bytes, e);
    if (rc == 0) {
        GPU_LAUNCH(kernel, (unsigned)(attention_tiles(c, c->queries, p->rows) * c->heads),
                   MMA_THREADS, bytes, cuda_stream(d), *c);
        rc = cuda_launched("attention", e);
    }
    return rc;
}
