/* attention.cu - the attention of ops.h: what the kernels have in common, and which of them is
 * taken. */
#include "compress/cuda/attention.h"

/* ---- Tensors and options as the kernels see them --------------------------------------------- */

/* How many elements lie aligned to as many, wherever a token or a head begins. */
static int together_of(const struct attention_rows *rows, int64_t dim) {
    int64_t all = rows->batch | rows->token | rows->head | dim;
    all |= (int64_t)((uintptr_t)rows->data / (rows->bf16 ? 2 : 4));
    return all % 8 == 0 ? 8 : all % 4 == 0 ? 4 : all % 2 == 0 ? 2 : 1;
}

static struct attention_rows rows_of(const struct tensor *t) {
    struct attention_rows rows = {};
    if (t != NULL) {
        assert(t->type == DTYPE_F32 || t->type == DTYPE_BF16);
        assert(t->stride[3] == 1 || t->shape[3] == 1);
        rows.data = t->data;
        rows.batch = t->shape[0] > 1 ? t->stride[0] : 0;
        rows.token = t->shape[1] > 1 ? t->stride[1] : 0;
        rows.head = t->shape[2] > 1 ? t->stride[2] : 0;
        rows.bf16 = t->type == DTYPE_BF16;
        rows.together = together_of(&rows, t->shape[3]);
    }
    return rows;
}

static void check(const struct tensor *q, const struct tensor *k, const struct tensor *v,
                  const struct tensor *out, const struct tensor *log_sum_exp,
                  const struct attention_options *o) {
    assert(tensor_same_shape(out, q) && tensor_same_shape(k, v));
    assert(k->shape[0] == q->shape[0] && k->shape[3] == q->shape[3]);
    assert(q->shape[2] % k->shape[2] == 0 && o->scale >= 0);
    assert(o->span == 0 || o->causal);
    assert((o->rel_h == NULL) == (o->rel_w == NULL));
    assert(o->start == 0 || o->offsets == NULL);
    assert(!o->causal || o->offsets != NULL || o->start + q->shape[1] <= k->shape[1]);
    assert(o->offsets == NULL || (q->shape[0] == 1 && q->shape[1] == k->shape[1]));
    assert(log_sum_exp == NULL || (tensor_is_dense(log_sum_exp) &&
                                   tensor_count(log_sum_exp) * q->shape[3] == tensor_count(q)));
    (void)q;
    (void)k;
    (void)v;
    (void)out;
    (void)log_sum_exp;
    (void)o;
}

static struct attention_rows positions_of(const struct tensor *table) {
    const struct gpu_rows plain = gpu_rows_of(table);
    struct attention_rows rows = {};
    rows.data = plain.data;
    rows.token = plain.stride;
    rows.bf16 = plain.bf16;
    rows.together = together_of(&rows, tensor_width(table));
    return rows;
}

/* See attention_quotient. */
static unsigned per(int64_t n) {
    return (unsigned)((((uint64_t)1 << 32) + (uint64_t)n - 1) / (uint64_t)n);
}

static void use_positions(struct attention_call *c, const struct attention_options *o) {
    if (o->rel_h != NULL) {
        c->height = (int)o->height;
        c->width = (int)o->width;
        c->per_width = per(o->width);
        c->rel_h = positions_of(o->rel_h);
        c->rel_w = positions_of(o->rel_w);
        assert(tensor_rows(o->rel_h) == 2 * o->height - 1 && tensor_width(o->rel_h) == c->dim);
        assert(tensor_rows(o->rel_w) == 2 * o->width - 1 && tensor_width(o->rel_w) == c->dim);
    }
}

static void use_windows(struct attention_call *c, const struct attention_options *o) {
    const int64_t down = (o->grid_height + o->window - 1) / o->window;
    const int64_t across = (o->grid_width + o->window - 1) / o->window;
    assert(c->log_sum_exp == NULL && o->offsets == NULL && !o->causal && c->group == 1);
    assert(c->queries == o->grid_height * o->grid_width && c->keys == c->queries);
    assert(o->pad != NULL || (o->grid_height % o->window == 0 && o->grid_width % o->window == 0));
    c->window = (int)o->window;
    c->per_window = per(o->window);
    c->grid_height = (int)o->grid_height;
    c->grid_width = (int)o->grid_width;
    c->sequences *= (int)(down * across);
    c->queries = c->keys = (int)(o->window * o->window);
    c->lines = c->queries;
    if (o->pad != NULL) {
        assert(tensor_count(o->pad) == 3 * c->heads * c->dim);
        c->q.pad = gpu_vector_of(o->pad);
        c->k.pad = c->q.pad + c->heads * c->dim;
        c->v.pad = c->k.pad + c->heads * c->dim;
        if ((uintptr_t)c->q.pad % 16 != 0) {
            c->q.together = c->k.together = c->v.together = 1;
        }
    }
}

/* Offsets go to the device; memory that is not pinned has been read when the call returns. */
static int use_offsets(struct attention_call *c, struct device *d, const struct tensor *offsets,
                       struct error *e) {
    const int32_t *host = (const int32_t *)offsets->data;
    const size_t bytes = tensor_bytes(offsets);
    void *memory = NULL;
    assert(offsets->type == DTYPE_I32 && tensor_is_dense(offsets));
    int rc = cuda_scratch(&memory, d, SCRATCH_TABLE, bytes, e);
    if (rc == 0) {
        rc =
            cuda_check(cudaMemcpyAsync(memory, host, bytes, cudaMemcpyHostToDevice, cuda_stream(d)),
                       "attention", e);
    }
    c->offsets = (const int32_t *)memory;
    c->sequences = (int)tensor_count(offsets) - 1;
    c->packed = host[c->sequences] - host[0];
    return rc;
}

/* Whether tensor cores multiply: in both passes or in neither, since the gradients of what is
 * rounded in one place and not in the other are not those of anything. */
static bool is_rounded(const struct device *d, const struct attention_call *c) {
    int most = 0;
    if (d->compute != DTYPE_BF16 || c->dim > ATTENTION_MMA_DIM ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) != cudaSuccess) {
        return false;
    }
    return attention_forward_bytes(c) <= (size_t)most &&
           attention_backward_bytes(c) <= (size_t)most;
}

static int begin(struct attention_call *c, struct device *d, const struct tensor *q,
                 const struct tensor *k, const struct tensor *v, const struct tensor *out,
                 const struct tensor *log_sum_exp, const struct attention_options *o,
                 struct error *e) {
    check(q, k, v, out, log_sum_exp, o);
    c->q = rows_of(q);
    c->k = rows_of(k);
    c->v = rows_of(v);
    c->out = rows_of(out);
    c->log_sum_exp = gpu_vector_of(log_sum_exp);
    c->lines = q->shape[1];
    c->heads = (int)q->shape[2];
    c->group = (int)(q->shape[2] / k->shape[2]);
    c->dim = (int)q->shape[3];
    c->sequences = (int)q->shape[0];
    c->queries = (int)q->shape[1];
    c->keys = (int)k->shape[1];
    c->scale = o->scale > 0 ? o->scale : 1.0f / sqrtf((float)c->dim);
    c->causal = o->causal;
    c->span = o->span < c->keys ? (int)o->span : 0;
    c->start = (int)o->start;
    use_positions(c, o);
    if (o->window > 0) {
        use_windows(c, o);
    }
    c->rounded = is_rounded(d, c);
    return o->offsets != NULL ? use_offsets(c, d, o->offsets, e) : 0;
}

static int64_t lines_of(const struct attention_call *c) {
    return (c->offsets != NULL ? 1 : c->sequences) * c->heads * c->lines;
}

/* ---- Forward --------------------------------------------------------------------------------- */

static int forward_plain(struct device *d, struct attention_call *c, struct error *e) {
    void *memory = NULL;
    int rc = 0;
    if (c->height > 0) {
        const int64_t count = lines_of(c) * (c->height + c->width);
        rc = cuda_scratch(&memory, d, SCRATCH_ROWS, (size_t)count * sizeof(float), e);
        c->sides = (float *)memory;
        rc = rc == 0 ? attention_sides(d, c, e) : rc;
    }
    return rc == 0 ? attention_plain_forward(d, c, e) : rc;
}

static bool is_small(const struct attention_call *c) {
    return c->rounded && c->offsets == NULL && c->queries <= ATTENTION_SMALL &&
           c->keys <= ATTENTION_SMALL && attention_places(c) <= ATTENTION_SMALL_PLACES;
}

int cuda_attention(struct device *d, const struct tensor *out, const struct tensor *log_sum_exp,
                   const struct tensor *q, const struct tensor *k, const struct tensor *v,
                   const struct attention_options *o, struct error *e) {
    struct attention_call c = {};
    if (tensor_count(q) == 0) {
        return 0;
    }
    int rc = begin(&c, d, q, k, v, out, log_sum_exp, o, e);
    if (rc < 0 || c.sequences == 0) {
        return rc;
    }
    const bool whole = c.window == 0 && c.height == 0 && c.offsets == NULL;
    if (whole && c.group * c.queries <= ATTENTION_FEW && c.dim <= ATTENTION_FEW_DIM) {
        return attention_few(d, &c, e);
    }
    if (is_small(&c)) {
        return attention_small(d, &c, e);
    }
    return c.rounded ? attention_forward(d, &c, e) : forward_plain(d, &c, e);
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* D = out . dout, a warp a line. */
__global__ void attention_products_kernel(struct attention_call c, int64_t lines) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x / GPU_WARP;
    const int lane = (int)threadIdx.x % GPU_WARP;
    for (int64_t line = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / GPU_WARP; line < lines;
         line += step) {
        const int64_t token = line % c.lines, head = line / c.lines;
        const int64_t batch = head / c.heads;
        const int64_t out_at =
            batch * c.out.batch + token * c.out.token + head % c.heads * c.out.head;
        const int64_t dout_at =
            batch * c.dout.batch + token * c.dout.token + head % c.heads * c.dout.head;
        float sum = 0;
        for (int i = lane; i < c.dim; i += GPU_WARP) {
            sum += attention_get(&c.out, out_at + i) *
                   attention_factor(&c, attention_get(&c.dout, dout_at + i));
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            c.products[line] = sum;
        }
    }
}

/* Scratch memory, products and sides. */
static int begin_backward(struct device *d, struct attention_call *c, struct error *e) {
    const int64_t lines = lines_of(c), sides = lines * (c->height + c->width);
    void *memory = NULL;
    int rc = cuda_scratch(&memory, d, SCRATCH_ROWS, (size_t)(lines + 2 * sides) * sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    c->products = (float *)memory;
    c->sides = c->products + lines;
    c->dsides = c->sides + sides;
    GPU_LAUNCH(attention_products_kernel, cuda_blocks(d, lines * GPU_WARP, GPU_BLOCK), GPU_BLOCK, 0,
               cuda_stream(d), *c, lines);
    rc = cuda_launched("attention_backward", e);
    if (rc == 0 && sides > 0) {
        rc =
            cuda_check(cudaMemsetAsync(c->dsides, 0, (size_t)sides * sizeof(float), cuda_stream(d)),
                       "attention_backward", e);
    }
    return rc == 0 && sides > 0 ? attention_sides(d, c, e) : rc;
}

int cuda_attention_backward(struct device *d, const struct tensor *dq, const struct tensor *dk,
                            const struct tensor *dv, const struct tensor *drel_h,
                            const struct tensor *drel_w, const struct tensor *q,
                            const struct tensor *k, const struct tensor *v,
                            const struct tensor *out, const struct tensor *log_sum_exp,
                            const struct tensor *dout, const struct attention_options *o,
                            struct error *e) {
    struct attention_call c = {};
    assert(o->window == 0 && tensor_same_shape(dout, q) && log_sum_exp != NULL);
    assert(o->rel_h != NULL || (drel_h == NULL && drel_w == NULL));
    if (tensor_count(q) == 0) {
        return 0;
    }
    int rc = begin(&c, d, q, k, v, out, log_sum_exp, o, e);
    if (rc < 0 || c.sequences == 0) {
        return rc;
    }
    const bool tables = drel_h != NULL || drel_w != NULL;
    const struct gpu_rows drels[] = {gpu_rows_of(drel_h), gpu_rows_of(drel_w)};
    c.dout = rows_of(dout);
    c.dq = rows_of(dq);
    c.dk = rows_of(dk);
    c.dv = rows_of(dv);
    rc = begin_backward(d, &c, e);
    if (rc == 0 && (dq != NULL || tables)) {
        rc = c.rounded ? attention_backward_dq(d, &c, e) : attention_plain_dq(d, &c, e);
    }
    if (rc == 0 && (dk != NULL || dv != NULL)) {
        rc = c.rounded ? attention_backward_dkv(d, &c, e) : attention_plain_dkv(d, &c, e);
    }
    if (rc == 0 && c.height > 0 && dq != NULL) {
        rc = attention_sides_dq(d, &c, e);
    }
    return rc == 0 && tables ? attention_sides_drel(d, &c, &drels[0], &drels[1], e) : rc;
}
