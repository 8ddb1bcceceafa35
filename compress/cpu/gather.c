/* gather.c - rows by number, and back to where they came from. */
#include <assert.h>
#include <string.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

/* The matrix, and its rows' distance. */
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
            level->from_bf16((float *)(void *)to, (const uint16_t *)(const void *)from,
                             (size_t)width);
        } else {
            level->to_bf16((uint16_t *)(void *)to, (const float *)(const void *)from,
                           (size_t)width);
        }
    }
    return 0;
}

int cpu_scatter_add(struct device *d, const struct tensor *dx, const struct tensor *dy,
                    const struct tensor *index, struct error *e) {
    const int32_t *numbers = numbers_of(index, tensor_rows(dy));
    const struct operand operands[] = {{dy, READ}};
    struct walk w;
    int rc = walk_rows(&w, d, operands, 1, e);
    while (rc == 0 && walk_next(&w)) {
        if (numbers[w.row] >= 0) {
            struct tensor to = tensor_row_range(dx, numbers[w.row], 1);
            struct tensor from = tensor_vector(w.data[0], DTYPE_F32, d, (int64_t)w.count);
            rc = cpu_accumulate(d, &to, &from, e);
        }
    }
    return rc;
}
