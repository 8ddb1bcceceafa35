/* sum_rows.cu - see sums.h: one row, the sum of all. */
#include "compress/cuda/sums.h"

enum {
    COLUMN_ROWS = 16, /* that a block takes at a time, a warp each */
    COLUMN_THREADS = COLUMN_ROWS * (int)GPU_WARP,
    COLUMN_LEAST_ROWS = 4, /* that a thread is worth starting for */
    COLUMN_BLOCKS = 4      /* on each multiprocessor */
};

struct columns {
    float *gain, *bias; /* (slices, width) */
    bool add;           /* to what is there */
    struct gpu_rows x, dy;
    const struct row_moments *moments;
    int64_t rows, width;
};

/* One of the results of a block, from the sums of each of its warps. */
template <int LANES>
static __device__ inline void columns_write(float *to, bool add, const float *sums, int64_t column,
                                            int64_t width, float *shared) {
    const int at = (int)(threadIdx.y * GPU_WARP + threadIdx.x);
    for (int lane = 0; lane < LANES; lane++) {
        shared[lane * COLUMN_THREADS + at] = sums[lane];
    }
    __syncthreads();
    for (int lane = 0; lane < LANES && threadIdx.y == 0 && column < width; lane++) {
        float sum = 0;
        for (int y = 0; y < COLUMN_ROWS; y++) {
            sum += shared[lane * COLUMN_THREADS + y * GPU_WARP + (int)threadIdx.x];
        }
        to[column + lane] = add ? to[column + lane] + sum : sum;
    }
    __syncthreads();
}

/* A slice of the rows for each blockIdx.y. */
template <int LANES> __global__ void columns_kernel(const struct columns c) {
    GPU_SHARED(float, shared);
    const int64_t column = ((int64_t)blockIdx.x * GPU_WARP + threadIdx.x) * LANES;
    const int64_t step = (int64_t)gridDim.y * COLUMN_ROWS;
    float gain[LANES] = {}, bias[LANES] = {};
    for (int64_t row = (int64_t)blockIdx.y * COLUMN_ROWS + threadIdx.y;
         column < c.width && row < c.rows; row += step) {
        float x[LANES] = {}, dy[LANES];
        struct row_moments m = {0, 0};
        gpu_load<LANES>(dy, &c.dy, row, column);
        if (c.gain != NULL) {
            gpu_load<LANES>(x, &c.x, row, column);
            m = c.moments[row];
        }
        gpu_unpack<LANES>(dy, c.dy.bf16);
        gpu_unpack<LANES>(x, c.x.bf16);
        for (int lane = 0; lane < LANES; lane++) {
            gain[lane] += dy[lane] * ((x[lane] - m.mean) * m.scale);
            bias[lane] += dy[lane];
        }
    }
    const int64_t at = blockIdx.y * c.width;
    if (c.gain != NULL) {
        columns_write<LANES>(c.gain + at, c.add, gain, column, c.width, shared);
    }
    if (c.bias != NULL) {
        columns_write<LANES>(c.bias + at, c.add, bias, column, c.width, shared);
    }
}

static int columns_launch(struct device *d, const struct columns *c, int64_t slices, bool fours,
                          struct error *e) {
    const int64_t units = fours ? c->width / 4 : c->width;
    const dim3 grid((unsigned)((units + GPU_WARP - 1) / GPU_WARP), (unsigned)slices);
    const size_t shared = (size_t)COLUMN_THREADS * (fours ? 4 : 1) * sizeof(float);
    GPU_LAUNCH((fours ? columns_kernel<4> : columns_kernel<1>), grid, dim3(GPU_WARP, COLUMN_ROWS),
               shared, cuda_stream(d), *c);
    return cuda_launched("sums of rows", e);
}

/* As many as keep the GPU busy. */
static int64_t slices_of(struct device *d, int64_t rows, int64_t units) {
    const int64_t across = (units + GPU_WARP - 1) / GPU_WARP;
    const int64_t most = COLUMN_BLOCKS * cuda_device(d)->multiprocessors / across;
    const int64_t slices = rows / (COLUMN_ROWS * COLUMN_LEAST_ROWS);
    return slices > most ? (most > 0 ? most : 1) : slices > 0 ? slices : 1;
}

/* to (width) += the rows of parts (slices, width) */
static int add_parts(struct device *d, float *to, float *parts, int64_t slices, int64_t width,
                     struct error *e) {
    const struct columns c = {.gain = NULL,
                              .bias = to,
                              .add = true,
                              .x = {NULL, 0, false},
                              .dy = {parts, width, false},
                              .moments = NULL,
                              .rows = slices,
                              .width = width};
    return to != NULL ? columns_launch(d, &c, 1, gpu_rows_in_fours(&c.dy, width), e) : 0;
}

int cuda_column_sums(struct device *d, float *gain, float *bias, const struct tensor *x,
                     const struct row_moments *moments, const struct tensor *dy, struct error *e) {
    struct columns c = {.gain = gain,
                        .bias = bias,
                        .add = true,
                        .x = gpu_rows_of(x),
                        .dy = gpu_rows_of(dy),
                        .moments = moments,
                        .rows = tensor_rows(dy),
                        .width = tensor_width(dy)};
    const bool fours = gpu_rows_in_fours(&c.x, c.width) && gpu_rows_in_fours(&c.dy, c.width);
    void *parts = NULL;
    if (tensor_count(dy) == 0 || (gain == NULL && bias == NULL)) {
        return 0;
    }
    const int64_t slices = slices_of(d, c.rows, fours ? c.width / 4 : c.width);
    if (slices == 1) {
        return columns_launch(d, &c, 1, fours, e);
    }
    const int64_t size = slices * c.width;
    int rc = cuda_scratch(&parts, d, SCRATCH_PARTS, 2 * (size_t)size * sizeof(float), e);
    if (rc == 0) {
        c.gain = gain != NULL ? (float *)parts : NULL;
        c.bias = bias != NULL ? (float *)parts + size : NULL;
        c.add = false;
        rc = columns_launch(d, &c, slices, fours, e);
    }
    if (rc == 0) {
        rc = add_parts(d, gain, c.gain, slices, c.width, e);
    }
    return rc == 0 ? add_parts(d, bias, c.bias, slices, c.width, e) : rc;
}

int cuda_sum_rows(struct device *d, const struct tensor *sums, const struct tensor *x,
                  struct error *e) {
    assert(tensor_count(sums) == tensor_width(x));
    return cuda_column_sums(d, NULL, gpu_vector_of(sums), NULL, NULL, x, e);
}
