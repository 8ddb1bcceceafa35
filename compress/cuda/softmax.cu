/* softmax.cu - each row becomes exp(x) / sum(exp(x)). */
#include "compress/cuda/softmax.h"

template <int LANES>
__global__ void __launch_bounds__(ROW_THREADS)
    softmax_kernel(const struct gpu_rows out, const struct gpu_rows x, int64_t rows, int width) {
    GPU_SHARED(float, shared);
    float v[ROW_HELD];
    for (int64_t row = row_first(); row < rows; row += row_step()) {
        const struct exponentials s = exponentials_of<LANES>(v, &x, row, width, shared);
        const float share = 1 / s.sum;
        for (int first = 0; first < width; first += row_tile()) {
            row_read_again<LANES>(v, &x, row, first, width, 0);
            for (int i = 0; i < ROW_HELD; i++) {
                v[i] = expf(v[i] - s.largest) * share;
            }
            row_write<LANES>(&out, row, first, width, v);
        }
    }
}

/* dx += (dy - dy . y) y */
template <int LANES>
__global__ void __launch_bounds__(ROW_THREADS)
    softmax_backward_kernel(const struct gpu_rows dx, const struct gpu_rows y,
                            const struct gpu_rows dy, int64_t rows, int width) {
    GPU_SHARED(float, shared);
    float v[ROW_HELD], slope[ROW_HELD], to[ROW_HELD];
    for (int64_t row = row_first(); row < rows; row += row_step()) {
        float mine = 0;
        for (int first = 0; first < width; first += row_tile()) {
            row_read<LANES>(v, &y, row, first, width, 0);
            row_read<LANES>(slope, &dy, row, first, width, 0);
            for (int i = 0; i < ROW_HELD; i++) {
                mine += v[i] * slope[i];
            }
        }
        const float sum = row_sum(mine, shared);
        for (int first = 0; first < width; first += row_tile()) {
            row_read_again<LANES>(v, &y, row, first, width, 0);
            row_read_again<LANES>(slope, &dy, row, first, width, 0);
            row_read<LANES>(to, &dx, row, first, width, 0);
            for (int i = 0; i < ROW_HELD; i++) {
                to[i] += (slope[i] - sum) * v[i];
            }
            row_write<LANES>(&dx, row, first, width, to);
        }
    }
}

int cuda_softmax(struct device *d, const struct tensor *out, const struct tensor *x,
                 struct error *e) {
    const struct gpu_rows to = gpu_rows_of(out), from = gpu_rows_of(x);
    const int64_t rows = tensor_rows(x), width = tensor_width(x);
    const bool fours = gpu_rows_in_fours(&to, width) && gpu_rows_in_fours(&from, width);
    if (tensor_count(x) == 0) {
        return 0;
    }
    const struct row_grid g = row_grid_of(d, rows, width);
    GPU_LAUNCH((fours ? softmax_kernel<4> : softmax_kernel<1>), g.grid, g.block, ROW_SHARED,
               cuda_stream(d), to, from, rows, (int)width);
    return cuda_launched("softmax", e);
}

int cuda_softmax_backward(struct device *d, const struct tensor *dx, const struct tensor *y,
                          const struct tensor *dy, struct error *e) {
    const struct gpu_rows to = gpu_rows_of(dx), from = gpu_rows_of(y), slope = gpu_rows_of(dy);
    const int64_t rows = tensor_rows(y), width = tensor_width(y);
    const bool fours = gpu_rows_in_fours(&to, width) && gpu_rows_in_fours(&from, width) &&
                       gpu_rows_in_fours(&slope, width);
    if (tensor_count(y) == 0) {
        return 0;
    }
    const struct row_grid g = row_grid_of(d, rows, width);
    GPU_LAUNCH((fours ? softmax_backward_kernel<4> : softmax_backward_kernel<1>), g.grid, g.block,
               ROW_SHARED, cuda_stream(d), to, from, slope, rows, (int)width);
    return cuda_launched("softmax_backward", e);
}
