/* cosine.cu - of the angles between rows. */
#include "compress/cuda/row_block.h"

/* A row of zeros has no direction. */
struct angle {
    float cosine, a_length, b_length; /* 0: a row of zeros */
};

/* Leaves the last tiles in x and y. */
template <int LANES>
static __device__ inline struct angle angle_of(float *x, float *y, const struct gpu_rows *a,
                                               const struct gpu_rows *b, int64_t row, int width,
                                               float *shared) {
    float aa = 0, bb = 0, ab = 0;
    for (int first = 0; first < width; first += row_tile()) {
        row_read<LANES>(x, a, row, first, width, 0);
        row_read<LANES>(y, b, row, first, width, 0);
        for (int i = 0; i < ROW_HELD; i++) {
            aa += x[i] * x[i];
            bb += y[i] * y[i];
            ab += x[i] * y[i];
        }
    }
    struct angle g = {0, sqrtf(row_sum(aa, shared)), sqrtf(row_sum(bb, shared))};
    ab = row_sum(ab, shared);
    if (g.a_length > 0 && g.b_length > 0) {
        g.cosine = ab / g.a_length / g.b_length;
    }
    return g;
}

struct cosine {
    float *out;
    struct gpu_rows a, b;
    int64_t rows;
    int width;
};

template <int LANES>
__global__ void __launch_bounds__(ROW_THREADS) cosine_kernel(const struct cosine c) {
    GPU_SHARED(float, shared);
    float x[ROW_HELD], y[ROW_HELD];
    for (int64_t row = row_first(); row < c.rows; row += row_step()) {
        const struct angle g = angle_of<LANES>(x, y, &c.a, &c.b, row, c.width, shared);
        if (threadIdx.x == 0) {
            c.out[row] = g.cosine;
        }
    }
}

int cuda_cosine(struct device *d, const struct tensor *out, const struct tensor *a,
                const struct tensor *b, struct error *e) {
    const struct cosine c = {.out = gpu_vector_of(out),
                             .a = gpu_rows_of(a),
                             .b = gpu_rows_of(b),
                             .rows = tensor_rows(a),
                             .width = (int)tensor_width(a)};
    const bool fours = gpu_rows_in_fours(&c.a, c.width) && gpu_rows_in_fours(&c.b, c.width);
    assert(tensor_width(a) == tensor_width(b) && tensor_count(out) == c.rows);
    if (tensor_count(a) == 0) {
        return 0;
    }
    const struct row_grid g = row_grid_of(d, c.rows, c.width);
    GPU_LAUNCH((fours ? cosine_kernel<4> : cosine_kernel<1>), g.grid, g.block, ROW_SHARED,
               cuda_stream(d), c);
    return cuda_launched("cosine", e);
}

/* ---- Gradients ------------------------------------------------------------------------------- */

struct cosine_backward {
    struct gpu_rows da, db, a, b;
    const float *dy;
    int64_t rows;
    int width;
};

/* A tile of dx += slope (y / (|x| |y|) - cosine x / |x|^2) */
template <int LANES>
static __device__ inline void turn_tile(const struct gpu_rows *dx, int64_t row, int first,
                                        int width, const float *x, const float *y, float of_x,
                                        float of_y) {
    float to[ROW_HELD];
    if (dx->data != NULL) {
        row_read<LANES>(to, dx, row, first, width, 0);
        for (int i = 0; i < ROW_HELD; i++) {
            to[i] += of_y * y[i] + of_x * x[i];
        }
        row_write<LANES>(dx, row, first, width, to);
    }
}

template <int LANES>
__global__ void __launch_bounds__(ROW_THREADS)
    cosine_backward_kernel(const struct cosine_backward c) {
    GPU_SHARED(float, shared);
    float x[ROW_HELD], y[ROW_HELD];
    for (int64_t row = row_first(); row < c.rows; row += row_step()) {
        const struct angle g = angle_of<LANES>(x, y, &c.a, &c.b, row, c.width, shared);
        if (!(g.a_length > 0 && g.b_length > 0)) {
            continue;
        }
        const float slope = c.dy[row], across = slope / g.a_length / g.b_length;
        const float of_a = -slope * g.cosine / g.a_length / g.a_length;
        const float of_b = -slope * g.cosine / g.b_length / g.b_length;
        for (int first = 0; first < c.width; first += row_tile()) {
            row_read_again<LANES>(x, &c.a, row, first, c.width, 0);
            row_read_again<LANES>(y, &c.b, row, first, c.width, 0);
            turn_tile<LANES>(&c.da, row, first, c.width, x, y, of_a, across);
            turn_tile<LANES>(&c.db, row, first, c.width, y, x, of_b, across);
        }
    }
}

int cuda_cosine_backward(struct device *d, const struct tensor *da, const struct tensor *db,
                         const struct tensor *a, const struct tensor *b, const struct tensor *dy,
                         struct error *e) {
    const struct cosine_backward c = {.da = gpu_rows_of(da),
                                      .db = gpu_rows_of(db),
                                      .a = gpu_rows_of(a),
                                      .b = gpu_rows_of(b),
                                      .dy = gpu_vector_of(dy),
                                      .rows = tensor_rows(a),
                                      .width = (int)tensor_width(a)};
    const bool fours = gpu_rows_in_fours(&c.da, c.width) && gpu_rows_in_fours(&c.db, c.width) &&
                       gpu_rows_in_fours(&c.a, c.width) && gpu_rows_in_fours(&c.b, c.width);
    assert(tensor_count(dy) == c.rows);
    if (tensor_count(a) == 0) {
        return 0;
    }
    const struct row_grid g = row_grid_of(d, c.rows, c.width);
    GPU_LAUNCH((fours ? cosine_backward_kernel<4> : cosine_backward_kernel<1>), g.grid, g.block,
               ROW_SHARED, cuda_stream(d), c);
    return cuda_launched("cosine_backward", e);
}
