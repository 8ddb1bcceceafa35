/* rotary.cu - positions as angles, by which pairs of numbers are turned (Su et al. 2021). A block
 * for each token: its threads find the angles and then turn all its heads by them. */
#include "compress/cuda/device.h"
#include "compress/cuda/vectors.h"

/* (batch, tokens, heads, dim), and the elements between places of the first three. */
struct heads {
    struct gpu_rows rows; /* one, of all elements */
    int64_t batch, token, head;
};

struct rotary {
    int64_t rows, tokens;
    int heads, dim, pairs;
    const int32_t *positions;
    const float *frequency;
    bool back;
};

static struct heads heads_of(const struct tensor *x) {
    assert(x->stride[3] == 1 && (x->type == DTYPE_F32 || x->type == DTYPE_BF16));
    return {{x->data, 0, x->type == DTYPE_BF16}, x->stride[0], x->stride[1], x->stride[2]};
}

static bool heads_in_fours(const struct heads *x) {
    return gpu_rows_in_fours(&x->rows, 4) && x->batch % 4 == 0 && x->token % 4 == 0 &&
           x->head % 4 == 0;
}

#define TURNS_PER_RADIAN 0.15915494309189535

/* Angles of far positions are large: whole turns are left out in double precision. */
static __device__ inline void angle_of(const struct rotary *r, int64_t row, int pair, float *cosine,
                                       float *sine) {
    const double turns = (double)r->positions[row] * (double)r->frequency[pair] * TURNS_PER_RADIAN;
    sincospif((float)(2 * (turns - rint(turns))), sine, cosine);
    *sine = r->back ? -*sine : *sine;
}

/* Pair i of a head lies at numbers i and i + pairs. */
template <int count>
static __device__ inline void
turn_pairs(const struct heads *out, int64_t to, const struct heads *x, int64_t from, int pairs,
           const struct gpu_vector<count> &cosine, const struct gpu_vector<count> &sine) {
    const struct gpu_vector<count> a = gpu_load<count>(&x->rows, 0, from);
    const struct gpu_vector<count> b = gpu_load<count>(&x->rows, 0, from + pairs);
    struct gpu_vector<count> c, s;
    for (int i = 0; i < count; i++) {
        c.of[i] = a.of[i] * cosine.of[i] - b.of[i] * sine.of[i];
        s.of[i] = b.of[i] * cosine.of[i] + a.of[i] * sine.of[i];
    }
    gpu_store(&out->rows, 0, to, c);
    gpu_store(&out->rows, 0, to + pairs, s);
}

template <int count>
__global__ void rotary_kernel(struct heads out, struct heads x, struct rotary r) {
    GPU_SHARED(float, cosines);
    float *const sines = cosines + r.pairs;
    const int groups = r.pairs / count, rest = r.dim - 2 * r.pairs;
    for (int64_t row = blockIdx.x; row < r.rows; row += gridDim.x) {
        const int64_t item = row / r.tokens, token = row - item * r.tokens;
        const int64_t to = item * out.batch + token * out.token;
        const int64_t from = item * x.batch + token * x.token;
        for (int i = (int)threadIdx.x; i < r.pairs; i += (int)blockDim.x) {
            angle_of(&r, row, i, &cosines[i], &sines[i]);
        }
        __syncthreads();
        for (int i = (int)threadIdx.x; i < r.heads * groups; i += (int)blockDim.x) {
            const int head = i / groups, group = i - head * groups, pair = group * count;
            turn_pairs(&out, to + head * out.head + pair, &x, from + head * x.head + pair, r.pairs,
                       ((const struct gpu_vector<count> *)cosines)[group],
                       ((const struct gpu_vector<count> *)sines)[group]);
        }
        for (int i = (int)threadIdx.x; i < r.heads * rest; i += (int)blockDim.x) {
            const int head = i / rest, at = i - head * rest + 2 * r.pairs;
            gpu_put(&out.rows, 0, to + head * out.head + at,
                    gpu_get(&x.rows, 0, from + head * x.head + at));
        }
        __syncthreads(); /* the angles are the next token's then */
    }
}

int cuda_rotary(struct device *d, const struct tensor *out, const struct tensor *x,
                const struct tensor *positions, const struct rotary_options *o, struct error *e) {
    const struct heads to = heads_of(out), from = heads_of(x);
    const struct rotary r = {x->shape[0] * x->shape[1],
                             x->shape[1],
                             (int)x->shape[2],
                             (int)x->shape[3],
                             (int)o->dims / 2,
                             (const int32_t *)positions->data,
                             (const float *)o->frequency->data,
                             o->back};
    assert(tensor_same_shape(out, x) && o->dims % 2 == 0 && o->dims <= x->shape[3]);
    assert(positions->type == DTYPE_I32 && tensor_is_dense(positions) &&
           tensor_count(positions) == r.rows);
    assert(o->frequency->type == DTYPE_F32 && tensor_is_dense(o->frequency) &&
           tensor_count(o->frequency) == r.pairs);
    if (tensor_count(x) == 0) {
        return 0;
    }
    const bool fours =
        r.pairs > 0 && r.pairs % 4 == 0 && heads_in_fours(&to) && heads_in_fours(&from);
    const int64_t items = r.heads * (int64_t)(r.dim - r.pairs) / (fours ? 4 : 1);
    GPU_LAUNCH((fours ? rotary_kernel<4> : rotary_kernel<1>), cuda_blocks(d, r.rows, 1),
               gpu_threads(items), 2 * (size_t)r.pairs * sizeof(float), cuda_stream(d), to, from,
               r);
    return cuda_launched("rotary", e);
}
