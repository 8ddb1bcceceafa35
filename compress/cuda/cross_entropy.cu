/* cross_entropy.cu - of rows of logits with their labels. */
#include "compress/cuda/softmax.h"
#include "compress/cuda/sums.h"

struct cross_entropy {
    float *losses; /* of the rows */
    struct gpu_rows dlogits, logits;
    const int32_t *labels;
    float scale;
    int64_t rows;
    int width;
};

/* A row that does not count: its logits are not even read. */
template <int LANES>
static __device__ inline void write_zeros(const struct cross_entropy *c, int64_t row) {
    const float zeros[ROW_HELD] = {};
    for (int first = 0; first < c->width; first += row_tile()) {
        row_write<LANES>(&c->dlogits, row, first, c->width, zeros);
    }
}

/* scale * (softmax - one-hot label); v holds the logits where they are one tile. */
template <int LANES>
static __device__ inline void write_slopes(const struct cross_entropy *c, struct exponentials s,
                                           float *v, int64_t row, int label) {
    const float share = c->scale / s.sum;
    for (int first = 0; first < c->width; first += row_tile()) {
        row_read_again<LANES>(v, &c->logits, row, first, c->width, 0);
        for (int i = 0; i < ROW_HELD; i++) {
            v[i] = expf(v[i] - s.largest) * share;
            v[i] -= row_column<LANES>(first, i) == label ? c->scale : 0;
        }
        row_write<LANES>(&c->dlogits, row, first, c->width, v);
    }
}

template <int LANES>
__global__ void __launch_bounds__(ROW_THREADS) cross_entropy_kernel(const struct cross_entropy c) {
    GPU_SHARED(float, shared);
    float v[ROW_HELD];
    for (int64_t row = row_first(); row < c.rows; row += row_step()) {
        const int label = c.labels[row];
        float loss = 0;
        if (label >= 0) {
            /* before dlogits, which may be the logits, are written */
            const float at_label = gpu_get(&c.logits, row, label);
            const struct exponentials s =
                exponentials_of<LANES>(v, &c.logits, row, c.width, shared);
            loss = logf(s.sum) + (s.largest - at_label);
            if (c.dlogits.data != NULL) {
                write_slopes<LANES>(&c, s, v, row, label);
            }
        } else if (c.dlogits.data != NULL) {
            write_zeros<LANES>(&c, row);
        }
        if (threadIdx.x == 0) {
            c.losses[row] = loss;
        }
    }
}

int cuda_cross_entropy(struct device *d, const struct tensor *loss, const struct tensor *dlogits,
                       const struct tensor *logits, const struct tensor *labels, float scale,
                       struct error *e) {
    struct cross_entropy c = {.losses = NULL,
                              .dlogits = gpu_rows_of(dlogits),
                              .logits = gpu_rows_of(logits),
                              .labels = (const int32_t *)labels->data,
                              .scale = scale,
                              .rows = tensor_rows(logits),
                              .width = (int)tensor_width(logits)};
    const bool fours =
        gpu_rows_in_fours(&c.dlogits, c.width) && gpu_rows_in_fours(&c.logits, c.width);
    void *losses = NULL;
    assert(labels->type == DTYPE_I32 && tensor_is_dense(labels) && tensor_count(labels) == c.rows);
    assert(tensor_count(loss) == 1);
    if (tensor_count(logits) == 0) {
        return 0;
    }
    int rc = cuda_scratch(&losses, d, SCRATCH_ROWS, (size_t)c.rows * sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    c.losses = (float *)losses;
    const struct row_grid g = row_grid_of(d, c.rows, c.width);
    GPU_LAUNCH((fours ? cross_entropy_kernel<4> : cross_entropy_kernel<1>), g.grid, g.block,
               ROW_SHARED, cuda_stream(d), c);
    rc = cuda_launched("cross_entropy", e);
    return rc == 0 ? cuda_total(d, gpu_vector_of(loss), c.losses, c.rows, e) : rc;
}
