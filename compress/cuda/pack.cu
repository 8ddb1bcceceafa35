/* pack.cu - matrices of the host in memory of the GPU, as products read them, or frozen in their
 * format. All of it has been read and written when a call returns. */
#include <stdlib.h>

#include "compress/cuda/halves.h"
#include "compress/cuda/linear.h"
#include "compress/cuda/rows.h"

enum { ALIGNMENT = 256, ROW_UNIT = 8 /* elements: 16 bytes of BF16 */ };

static size_t rounded_up(size_t size, size_t unit) {
    return (size + unit - 1) / unit * unit;
}

static int packed_new(struct cuda_packed **out, size_t bytes, struct error *e) {
    struct cuda_packed *w = (struct cuda_packed *)calloc(1, sizeof *w);
    if (w == NULL) {
        return error_memory(e, NULL);
    }
    int rc = cuda_check(cudaMalloc(&w->memory, bytes), "weights", e);
    if (rc < 0) {
        free(w);
        return rc;
    }
    *out = w;
    return 0;
}

/* Every device's work with it ends before memory is given back. */
void cuda_packed_close(struct packed *packed) {
    if (packed != NULL) {
        cudaFree(((struct cuda_packed *)packed)->memory);
        free(packed);
    }
}

/* The result, or, where packing failed, nothing. */
static int packed_done(struct device *d, struct packed **out, struct cuda_packed *w, int rc,
                       struct error *e) {
    const int waited = cuda_synchronize(d, rc == 0 ? e : NULL);
    rc = rc == 0 ? waited : rc;
    if (rc < 0) {
        cuda_packed_close(&w->head);
        return rc;
    }
    *out = &w->head;
    return 0;
}

static int send(struct device *d, void *to, const void *from, size_t size, struct error *e) {
    return cuda_check(cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, cuda_stream(d)),
                      "copying weights to it", e);
}

/* ---- Packed ---------------------------------------------------------------------------------- */

/* Rows of any float, dense. */
__global__ void convert_kernel(struct gpu_rows out, const void *x, enum dtype type, int64_t rows,
                               int64_t width) {
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
            const int64_t at = row * width + i;
            float value;
            if (type == DTYPE_F32) {
                value = ((const float *)x)[at];
            } else {
                const uint16_t half = ((const uint16_t *)x)[at];
                value = type == DTYPE_F16 ? gpu_float_of_f16(half) : gpu_float_of(half);
            }
            gpu_put(&out, row, i, value);
        }
    }
}

/* Through scratch memory, some rows at a time. */
static int send_rows(struct device *d, const struct gpu_rows *out, const void *x, enum dtype type,
                     int64_t rows, int64_t width, struct error *e) {
    enum { MOST = 1 << 24 };
    const int64_t row_bytes = width * (int64_t)dtype_size(type);
    const int64_t block = MOST / row_bytes > 0 ? MOST / row_bytes : 1;
    const int64_t unit = out->bf16 ? sizeof(uint16_t) : sizeof(float);
    void *raw = NULL;
    int rc = cuda_scratch(&raw, d, SCRATCH_INPUT,
                          (size_t)((rows < block ? rows : block) * row_bytes), e);
    for (int64_t r = 0; r < rows && rc == 0; r += block) {
        const int64_t count = rows - r < block ? rows - r : block;
        const struct gpu_rows to = {(char *)out->data + r * out->stride * unit, out->stride,
                                    out->bf16};
        rc = send(d, raw, (const char *)x + r * row_bytes, (size_t)(count * row_bytes), e);
        if (rc == 0) {
            GPU_LAUNCH(convert_kernel, cuda_blocks(d, count * GPU_BLOCK, GPU_BLOCK), GPU_BLOCK, 0,
                       cuda_stream(d), to, raw, type, count, width);
            rc = cuda_launched("pack", e);
        }
    }
    return rc;
}

int cuda_pack(struct device *d, struct packed **out, const struct tensor *matrix,
              const struct tensor *bias, struct error *e) {
    const int64_t outputs = tensor_rows(matrix), inputs = tensor_width(matrix);
    const int64_t stride = (int64_t)rounded_up((size_t)inputs, ROW_UNIT);
    const bool half = d->compute == DTYPE_BF16;
    const size_t matrix_bytes =
        rounded_up((size_t)(outputs * stride) * dtype_size(d->compute), ALIGNMENT);
    const size_t vector_bytes = rounded_up((size_t)outputs * sizeof(float), ALIGNMENT);
    const size_t bytes = matrix_bytes + (bias != NULL ? 2 * vector_bytes : 0);
    struct cuda_packed *w = NULL;
    *out = NULL;
    assert(tensor_is_dense(matrix));
    int rc = packed_new(&w, bytes, e);
    if (rc < 0) {
        return rc;
    }
    w->head = (struct packed){outputs, inputs, d->compute, bytes, false};
    w->matrix = (struct product_matrix){w->memory, d->compute, true, stride, 0};
    const struct gpu_rows rows = {w->memory, stride, half};
    rc = send_rows(d, &rows, matrix->data, matrix->type, outputs, inputs, e);
    if (rc == 0 && bias != NULL) {
        const struct gpu_rows exact = {(char *)w->memory + matrix_bytes, outputs, false};
        const struct gpu_rows rounded = {(char *)exact.data + vector_bytes, outputs, true};
        assert(bias->type == DTYPE_F32 && tensor_is_dense(bias) && tensor_count(bias) == outputs);
        w->bias = (const float *)exact.data;
        w->rounded_bias = (const uint16_t *)rounded.data;
        rc = send_rows(d, &exact, bias->data, DTYPE_F32, 1, outputs, e);
        if (rc == 0) {
            rc = send_rows(d, &rounded, bias->data, DTYPE_F32, 1, outputs, e);
        }
    }
    return packed_done(d, out, w, rc, e);
}

/* ---- Frozen ---------------------------------------------------------------------------------- */

int cuda_pack_frozen(struct device *d, struct packed **out, const struct frozen_matrix *matrix,
                     struct error *e) {
    const size_t all = frozen_bytes(matrix), values = frozen_value_bytes(matrix);
    const size_t value_bytes = rounded_up(values, ALIGNMENT);
    const size_t scales =
        matrix->scales != NULL ? (all - values) / (matrix->minima != NULL ? 2 : 1) : 0;
    const size_t scale_bytes = rounded_up(scales, ALIGNMENT);
    struct cuda_packed *w = NULL;
    *out = NULL;
    assert(matrix->outputs > 0 && matrix->inputs > 0);
    assert(matrix->format != FROZEN_U4 || matrix->block == 32);
    int rc = packed_new(&w, value_bytes + 2 * scale_bytes, e);
    if (rc < 0) {
        return rc;
    }
    char *const memory = (char *)w->memory;
    w->head = (struct packed){matrix->outputs, matrix->inputs, d->compute, all, true};
    w->frozen = *matrix;
    w->frozen.values = memory;
    rc = send(d, memory, matrix->values, values, e);
    if (rc == 0 && matrix->scales != NULL) {
        w->frozen.scales = memory + value_bytes;
        rc = send(d, memory + value_bytes, matrix->scales, scales, e);
    }
    if (rc == 0 && matrix->minima != NULL) {
        w->frozen.minima = memory + value_bytes + scale_bytes;
        rc = send(d, memory + value_bytes + scale_bytes, matrix->minima, scales, e);
    }
    return packed_done(d, out, w, rc, e);
}
