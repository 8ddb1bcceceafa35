/* pixels.c - bytes of pictures as the numbers that an encoder reads. */
#include <assert.h>

#include "compress/cpu/ops.h"

int cpu_normalize_pixels(struct device *d, const struct tensor *out, const struct tensor *x,
                         const float mean[3], const float deviation[3], struct error *e) {
    float values[3][256];
    int64_t channels = tensor_width(out), read = tensor_width(x), pixels = tensor_rows(x);
    (void)d;
    (void)e;
    assert(out->type == DTYPE_F32 && x->type == DTYPE_U8 && channels <= 3);
    assert(tensor_is_dense(out) && tensor_is_dense(x) && tensor_rows(out) == pixels);
    assert(read == channels || read == 1);
    for (int64_t c = 0; c < channels; c++) {
        for (int v = 0; v < 256; v++) {
            values[c][v] = ((float)v / 255.0f - mean[c]) / deviation[c];
        }
    }
    float *to = out->data;
    const uint8_t *from = x->data;
    for (int64_t i = 0; i < pixels; i++, from += read) {
        for (int64_t c = 0; c < channels; c++) {
            *to++ = values[c][from[read == 1 ? 0 : c]];
        }
    }
    return 0;
}
