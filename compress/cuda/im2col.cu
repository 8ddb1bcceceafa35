/* im2col.cu - what each place of a convolution sees, as a row; and back. */
#include "compress/cuda/device.h"
#include "compress/cuda/vectors.h"

/* Sizes as kernels take them. Columns of pictures are counted in elements, channels included: what
 * a patch sees of one row of a picture is then one run, in which only the ends may be beside it. */
struct patches {
    int64_t height, width, size, stride_y, stride_x, pad; /* of convolution_options */
    int64_t out_height, out_width, channels;
    int64_t line, run, step, before; /* elements of a picture's row, of a patch's row, from patch to
                                        patch, and of the padding */
};

static struct patches patches_of(const struct convolution_options *o) {
    return {o->height,
            o->width,
            o->size,
            o->stride_y,
            o->stride_x,
            o->pad,
            convolution_height(o),
            convolution_width(o),
            o->channels,
            o->width * o->channels,
            o->size * o->channels,
            o->stride_x * o->channels,
            o->pad * o->channels};
}

/* All elements of a dense tensor, as one row. */
static struct gpu_rows pictures_of(const struct tensor *x, const struct patches *p) {
    struct gpu_rows pictures = gpu_rows_of(x);
    assert(tensor_is_dense(x) && tensor_count(x) % (p->height * p->line) == 0);
    (void)p;
    pictures.stride = 0;
    return pictures;
}

static struct gpu_rows patch_rows_of(const struct tensor *t, const struct tensor *x,
                                     const struct patches *p) {
    assert(tensor_width(t) == p->size * p->run);
    assert(tensor_rows(t) * p->height * p->line == tensor_count(x) * p->out_height * p->out_width);
    (void)x;
    (void)p;
    return gpu_rows_of(t);
}

/* total: groups of `count` elements of all patches. */
template <int count>
__global__ void im2col_kernel(struct gpu_rows out, struct gpu_rows x, struct patches p,
                              int64_t total) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x, groups = p.run / count;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const int64_t run = i / groups, column = (i - run * groups) * count;
        const int64_t row = run / p.size, ky = run - row * p.size;
        const int64_t line = row / p.out_width, picture = line / p.out_height;
        const int64_t y = (line - picture * p.out_height) * p.stride_y - p.pad + ky;
        const int64_t at = (row - line * p.out_width) * p.step - p.before + column;
        struct gpu_vector<count> v = {};
        if (y >= 0 && y < p.height && at >= 0 && at < p.line) {
            v = gpu_load<count>(&x, 0, (picture * p.height + y) * p.line + at);
        }
        gpu_store(&out, row, ky * p.run + column, v);
    }
}

int cuda_im2col(struct device *d, const struct tensor *out, const struct tensor *x,
                const struct convolution_options *o, struct error *e) {
    const struct patches p = patches_of(o);
    const struct gpu_rows from = pictures_of(x, &p), to = patch_rows_of(out, x, &p);
    const int64_t count = tensor_count(out);
    assert(out->type == x->type);
    if (count == 0) {
        return 0;
    }
    if (gpu_rows_in_fours(&to, p.run) && gpu_rows_in_fours(&from, p.line) && p.step % 4 == 0 &&
        p.before % 4 == 0) {
        GPU_LAUNCH((im2col_kernel<4>), cuda_blocks(d, count / 4, GPU_BLOCK), GPU_BLOCK, 0,
                   cuda_stream(d), to, from, p, count / 4);
    } else {
        GPU_LAUNCH((im2col_kernel<1>), cuda_blocks(d, count, GPU_BLOCK), GPU_BLOCK, 0,
                   cuda_stream(d), to, from, p, count);
    }
    return cuda_launched("im2col", e);
}

/* The first patch, along one axis, that sees `place`; the last is at (place + pad) / stride. */
static __device__ inline int64_t first_patch(int64_t place, int64_t size, int64_t stride,
                                             int64_t pad) {
    const int64_t first = (place + pad - size + stride) / stride;
    return first > 0 ? first : 0;
}

/* Each group of `count` channels of a pixel adds up what patches saw of it, in their order. total:
 * groups of all pixels. */
template <int count>
__global__ void im2col_backward_kernel(struct gpu_rows dx, struct gpu_rows dy, struct patches p,
                                       int64_t total) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x, groups = p.channels / count;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < total; i += step) {
        const int64_t pixel = i / groups, channel = (i - pixel * groups) * count;
        const int64_t line = pixel / p.width, x = pixel - line * p.width;
        const int64_t picture = line / p.height, y = line - picture * p.height;
        struct gpu_vector<count> sum = gpu_load<count>(&dx, 0, i * count);
        for (int64_t oy = first_patch(y, p.size, p.stride_y, p.pad);
             oy < p.out_height && oy * p.stride_y <= y + p.pad; oy++) {
            const int64_t ky = y + p.pad - oy * p.stride_y;
            for (int64_t ox = first_patch(x, p.size, p.stride_x, p.pad);
                 ox < p.out_width && ox * p.stride_x <= x + p.pad; ox++) {
                const int64_t kx = x + p.pad - ox * p.stride_x;
                gpu_add(&sum,
                        gpu_load<count>(&dy, (picture * p.out_height + oy) * p.out_width + ox,
                                        ky * p.run + kx * p.channels + channel),
                        dx.bf16);
            }
        }
        gpu_store(&dx, 0, i * count, sum);
    }
}

int cuda_im2col_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                         const struct convolution_options *o, struct error *e) {
    const struct patches p = patches_of(o);
    const struct gpu_rows to = pictures_of(dx, &p), from = patch_rows_of(dy, dx, &p);
    const int64_t count = tensor_count(dx);
    if (count == 0) {
        return 0;
    }
    if (gpu_rows_in_fours(&to, p.channels) && gpu_rows_in_fours(&from, p.run)) {
        GPU_LAUNCH((im2col_backward_kernel<4>), cuda_blocks(d, count / 4, GPU_BLOCK), GPU_BLOCK, 0,
                   cuda_stream(d), to, from, p, count / 4);
    } else {
        GPU_LAUNCH((im2col_backward_kernel<1>), cuda_blocks(d, count, GPU_BLOCK), GPU_BLOCK, 0,
                   cuda_stream(d), to, from, p, count);
    }
    return cuda_launched("im2col_backward", e);
}
