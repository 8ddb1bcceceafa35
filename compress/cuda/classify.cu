/* classify.cu - cross-entropy after a linear layer whose outputs are never all there at once: a
 * chunk of rows at a time. Labels are the GPU's, so that rows that do not count are computed too.
 */
#include <float.h>

#include "compress/cuda/linear.h"
#include "compress/cuda/rows.h"

/* ---- Kernels --------------------------------------------------------------------------------- */

/* Logits [i, i + 4) of a row; beyond its end what adds nothing. */
static __device__ inline float4 four_logits(const float *row, int64_t i, int64_t outputs) {
    if (i + 4 <= outputs) {
        return *(const float4 *)(row + i);
    }
    return make_float4(i < outputs ? row[i] : -FLT_MAX, i + 1 < outputs ? row[i + 1] : -FLT_MAX,
                       i + 2 < outputs ? row[i + 2] : -FLT_MAX, -FLT_MAX);
}

/* The largest logit of a row, and the sum of exp(logit - largest): one pass, each thread with a
 * largest of its own that grows. */
static __device__ void row_sum(const float *row, int64_t outputs, float *shared, float *largest,
                               float *sum) {
    float top = -FLT_MAX, total = 0;
    for (int64_t i = 4 * (int64_t)threadIdx.x; i < outputs; i += 4 * (int64_t)blockDim.x) {
        const float4 x = four_logits(row, i, outputs);
        const float higher = fmaxf(fmaxf(fmaxf(x.x, x.y), fmaxf(x.z, x.w)), top);
        total = total * expf(top - higher) + (expf(x.x - higher) + expf(x.y - higher)) +
                (expf(x.z - higher) + expf(x.w - higher));
        top = higher;
    }
    *largest = block_largest(top, shared);
    *sum = block_sum(total * expf(top - *largest), shared);
}

/* Slopes of the loss take the place of a row's logits. Halves are written over floats that have
 * been read: those of a step and of all before it. factor 0: of a row that does not count. */
static __device__ void put_slopes(float *row, int64_t outputs, int64_t label, float largest,
                                  float factor, float scale, bool half) {
    for (int64_t first = 0; first < outputs; first += 4 * (int64_t)blockDim.x) {
        const int64_t i = first + 4 * (int64_t)threadIdx.x;
        float4 x = make_float4(0, 0, 0, 0);
        if (i < outputs && factor != 0) {
            x = four_logits(row, i, outputs);
            x.x = expf(x.x - largest) * factor - (i == label ? scale : 0);
            x.y = expf(x.y - largest) * factor - (i + 1 == label ? scale : 0);
            x.z = expf(x.z - largest) * factor - (i + 2 == label ? scale : 0);
            x.w = expf(x.w - largest) * factor - (i + 3 == label ? scale : 0);
        }
        if (half) {
            __syncthreads();
        }
        if (i < outputs) {
            const struct gpu_rows to = {row, 0, half};
            gpu_put4(&to, 0, i, x);
        }
    }
}

/* A block has a row. losses: one a row; slopes: whether they are wanted. */
__global__ void __launch_bounds__(GPU_BLOCK)
    cross_entropy_kernel(float *logits, int64_t stride, int64_t outputs, const int32_t *labels,
                         float scale, float *losses, bool slopes, bool half) {
    GPU_SHARED(float, shared);
    float *row = logits + (int64_t)blockIdx.x * stride;
    const int64_t label = labels[blockIdx.x];
    float largest = 0, sum = 0, loss = 0;
    if (label >= 0) {
        const float right = row[label];
        row_sum(row, outputs, shared, &largest, &sum);
        loss = logf(sum) + (largest - right);
    }
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = loss;
    }
    if (slopes) {
        put_slopes(row, outputs, label, largest, label >= 0 ? scale / sum : 0, scale, half);
    }
}

__global__ void add_losses_kernel(float *loss, const float *losses, int64_t rows) {
    GPU_SHARED(float, shared);
    float sum = 0;
    for (int64_t i = threadIdx.x; i < rows; i += blockDim.x) {
        sum += losses[i];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        *loss += sum;
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

struct classifier {
    struct device *d;
    struct tensor x, dx; /* matrices; dx.data NULL: not wanted */
    const struct tensor *bias, *dweight, *dbias;
    const int32_t *labels;
    const struct packed *packed; /* NULL: */
    struct tensor weight;        /* as products read it */
    int64_t rows, inputs, outputs;
    int64_t chunk;  /* rows */
    int64_t stride; /* floats, of rows of logits */
    float scale;
    /* Of a chunk: inputs as products read them, or NULL where they are already; logits, and slopes
     * in the same place; and inputs' gradients that are not added at once, or NULL. */
    void *input;
    float *logits, *dinput;
    float *losses; /* of all rows */
};

enum { INPUT, LOGITS, DINPUT, MATRIX, PARTS };

/* Bytes of each part. */
static size_t part_bytes(const struct classifier *c, int part, int64_t chunk) {
    enum { ALIGNMENT = 64 };
    const enum dtype compute = c->d->compute;
    const bool dense = c->packed == NULL;
    size_t bytes = 0;
    if (part == INPUT && dense && c->x.type != compute) {
        bytes = (size_t)(chunk * c->inputs) * dtype_size(compute);
    } else if (part == LOGITS) {
        bytes = (size_t)(chunk * c->stride) * sizeof(float);
    } else if (part == DINPUT && !dense && c->dx.data != NULL && c->dx.type != DTYPE_F32) {
        bytes = (size_t)(chunk * c->inputs) * sizeof(float);
    } else if (part == MATRIX && dense && c->weight.type != compute) {
        bytes = (size_t)(c->outputs * c->inputs) * dtype_size(compute);
    }
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t chunk_bytes(const struct classifier *c, int64_t chunk) {
    return part_bytes(c, INPUT, chunk) + part_bytes(c, LOGITS, chunk) +
           part_bytes(c, DINPUT, chunk);
}

/* Memory that is lent, with as many rows as it has room for, or scratch memory; the matrix too
 * where it is not as products read it. */
static int make_room(struct classifier *c, struct error *e) {
    struct device *d = c->d;
    void *losses = NULL, *room = d->lent, *parts[PARTS];
    c->chunk = classify_rows(c->rows, c->outputs);
    while (d->lent != NULL && c->chunk > 1 && chunk_bytes(c, c->chunk) > d->lent_bytes) {
        c->chunk--;
    }
    const size_t size = chunk_bytes(c, c->chunk) + part_bytes(c, MATRIX, c->chunk);
    int rc = cuda_scratch(&losses, d, SCRATCH_HIDDEN, (size_t)c->rows * sizeof(float), e);
    if (rc == 0 && (room == NULL || d->lent_bytes < size)) {
        rc = cuda_scratch(&room, d, SCRATCH_CHUNK, size, e);
    }
    if (rc < 0) {
        return rc;
    }
    char *at = (char *)room;
    for (int i = 0; i < PARTS; i++) {
        const size_t bytes = part_bytes(c, i, c->chunk);
        parts[i] = bytes > 0 ? at : NULL;
        at += bytes;
    }
    c->losses = (float *)losses;
    c->input = parts[INPUT];
    c->logits = (float *)parts[LOGITS];
    c->dinput = (float *)parts[DINPUT];
    if (parts[MATRIX] != NULL) {
        const struct tensor weight = c->weight;
        c->weight = tensor_matrix(parts[MATRIX], d->compute, d, c->outputs, c->inputs);
        rc = d->ops->copy(d, &c->weight, &weight, e);
    }
    return rc;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* Rows of logits, or of slopes, which lie as far apart. */
static struct tensor chunk_of(const struct classifier *c, int64_t count, enum dtype type) {
    const int64_t stride = c->stride * (int64_t)(sizeof(float) / dtype_size(type));
    const struct tensor whole = tensor_matrix(c->logits, type, c->d, count, stride);
    return tensor_slice(&whole, 3, 0, c->outputs);
}

static int logits_of(const struct classifier *c, const struct tensor *logits,
                     const struct tensor *input, struct error *e) {
    if (c->packed != NULL) {
        return c->d->ops->linear(c->d, logits, input, c->packed, ACTIVATION_NONE, NULL, e);
    }
    const struct tensor turned = tensor_transpose(&c->weight);
    return c->d->ops->matmul(c->d, logits, input, &turned, c->bias, false, e);
}

static int differentiate(const struct classifier *c, int64_t first, int64_t count,
                         struct error *e) {
    const bool slopes = c->dx.data != NULL || c->dweight != NULL || c->dbias != NULL;
    GPU_LAUNCH(cross_entropy_kernel, (unsigned)count, GPU_BLOCK, GPU_WARP * sizeof(float),
               cuda_stream(c->d), c->logits, c->stride, c->outputs, c->labels + first, c->scale,
               c->losses + first, slopes, c->d->compute == DTYPE_BF16);
    return cuda_launched("classify", e);
}

/* dx += slopes W */
static int input_gradient(const struct classifier *c, const struct tensor *dx,
                          const struct tensor *slopes, struct error *e) {
    if (c->packed == NULL) {
        return c->d->ops->matmul(c->d, dx, slopes, &c->weight, NULL, true, e);
    }
    if (c->dinput == NULL) {
        return c->d->ops->linear_backward(c->d, dx, slopes, c->packed, true, e);
    }
    const struct tensor apart = tensor_matrix(c->dinput, DTYPE_F32, c->d, dx->shape[2], c->inputs);
    int rc = c->d->ops->linear_backward(c->d, &apart, slopes, c->packed, false, e);
    return rc == 0 ? c->d->ops->accumulate(c->d, dx, &apart, e) : rc;
}

static int gradients(const struct classifier *c, int64_t first, const struct tensor *input,
                     const struct tensor *slopes, struct error *e) {
    int rc = 0;
    if (c->dx.data != NULL) {
        const struct tensor dx = linear_rows_of(&c->dx, first, slopes->shape[2]);
        rc = input_gradient(c, &dx, slopes, e);
    }
    if (rc == 0 && c->dweight != NULL) {
        const struct tensor by_output = tensor_transpose(slopes);
        rc = c->d->ops->matmul(c->d, c->dweight, &by_output, input, NULL, true, e);
    }
    if (rc == 0 && c->dbias != NULL) {
        rc = c->d->ops->sum_rows(c->d, c->dbias, slopes, e);
    }
    return rc;
}

static int classify_chunk(const struct classifier *c, int64_t first, int64_t count,
                          struct error *e) {
    const struct tensor logits = chunk_of(c, count, DTYPE_F32);
    const struct tensor slopes = chunk_of(c, count, c->d->compute);
    const struct tensor rows = linear_rows_of(&c->x, first, count);
    struct tensor input = rows;
    int rc = 0;
    if (c->input != NULL) {
        input = tensor_matrix(c->input, c->d->compute, c->d, count, c->inputs);
        rc = c->d->ops->copy(c->d, &input, &rows, e);
    }
    if (rc == 0) {
        rc = logits_of(c, &logits, &input, e);
    }
    if (rc == 0) {
        rc = differentiate(c, first, count, e);
    }
    return rc == 0 ? gradients(c, first, &input, &slopes, e) : rc;
}

static int classify(struct classifier *c, const struct tensor *loss, const struct tensor *labels,
                    struct error *e) {
    enum { FOUR = 4 /* floats that are read at a time */ };
    assert(labels->type == DTYPE_I32 && tensor_is_dense(labels));
    assert(tensor_count(labels) == c->rows && c->x.shape[3] == c->inputs);
    if (c->rows == 0) {
        return 0;
    }
    c->labels = (const int32_t *)labels->data;
    c->stride = (c->outputs + FOUR - 1) / FOUR * FOUR;
    int rc = make_room(c, e);
    for (int64_t first = 0; first < c->rows && rc == 0; first += c->chunk) {
        const int64_t left = c->rows - first;
        rc = classify_chunk(c, first, left < c->chunk ? left : c->chunk, e);
    }
    if (rc < 0) {
        return rc;
    }
    GPU_LAUNCH(add_losses_kernel, 1, GPU_BLOCK, GPU_WARP * sizeof(float), cuda_stream(c->d),
               gpu_vector_of(loss), c->losses, c->rows);
    return cuda_launched("classify", e);
}

/* ---- Entries --------------------------------------------------------------------------------- */

static struct classifier classifier_of(struct device *d, const struct tensor *x,
                                       const struct tensor *dx, float scale) {
    struct classifier c = {};
    c.d = d;
    c.scale = scale;
    linear_matrix(&c.x, x);
    linear_matrix(&c.dx, dx);
    c.rows = c.x.shape[2];
    return c;
}

int cuda_classify(struct device *d, const struct tensor *loss, const struct tensor *dx,
                  const struct tensor *dweight, const struct tensor *dbias, const struct tensor *x,
                  const struct tensor *weight, const struct tensor *bias,
                  const struct tensor *labels, float scale, struct error *e) {
    struct classifier c = classifier_of(d, x, dx, scale);
    linear_matrix(&c.weight, weight);
    c.inputs = c.weight.shape[3];
    c.outputs = c.weight.shape[2];
    c.bias = bias;
    c.dweight = dweight;
    c.dbias = dbias;
    return classify(&c, loss, labels, e);
}

int cuda_classify_packed(struct device *d, const struct tensor *loss, const struct tensor *dx,
                         const struct tensor *x, const struct packed *w,
                         const struct tensor *labels, float scale, struct error *e) {
    struct classifier c = classifier_of(d, x, dx, scale);
    assert(w->frozen);
    c.packed = w;
    c.inputs = w->inputs;
    c.outputs = w->outputs;
    return classify(&c, loss, labels, e);
}
