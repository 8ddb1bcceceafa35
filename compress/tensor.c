/* tensor.c - see tensor.h. */
#include "compress/tensor.h"

#include <assert.h>
#include <string.h>

enum { ROW = TENSOR_RANK - 2, COLUMN = TENSOR_RANK - 1 };

struct tensor tensor_of(void *data, enum dtype type, struct device *home,
                        const int64_t shape[TENSOR_RANK]) {
    struct tensor t = {.data = data, .type = type, .home = home};
    int64_t stride = 1;
    for (int i = TENSOR_RANK - 1; i >= 0; i--) {
        t.shape[i] = shape[i];
        t.stride[i] = stride;
        stride *= shape[i];
    }
    return t;
}

struct tensor tensor_matrix(void *data, enum dtype type, struct device *home, int64_t rows,
                            int64_t width) {
    return tensor_of(data, type, home, TENSOR_SHAPE(1, 1, rows, width));
}

struct tensor tensor_vector(void *data, enum dtype type, struct device *home, int64_t width) {
    return tensor_matrix(data, type, home, 1, width);
}

int64_t tensor_rows(const struct tensor *t) {
    return t->shape[0] * t->shape[1] * t->shape[2];
}

int64_t tensor_width(const struct tensor *t) {
    return t->shape[COLUMN];
}

int64_t tensor_count(const struct tensor *t) {
    return tensor_rows(t) * tensor_width(t);
}

size_t tensor_bytes(const struct tensor *t) {
    return (size_t)tensor_count(t) * dtype_size(t->type);
}

/* Whether axis `i` is stepped through by `stride`; one of a single place is by any. */
static bool continues(const struct tensor *t, int i, int64_t stride) {
    return t->shape[i] == 1 || t->stride[i] == stride;
}

bool tensor_is_dense(const struct tensor *t) {
    int64_t stride = 1;
    for (int i = TENSOR_RANK - 1; i >= 0; i--) {
        if (!continues(t, i, stride)) {
            return false;
        }
        stride *= t->shape[i];
    }
    return true;
}

bool tensor_is_rows(const struct tensor *t, int64_t *stride) {
    if (!continues(t, COLUMN, 1)) {
        return false;
    }
    int64_t rows = 1;
    *stride = t->shape[COLUMN];
    for (int i = ROW; i >= 0; i--) {
        if (t->shape[i] == 1) {
            continue;
        }
        if (rows == 1) {
            *stride = t->stride[i];
        } else if (t->stride[i] != rows * *stride) {
            return false;
        }
        rows *= t->shape[i];
    }
    return true;
}

bool tensor_same_shape(const struct tensor *a, const struct tensor *b) {
    return memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

/* The element `offset` after the first. */
static void *element(const struct tensor *t, int64_t offset) {
    return (unsigned char *)t->data + offset * (int64_t)dtype_size(t->type);
}

struct tensor tensor_slice(const struct tensor *t, int axis, int64_t first, int64_t count) {
    assert(first >= 0 && count >= 0 && first + count <= t->shape[axis]);
    struct tensor view = *t;
    view.data = element(t, first * t->stride[axis]);
    view.shape[axis] = count;
    return view;
}

struct tensor tensor_reshape(const struct tensor *t, const int64_t shape[TENSOR_RANK]) {
    struct tensor view = tensor_of(t->data, t->type, t->home, shape);
    assert(tensor_is_dense(t) && tensor_count(&view) == tensor_count(t));
    return view;
}

struct tensor tensor_as_matrix(const struct tensor *t) {
    struct tensor view = tensor_matrix(t->data, t->type, t->home, tensor_rows(t), tensor_width(t));
    bool whole = tensor_is_rows(t, &view.stride[ROW]);
    assert(whole);
    (void)whole;
    return view;
}

struct tensor tensor_row_range(const struct tensor *t, int64_t first, int64_t count) {
    struct tensor matrix = tensor_as_matrix(t);
    return tensor_slice(&matrix, ROW, first, count);
}

struct tensor tensor_column_range(const struct tensor *t, int64_t first, int64_t count) {
    return tensor_slice(t, COLUMN, first, count);
}

struct tensor tensor_transpose(const struct tensor *t) {
    struct tensor view = *t;
    view.shape[ROW] = t->shape[COLUMN];
    view.shape[COLUMN] = t->shape[ROW];
    view.stride[ROW] = t->stride[COLUMN];
    view.stride[COLUMN] = t->stride[ROW];
    return view;
}

struct tensor tensor_heads(const struct tensor *matrix, int64_t batch, int64_t first, int64_t heads,
                           int64_t head_dim) {
    struct tensor rows = tensor_as_matrix(matrix);
    int64_t tokens = batch > 0 ? rows.shape[ROW] / batch : 0, stride = rows.stride[ROW];
    assert(tokens * batch == rows.shape[ROW] && first + heads * head_dim <= rows.shape[COLUMN]);
    return (struct tensor){.data = element(&rows, first),
                           .type = rows.type,
                           .home = rows.home,
                           .shape = {batch, tokens, heads, head_dim},
                           .stride = {tokens * stride, stride, head_dim, 1}};
}
