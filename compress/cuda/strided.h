/* strided.h - two tensors of any strides, as the fewest axes along which both can be walked. */
#ifndef OCC_COMPRESS_CUDA_STRIDED_H
#define OCC_COMPRESS_CUDA_STRIDED_H

#include "compress/cuda/gpu.h"

struct gpu_axis {
    int64_t size, to, from; /* places, and the elements between them */
};

/* Innermost first; at least one. */
struct gpu_axes {
    int count;
    struct gpu_axis of[TENSOR_RANK];
};

/* Axes of one place are left out, those that continue each other are made one, and the order is
 * that of `to` in memory: threads side by side then write side by side. Sizes of `from` that are 1
 * are repeated. */
static inline struct gpu_axes gpu_axes_of(const struct tensor *to, const struct tensor *from) {
    struct gpu_axis all[TENSOR_RANK];
    struct gpu_axes axes = {0, {}};
    int count = 0;
    for (int i = TENSOR_RANK - 1; i >= 0; i--) {
        assert(from->shape[i] == to->shape[i] || from->shape[i] == 1);
        if (to->shape[i] != 1) {
            int at = count++;
            for (; at > 0 && all[at - 1].to > to->stride[i]; at--) {
                all[at] = all[at - 1];
            }
            all[at].size = to->shape[i];
            all[at].to = to->stride[i];
            all[at].from = from->shape[i] == 1 ? 0 : from->stride[i];
        }
    }
    for (int i = 0; i < count; i++) {
        struct gpu_axis *last = axes.count > 0 ? &axes.of[axes.count - 1] : NULL;
        if (last != NULL && all[i].to == last->to * last->size &&
            all[i].from == last->from * last->size) {
            last->size *= all[i].size;
        } else {
            axes.of[axes.count++] = all[i];
        }
    }
    if (axes.count == 0) {
        axes.of[axes.count++] = {1, 1, 1};
    }
    return axes;
}

/* Whether both are dense from end to end, in the same order. */
static inline bool gpu_axes_are_dense(const struct gpu_axes *a) {
    return a->count == 1 && a->of[0].to == 1 && a->of[0].from == 1;
}

/* Makes groups of `group` elements the elements, where all of them are dense on both sides and none
 * begins within another. */
static inline bool gpu_axes_group(struct gpu_axes *a, int64_t group) {
    if (a->of[0].to != 1 || a->of[0].from != 1 || a->of[0].size % group != 0) {
        return false;
    }
    for (int i = 1; i < a->count; i++) {
        if (a->of[i].to % group != 0 || a->of[i].from % group != 0) {
            return false;
        }
    }
    a->of[0].size /= group;
    for (int i = 1; i < a->count; i++) {
        a->of[i].to /= group;
        a->of[i].from /= group;
    }
    return true;
}

static inline int64_t gpu_axes_total(const struct gpu_axes *a) {
    int64_t total = 1;
    for (int i = 0; i < a->count; i++) {
        total *= a->of[i].size;
    }
    return total;
}

/* Where element i lies. */
static __device__ inline void gpu_axes_place(const struct gpu_axes *a, int64_t i, int64_t *to,
                                             int64_t *from) {
    *to = *from = 0;
    for (int k = 0; k < TENSOR_RANK; k++) {
        if (k < a->count) {
            const int64_t rest = k + 1 < a->count ? i / a->of[k].size : 0;
            const int64_t place = i - rest * a->of[k].size;
            *to += place * a->of[k].to;
            *from += place * a->of[k].from;
            i = rest;
        }
    }
}

#endif
