/* attention_few.cu - attention of few queries to many keys, as where tokens are generated one at a
 * time: what takes time is to read the keys once. A warp takes one query to some of the keys, and
 * those that read one key head stand in one block; what warps find is joined in a second pass. */
#include "compress/cuda/attention.h"

enum {
    EACH = ATTENTION_FEW_DIM / (int)GPU_WARP, /* numbers of a head that a lane has */
    LEAST_KEYS = 128                          /* for which another block is worth it */
};

/* Of a query so far: the largest score, in units of ln 2, the sum of weights, and of values. */
struct found {
    float largest, total, sums[EACH];
};

/* Parts of what is found, a query after another: largest, total and `dim` sums. */
static __device__ inline int64_t part_at(const struct attention_call *c, int64_t part) {
    return part * (c->dim + 2);
}

/* The score of a query at a key. */
static __device__ inline float few_score(const struct attention_call *c, const float *q,
                                         int64_t key_at) {
    float sum = 0;
    if (c->k.together == 8) {
        const struct gpu_rows k = {c->k.data, 0, c->k.bf16};
        for (int d = 0; d < c->dim; d += 4) {
            const float4 four = gpu_get4(&k, 0, key_at + d);
            sum += q[d] * attention_factor(c, four.x) + q[d + 1] * attention_factor(c, four.y) +
                   q[d + 2] * attention_factor(c, four.z) + q[d + 3] * attention_factor(c, four.w);
        }
    } else {
        for (int d = 0; d < c->dim; d++) {
            sum += q[d] * attention_factor(c, attention_get(&c->k, key_at + d));
        }
    }
    return sum * (c->scale * ATTENTION_LOG2_E);
}

/* Keys [key, key + count), one to a lane. */
static __device__ inline void few_keys(struct found *f, const struct attention_call *c,
                                       const struct attention_tile *t, const float *q, int key,
                                       int count) {
    const int lane = (int)threadIdx.x % GPU_WARP, key_head = t->head / c->group;
    float score = ATTENTION_EXCLUDED;
    if (lane < count) {
        score = few_score(c, q, attention_at(c, t, &c->k, key_head, key + lane));
    }
    const float now = fmaxf(f->largest, warp_largest(score)), shrink = exp2f(f->largest - now);
    const float weight = lane < count ? exp2f(score - now) : 0;
    f->largest = now;
    f->total = f->total * shrink + warp_sum(weight);
    GPU_UNROLL for (int i = 0; i < EACH; i++) {
        f->sums[i] *= shrink;
    }
    for (int j = 0; j < count; j++) {
        const float one = __shfl_sync(GPU_ALL_LANES, weight, j);
        const int64_t at = attention_at(c, t, &c->v, key_head, key + j);
        GPU_UNROLL for (int i = 0; i < EACH; i++) {
            if (i * GPU_WARP + lane < c->dim) {
                const float value = attention_get(&c->v, at + i * GPU_WARP + lane);
                f->sums[i] += one * attention_factor(c, value);
            }
        }
    }
}

static __device__ inline void few_finish(const struct found *f, const struct attention_call *c,
                                         int64_t line) {
    const int lane = (int)threadIdx.x % GPU_WARP;
    const int64_t head = line / c->lines;
    const int64_t at = head / c->heads * c->out.batch + line % c->lines * c->out.token +
                       head % c->heads * c->out.head;
    GPU_UNROLL for (int i = 0; i < EACH; i++) {
        if (i * GPU_WARP + lane < c->dim) {
            attention_put(&c->out, at + i * GPU_WARP + lane, f->sums[i] / f->total);
        }
    }
    if (lane == 0 && c->log_sum_exp != NULL) {
        c->log_sum_exp[line] = f->largest * ATTENTION_LN_2 + logf(f->total);
    }
}

/* parts (lines, splits), or NULL where one is all. A block: one key head of one sequence, one split
 * of its keys; a warp: one query. */
__global__ void few_kernel(struct attention_call c, float *parts, int splits) {
    GPU_SHARED(float, shared);
    const int lane = (int)threadIdx.x % GPU_WARP, warp = (int)threadIdx.x / GPU_WARP;
    const int group = (int)blockIdx.x / splits, split = (int)blockIdx.x % splits;
    const int key_heads = c.heads / c.group, query = warp % c.queries;
    struct attention_tile t = {.batch = group / key_heads,
                               .head = group % key_heads * c.group + warp / c.queries,
                               .queries = c.queries,
                               .keys = c.keys};
    const int64_t line = (t.batch * c.heads + t.head) * c.lines + query;
    float *q = shared + warp * c.dim;
    const int64_t at = attention_at(&c, &t, &c.q, t.head, query);
    for (int d = lane; d < c.dim; d += GPU_WARP) {
        q[d] = attention_factor(&c, attention_get(&c.q, at + d));
    }
    __syncwarp();
    const int begin = attention_from(&c, 0), end = attention_to(&c, &t, c.queries - 1);
    const int each = ((end - begin + splits - 1) / splits + GPU_WARP - 1) / GPU_WARP * GPU_WARP;
    int from = begin + split * each, to = from + each;
    from = from > attention_from(&c, query) ? from : attention_from(&c, query);
    to = to < attention_to(&c, &t, query) ? to : attention_to(&c, &t, query);
    struct found f = {.largest = ATTENTION_EXCLUDED};
    for (int key = from; key < to; key += GPU_WARP) {
        few_keys(&f, &c, &t, q, key, to - key < GPU_WARP ? to - key : GPU_WARP);
    }
    if (splits == 1) {
        few_finish(&f, &c, line);
        return;
    }
    float *part = parts + part_at(&c, line * splits + split);
    GPU_UNROLL for (int i = 0; i < EACH; i++) {
        if (i * GPU_WARP + lane < c.dim) {
            part[2 + i * GPU_WARP + lane] = f.sums[i];
        }
    }
    if (lane == 0) {
        part[0] = f.largest;
        part[1] = f.total;
    }
}

/* A warp a line. */
__global__ void few_join_kernel(struct attention_call c, const float *parts, int splits,
                                int64_t lines) {
    const int lane = (int)threadIdx.x % GPU_WARP;
    const int64_t line = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / GPU_WARP;
    if (line >= lines) {
        return;
    }
    struct found f = {.largest = ATTENTION_EXCLUDED};
    for (int split = 0; split < splits; split++) {
        const float *part = parts + part_at(&c, line * splits + split);
        const float now = fmaxf(f.largest, part[0]);
        const float shrink = exp2f(f.largest - now), factor = exp2f(part[0] - now);
        f.largest = now;
        f.total = f.total * shrink + part[1] * factor;
        GPU_UNROLL for (int i = 0; i < EACH; i++) {
            if (i * GPU_WARP + lane < c.dim) {
                f.sums[i] = f.sums[i] * shrink + part[2 + i * GPU_WARP + lane] * factor;
            }
        }
    }
    few_finish(&f, &c, line);
}

int attention_few(struct device *d, const struct attention_call *c, struct error *e) {
    const int groups = c->sequences * c->heads / c->group, warps = c->group * c->queries;
    const int64_t lines = (int64_t)c->sequences * c->heads * c->queries;
    const int most = (c->keys + LEAST_KEYS - 1) / LEAST_KEYS;
    const int wanted = 2 * cuda_device(d)->multiprocessors / groups + 1;
    const int splits = wanted < most ? wanted : most;
    void *parts = NULL;
    int rc = 0;
    if (splits > 1) {
        const size_t bytes = (size_t)(lines * splits * (c->dim + 2)) * sizeof(float);
        rc = cuda_scratch(&parts, d, SCRATCH_ROWS, bytes, e);
    }
    if (rc == 0) {
        GPU_LAUNCH(few_kernel, (unsigned)(groups * splits), (unsigned)(warps * GPU_WARP),
                   (size_t)(warps * c->dim) * sizeof(float), cuda_stream(d), *c, (float *)parts,
                   splits);
        rc = cuda_launched("attention", e);
    }
    if (rc == 0 && splits > 1) {
        GPU_LAUNCH(few_join_kernel, (unsigned)((lines * GPU_WARP + GPU_BLOCK - 1) / GPU_BLOCK),
                   GPU_BLOCK, 0, cuda_stream(d), *c, (const float *)parts, splits, lines);
        rc = cuda_launched("attention", e);
    }
    return rc;
}
