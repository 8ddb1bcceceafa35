/* top_k.cu - the largest numbers of rows, and where they stand. */
#include "compress/cuda/row_block.h"

/* The larger the number, and of equal ones the first, the larger its key; all of a row differ. */
static __device__ inline uint64_t key_of(float x, int column) {
    const unsigned bits = __float_as_uint(x + 0.0f); /* -0 is 0 */
    const unsigned rising = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return (uint64_t)rising << 32 | (unsigned)(INT32_MAX - column);
}

static __device__ inline int column_of(uint64_t key) {
    return INT32_MAX - (int)(key & INT32_MAX);
}

static __device__ inline uint64_t warp_best(uint64_t key) {
    for (int step = GPU_WARP / 2; step > 0; step /= 2) {
        const uint64_t other = __shfl_xor_sync(GPU_ALL_LANES, key, step);
        key = other > key ? other : key;
    }
    return key;
}

/* Of all threads of a row, which all have the result. shared: GPU_WARP keys. */
static __device__ inline uint64_t row_best(uint64_t key, uint64_t *shared) {
    const int lane = (int)threadIdx.x % GPU_WARP, warps = (int)blockDim.x / GPU_WARP;
    key = warp_best(key);
    if (warps == 1) {
        return key;
    }
    if (lane == 0) {
        shared[(int)threadIdx.x / GPU_WARP] = key;
    }
    __syncthreads();
    key = warp_best(lane < warps ? shared[lane] : 0);
    __syncthreads();
    return key;
}

struct places {
    int32_t *data; /* (rows, k), rows `stride` apart */
    int64_t stride;
    int k;
};

static struct places places_of(const struct tensor *index) {
    struct places p = {(int32_t *)index->data, 0, (int)tensor_width(index)};
    const bool rows = tensor_is_rows(index, &p.stride);
    assert(rows && index->type == DTYPE_I32);
    (void)rows;
    return p;
}

/* One after the other: the largest key below the last one. */
template <int LANES>
__global__ void __launch_bounds__(ROW_THREADS)
    top_k_kernel(const struct gpu_rows values, const struct places index, const struct gpu_rows x,
                 int64_t rows, int width) {
    GPU_SHARED(uint64_t, shared);
    float v[ROW_HELD];
    for (int64_t row = row_first(); row < rows; row += row_step()) {
        uint64_t last = UINT64_MAX;
        row_read<LANES>(v, &x, row, 0, width, 0);
        for (int chosen = 0; chosen < index.k; chosen++) {
            uint64_t best = 0;
            for (int first = 0; first < width; first += row_tile()) {
                row_read_again<LANES>(v, &x, row, first, width, 0);
                for (int i = 0; i < ROW_HELD; i++) {
                    const int column = row_column<LANES>(first, i);
                    const uint64_t key = column < width ? key_of(v[i], column) : 0;
                    best = key < last && key > best ? key : best;
                }
            }
            last = row_best(best, shared);
            if (threadIdx.x == 0) {
                const int column = column_of(last);
                index.data[row * index.stride + chosen] = column;
                if (values.data != NULL) {
                    gpu_put(&values, row, chosen, gpu_get(&x, row, column));
                }
            }
        }
    }
}

int cuda_top_k(struct device *d, const struct tensor *values, const struct tensor *index,
               const struct tensor *x, struct error *e) {
    const struct gpu_rows to = gpu_rows_of(values), from = gpu_rows_of(x);
    const int64_t rows = tensor_rows(x), width = tensor_width(x);
    const struct places places = places_of(index);
    assert(tensor_rows(index) == rows && places.k > 0 && places.k <= width);
    assert(values == NULL || tensor_width(values) == places.k);
    if (tensor_count(x) == 0) {
        return 0;
    }
    const struct row_grid g = row_grid_of(d, rows, width);
    GPU_LAUNCH((gpu_rows_in_fours(&from, width) ? top_k_kernel<4> : top_k_kernel<1>), g.grid,
               g.block, GPU_WARP * sizeof(uint64_t), cuda_stream(d), to, places, from, rows,
               (int)width);
    return cuda_launched("top_k", e);
}

/* A row a thread: places that come twice are added to one after the other. */
__global__ void top_k_backward_kernel(const struct gpu_rows dx, const struct gpu_rows dy,
                                      const struct places index, int64_t rows) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t row = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; row < rows; row += step) {
        for (int i = 0; i < index.k; i++) {
            const int column = index.data[row * index.stride + i];
            gpu_put(&dx, row, column, gpu_get(&dx, row, column) + gpu_get(&dy, row, i));
        }
    }
}

int cuda_top_k_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                        const struct tensor *index, struct error *e) {
    const int64_t rows = tensor_rows(dx);
    const struct places places = places_of(index);
    assert(tensor_rows(index) == rows && tensor_width(dy) == places.k);
    if (tensor_count(dx) == 0) {
        return 0;
    }
    GPU_LAUNCH(top_k_backward_kernel, cuda_blocks(d, rows, GPU_BLOCK), GPU_BLOCK, 0, cuda_stream(d),
               gpu_rows_of(dx), gpu_rows_of(dy), places, rows);
    return cuda_launched("top_k_backward", e);
}
