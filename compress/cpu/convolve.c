/* convolve.c - convolutions as products of patches, a block of them at a time. */
#include <assert.h>

#include "compress/cpu/im2col.h"
#include "compress/cpu/linear.h"
#include "compress/cpu/ops.h"

/* Patches overlap, so the pictures are rounded before they are cut up. */
int cpu_convolve(struct device *d, const struct tensor *out, const struct tensor *x,
                 const struct convolution_options *o, const struct packed *w, struct error *e) {
    int64_t height = convolution_height(o), width = convolution_width(o);
    int64_t patch = (int64_t)o->size * o->size * o->channels;
    int64_t picture = o->height * o->width * o->channels, batch = tensor_count(x) / picture;
    int64_t total = batch * height * width;
    size_t unit = dtype_size(w->type);
    struct rows to = rows_of(out, total, w->outputs);
    void *patches = NULL;
    assert(w->inputs == patch && tensor_is_dense(x) && batch * picture == tensor_count(x));
    int rc = cpu_scratch(&patches, d, SCRATCH_HIDDEN, (size_t)(LINEAR_BLOCK * patch) * unit, e);
    struct rows pictures = rows_of(x, tensor_rows(x), tensor_width(x));
    if (rc == 0 && x->type != w->type) {
        struct rows converted = {.stride = pictures.stride, .type = w->type};
        rc = cpu_scratch(&converted.data, d, SCRATCH_INPUT, (size_t)(batch * picture) * unit, e);
        if (rc == 0) {
            rows_copy(cpu_device(d)->level, &converted, &pictures, tensor_rows(x), tensor_width(x));
        }
        pictures = converted;
    }
    for (int64_t r = 0; r < total && rc == 0; r += LINEAR_BLOCK) {
        int64_t count = block_rows(r, total);
        for (int64_t i = 0; i < count; i++) {
            int64_t item = (r + i) / (height * width), place = (r + i) % (height * width);
            patch_gather((char *)patches + (size_t)(i * patch) * unit,
                         (const char *)pictures.data + (size_t)(item * picture) * unit, unit, o,
                         place / width, place % width);
        }
        struct rows to_block = rows_at(&to, r), input = {patches, patch, w->type};
        rc = linear_block(d, &to_block, &input, count, w, ACTIVATION_NONE, NULL, e);
    }
    return rc;
}
