/* attention_plain.cu - attention in F32, exact, for heads of any size: flash attention (Dao et al.
 * 2022, 2023) of tiles of T queries and T keys in shared memory. */
#include "compress/cuda/attention_tile.h"

/* Tiles as wide as a head and (T, T) of each kernel. */
enum { FORWARD_WIDE = 3, FORWARD_SQUARE = 1, DQ_WIDE = 5, DKV_WIDE = 6, BACKWARD_SQUARE = 2 };

/* Shared memory laid out one part after another. */
static __device__ inline float *take(float **free, int count) {
    float *part = *free;
    *free += count;
    return part;
}

/* The score of query i, in row `line`, at key j, in units of ln 2, of the product of both. */
static __device__ inline float score_of(const struct attention_call *c,
                                        const struct attention_tile *t, int i, int64_t line, int j,
                                        float product) {
    if (i >= t->queries || j < attention_from(c, i) || j >= attention_to(c, t, i)) {
        return ATTENTION_EXCLUDED;
    }
    const float bias = c->height > 0 ? attention_bias(c, line, j) : 0;
    return product * (c->scale * ATTENTION_LOG2_E) + bias * ATTENTION_LOG2_E;
}

/* ---- Forward --------------------------------------------------------------------------------- */

/* What queries have met so far: the largest score and the sum of weights, of each. */
struct running {
    float *largest, *total;
};

/* Scores of a tile become weights 2^(score - largest); sums so far shrink likewise. */
template <int T>
static __device__ inline void weigh(const struct attention_call *c, const struct attention_tile *t,
                                    const struct running *so_far, float *scores, float *sums,
                                    int key) {
    const int stride = tile_stride(T);
    for (int i = tile_warp(); i < T; i += tile_warps()) {
        const float before = so_far->largest[i];
        float now = before, total = 0;
        for (int j = tile_lane(); j < T; j += GPU_WARP) {
            const float score = score_of(c, t, t->first + i, t->line + t->first + i, key + j,
                                         scores[i * stride + j]);
            scores[i * stride + j] = score;
            now = fmaxf(now, score);
        }
        now = warp_largest(now);
        for (int j = tile_lane(); j < T; j += GPU_WARP) {
            const float weight = exp2f(scores[i * stride + j] - now);
            scores[i * stride + j] = weight;
            total += weight;
        }
        total = warp_sum(total);
        const float shrink = exp2f(before - now);
        for (int d = tile_lane(); d < c->dim && shrink != 1; d += GPU_WARP) {
            sums[i * tile_stride(c->dim) + d] *= shrink;
        }
        __syncwarp(); /* all lanes have read what is written */
        if (tile_lane() == 0) {
            so_far->largest[i] = now;
            so_far->total[i] = so_far->total[i] * shrink + total;
        }
    }
}

template <int T>
static __device__ inline void finish(const struct attention_call *c, const struct attention_tile *t,
                                     const struct running *so_far, const float *sums) {
    for (int i = tile_warp(); i < T && t->first + i < t->queries; i += tile_warps()) {
        const int64_t at = attention_at(c, t, &c->out, t->head, t->first + i);
        const float factor = 1.0f / so_far->total[i];
        for (int d = tile_lane(); d < c->dim && at >= 0; d += GPU_WARP) {
            attention_put(&c->out, at + d, sums[i * tile_stride(c->dim) + d] * factor);
        }
        if (tile_lane() == 0 && c->log_sum_exp != NULL) {
            c->log_sum_exp[t->line + t->first + i] =
                so_far->largest[i] * ATTENTION_LN_2 + logf(so_far->total[i]);
        }
    }
}

template <int T> __global__ void plain_forward_kernel(struct attention_call c) {
    GPU_SHARED(float, shared);
    struct attention_tile t;
    const int64_t number = c.causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x; /* longest first */
    if (!attention_tile_at(&t, &c, number, c.queries, T)) {
        return;
    }
    const int stride = tile_stride(c.dim), line = tile_stride(T), key_head = t.head / c.group;
    float *free = shared, *q = take(&free, T * stride), *kv = take(&free, T * stride);
    float *sums = take(&free, T * stride), *scores = take(&free, T * line);
    const struct running so_far = {take(&free, T), take(&free, T)};
    const int last = t.first + T < t.queries ? t.first + T - 1 : t.queries - 1;
    const int end = attention_to(&c, &t, last);
    tile_stage<T>(q, &c, &t, &c.q, t.head, t.first, t.queries);
    tile_fill(sums, T * stride, 0);
    tile_fill(so_far.largest, T, ATTENTION_EXCLUDED);
    tile_fill(so_far.total, T, 0);
    for (int key = attention_from(&c, t.first) / T * T; key < end; key += T) {
        __syncthreads();
        tile_stage<T>(kv, &c, &t, &c.k, key_head, key, t.keys);
        __syncthreads();
        tile_product<T>(tile_of(scores, line), tile_of(q, stride), tile_turned(kv, stride), T,
                        c.dim, false);
        __syncthreads();
        weigh<T>(&c, &t, &so_far, scores, sums, key);
        tile_stage<T>(kv, &c, &t, &c.v, key_head, key, t.keys);
        __syncthreads();
        tile_product<T>(tile_of(sums, stride), tile_of(scores, line), tile_of(kv, stride), c.dim, T,
                        true);
    }
    __syncthreads();
    finish<T>(&c, &t, &so_far, sums);
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* Scores (queries from `query` on, keys from `key` on) become weights, and products of dout and
 * values become dscores. */
template <int T>
static __device__ inline void differentiate(const struct attention_call *c,
                                            const struct attention_tile *t, int head, int query,
                                            int key, float *scores, float *dscores) {
    for (int i = tile_warp(); i < T; i += tile_warps()) {
        const int64_t line = attention_line(c, t, head) + query + i;
        const bool there = query + i < t->queries;
        const float log_sum = there ? c->log_sum_exp[line] * ATTENTION_LOG2_E : 0;
        const float product = there ? c->products[line] : 0;
        for (int j = tile_lane(); j < T; j += GPU_WARP) {
            const int at = i * tile_stride(T) + j;
            const float score = score_of(c, t, query + i, line, key + j, scores[at]);
            const float weight = exp2f(score - log_sum);
            scores[at] = weight;
            dscores[at] = weight * (dscores[at] - product);
        }
    }
}

template <int T> __global__ void plain_dq_kernel(struct attention_call c) {
    GPU_SHARED(float, shared);
    struct attention_tile t;
    const int64_t number = c.causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
    if (!attention_tile_at(&t, &c, number, c.queries, T)) {
        return;
    }
    const int stride = tile_stride(c.dim), line = tile_stride(T), key_head = t.head / c.group;
    float *free = shared, *q = take(&free, T * stride), *dout = take(&free, T * stride);
    float *k = take(&free, T * stride), *v = take(&free, T * stride);
    float *dq = take(&free, T * stride);
    float *scores = take(&free, T * line), *dscores = take(&free, T * line);
    const int rows = t.queries - t.first < T ? t.queries - t.first : T;
    const int end = attention_to(&c, &t, t.first + rows - 1), sides = c.height + c.width;
    tile_stage<T>(q, &c, &t, &c.q, t.head, t.first, t.queries);
    tile_stage<T>(dout, &c, &t, &c.dout, t.head, t.first, t.queries);
    tile_fill(dq, T * stride, 0);
    for (int key = attention_from(&c, t.first) / T * T; key < end; key += T) {
        __syncthreads();
        tile_stage<T>(k, &c, &t, &c.k, key_head, key, t.keys);
        tile_stage<T>(v, &c, &t, &c.v, key_head, key, t.keys);
        __syncthreads();
        tile_product<T>(tile_of(scores, line), tile_of(q, stride), tile_turned(k, stride), T, c.dim,
                        false);
        tile_product<T>(tile_of(dscores, line), tile_of(dout, stride), tile_turned(v, stride), T,
                        c.dim, false);
        __syncthreads();
        differentiate<T>(&c, &t, t.head, t.first, key, scores, dscores);
        __syncthreads();
        tile_product<T>(tile_of(dq, stride), tile_of(dscores, line), tile_of(k, stride), c.dim, T,
                        true);
        if (c.height > 0) {
            const int count = t.keys - key < T ? t.keys - key : T;
            tile_add_sides(c.dsides + (t.line + t.first) * sides, &c, rows, dscores, line, key,
                           count);
        }
    }
    __syncthreads();
    if (c.dq.data != NULL) {
        tile_add<T>(&c, &t, &c.dq, t.head, t.first, t.queries, dq, c.scale);
    }
}

template <int T> __global__ void plain_dkv_kernel(struct attention_call c) {
    GPU_SHARED(float, shared);
    struct attention_tile t;
    if (!attention_tile_at(&t, &c, blockIdx.x, c.keys, T)) {
        return;
    }
    const int stride = tile_stride(c.dim), line = tile_stride(T);
    float *free = shared, *k = take(&free, T * stride), *v = take(&free, T * stride);
    float *dk = take(&free, T * stride), *dv = take(&free, T * stride);
    float *q = take(&free, T * stride), *dout = take(&free, T * stride);
    float *scores = take(&free, T * line), *dscores = take(&free, T * line);
    int from, to;
    attention_seers(&c, &t, t.first, t.first + T < t.keys ? t.first + T : t.keys, &from, &to);
    tile_stage<T>(k, &c, &t, &c.k, t.head, t.first, t.keys);
    tile_stage<T>(v, &c, &t, &c.v, t.head, t.first, t.keys);
    tile_fill(dk, T * stride, 0);
    tile_fill(dv, T * stride, 0);
    for (int head = t.head * c.group; head < (t.head + 1) * c.group; head++) {
        for (int query = from; query < to; query += T) {
            __syncthreads();
            tile_stage<T>(q, &c, &t, &c.q, head, query, t.queries);
            tile_stage<T>(dout, &c, &t, &c.dout, head, query, t.queries);
            __syncthreads();
            tile_product<T>(tile_of(scores, line), tile_of(q, stride), tile_turned(k, stride), T,
                            c.dim, false);
            tile_product<T>(tile_of(dscores, line), tile_of(dout, stride), tile_turned(v, stride),
                            T, c.dim, false);
            __syncthreads();
            differentiate<T>(&c, &t, head, query, t.first, scores, dscores);
            __syncthreads();
            tile_product<T>(tile_of(dv, stride), tile_turned(scores, line), tile_of(dout, stride),
                            c.dim, T, true);
            tile_product<T>(tile_of(dk, stride), tile_turned(dscores, line), tile_of(q, stride),
                            c.dim, T, true);
        }
    }
    __syncthreads();
    if (c.dk.data != NULL) {
        tile_add<T>(&c, &t, &c.dk, t.head, t.first, t.keys, dk, c.scale);
    }
    if (c.dv.data != NULL) {
        tile_add<T>(&c, &t, &c.dv, t.head, t.first, t.keys, dv, 1);
    }
}

/* ---- Launches -------------------------------------------------------------------------------- */

#define OF_ROWS(kernel, rows) ((rows) == 64 ? kernel<64> : (rows) == 32 ? kernel<32> : kernel<16>)

static int launch(struct device *d, const struct attention_call *c,
                  void (*kernel)(struct attention_call), int rows, int length, int heads,
                  size_t bytes, struct error *e) {
    int rc = attention_allow(kernel, bytes, e);
    if (rc == 0) {
        GPU_LAUNCH(kernel, (unsigned)(attention_tiles(c, length, rows) * heads), 4 * rows, bytes,
                   cuda_stream(d), *c);
        rc = cuda_launched("attention", e);
    }
    return rc;
}

int attention_plain_forward(struct device *d, const struct attention_call *c, struct error *e) {
    const int rows = tile_rows(c->dim, FORWARD_WIDE, FORWARD_SQUARE);
    const size_t running = 2 * (size_t)rows * sizeof(float);
    const size_t bytes = tile_bytes(rows, c->dim, FORWARD_WIDE, FORWARD_SQUARE) + running;
    return launch(d, c, OF_ROWS(plain_forward_kernel, rows), rows, c->queries, c->heads, bytes, e);
}

int attention_plain_dq(struct device *d, const struct attention_call *c, struct error *e) {
    const int rows = tile_rows(c->dim, DQ_WIDE, BACKWARD_SQUARE);
    const size_t bytes = tile_bytes(rows, c->dim, DQ_WIDE, BACKWARD_SQUARE);
    return launch(d, c, OF_ROWS(plain_dq_kernel, rows), rows, c->queries, c->heads, bytes, e);
}

int attention_plain_dkv(struct device *d, const struct attention_call *c, struct error *e) {
    const int rows = tile_rows(c->dim, DKV_WIDE, BACKWARD_SQUARE);
    const size_t bytes = tile_bytes(rows, c->dim, DKV_WIDE, BACKWARD_SQUARE);
    return launch(d, c, OF_ROWS(plain_dkv_kernel, rows), rows, c->keys, c->heads / c->group, bytes,
                  e);
}
