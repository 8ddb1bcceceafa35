/* gather.cu - rows by number, and back to where they came from. */
#include "compress/cuda/device.h"
#include "compress/cuda/vectors.h"

static const int32_t *numbers_of(const struct tensor *index, int64_t rows) {
    assert(index->type == DTYPE_I32 && tensor_is_dense(index) && tensor_count(index) == rows);
    (void)rows;
    return (const int32_t *)index->data;
}

/* ---- Gather ---------------------------------------------------------------------------------- */

/* groups: of `count` numbers, of a row; total: of all rows. */
template <int count>
__global__ void gather_kernel(struct gpu_rows out, struct gpu_rows x, const int32_t *numbers,
                              int64_t groups, int64_t total) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const int64_t row = i / groups, column = (i - row * groups) * count;
        const int64_t from = numbers[row];
        struct gpu_vector<count> v = {};
        if (from >= 0) {
            v = gpu_load<count>(&x, from, column);
        }
        gpu_store(&out, row, column, v);
    }
}

int cuda_gather(struct device *d, const struct tensor *out, const struct tensor *x,
                const struct tensor *index, struct error *e) {
    const int64_t count = tensor_count(out), width = tensor_width(out);
    const int32_t *numbers = numbers_of(index, tensor_rows(out));
    assert(tensor_width(x) == width);
    if (count == 0) {
        return 0;
    }
    const struct gpu_rows to = gpu_rows_of(out), from = gpu_rows_of(x);
    if (gpu_rows_in_fours(&to, width) && gpu_rows_in_fours(&from, width)) {
        GPU_LAUNCH((gather_kernel<4>), cuda_blocks(d, count / 4, GPU_BLOCK), GPU_BLOCK, 0,
                   cuda_stream(d), to, from, numbers, width / 4, count / 4);
    } else {
        GPU_LAUNCH((gather_kernel<1>), cuda_blocks(d, count, GPU_BLOCK), GPU_BLOCK, 0,
                   cuda_stream(d), to, from, numbers, width, count);
    }
    return cuda_launched("gather", e);
}

/* ---- Scatter --------------------------------------------------------------------------------- */

/* Rows that are scattered by one launch: few enough that each block looks at all their numbers. */
enum { PART = 1024, WORDS = PART / GPU_WARP /* of a bit for each; a warp has a lane for each */ };
enum { AHEAD = 4 /* rows that are read before they are added */ };

struct same_rows {
    unsigned words[WORDS];
    int rows[PART]; /* in order */
    int count;
};

/* Finds the rows of a part whose number is `number`. Ends with a barrier. */
static __device__ void find_same(struct same_rows *same, const int32_t *numbers, int rows,
                                 int32_t number) {
    const int lane = (int)threadIdx.x % GPU_WARP, warps = (int)blockDim.x / GPU_WARP;
    for (int word = (int)threadIdx.x / GPU_WARP; word < WORDS; word += warps) {
        const int row = word * GPU_WARP + lane;
        const unsigned bits = __ballot_sync(GPU_ALL_LANES, row < rows && numbers[row] == number);
        if (lane == 0) {
            same->words[word] = bits;
        }
    }
    __syncthreads();
    if (threadIdx.x < GPU_WARP) {
        unsigned bits = same->words[lane];
        int end = __popc(bits);
        for (int step = 1; step < GPU_WARP; step *= 2) { /* a running sum of the lanes */
            const int before = __shfl_up_sync(GPU_ALL_LANES, end, step);
            end += lane >= step ? before : 0;
        }
        if (lane == GPU_WARP - 1) {
            same->count = end;
        }
        for (int at = end - __popc(bits); at < end; at++, bits &= bits - 1) {
            same->rows[at] = lane * GPU_WARP + __ffs((int)bits) - 1;
        }
    }
    __syncthreads();
}

/* A block for each row: the first of those of one number adds all of them, in order. */
template <int count>
__global__ void scatter_kernel(struct gpu_rows dx, struct gpu_rows dy, const int32_t *numbers,
                               int64_t width) {
    GPU_SHARED(struct same_rows, same);
    const int32_t number = numbers[blockIdx.x];
    if (number < 0) {
        return;
    }
    find_same(same, numbers, (int)gridDim.x, number);
    if (same->rows[0] != (int)blockIdx.x) {
        return;
    }
    for (int64_t i = threadIdx.x * count; i < width; i += (int64_t)blockDim.x * count) {
        struct gpu_vector<count> sum = gpu_load<count>(&dx, number, i);
        for (int k = 0; k < same->count; k += AHEAD) {
            struct gpu_vector<count> v[AHEAD];
            for (int j = 0; j < AHEAD && k + j < same->count; j++) {
                v[j] = gpu_load<count>(&dy, same->rows[k + j], i);
            }
            for (int j = 0; j < AHEAD && k + j < same->count; j++) {
                gpu_add(&sum, v[j], dx.bf16);
            }
        }
        gpu_store(&dx, number, i, sum);
    }
}

int cuda_scatter_add(struct device *d, const struct tensor *dx, const struct tensor *dy,
                     const struct tensor *index, struct error *e) {
    const int64_t rows = tensor_rows(dy), width = tensor_width(dy);
    const int32_t *numbers = numbers_of(index, rows);
    assert(tensor_width(dx) == width);
    if (tensor_count(dy) == 0) {
        return 0;
    }
    const struct gpu_rows to = gpu_rows_of(dx), from = gpu_rows_of(dy);
    const bool fours = gpu_rows_in_fours(&to, width) && gpu_rows_in_fours(&from, width);
    const unsigned threads = gpu_threads(fours ? width / 4 : width);
    for (int64_t first = 0; first < rows; first += PART) {
        const int64_t part = rows - first < PART ? rows - first : (int64_t)PART;
        struct gpu_rows rest = from;
        rest.data = (char *)from.data + first * from.stride * (from.bf16 ? 2 : 4);
        GPU_LAUNCH((fours ? scatter_kernel<4> : scatter_kernel<1>), (unsigned)part, threads,
                   sizeof(struct same_rows), cuda_stream(d), to, rest, numbers + first, width);
    }
    return cuda_launched("scatter_add", e);
}
