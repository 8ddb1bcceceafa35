/* gather.c - rows by number, and back to where they came from. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/strided.h"

/* The distance between rows. */
static int64_t stride_of(const struct tensor *t) {
    int64_t stride;
    bool rows = tensor_is_rows(t, &stride);
    assert(rows);
    (void)rows;
    return stride;
}

static const int32_t *numbers_of(const struct tensor *index, int64_t rows) {
    assert(index->type == DTYPE_I32 && tensor_is_dense(index) && tensor_count(index) == rows);
    (void)rows;
    return index->data;
}

int cpu_gather(struct device *d, const struct tensor *out, const struct tensor *x,
               const struct tensor *index, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    int64_t rows = tensor_rows(out), width = tensor_width(out);
    int64_t to_stride = stride_of(out), from_stride = stride_of(x);
    const int32_t *numbers = numbers_of(index, rows);
    size_t to_size = dtype_size(out->type), from_size = dtype_size(x->type);
    (void)e;
    assert(tensor_width(x) == width);
    for (int64_t r = 0; r < rows; r++) {
        char *to = (char *)out->data + (size_t)(r * to_stride) * to_size;
        const char *from = (const char *)x->data + numbers[r] * from_stride * (int64_t)from_size;
        assert(numbers[r] < tensor_rows(x));
        if (numbers[r] < 0) {
            memset(to, 0, (size_t)width * to_size);
        } else if (out->type == x->type) {
            memcpy(to, from, (size_t)width * to_size);
        } else if (out->type == DTYPE_F32) {
            run_load(level, (float *)(void *)to, from, x->type, 1, width);
        } else {
            run_store(level, to, out->type, 1, (const float *)(const void *)from, width);
        }
    }
    return 0;
}

int cpu_scatter_add(struct device *d, const struct tensor *dx, const struct tensor *dy,
                    const struct tensor *index, struct error *e) {
    const struct level *level = cpu_device(d)->level;
    int64_t rows = tensor_rows(dy), width = tensor_width(dy);
    int64_t to_stride = stride_of(dx), from_stride = stride_of(dy);
    const int32_t *numbers = numbers_of(index, rows);
    size_t to_size = dtype_size(dx->type), from_size = dtype_size(dy->type);
    (void)e;
    assert(tensor_width(dx) == width);
    for (int64_t r = 0; r < rows; r++) {
        assert(numbers[r] < tensor_rows(dx));
        if (numbers[r] >= 0) {
            run_accumulate(level, (char *)dx->data + (size_t)(numbers[r] * to_stride) * to_size,
                           dx->type, (const char *)dy->data + (size_t)(r * from_stride) * from_size,
                           dy->type, width);
        }
    }
    return 0;
}
