/* pixels.cu - bytes of pictures as the numbers that an encoder reads. */
#include "compress/cuda/device.h"

/* For each channel. */
struct scales {
    float mean[3], deviation[3];
};

static __device__ inline float normalized(uint8_t byte, const struct scales *s, int channel) {
    const float mean = channel == 0 ? s->mean[0] : channel == 1 ? s->mean[1] : s->mean[2];
    const float deviation = channel == 0   ? s->deviation[0]
                            : channel == 1 ? s->deviation[1]
                                           : s->deviation[2];
    return ((float)byte / 255.0f - mean) / deviation;
}

/* A thread writes four numbers of `total`. one: pixels of x have one channel, whatever those of out
 * have. */
__global__ void normalize_pixels_kernel(float *out, const uint8_t *x, struct scales scales,
                                        int64_t total, int channels, bool one) {
    const int64_t step = 4 * (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = 4 * ((int64_t)blockIdx.x * blockDim.x + threadIdx.x); i < total; i += step) {
        int64_t pixel = i / channels;
        int channel = (int)(i - pixel * channels);
        float v[4];
        for (int k = 0; k < 4; k++) {
            v[k] = i + k < total ? normalized(x[one ? pixel : i + k], &scales, channel) : 0;
            channel++;
            if (channel == channels) {
                channel = 0;
                pixel++;
            }
        }
        if (i + 4 <= total) {
            *(float4 *)(out + i) = make_float4(v[0], v[1], v[2], v[3]);
            continue;
        }
        for (int k = 0; k < 3; k++) {
            if (i + k < total) {
                out[i + k] = v[k];
            }
        }
    }
}

int cuda_normalize_pixels(struct device *d, const struct tensor *out, const struct tensor *x,
                          const float mean[3], const float deviation[3], struct error *e) {
    const int64_t channels = tensor_width(out), read = tensor_width(x), total = tensor_count(out);
    const struct scales scales = {{mean[0], mean[1], mean[2]},
                                  {deviation[0], deviation[1], deviation[2]}};
    assert(out->type == DTYPE_F32 && x->type == DTYPE_U8 && channels <= 3);
    assert(tensor_is_dense(out) && tensor_is_dense(x) && tensor_rows(out) == tensor_rows(x));
    assert((read == channels || read == 1) && (uintptr_t)out->data % 16 == 0);
    if (total == 0) {
        return 0;
    }
    GPU_LAUNCH(normalize_pixels_kernel, cuda_blocks(d, (total + 3) / 4, GPU_BLOCK), GPU_BLOCK, 0,
               cuda_stream(d), (float *)out->data, (const uint8_t *)x->data, scales, total,
               (int)channels, read == 1);
    return cuda_launched("normalize_pixels", e);
}
