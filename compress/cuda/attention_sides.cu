/* attention_sides.cu - decomposed relative positions, in F32, for what does not make them on its
 * way (attention_forward.cu): the products of queries with both tables, and the gradients that come
 * back through them.
 *
 * Sides are the rows of the grid, then its columns. */
#include "compress/cuda/attention_tile.h"

enum { SIDES_WIDE = 2, DREL_WIDE = 2, SIDES_SQUARE = 1 };

/* The side at which query i has its product with place m, rows first; less than 0: none. */
static __device__ inline int side_of(const struct attention_call *c, int i, int m) {
    const int down = 2 * c->height - 1;
    if (m < down) {
        const int y = (c->start + i) / c->width + c->height - 1 - m;
        return y < c->height ? y : -1;
    }
    const int x = (c->start + i) % c->width + c->width - 1 - (m - down);
    return x >= 0 && x < c->width ? c->height + x : -1;
}

/* Places [first, first + T) of the tables, zeros after the last. */
template <int T>
static __device__ inline void stage_places(float *to, const struct attention_call *c, int first) {
    for (int i = tile_warp(); i < T; i += tile_warps()) {
        for (int d = tile_lane(); d < c->dim; d += GPU_WARP) {
            to[i * tile_stride(c->dim) + d] =
                first + i < attention_places(c) ? attention_place(c, first + i, d) : 0;
        }
    }
}

/* dsides of a tile's queries at places [first, first + T): (queries, places). */
template <int T>
static __device__ inline void stage_dsides(float *to, const struct attention_call *c,
                                           const struct attention_tile *t, int first) {
    for (int i = tile_warp(); i < T; i += tile_warps()) {
        const int query = t->first + i;
        const float *dsides = c->dsides + (t->line + query) * (c->height + c->width);
        for (int j = tile_lane(); j < T; j += GPU_WARP) {
            const int side = first + j < attention_places(c) ? side_of(c, query, first + j) : -1;
            to[i * tile_stride(T) + j] = query < t->queries && side >= 0 ? dsides[side] : 0;
        }
    }
}

template <int T> __global__ void sides_kernel(struct attention_call c) {
    GPU_SHARED(float, shared);
    struct attention_tile t;
    if (!attention_tile_at(&t, &c, blockIdx.x, c.queries, T)) {
        return;
    }
    const int stride = tile_stride(c.dim), line = tile_stride(T), places = attention_places(&c);
    float *q = shared, *table = q + T * stride, *products = table + T * stride;
    tile_stage<T>(q, &c, &t, &c.q, t.head, t.first, t.queries);
    for (int first = 0; first < places; first += T) {
        stage_places<T>(table, &c, first);
        __syncthreads();
        tile_product<T>(tile_of(products, line), tile_of(q, stride), tile_turned(table, stride), T,
                        c.dim, false);
        __syncthreads();
        for (int i = tile_warp(); i < T && t.first + i < t.queries; i += tile_warps()) {
            float *sides = c.sides + (t.line + t.first + i) * (c.height + c.width);
            for (int j = tile_lane(); j < T && first + j < places; j += GPU_WARP) {
                const int side = side_of(&c, t.first + i, first + j);
                if (side >= 0) {
                    sides[side] = products[i * line + j];
                }
            }
        }
    }
}

template <int T> __global__ void sides_dq_kernel(struct attention_call c) {
    GPU_SHARED(float, shared);
    struct attention_tile t;
    if (!attention_tile_at(&t, &c, blockIdx.x, c.queries, T)) {
        return;
    }
    const int stride = tile_stride(c.dim), line = tile_stride(T);
    float *dq = shared, *table = dq + T * stride, *dsides = table + T * stride;
    tile_fill(dq, T * stride, 0);
    for (int first = 0; first < attention_places(&c); first += T) {
        __syncthreads();
        stage_places<T>(table, &c, first);
        stage_dsides<T>(dsides, &c, &t, first);
        __syncthreads();
        tile_product<T>(tile_of(dq, stride), tile_of(dsides, line), tile_of(table, stride), c.dim,
                        T, true);
    }
    __syncthreads();
    tile_add<T>(&c, &t, &c.dq, t.head, t.first, t.queries, dq, 1);
}

/* A block sums some places over every `parts`th tile: sums (parts, places, dim). */
template <int T>
__global__ void drel_kernel(struct attention_call c, float *sums, int64_t tiles, int parts) {
    GPU_SHARED(float, shared);
    const int stride = tile_stride(c.dim), line = tile_stride(T), places = attention_places(&c);
    const int first = (int)blockIdx.x / parts * T, part = (int)blockIdx.x % parts;
    float *drel = shared, *q = drel + T * stride, *dsides = q + T * stride;
    tile_fill(drel, T * stride, 0);
    for (int64_t number = part; number < tiles; number += parts) {
        struct attention_tile t;
        if (attention_tile_at(&t, &c, number, c.queries, T)) {
            __syncthreads();
            tile_stage<T>(q, &c, &t, &c.q, t.head, t.first, t.queries);
            stage_dsides<T>(dsides, &c, &t, first);
            __syncthreads();
            tile_product<T>(tile_of(drel, stride), tile_turned(dsides, line), tile_of(q, stride),
                            c.dim, T, true);
        }
    }
    __syncthreads();
    for (int i = tile_warp(); i < T && first + i < places; i += tile_warps()) {
        for (int d = tile_lane(); d < c.dim; d += GPU_WARP) {
            sums[((int64_t)part * places + first + i) * c.dim + d] = drel[i * stride + d];
        }
    }
}

/* Parts of sums, one after another, are added to rows of a table. */
__global__ void drel_sum_kernel(struct gpu_rows drel, const float *sums, int rows, int dim,
                                int parts, int64_t part_size) {
    const int at = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (at < rows * dim) {
        float sum = 0;
        for (int i = 0; i < parts; i++) {
            sum += sums[i * part_size + at];
        }
        gpu_put(&drel, at / dim, at % dim, gpu_get(&drel, at / dim, at % dim) + sum);
    }
}

/* ---- Launches -------------------------------------------------------------------------------- */

typedef void sides_kernel_type(struct attention_call c);

static int launch(struct device *d, const struct attention_call *c, sides_kernel_type *of32,
                  sides_kernel_type *of16, struct error *e) {
    const int rows = tile_rows(c->dim, SIDES_WIDE, SIDES_SQUARE) >= 32 ? 32 : 16;
    const size_t bytes = tile_bytes(rows, c->dim, SIDES_WIDE, SIDES_SQUARE);
    sides_kernel_type *kernel = rows == 32 ? of32 : of16;
    int rc = attention_allow(kernel, bytes, e);
    if (rc == 0) {
        GPU_LAUNCH(kernel, (unsigned)(attention_tiles(c, c->queries, rows) * c->heads), 4 * rows,
                   bytes, cuda_stream(d), *c);
        rc = cuda_launched("attention", e);
    }
    return rc;
}

int attention_sides(struct device *d, const struct attention_call *c, struct error *e) {
    return launch(d, c, sides_kernel<32>, sides_kernel<16>, e);
}

int attention_sides_dq(struct device *d, const struct attention_call *c, struct error *e) {
    return launch(d, c, sides_dq_kernel<32>, sides_dq_kernel<16>, e);
}

static int sum_parts(struct device *d, const struct gpu_rows *drel, const float *sums, int rows,
                     int dim, int parts, int64_t part_size, struct error *e) {
    if (drel->data == NULL) {
        return 0;
    }
    GPU_LAUNCH(drel_sum_kernel, (unsigned)((rows * dim + GPU_BLOCK - 1) / GPU_BLOCK), GPU_BLOCK, 0,
               cuda_stream(d), *drel, sums, rows, dim, parts, part_size);
    return cuda_launched("attention_backward", e);
}

int attention_sides_drel(struct device *d, const struct attention_call *c,
                         const struct gpu_rows *drel_h, const struct gpu_rows *drel_w,
                         struct error *e) {
    const int rows = tile_rows(c->dim, DREL_WIDE, SIDES_SQUARE) >= 32 ? 32 : 16;
    const size_t bytes = tile_bytes(rows, c->dim, DREL_WIDE, SIDES_SQUARE);
    const int64_t tiles = attention_tiles(c, c->queries, rows) * c->heads;
    const int places = attention_places(c), chunks = (places + rows - 1) / rows;
    const int down = 2 * c->height - 1, across = 2 * c->width - 1;
    const int64_t wanted = 4 * cuda_device(d)->multiprocessors / chunks + 1;
    const int parts = (int)(wanted < tiles ? wanted : tiles);
    void (*kernel)(struct attention_call, float *, int64_t, int) =
        rows == 32 ? drel_kernel<32> : drel_kernel<16>;
    const int64_t part_size = (int64_t)places * c->dim;
    void *memory = NULL;
    int rc =
        cuda_scratch(&memory, d, SCRATCH_RESULT, (size_t)(parts * part_size) * sizeof(float), e);
    float *sums = (float *)memory;
    rc = rc == 0 ? attention_allow(kernel, bytes, e) : rc;
    if (rc == 0) {
        GPU_LAUNCH(kernel, (unsigned)(chunks * parts), 4 * rows, bytes, cuda_stream(d), *c, sums,
                   tiles, parts);
        rc = cuda_launched("attention_backward", e);
    }
    rc = rc == 0 ? sum_parts(d, drel_h, sums, down, c->dim, parts, part_size, e) : rc;
    return rc == 0 ? sum_parts(d, drel_w, sums + (int64_t)down * c->dim, across, c->dim, parts,
                               part_size, e)
                   : rc;
}
