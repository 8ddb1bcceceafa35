/* square_sum.cu - what gradients are clipped by; and see sums.h: the total of many parts. */
#include "compress/cuda/elements.h"
#include "compress/cuda/sums.h"

enum { TOTAL_THREADS = 1024 };

__global__ void total_kernel(float *sum, const float *parts, int64_t count) {
    GPU_SHARED(float, shared);
    float mine = 0;
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
        mine += parts[i];
    }
    const float all = block_sum(mine, shared);
    if (threadIdx.x == 0) {
        *sum += all;
    }
}

int cuda_total(struct device *d, float *sum, const float *parts, int64_t count, struct error *e) {
    GPU_LAUNCH(total_kernel, 1, TOTAL_THREADS, GPU_WARP * sizeof(float), cuda_stream(d), sum, parts,
               count);
    return cuda_launched("a total", e);
}

/* A part for each block: rows by blockIdx.y, columns by blockIdx.x. */
template <int LANES>
__global__ void square_sum_kernel(float *parts, const struct gpu_rows x, int64_t rows,
                                  int64_t width) {
    GPU_SHARED(float, shared);
    const int64_t step = (int64_t)gridDim.x * blockDim.x * LANES;
    float squares[LANES] = {}, sum = 0;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
        int64_t column = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * LANES;
        for (; column < width; column += step) {
            float v[LANES];
            gpu_load<LANES>(v, &x, row, column);
            gpu_unpack<LANES>(v, x.bf16);
            for (int lane = 0; lane < LANES; lane++) {
                squares[lane] += v[lane] * v[lane];
            }
        }
    }
    for (int lane = 0; lane < LANES; lane++) {
        sum += squares[lane];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        parts[(int64_t)blockIdx.y * gridDim.x + blockIdx.x] = sum;
    }
}

int cuda_square_sum(struct device *d, const struct tensor *sum, const struct tensor *x,
                    struct error *e) {
    const struct elements s = elements_of(&x, 1);
    const bool fours = elements_in_fours(&s, 1);
    void *parts = NULL;
    if (s.rows == 0 || s.width == 0) {
        return 0;
    }
    const unsigned across = cuda_blocks(d, fours ? s.width / 4 : s.width, GPU_BLOCK);
    const dim3 grid(across, cuda_blocks(d, s.rows * across, 1) / across);
    const int64_t count = (int64_t)grid.x * grid.y;
    int rc = cuda_scratch(&parts, d, SCRATCH_PARTS, (size_t)count * sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    GPU_LAUNCH((fours ? square_sum_kernel<4> : square_sum_kernel<1>), grid, GPU_BLOCK,
               GPU_WARP * sizeof(float), cuda_stream(d), (float *)parts, s.of[0], s.rows, s.width);
    rc = cuda_launched("square_sum", e);
    return rc == 0 ? cuda_total(d, gpu_vector_of(sum), (const float *)parts, count, e) : rc;
}
