/* elements.h - functions of numbers, element by element, over all elements of tensors of any float.
 * A function is a type:
 *
 *     struct multiply {
 *         enum { OUT, A, B, OPERANDS, WRITTEN = 1, UPDATED = 0 };
 *         static __device__ inline void at(float *v, int64_t, const struct multiply *) {
 *             v[OUT] = v[A] * v[B];
 *         }
 *     };
 *
 * v: one number of each operand. The first WRITTEN are stored, and where UPDATED is 1, loaded
 * before. An operand that is NULL is zeros. Also passed are the element's place in a dense tensor
 * and the function itself, whose fields are what it needs to know beside. */
#ifndef OCC_COMPRESS_CUDA_ELEMENTS_H
#define OCC_COMPRESS_CUDA_ELEMENTS_H

#include "compress/cuda/device.h"
#include "compress/cuda/rows.h"

enum { ELEMENTS_OPERANDS = 5 };

/* Operands as rows of one width. */
struct elements {
    struct gpu_rows of[ELEMENTS_OPERANDS];
    int64_t rows, width;
};

template <class function, int LANES>
static __device__ inline void elements_at(const struct elements *s, const function *f, int64_t row,
                                          int64_t column) {
    float v[function::OPERANDS][LANES] = {};
    for (int k = function::UPDATED != 0 ? 0 : function::WRITTEN; k < function::OPERANDS; k++) {
        if (s->of[k].data != NULL) {
            gpu_load<LANES>(v[k], &s->of[k], row, column);
        }
    }
    for (int k = 0; k < function::OPERANDS; k++) {
        gpu_unpack<LANES>(v[k], s->of[k].bf16);
    }
    for (int lane = 0; lane < LANES; lane++) {
        float numbers[function::OPERANDS];
        for (int k = 0; k < function::OPERANDS; k++) {
            numbers[k] = v[k][lane];
        }
        function::at(numbers, row * s->width + column + lane, f);
        for (int k = 0; k < function::WRITTEN; k++) {
            v[k][lane] = numbers[k];
        }
    }
    for (int k = 0; k < function::WRITTEN; k++) {
        if (s->of[k].data != NULL) {
            gpu_store<LANES>(&s->of[k], row, column, v[k]);
        }
    }
}

template <class function, int LANES>
__global__ void elements_kernel(const struct elements s, const function f) {
    const int64_t row_step = (int64_t)gridDim.y * blockDim.y;
    const int64_t column_step = (int64_t)gridDim.x * blockDim.x * LANES;
    const int64_t first = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * LANES;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; row < s.rows;
         row += row_step) {
        for (int64_t column = first; column < s.width; column += column_step) {
            elements_at<function, LANES>(&s, &f, row, column);
        }
    }
}

/* Threads of a block along rows, x, and across, y; and blocks likewise. */
struct elements_grid {
    dim3 grid, block;
};

/* units: what a thread takes, in a row. */
static inline struct elements_grid elements_grid_of(struct device *d, int64_t rows, int64_t units) {
    unsigned x = GPU_BLOCK, y = 1;
    while (x > 1 && (x / 2 >= units || (x > GPU_WARP && y < rows))) {
        x /= 2;
        y *= 2;
    }
    const int64_t down = (rows + y - 1) / y;
    const unsigned across = cuda_blocks(d, units, x), all = cuda_blocks(d, down * across, 1);
    return (struct elements_grid){dim3(across, all / across), dim3(x, y)};
}

/* Tensors of one shape; those that are all dense are one long row. */
static inline struct elements elements_of(const struct tensor *const *tensors, int count) {
    struct elements s = {};
    bool dense = true;
    for (int i = 0; i < count; i++) {
        const struct tensor *t = tensors[i];
        s.of[i] = gpu_rows_of(t);
        if (t != NULL) {
            s.rows = tensor_rows(t);
            s.width = tensor_width(t);
            dense = dense && tensor_is_dense(t);
        }
    }
    if (dense) {
        s.width *= s.rows;
        s.rows = 1;
        for (int i = 0; i < count; i++) {
            s.of[i].stride = s.width;
        }
    }
    return s;
}

static inline bool elements_in_fours(const struct elements *s, int count) {
    bool fours = true;
    for (int i = 0; i < count; i++) {
        fours = fours && gpu_rows_in_fours(&s->of[i], s->width);
    }
    return fours;
}

template <class function>
static inline int elements_launch(struct device *d, const function *f, const struct elements *s,
                                  const char *name, struct error *e) {
    static_assert((int)function::OPERANDS <= (int)ELEMENTS_OPERANDS, "an operand too many");
    if (s->rows == 0 || s->width == 0) {
        return 0;
    }
    const bool fours = elements_in_fours(s, function::OPERANDS);
    const struct elements_grid g = elements_grid_of(d, s->rows, fours ? s->width / 4 : s->width);
    GPU_LAUNCH((fours ? elements_kernel<function, 4> : elements_kernel<function, 1>), g.grid,
               g.block, 0, cuda_stream(d), *s, *f);
    return cuda_launched(name, e);
}

/* tensors: those of the function's OPERANDS. */
template <class function>
static inline int elements_each(struct device *d, const function *f,
                                const struct tensor *const *tensors, const char *name,
                                struct error *e) {
    const struct elements s = elements_of(tensors, function::OPERANDS);
    return elements_launch(d, f, &s, name, e);
}

/* ---- Functions of one number, with `of` and `slope` ----------------------------------------- */

template <class function> struct elements_forward {
    enum { OUT, X, OPERANDS, WRITTEN = 1, UPDATED = 0 };
    static __device__ inline void at(float *v, int64_t, const struct elements_forward *) {
        v[OUT] = function::of(v[X]);
    }
};

template <class function> struct elements_backward {
    enum { DX, X, DY, OPERANDS, WRITTEN = 1, UPDATED = 1 };
    static __device__ inline void at(float *v, int64_t, const struct elements_backward *) {
        v[DX] += v[DY] * function::slope(v[X]);
    }
};

/* out = of(x) */
template <class function>
static inline int elements_map(struct device *d, const struct tensor *out, const struct tensor *x,
                               const char *name, struct error *e) {
    const struct tensor *const tensors[] = {out, x};
    const struct elements_forward<function> f = {};
    return elements_each(d, &f, tensors, name, e);
}

/* dx += slope(x) dy */
template <class function>
static inline int elements_map_backward(struct device *d, const struct tensor *dx,
                                        const struct tensor *x, const struct tensor *dy,
                                        const char *name, struct error *e) {
    const struct tensor *const tensors[] = {dx, x, dy};
    const struct elements_backward<function> f = {};
    return elements_each(d, &f, tensors, name, e);
}

#endif
