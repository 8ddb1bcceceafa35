/* convolve.cu - convolutions as products of patches, some pictures at a time. */
#include "compress/cuda/linear.h"

/* Patches overlap, so pictures are rounded before they are cut up. */
static int rounded(struct device *d, struct tensor *out, const struct tensor *x, enum dtype type,
                   struct error *e) {
    void *data = NULL;
    *out = *x;
    if (x->type == type) {
        return 0;
    }
    int rc = cuda_scratch(&data, d, SCRATCH_INPUT, (size_t)tensor_count(x) * dtype_size(type), e);
    if (rc < 0) {
        return rc;
    }
    *out = tensor_of(data, type, d, x->shape);
    return d->ops->copy(d, out, x, e);
}

static bool is_by_pixels(const struct convolution_options *o) {
    return o->size == 1 && o->stride_y == 1 && o->stride_x == 1 && o->pad == 0;
}

int cuda_convolve(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct convolution_options *o, const struct packed *w, struct error *e) {
    const int64_t places = convolution_height(o) * convolution_width(o);
    const int64_t batch = tensor_count(x) / (o->height * o->width * o->channels);
    const int64_t bytes = places * w->inputs * (int64_t)dtype_size(w->type);
    const int64_t fit = bytes < LINEAR_SCRATCH ? LINEAR_SCRATCH / bytes : 1;
    struct tensor matrix;
    const struct tensor *to = linear_matrix(&matrix, out);
    void *data = NULL;
    assert(w->inputs == (int64_t)o->size * o->size * o->channels && tensor_is_dense(x));
    assert(to->shape[2] == batch * places && x->shape[0] == batch);
    if (is_by_pixels(o)) {
        return cuda_linear(d, out, x, w, ACTIVATION_NONE, NULL, e);
    }
    int rc =
        cuda_scratch(&data, d, SCRATCH_HIDDEN, (size_t)((batch < fit ? batch : fit) * bytes), e);
    for (int64_t i = 0; i < batch && rc == 0; i += fit) {
        const int64_t count = batch - i < fit ? batch - i : fit;
        const struct tensor patches = tensor_matrix(data, w->type, d, count * places, w->inputs);
        const struct tensor to_rows = linear_rows_of(to, i * places, count * places);
        const struct tensor part = tensor_slice(x, 0, i, count);
        struct tensor pictures;
        rc = rounded(d, &pictures, &part, w->type, e);
        if (rc == 0) {
            rc = d->ops->im2col(d, &patches, &pictures, o, e);
        }
        if (rc == 0) {
            rc = linear_rows(d, &to_rows, &patches, w, ACTIVATION_NONE, NULL, e);
        }
    }
    return rc;
}
