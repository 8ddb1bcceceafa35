/* frozen_few.cu - products of a few rows with a frozen matrix, which is what a token that is
 * generated costs: a warp has an output, and reads its numbers once. */
#include "compress/cuda/frozen.h"

static __device__ inline float four_products(float sum, const float w[4], float4 x) {
    return fmaf(w[0], x.x, fmaf(w[1], x.y, fmaf(w[2], x.z, fmaf(w[3], x.w, sum))));
}

/* sums += a piece of the matrix by as many numbers of each row of x, of which there are `count`. */
template <enum frozen_format format, int rows>
static __device__ inline void add_piece(float sums[rows], const struct frozen_piece<format> *p,
                                        const struct gpu_rows *x, int count, int piece) {
    const int left = frozen_first<format>(piece), right = frozen_second<format>(piece);
    float w[FROZEN_PIECE];
    frozen_numbers<format>(w, p);
    GPU_UNROLL
    for (int r = 0; r < rows; r++) {
        const int row = r < count ? r : count - 1; /* those beyond are not used */
        sums[r] = four_products(sums[r], w, gpu_get4(x, row, left));
        sums[r] = four_products(sums[r], w + 4, gpu_get4(x, row, right));
    }
}

/* A lane asks for some pieces before it uses the first, so that many loads are under way. */
template <enum frozen_format format, int rows>
static __device__ inline void add_products(float sums[rows], const struct frozen_rows *w,
                                           int64_t output, const struct gpu_rows *x, int count) {
    const int most = rows == FROZEN_FEW ? 2 : 4; /* fewer where sums take the registers */
    const int ahead = format == FROZEN_F32 ? 1 : format == FROZEN_BF16 ? 2 : most;
    const int lane = (int)threadIdx.x % GPU_WARP, pieces = (int)(w->inputs / FROZEN_PIECE);
    GPU_ROLLED
    for (int first = lane; first < pieces; first += GPU_WARP * ahead) {
        struct frozen_piece<format> loaded[ahead];
        GPU_UNROLL
        for (int i = 0; i < ahead; i++) {
            if (first + i * GPU_WARP < pieces) {
                loaded[i] = frozen_load<format>(w, output, first + i * GPU_WARP);
            }
        }
        GPU_UNROLL
        for (int i = 0; i < ahead; i++) {
            if (first + i * GPU_WARP < pieces) {
                add_piece<format, rows>(sums, &loaded[i], x, count, first + i * GPU_WARP);
            }
        }
    }
}

/* half: what x.bf16 is, known beforehand. */
template <enum frozen_format format, int rows, bool half>
__global__ void __launch_bounds__(GPU_BLOCK, 2)
    few_kernel(struct gpu_rows out, struct gpu_rows x, struct gpu_rows residual,
               struct frozen_rows w, int64_t outputs, int count) {
    const int64_t output = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / GPU_WARP;
    float sums[rows] = {};
    x.bf16 = half;
    if (output >= outputs) {
        return; /* with its whole warp */
    }
    add_products<format, rows>(sums, &w, output, &x, count);
    GPU_UNROLL
    for (int r = 0; r < rows; r++) {
        const float sum = warp_sum(sums[r]);
        if (r == (int)threadIdx.x % GPU_WARP && r < count) {
            gpu_put(&out, r, output,
                    residual.data != NULL ? sum + gpu_get(&residual, r, output) : sum);
        }
    }
}

struct few {
    struct gpu_rows out, x, residual;
    const struct packed *w;
    int count;
};

template <enum frozen_format format, int rows, bool half>
static void launch_of(struct device *d, const struct few *f) {
    const int64_t outputs = f->w->outputs, warps = GPU_BLOCK / GPU_WARP;
    GPU_LAUNCH((few_kernel<format, rows, half>), (unsigned)((outputs + warps - 1) / warps),
               GPU_BLOCK, 0, cuda_stream(d), f->out, f->x, f->residual, frozen_rows_of(f->w),
               outputs, f->count);
}

template <enum frozen_format format, int rows>
static void launch(struct device *d, const struct few *f) {
    if (f->x.bf16) {
        launch_of<format, rows, true>(d, f);
    } else {
        launch_of<format, rows, false>(d, f);
    }
}

template <enum frozen_format format>
static void launch_rows(struct device *d, const struct few *f) {
    if (f->count == 1) {
        launch<format, 1>(d, f);
    } else if (f->count == 2) {
        launch<format, 2>(d, f);
    } else if (f->count <= 4) {
        launch<format, 4>(d, f);
    } else {
        launch<format, FROZEN_FEW>(d, f);
    }
}

int frozen_few(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct packed *w, const struct tensor *residual, struct error *e) {
    const struct few f = {gpu_rows_of(out), gpu_rows_of(x), gpu_rows_of(residual), w,
                          (int)x->shape[2]};
    assert(f.count <= FROZEN_FEW && gpu_rows_in_fours(&f.x, w->inputs));
    if (f.count == 0) {
        return 0;
    }
    switch (cuda_packed(w)->frozen.format) {
    case FROZEN_F32:
        launch_rows<FROZEN_F32>(d, &f);
        break;
    case FROZEN_BF16:
        launch_rows<FROZEN_BF16>(d, &f);
        break;
    case FROZEN_I8:
        launch_rows<FROZEN_I8>(d, &f);
        break;
    case FROZEN_U4:
        launch_rows<FROZEN_U4>(d, &f);
        break;
    }
    return cuda_launched("linear", e);
}
