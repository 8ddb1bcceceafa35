/* matmul.c - products of tensors as they are. */
#include <assert.h>

#include "compress/cpu/device.h"
#include "compress/cpu/ops.h"
#include "compress/cpu/product.h"

enum { OUTER = 0, INNER = 1, ROW = 2, COLUMN = 3 };

/* One axis of batches and the matrices' two: where there is but one place, the stride that a dense
 * matrix would have. */
static void strides_of(int64_t out[3], const struct tensor *t, int axis) {
    int64_t rows = t->shape[ROW], columns = t->shape[COLUMN];
    out[1] = rows > 1 ? t->stride[ROW] : columns;
    out[2] = columns > 1 ? t->stride[COLUMN] : 1;
    if (rows == 1 && columns > 1 && out[2] != 1) {
        out[1] = 1; /* a column, transposed */
    } else if (columns == 1 && rows > 1 && out[1] == 1) {
        out[2] = rows;
    }
    assert(out[1] == 1 || out[2] == 1);
    out[0] = t->shape[axis] > 1 ? t->stride[axis] : rows * columns;
}

static void *batch_at(const struct tensor *t, int axis, int64_t i) {
    int64_t at = t->shape[axis] > 1 ? i * t->stride[axis] : 0;
    return (char *)t->data + at * (int64_t)dtype_size(t->type);
}

/* Products along `axis` at once, along the other axis of batches one after another. */
static int multiply(struct device *d, const struct tensor *out, const struct tensor *a,
                    const struct tensor *b, int axis, bool accumulate, struct error *e) {
    int other = axis == OUTER ? INNER : OUTER, rc = 0;
    struct matmul_shape s = {.batch = out->shape[axis],
                             .m = out->shape[ROW],
                             .n = out->shape[COLUMN],
                             .k = a->shape[COLUMN],
                             .type = a->type,
                             .out_type = out->type,
                             .accumulate = accumulate};
    strides_of(s.a_stride, a, axis);
    strides_of(s.b_stride, b, axis);
    strides_of(s.out_stride, out, axis);
    for (int64_t i = 0; i < out->shape[other] && rc == 0; i++) {
        rc = product_multiply(cpu_device(d)->products, batch_at(out, other, i),
                              batch_at(a, other, i), batch_at(b, other, i), &s, e);
    }
    return rc;
}

int cpu_matmul(struct device *d, const struct tensor *out, const struct tensor *a,
               const struct tensor *b, bool accumulate, struct error *e) {
    assert(a->type == b->type && (a->type == DTYPE_F32 || a->type == DTYPE_BF16));
    assert(out->shape[ROW] == a->shape[ROW] && out->shape[COLUMN] == b->shape[COLUMN] &&
           a->shape[COLUMN] == b->shape[ROW]);
    if (tensor_count(out) == 0) {
        return 0;
    }
    if (out->shape[COLUMN] > 1 && out->stride[COLUMN] != 1) {
        struct tensor turned = tensor_transpose(out);
        struct tensor left = tensor_transpose(b), right = tensor_transpose(a);
        return cpu_matmul(d, &turned, &left, &right, accumulate, e);
    }
    return multiply(d, out, a, b, out->shape[INNER] > 1 ? INNER : OUTER, accumulate, e);
}
