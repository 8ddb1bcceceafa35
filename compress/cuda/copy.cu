/* copy.cu - filling, copying and adding up tensors of any strides. What only changes its place is
 * moved in units of up to 16 bytes, whatever it is; what changes its type or is added up, in fours
 * where that can be. */
#include <string.h>

#include "compress/cuda/device.h"
#include "compress/cuda/strided.h"
#include "compress/cuda/vectors.h"

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* from NULL: `value` everywhere. */
template <class unit>
__global__ void move_kernel(unit *to, const unit *from, unit value, struct gpu_axes axes,
                            int64_t total) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        int64_t to_at, from_at;
        gpu_axes_place(&axes, i, &to_at, &from_at);
        to[to_at] = from != NULL ? from[from_at] : value;
    }
}

/* value: 16 bytes of it. */
template <class unit>
static void launch_move(struct device *d, void *to, const void *from, const void *value,
                        const struct gpu_axes *axes) {
    const int64_t total = gpu_axes_total(axes);
    unit element;
    memcpy((void *)&element, value, sizeof element);
    GPU_LAUNCH((move_kernel<unit>), cuda_blocks(d, total, GPU_BLOCK), GPU_BLOCK, 0, cuda_stream(d),
               (unit *)to, (const unit *)from, element, *axes, total);
}

/* Elements of `size` bytes, by the largest units that they and where they lie allow. */
static void move(struct device *d, void *to, const void *from, const void *value, int64_t size,
                 struct gpu_axes *axes) {
    const uintptr_t ends = (uintptr_t)to | (uintptr_t)from;
    int64_t unit = 16;
    while (unit > size && (ends % (uintptr_t)unit != 0 || !gpu_axes_group(axes, unit / size))) {
        unit /= 2;
    }
    switch (unit) {
    case 16:
        launch_move<uint4>(d, to, from, value, axes);
        break;
    case 8:
        launch_move<uint2>(d, to, from, value, axes);
        break;
    case 4:
        launch_move<uint32_t>(d, to, from, value, axes);
        break;
    case 2:
        launch_move<uint16_t>(d, to, from, value, axes);
        break;
    default:
        launch_move<uint8_t>(d, to, from, value, axes);
    }
}

/* 16 bytes of elements of `type`. */
static void repeat_value(unsigned char bytes[16], enum dtype type, float value) {
    const uint16_t half = bf16_of(value);
    const int32_t whole = (int32_t)value;
    const uint8_t byte = (uint8_t)whole;
    const void *element = &value;
    switch (type) {
    case DTYPE_BF16:
        element = &half;
        break;
    case DTYPE_I32:
        element = &whole;
        break;
    case DTYPE_U8:
        element = &byte;
        break;
    default:
        assert(type == DTYPE_F32);
    }
    for (size_t i = 0; i < 16; i += dtype_size(type)) {
        memcpy(bytes + i, element, dtype_size(type));
    }
}

int cuda_fill(struct device *d, const struct tensor *out, float value, struct error *e) {
    unsigned char bytes[16];
    struct gpu_axes axes = gpu_axes_of(out, out);
    if (tensor_count(out) == 0) {
        return 0;
    }
    if (value == 0 && gpu_axes_are_dense(&axes)) {
        return cuda_check(cudaMemsetAsync(out->data, 0, tensor_bytes(out), cuda_stream(d)), "fill",
                          e);
    }
    repeat_value(bytes, out->type, value);
    move(d, out->data, NULL, bytes, (int64_t)dtype_size(out->type), &axes);
    return cuda_launched("fill", e);
}

/* ---- Floats ---------------------------------------------------------------------------------- */

/* out = x, or out += x: groups of `count` elements. */
template <int count, bool add>
__global__ void floats_kernel(struct gpu_rows out, struct gpu_rows x, struct gpu_axes axes,
                              int64_t total) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        int64_t to_at, from_at;
        gpu_axes_place(&axes, i, &to_at, &from_at);
        struct gpu_vector<count> v = gpu_load<count>(&x, 0, from_at * count);
        if (add) {
            gpu_add(&v, gpu_load<count>(&out, 0, to_at * count), false);
        }
        gpu_store(&out, 0, to_at * count, v);
    }
}

template <int count, bool add>
static void launch_floats(struct device *d, const struct gpu_rows *out, const struct gpu_rows *x,
                          const struct gpu_axes *axes) {
    const int64_t total = gpu_axes_total(axes);
    GPU_LAUNCH((floats_kernel<count, add>), cuda_blocks(d, total, GPU_BLOCK), GPU_BLOCK, 0,
               cuda_stream(d), *out, *x, *axes, total);
}

/* All elements, as one row: axes say where they are. */
static struct gpu_rows elements_of(const struct tensor *t) {
    assert(t->type == DTYPE_F32 || t->type == DTYPE_BF16);
    return {t->data, 0, t->type == DTYPE_BF16};
}

template <bool add>
static void floats(struct device *d, const struct tensor *out, const struct tensor *x,
                   struct gpu_axes *axes) {
    const struct gpu_rows to = elements_of(out), from = elements_of(x);
    if (gpu_rows_in_fours(&to, 4) && gpu_rows_in_fours(&from, 4) && gpu_axes_group(axes, 4)) {
        launch_floats<4, add>(d, &to, &from, axes);
    } else {
        launch_floats<1, add>(d, &to, &from, axes);
    }
}

int cuda_copy(struct device *d, const struct tensor *out, const struct tensor *x, struct error *e) {
    struct gpu_axes axes = gpu_axes_of(out, x);
    const unsigned char nothing[16] = {0};
    assert(tensor_same_shape(out, x));
    if (tensor_count(out) == 0) {
        return 0;
    }
    if (out->type != x->type) {
        floats<false>(d, out, x, &axes);
    } else if (gpu_axes_are_dense(&axes)) {
        return cuda_check(cudaMemcpyAsync(out->data, x->data, tensor_bytes(out),
                                          cudaMemcpyDeviceToDevice, cuda_stream(d)),
                          "copy", e);
    } else {
        move(d, out->data, x->data, nothing, (int64_t)dtype_size(out->type), &axes);
    }
    return cuda_launched("copy", e);
}

int cuda_accumulate(struct device *d, const struct tensor *out, const struct tensor *x,
                    struct error *e) {
    struct gpu_axes axes = gpu_axes_of(out, x);
    if (tensor_count(out) == 0) {
        return 0;
    }
    floats<true>(d, out, x, &axes);
    return cuda_launched("accumulate", e);
}
