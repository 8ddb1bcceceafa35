/* softmax.h - what exponentials of a row are measured by. */
#ifndef OCC_COMPRESS_CUDA_SOFTMAX_H
#define OCC_COMPRESS_CUDA_SOFTMAX_H

#include "compress/cuda/row_block.h"

struct exponentials {
    float largest, sum; /* of exp(x - largest) */
};

/* In one pass, though the largest is not known before its end: the sum shrinks when it grows
 * (Milakov and Gimelshein 2018). Leaves the last tile in v. */
template <int LANES>
static __device__ inline struct exponentials
exponentials_of(float *v, const struct gpu_rows *x, int64_t row, int width, float *shared) {
    float largest = -INFINITY, sum = 0;
    for (int first = 0; first < width; first += row_tile()) {
        row_read<LANES>(v, x, row, first, width, -INFINITY);
        float next = largest;
        for (int i = 0; i < ROW_HELD; i++) {
            next = fmaxf(next, v[i]);
        }
        /* nothing but minus infinity, which has no difference to itself */
        const float level = next == -INFINITY ? 0 : next;
        sum *= expf(largest - level);
        for (int i = 0; i < ROW_HELD; i++) {
            sum += expf(v[i] - level);
        }
        largest = next;
    }
    const float all = row_largest(largest, shared), level = all == -INFINITY ? 0 : all;
    return (struct exponentials){level, row_sum(sum * expf(largest - level), shared)};
}

#endif
