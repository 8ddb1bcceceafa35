/* frozen.cu - matrices that stay in their format: products take them apart a panel at a time. */
#include "compress/cuda/frozen.h"

/* ---- Taking apart ---------------------------------------------------------------------------- */

/* A warp has a row: number index[row], or, without, first + row; zeros for one below 0. */
template <enum frozen_format format>
__global__ void unpack_kernel(struct gpu_rows out, struct frozen_rows w, const int32_t *index,
                              int64_t first, int64_t rows, bool fours) {
    const int64_t warps = (int64_t)gridDim.x * (blockDim.x / GPU_WARP);
    const int lane = (int)threadIdx.x % GPU_WARP, pieces = (int)(w.inputs / FROZEN_PIECE);
    for (int64_t row = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / GPU_WARP; row < rows;
         row += warps) {
        const int64_t from = index != NULL ? index[row] : first + row;
        for (int piece = lane; piece < pieces; piece += GPU_WARP) {
            const int left = frozen_first<format>(piece), right = frozen_second<format>(piece);
            float x[FROZEN_PIECE] = {};
            if (from >= 0) {
                const struct frozen_piece<format> p = frozen_load<format>(&w, from, piece);
                frozen_numbers<format>(x, &p);
            }
            if (fours) {
                gpu_put4(&out, row, left, make_float4(x[0], x[1], x[2], x[3]));
                gpu_put4(&out, row, right, make_float4(x[4], x[5], x[6], x[7]));
                continue;
            }
            for (int i = 0; i < 4; i++) {
                gpu_put(&out, row, left + i, x[i]);
                gpu_put(&out, row, right + i, x[4 + i]);
            }
        }
    }
}

static __device__ inline float number_at(const struct frozen_rows *w, enum frozen_format format,
                                         int64_t row, int64_t column) {
    const int64_t at = row * w->inputs + column;
    if (format == FROZEN_F32) {
        return ((const float *)w->values)[at];
    }
    if (format == FROZEN_BF16) {
        return gpu_float_of(((const uint16_t *)w->values)[at]);
    }
    return (float)((const signed char *)w->values)[at] *
           frozen_scale(w, w->scales, row * w->blocks + column / w->block);
}

/* The same of rows that are not whole pieces, which 4 bits never are. */
__global__ void unpack_odd_kernel(struct gpu_rows out, struct frozen_rows w,
                                  enum frozen_format format, const int32_t *index, int64_t first,
                                  int64_t rows) {
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const int64_t from = index != NULL ? index[row] : first + row;
        for (int64_t i = threadIdx.x; i < w.inputs; i += blockDim.x) {
            gpu_put(&out, row, i, from >= 0 ? number_at(&w, format, from, i) : 0);
        }
    }
}

template <enum frozen_format format>
static void launch_unpack(struct device *d, const struct gpu_rows *out, const struct packed *w,
                          const int32_t *index, int64_t first, int64_t rows) {
    GPU_LAUNCH((unpack_kernel<format>), cuda_blocks(d, rows * GPU_WARP, GPU_BLOCK), GPU_BLOCK, 0,
               cuda_stream(d), *out, frozen_rows_of(w), index, first, rows,
               gpu_rows_in_fours(out, w->inputs));
}

static int unpack(struct device *d, const struct gpu_rows *out, const struct packed *w,
                  const int32_t *index, int64_t first, int64_t rows, struct error *e) {
    const enum frozen_format format = cuda_packed(w)->frozen.format;
    if (rows == 0) {
        return 0;
    }
    if (!frozen_in_pieces(w)) {
        GPU_LAUNCH(unpack_odd_kernel, cuda_blocks(d, rows * GPU_BLOCK, GPU_BLOCK), GPU_BLOCK, 0,
                   cuda_stream(d), *out, frozen_rows_of(w), format, index, first, rows);
        return cuda_launched("unpack", e);
    }
    switch (format) {
    case FROZEN_F32:
        launch_unpack<FROZEN_F32>(d, out, w, index, first, rows);
        break;
    case FROZEN_BF16:
        launch_unpack<FROZEN_BF16>(d, out, w, index, first, rows);
        break;
    case FROZEN_I8:
        launch_unpack<FROZEN_I8>(d, out, w, index, first, rows);
        break;
    case FROZEN_U4:
        launch_unpack<FROZEN_U4>(d, out, w, index, first, rows);
        break;
    }
    return cuda_launched("unpack", e);
}

int cuda_gather_packed(struct device *d, const struct tensor *out, const struct packed *w,
                       const struct tensor *index, struct error *e) {
    const int64_t rows = tensor_rows(out);
    const struct gpu_rows to = gpu_rows_of(out);
    assert(w->frozen && tensor_width(out) == w->inputs);
    assert(index->type == DTYPE_I32 && tensor_is_dense(index) && tensor_count(index) == rows);
    return unpack(d, &to, w, (const int32_t *)index->data, 0, rows, e);
}

/* ---- Panels ---------------------------------------------------------------------------------- */

enum { PANEL = 1 << 24 /* bytes, which stay in the cache until they are multiplied */ };

/* Whether products read the matrix as it lies. */
static bool is_plain(const struct packed *w) {
    const enum frozen_format format = cuda_packed(w)->frozen.format;
    return (format == FROZEN_F32 && w->type == DTYPE_F32) ||
           (format == FROZEN_BF16 && w->type == DTYPE_BF16);
}

/* Outputs that are multiplied at a time. */
static int64_t panel_outputs(const struct packed *w) {
    const int64_t row = w->inputs * (int64_t)dtype_size(w->type);
    return is_plain(w) ? w->outputs : linear_rows_at_once(w->outputs, row, PANEL);
}

/* Outputs [first, first + count), in w's type: rows of `panel`. */
static int panel_of(struct device *d, struct tensor *panel, const struct packed *w, int64_t first,
                    int64_t count, struct error *e) {
    enum { UNIT = 8 };
    const size_t unit = dtype_size(w->type);
    const int64_t stride = (w->inputs + UNIT - 1) / UNIT * UNIT;
    void *data = NULL;
    if (is_plain(w)) {
        char *values = (char *)cuda_packed(w)->frozen.values;
        *panel = tensor_matrix(values + (size_t)(first * w->inputs) * unit, w->type, d, count,
                               w->inputs);
        return 0;
    }
    int rc = cuda_scratch(&data, d, SCRATCH_WEIGHTS, (size_t)(count * stride) * unit, e);
    if (rc < 0) {
        return rc;
    }
    const struct tensor whole = tensor_matrix(data, w->type, d, count, stride);
    *panel = tensor_slice(&whole, 3, 0, w->inputs);
    const struct gpu_rows to = {data, stride, w->type == DTYPE_BF16};
    return unpack(d, &to, w, NULL, first, count, e);
}

static int by_panels(struct device *d, const struct tensor *out, const struct tensor *x,
                     const struct packed *w, enum activation activation,
                     const struct tensor *residual, struct error *e) {
    const int64_t step = panel_outputs(w);
    struct tensor input, panel, rest;
    int rc = linear_input(d, &input, x, w->type, e);
    for (int64_t first = 0; first < w->outputs && rc == 0; first += step) {
        const int64_t count = w->outputs - first < step ? w->outputs - first : step;
        const struct tensor to = tensor_slice(out, 3, first, count);
        if (residual != NULL) {
            rest = tensor_slice(residual, 3, first, count);
        }
        rc = panel_of(d, &panel, w, first, count, e);
        if (rc == 0) {
            const struct tensor turned = tensor_transpose(&panel);
            const struct product_matrix matrix = product_matrix_of(&turned);
            rc = linear_product(d, &to, &input, &matrix, NULL, NULL, activation,
                                residual != NULL ? &rest : NULL, e);
        }
    }
    return rc;
}

/* Activations are made of sums that are not rounded yet. */
static int by_outputs(struct device *d, const struct tensor *out, const struct tensor *x,
                      const struct packed *w, enum activation activation,
                      const struct tensor *residual, struct error *e) {
    struct tensor input = *x, result = *out;
    const struct gpu_rows rows = gpu_rows_of(x);
    int rc = 0;
    if (!gpu_rows_in_fours(&rows, w->inputs)) {
        rc = linear_copy(d, &input, x, DTYPE_F32, e);
    }
    if (rc == 0 && activation != ACTIVATION_NONE && out->type != DTYPE_F32) {
        void *data = NULL;
        rc = cuda_scratch(&data, d, SCRATCH_RESULT, (size_t)tensor_count(out) * sizeof(float), e);
        result = tensor_matrix(data, DTYPE_F32, d, out->shape[2], out->shape[3]);
    }
    if (rc == 0) {
        rc = frozen_few(d, &result, &input, w, residual, e);
    }
    return rc == 0 ? linear_finish(d, out, &result, activation, NULL, e) : rc;
}

int frozen_linear(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct packed *w, enum activation activation, const struct tensor *residual,
                  struct error *e) {
    return x->shape[2] <= FROZEN_FEW && frozen_in_pieces(w)
               ? by_outputs(d, out, x, w, activation, residual, e)
               : by_panels(d, out, x, w, activation, residual, e);
}

/* ---- Backward -------------------------------------------------------------------------------- */

/* Sums over the outputs of one panel after another. */
static int backward_rows(struct device *d, const struct tensor *dx, const struct tensor *dy,
                         const struct packed *w, bool accumulate, struct error *e) {
    const int64_t step = panel_outputs(w);
    struct tensor input, panel;
    int rc = linear_input(d, &input, dy, w->type, e);
    for (int64_t first = 0; first < w->outputs && rc == 0; first += step) {
        const int64_t count = w->outputs - first < step ? w->outputs - first : step;
        const struct tensor slopes = tensor_slice(&input, 3, first, count);
        rc = panel_of(d, &panel, w, first, count, e);
        if (rc == 0) {
            struct product p = product_of(dy->shape[2], w->inputs, count);
            p.a = product_matrix_of(&slopes);
            p.b = product_matrix_of(&panel);
            p.out = product_rows_of(dx);
            if (accumulate || first > 0) {
                p.add = p.out;
            }
            rc = cuda_product(d, &p, e);
        }
    }
    return rc;
}

int cuda_linear_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                         const struct packed *w, bool accumulate, struct error *e) {
    struct tensor matrices[2];
    const struct tensor *to = linear_matrix(&matrices[0], dx),
                        *from = linear_matrix(&matrices[1], dy);
    const int64_t rows = from->shape[2];
    const int64_t row_bytes = dy->type == w->type ? 0 : w->outputs * (int64_t)dtype_size(w->type);
    const int64_t block = linear_rows_at_once(rows, row_bytes, LINEAR_SCRATCH);
    int rc = 0;
    assert(w->frozen && dx->type == DTYPE_F32);
    assert(to->shape[2] == rows && to->shape[3] == w->inputs && from->shape[3] == w->outputs);
    for (int64_t r = 0; r < rows && rc == 0; r += block) {
        const int64_t count = rows - r < block ? rows - r : block;
        const struct tensor to_rows = linear_rows_of(to, r, count);
        const struct tensor from_rows = linear_rows_of(from, r, count);
        rc = backward_rows(d, &to_rows, &from_rows, w, accumulate, e);
    }
    return rc;
}
