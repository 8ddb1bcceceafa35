/* product.cu - see product.h: which way a product is computed, and the plain kernel. */
#include "compress/cuda/product.h"

#include "compress/cuda/cublas.h"
#include "compress/cuda/device.h"

/* A block has a tile of TILE x TILE sums, each of its threads EACH x EACH of them, over DEPTH
 * places of k at a time. */
enum { TILE = 64, DEPTH = 16, EACH = 4, TILE_ROW = TILE + 4 /* another bank for each place */ };

static __device__ inline float number_at(const struct product_matrix *x, int64_t batch, int64_t row,
                                         int64_t column) {
    const int64_t at =
        batch * x->step + (x->turned ? column * x->stride + row : row * x->stride + column);
    return x->type == DTYPE_BF16 ? gpu_float_of(((const uint16_t *)x->data)[at])
                                 : ((const float *)x->data)[at];
}

/* tile[k][i] = x (first + i, depth + k), zeros beyond (rows, columns); neighbours in a warp are
 * neighbours in memory. */
static __device__ inline void load_tile(float *tile, const struct product_matrix *x, int64_t batch,
                                        int64_t first, int64_t depth, int64_t rows,
                                        int64_t columns) {
    for (int place = (int)threadIdx.x; place < TILE * DEPTH; place += GPU_BLOCK) {
        const int i = x->turned ? place % TILE : place / DEPTH;
        const int k = x->turned ? place / TILE : place % DEPTH;
        const bool inside = first + i < rows && depth + k < columns;
        tile[k * TILE_ROW + i] = inside ? number_at(x, batch, first + i, depth + k) : 0;
    }
}

static __device__ inline void add_tiles(float sums[EACH][EACH], const float *a, const float *b,
                                        int row, int column) {
    GPU_ROLLED
    for (int k = 0; k < DEPTH; k++) {
        const float4 left = *(const float4 *)(a + k * TILE_ROW + row);
        const float4 right = *(const float4 *)(b + k * TILE_ROW + column);
        const float x[EACH] = {left.x, left.y, left.z, left.w};
        const float y[EACH] = {right.x, right.y, right.z, right.w};
        GPU_UNROLL
        for (int i = 0; i < EACH; i++) {
            GPU_UNROLL
            for (int j = 0; j < EACH; j++) {
                sums[i][j] = fmaf(x[i], y[j], sums[i][j]);
            }
        }
    }
}

static __device__ inline void put_sum(const struct product *p, int64_t batch, int64_t row,
                                      int64_t column, float sum) {
    const int64_t at = batch * p->out.step + row * p->out.stride + column;
    const bool half = p->out.type == DTYPE_BF16;
    if (p->add.data != NULL) {
        sum += number_at(&p->add, batch, row, column);
    }
    if (p->bias != NULL) {
        sum += p->bias[column];
    }
    if (half) {
        ((uint16_t *)p->out.data)[at] = gpu_bf16_of(sum);
    } else {
        ((float *)p->out.data)[at] = sum;
    }
}

/* Of a tile of out. b_turned: b, whose columns are what a's rows are. */
static __device__ void product_tile(const struct product *p, const struct product_matrix *b_turned,
                                    int64_t batch, int64_t first_row, int64_t first_column) {
    GPU_SHARED(float, a_tile);
    float *const b_tile = a_tile + DEPTH * TILE_ROW;
    const int row = (int)threadIdx.x / (TILE / EACH) * EACH;
    const int column = (int)threadIdx.x % (TILE / EACH) * EACH;
    float sums[EACH][EACH] = {};
    for (int64_t depth = 0; depth < p->k; depth += DEPTH) {
        load_tile(a_tile, &p->a, batch, first_row, depth, p->m, p->k);
        load_tile(b_tile, b_turned, batch, first_column, depth, p->n, p->k);
        __syncthreads();
        add_tiles(sums, a_tile, b_tile, row, column);
        __syncthreads();
    }
    GPU_UNROLL
    for (int i = 0; i < EACH; i++) {
        GPU_UNROLL
        for (int j = 0; j < EACH; j++) {
            if (first_row + row + i < p->m && first_column + column + j < p->n) {
                put_sum(p, batch, first_row + row + i, first_column + column + j, sums[i][j]);
            }
        }
    }
}

__global__ void __launch_bounds__(GPU_BLOCK, 2) product_kernel(struct product p) {
    struct product_matrix b_turned = p.b;
    b_turned.turned = !p.b.turned;
    for (int64_t batch = blockIdx.z; batch < p.batch; batch += gridDim.z) {
        for (int64_t column = (int64_t)blockIdx.y * TILE; column < p.n;
             column += (int64_t)gridDim.y * TILE) {
            product_tile(&p, &b_turned, batch, (int64_t)blockIdx.x * TILE, column);
        }
    }
}

static unsigned at_most(int64_t count, int64_t most) {
    return (unsigned)(count < most ? count : most);
}

static int plain_product(struct device *d, const struct product *p, struct error *e) {
    enum { MOST = 65535 /* of the second and the third size of a grid */ };
    static_assert(TILE / EACH * (TILE / EACH) == GPU_BLOCK, "each thread has its sums");
    const dim3 grid(at_most((p->m + TILE - 1) / TILE, INT32_MAX),
                    at_most((p->n + TILE - 1) / TILE, MOST), at_most(p->batch, MOST));
    GPU_LAUNCH(product_kernel, grid, GPU_BLOCK, 2 * DEPTH * TILE_ROW * sizeof(float),
               cuda_stream(d), *p);
    return cuda_launched("product", e);
}

int cuda_product(struct device *d, const struct product *p, struct error *e) {
    bool done = false;
    int rc = 0;
    assert(p->a.type == p->b.type && !p->out.turned && !p->add.turned);
    assert(p->out.type == DTYPE_F32 || p->a.type == DTYPE_BF16);
    assert(p->add.data == NULL || p->add.type == p->out.type);
    assert(p->bias == NULL || p->k == 0 || p->out.type == DTYPE_F32 || p->rounded_bias != NULL);
    if (p->m == 0 || p->n == 0 || p->batch == 0) {
        return 0;
    }
    if (p->k > 0) {
        rc = cublas_product(d, p, &done, e);
    }
    return rc == 0 && !done ? plain_product(d, p, e) : rc;
}
