/* im2col.c - what each place of a convolution sees, as a row; and back. */
#include "compress/cpu/im2col.h"

#include <assert.h>
#include <string.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/strided.h"

int64_t convolution_height(const struct convolution_options *c) {
    return (c->height + 2 * c->pad - c->size) / c->stride_y + 1;
}

int64_t convolution_width(const struct convolution_options *c) {
    return (c->width + 2 * c->pad - c->size) / c->stride_x + 1;
}

/* Columns of a patch at output column ox that lie in the picture: [*begin, *end). */
static int64_t visible(const struct convolution_options *o, int64_t ox, int64_t *begin,
                       int64_t *end) {
    int64_t left = ox * o->stride_x - o->pad;
    *begin = left < 0 ? -left : 0;
    *end = left + o->size > o->width ? o->width - left : o->size;
    return left;
}

void patch_gather(char *patch, const char *x, size_t unit, const struct convolution_options *o,
                  int64_t oy, int64_t ox) {
    int64_t begin, end, left = visible(o, ox, &begin, &end);
    size_t pixel = (size_t)o->channels * unit, row = (size_t)o->size * pixel;
    for (int ky = 0; ky < o->size; ky++, patch += row) {
        int64_t y = oy * o->stride_y - o->pad + ky;
        if (y < 0 || y >= o->height) {
            memset(patch, 0, row);
            continue;
        }
        memset(patch, 0, (size_t)begin * pixel);
        memcpy(patch + (size_t)begin * pixel, x + (size_t)(y * o->width + left + begin) * pixel,
               (size_t)(end - begin) * pixel);
        memset(patch + (size_t)end * pixel, 0, (size_t)(o->size - end) * pixel);
    }
}

/* The pictures (batch, height, width, channels) are dense; returns their number. */
static int64_t pictures_of(const struct tensor *x, const struct convolution_options *o) {
    int64_t picture = o->height * o->width * o->channels, batch = tensor_count(x) / picture;
    assert(tensor_is_dense(x) && batch * picture == tensor_count(x));
    return batch;
}

/* The distance between rows of patches. */
static int64_t patches_of(const struct tensor *t, int64_t batch,
                          const struct convolution_options *o) {
    int64_t stride;
    bool rows = tensor_is_rows(t, &stride);
    assert(rows && tensor_width(t) == (int64_t)o->size * o->size * o->channels);
    assert(tensor_rows(t) == batch * convolution_height(o) * convolution_width(o));
    (void)rows;
    (void)batch;
    (void)o;
    return stride;
}

int cpu_im2col(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct convolution_options *o, struct error *e) {
    int64_t batch = pictures_of(x, o), stride = patches_of(out, batch, o);
    int64_t height = convolution_height(o), width = convolution_width(o);
    size_t unit = dtype_size(x->type), picture = (size_t)(o->height * o->width * o->channels);
    char *patch = out->data;
    (void)d;
    (void)e;
    assert(out->type == x->type);
    for (int64_t i = 0; i < batch * height * width; i++, patch += (size_t)stride * unit) {
        int64_t item = i / (height * width), place = i % (height * width);
        patch_gather(patch, (const char *)x->data + (size_t)item * picture * unit, unit, o,
                     place / width, place % width);
    }
    return 0;
}

/* Adds a patch, at element `patch` of dy, to the picture that begins at element `picture` of dx. */
static void patch_scatter(const struct level *level, const struct tensor *dx,
                          const struct tensor *dy, int64_t picture, int64_t patch,
                          const struct convolution_options *o, int64_t oy, int64_t ox) {
    int64_t begin, end, left = visible(o, ox, &begin, &end);
    for (int64_t ky = 0; ky < o->size; ky++) {
        int64_t y = oy * o->stride_y - o->pad + ky;
        if (y < 0 || y >= o->height || begin >= end) {
            continue;
        }
        int64_t from = patch + (ky * o->size + begin) * o->channels;
        int64_t to = picture + (y * o->width + left + begin) * o->channels;
        run_accumulate(level, (char *)dx->data + (size_t)to * dtype_size(dx->type), dx->type,
                       (const char *)dy->data + (size_t)from * dtype_size(dy->type), dy->type,
                       (end - begin) * o->channels);
    }
}

int cpu_im2col_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                        const struct convolution_options *o, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    int64_t batch = pictures_of(dx, o), stride = patches_of(dy, batch, o);
    int64_t height = convolution_height(o), width = convolution_width(o);
    int64_t picture = o->height * o->width * o->channels;
    (void)e;
    for (int64_t i = 0; i < batch * height * width; i++) {
        int64_t item = i / (height * width), place = i % (height * width);
        patch_scatter(level, dx, dy, item * picture, i * stride, o, place / width, place % width);
    }
    return 0;
}
