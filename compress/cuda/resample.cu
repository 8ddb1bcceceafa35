/* resample.cu - position tables made for one grid, fitted to another. A block for each place of the
 * result: its threads find the shares of the places that it is made of, and then go through its
 * row. */
#include "compress/cuda/device.h"

/* `to` places made of `from`. */
struct axis {
    int64_t to, from;
    bool bicubic;
};

struct window {
    int64_t first, count;
};

static __device__ inline double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

/* How much of input j is in output i. */
static __device__ double share_of(const struct axis *a, int64_t i, int64_t j) {
    const double scale = (double)a->from / (double)a->to, centre = scale * ((double)i + 0.5);
    if (!a->bicubic) {
        const double at = fmin(fmax(centre - 0.5, 0.0), (double)(a->from - 1));
        return fmax(1 - fabs(at - (double)j), 0.0);
    }
    const double wide = fmax(scale, 1.0), low = fmax(centre - 2 * wide + 0.5, 0.0);
    const int64_t begin = (int64_t)low, limit = (int64_t)(centre + 2 * wide + 0.5);
    const int64_t end = limit < a->from ? limit : a->from;
    if (j < begin || j >= end) {
        return 0;
    }
    double sum = 0;
    for (int64_t k = begin; k < end; k++) {
        sum += cubic(((double)k - centre + 0.5) / wide);
    }
    return cubic(((double)j - centre + 0.5) / wide) / sum;
}

/* Inputs that an output may be made of lie this far from it at most, in places of the input. */
static __host__ __device__ inline double reach_of(const struct axis *a) {
    return 2 * fmax((double)a->from / (double)a->to, 1.0) + 1;
}

/* The inputs that may be in output `i`; back: the outputs that input `i` may be in. */
template <bool back> static __device__ struct window window_of(const struct axis *a, int64_t i) {
    const double unit = back ? (double)a->to / (double)a->from : 1;
    const double centre =
        ((double)i + 0.5) * (double)(back ? a->to : a->from) / (double)(back ? a->from : a->to);
    const int64_t first = (int64_t)fmax(centre - reach_of(a) * unit, 0.0);
    const int64_t end = (int64_t)(centre + reach_of(a) * unit) + 1;
    const int64_t limit = back ? a->to : a->from;
    return {first, (end < limit ? end : limit) - first};
}

static int64_t most_places(const struct axis *a, bool back) {
    const double unit = back ? (double)a->to / (double)a->from : 1;
    return (int64_t)(2 * reach_of(a) * unit) + 2;
}

/* result = the share of each of source's places in it, back: result += them. room: for shares of
 * `down`. */
template <bool back>
__global__ void resample_kernel(float *result, const float *source, struct axis down,
                                struct axis across, int64_t width, int64_t room) {
    GPU_SHARED(double, shares_down);
    double *const shares_across = shares_down + room;
    const int64_t columns = back ? across.from : across.to;
    const int64_t source_columns = back ? across.to : across.from;
    const int64_t y = blockIdx.x / columns, x = blockIdx.x % columns;
    const struct window high = window_of<back>(&down, y), wide = window_of<back>(&across, x);
    for (int64_t i = threadIdx.x; i < high.count; i += blockDim.x) {
        const int64_t at = high.first + i;
        shares_down[i] = back ? share_of(&down, at, y) : share_of(&down, y, at);
    }
    for (int64_t i = threadIdx.x; i < wide.count; i += blockDim.x) {
        const int64_t at = wide.first + i;
        shares_across[i] = back ? share_of(&across, at, x) : share_of(&across, x, at);
    }
    __syncthreads();
    for (int64_t c = threadIdx.x; c < width; c += blockDim.x) {
        double sum = 0;
        for (int64_t i = 0; i < high.count; i++) {
            const int64_t row = (high.first + i) * source_columns + wide.first;
            for (int64_t j = 0; j < wide.count; j++) {
                sum += shares_down[i] * shares_across[j] * (double)source[(row + j) * width + c];
            }
        }
        float *to = result + blockIdx.x * width + c;
        *to = (float)(back ? (double)*to + sum : sum);
    }
}

template <bool back>
static int resample(struct device *d, const struct tensor *result, const struct tensor *source,
                    const struct resample_options *o, struct error *e) {
    const struct axis down = {o->rows, o->from_rows, o->bicubic};
    const struct axis across = {o->columns, o->from_columns, o->bicubic};
    const int64_t width = tensor_width(result), room = most_places(&down, back);
    assert(result->type == DTYPE_F32 && source->type == DTYPE_F32);
    assert(tensor_is_dense(result) && tensor_is_dense(source) && tensor_width(source) == width);
    assert(o->bicubic || (o->columns == 1 && o->from_columns == 1));
    if (tensor_count(result) == 0) {
        return 0;
    }
    GPU_LAUNCH((resample_kernel<back>), (unsigned)tensor_rows(result), gpu_threads(width),
               (size_t)(room + most_places(&across, back)) * sizeof(double), cuda_stream(d),
               (float *)result->data, (const float *)source->data, down, across, width, room);
    return cuda_launched("resample", e);
}

int cuda_resample(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct resample_options *o, struct error *e) {
    assert(tensor_rows(x) == o->from_rows * o->from_columns);
    assert(tensor_rows(out) == o->rows * o->columns);
    return resample<false>(d, out, x, o, e);
}

int cuda_resample_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                           const struct resample_options *o, struct error *e) {
    assert(tensor_rows(dx) == o->from_rows * o->from_columns);
    assert(tensor_rows(dy) == o->rows * o->columns);
    return resample<true>(d, dx, dy, o, e);
}
