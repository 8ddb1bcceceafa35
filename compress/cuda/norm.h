/* norm.h - rows over their deviation from their mean (CENTRED), or over their root mean square,
 * which is the same with a mean of 0; and the gradients. With h = (x - mean) scale:
 *
 *     out = h gamma + beta
 *     dx += (g - mean(g) - h mean(g h)) scale, g = dy gamma; mean(g) only where CENTRED */
#ifndef OCC_COMPRESS_CUDA_NORM_H
#define OCC_COMPRESS_CUDA_NORM_H

#include "compress/cuda/row_block.h"
#include "compress/cuda/sums.h"

struct norm {
    struct gpu_rows out, x, gamma, beta; /* of a forward pass; without beta where not CENTRED */
    struct gpu_rows dx, dy;              /* of a backward one */
    struct row_moments *moments;         /* that it leaves (rows); NULL: not wanted */
    float eps;
    int64_t rows;
    int width;
};

/* Leaves the last tile of x in v. */
template <bool CENTRED, int LANES>
static __device__ inline struct row_moments norm_moments(float *v, const struct norm *n,
                                                         int64_t row, float *shared) {
    float sum = 0, squares = 0, mean = 0;
    for (int first = 0; first < n->width; first += row_tile()) {
        row_read<LANES>(v, &n->x, row, first, n->width, 0);
        for (int i = 0; i < ROW_HELD; i++) {
            sum += CENTRED ? v[i] : v[i] * v[i];
        }
    }
    sum = row_sum(sum, shared);
    if constexpr (CENTRED) {
        mean = sum / (float)n->width;
        for (int first = 0; first < n->width; first += row_tile()) {
            row_read_again<LANES>(v, &n->x, row, first, n->width, 0);
            for (int i = 0; i < ROW_HELD; i++) {
                const float off = row_column<LANES>(first, i) < n->width ? v[i] - mean : 0;
                squares += off * off;
            }
        }
        sum = row_sum(squares, shared);
    }
    return (struct row_moments){mean, 1 / sqrtf(sum / (float)n->width + n->eps)};
}

template <bool CENTRED, int LANES>
__global__ void __launch_bounds__(ROW_THREADS) norm_kernel(const struct norm n) {
    GPU_SHARED(float, shared);
    float v[ROW_HELD], gain[ROW_HELD], bias[ROW_HELD] = {};
    for (int64_t row = row_first(); row < n.rows; row += row_step()) {
        const struct row_moments m = norm_moments<CENTRED, LANES>(v, &n, row, shared);
        for (int first = 0; first < n.width; first += row_tile()) {
            row_read_again<LANES>(v, &n.x, row, first, n.width, 0);
            row_read<LANES>(gain, &n.gamma, 0, first, n.width, 0);
            if constexpr (CENTRED) {
                row_read<LANES>(bias, &n.beta, 0, first, n.width, 0);
            }
            for (int i = 0; i < ROW_HELD; i++) {
                v[i] = (v[i] - m.mean) * m.scale * gain[i] + bias[i];
            }
            row_write<LANES>(&n.out, row, first, n.width, v);
        }
    }
}

/* g = dy gamma */
template <int LANES>
static __device__ inline void norm_slopes(float *g, const struct norm *n, int64_t row, int first) {
    float gain[ROW_HELD];
    row_read<LANES>(g, &n->dy, row, first, n->width, 0);
    row_read<LANES>(gain, &n->gamma, 0, first, n->width, 0);
    for (int i = 0; i < ROW_HELD; i++) {
        g[i] *= gain[i];
    }
}

/* Adds to a row of dx; v holds that of x where it is one tile. */
template <bool CENTRED, int LANES>
static __device__ inline void norm_add_slopes(const struct norm *n, struct row_moments m, float *v,
                                              int64_t row, float *shared) {
    float g[ROW_HELD], dx[ROW_HELD], sum = 0, weighted = 0;
    for (int first = 0; first < n->width; first += row_tile()) {
        row_read_again<LANES>(v, &n->x, row, first, n->width, 0);
        norm_slopes<LANES>(g, n, row, first);
        for (int i = 0; i < ROW_HELD; i++) {
            sum += g[i];
            weighted += g[i] * (v[i] - m.mean);
        }
    }
    const float mean_g = CENTRED ? row_sum(sum, shared) / (float)n->width : 0;
    const float mean_gh = row_sum(weighted, shared) * m.scale / (float)n->width;
    for (int first = 0; first < n->width; first += row_tile()) {
        if (n->width > row_tile()) {
            row_read<LANES>(v, &n->x, row, first, n->width, 0);
            norm_slopes<LANES>(g, n, row, first);
        }
        row_read<LANES>(dx, &n->dx, row, first, n->width, 0);
        for (int i = 0; i < ROW_HELD; i++) {
            const float h = (v[i] - m.mean) * m.scale;
            dx[i] += (g[i] - mean_g - h * mean_gh) * m.scale;
        }
        row_write<LANES>(&n->dx, row, first, n->width, dx);
    }
}

template <bool CENTRED, int LANES>
__global__ void __launch_bounds__(ROW_THREADS, 1) norm_backward_kernel(const struct norm n) {
    GPU_SHARED(float, shared);
    float v[ROW_HELD];
    for (int64_t row = row_first(); row < n.rows; row += row_step()) {
        const struct row_moments m = norm_moments<CENTRED, LANES>(v, &n, row, shared);
        if (n.moments != NULL && threadIdx.x == 0) {
            n.moments[row] = m;
        }
        if (n.dx.data != NULL) {
            norm_add_slopes<CENTRED, LANES>(&n, m, v, row, shared);
        }
    }
}

static inline bool norm_in_fours(const struct norm *n) {
    return gpu_rows_in_fours(&n->out, n->width) && gpu_rows_in_fours(&n->x, n->width) &&
           gpu_rows_in_fours(&n->gamma, n->width) && gpu_rows_in_fours(&n->beta, n->width) &&
           gpu_rows_in_fours(&n->dx, n->width) && gpu_rows_in_fours(&n->dy, n->width);
}

/* What both passes read. */
static inline struct norm norm_of(const struct tensor *x, const struct tensor *gamma, float eps) {
    struct norm n = {};
    n.x = gpu_rows_of(x);
    n.gamma = gpu_rows_of(gamma);
    n.eps = eps;
    n.rows = tensor_rows(x);
    n.width = (int)tensor_width(x);
    return n;
}

/* beta NULL where not CENTRED. */
template <bool CENTRED>
static inline int norm_forward(struct device *d, const struct tensor *out, const struct tensor *x,
                               const struct tensor *gamma, const struct tensor *beta, float eps,
                               const char *name, struct error *e) {
    struct norm n = norm_of(x, gamma, eps);
    n.out = gpu_rows_of(out);
    n.beta = gpu_rows_of(beta);
    if (tensor_count(x) == 0) {
        return 0;
    }
    const struct row_grid g = row_grid_of(d, n.rows, n.width);
    GPU_LAUNCH((norm_in_fours(&n) ? norm_kernel<CENTRED, 4> : norm_kernel<CENTRED, 1>), g.grid,
               g.block, ROW_SHARED, cuda_stream(d), n);
    return cuda_launched(name, e);
}

template <bool CENTRED>
static inline int
norm_backward(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
              const struct tensor *dbeta, const struct tensor *x, const struct tensor *gamma,
              const struct tensor *dy, float eps, const char *name, struct error *e) {
    struct norm n = norm_of(x, gamma, eps);
    void *moments = NULL;
    int rc = 0;
    n.dx = gpu_rows_of(dx);
    n.dy = gpu_rows_of(dy);
    if (tensor_count(x) == 0) {
        return 0;
    }
    if (dgamma != NULL) {
        rc = cuda_scratch(&moments, d, SCRATCH_ROWS, (size_t)n.rows * sizeof *n.moments, e);
        n.moments = (struct row_moments *)moments;
    }
    if (rc == 0 && (dx != NULL || dgamma != NULL)) {
        const struct row_grid g = row_grid_of(d, n.rows, n.width);
        GPU_LAUNCH((norm_in_fours(&n) ? norm_backward_kernel<CENTRED, 4>
                                      : norm_backward_kernel<CENTRED, 1>),
                   g.grid, g.block, ROW_SHARED, cuda_stream(d), n);
        rc = cuda_launched(name, e);
    }
    return rc == 0 ? cuda_column_sums(d, gpu_vector_of(dgamma), gpu_vector_of(dbeta), x, n.moments,
                                      dy, e)
                   : rc;
}

#endif
