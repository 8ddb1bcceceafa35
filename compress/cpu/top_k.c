/* top_k.c - the largest numbers of rows, and where they stand. */
#include <assert.h>

#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

/* index (k) becomes the places of the largest of x, largest first. */
static void choose(int32_t *index, int64_t k, const float *x, int64_t width) {
    int64_t chosen = 0;
    for (int64_t i = 0; i < width; i++) {
        if (chosen == k && !(x[i] > x[index[k - 1]])) {
            continue;
        }
        int64_t place = chosen < k ? chosen++ : k - 1;
        for (; place > 0 && x[i] > x[index[place - 1]]; place--) {
            index[place] = index[place - 1];
        }
        index[place] = (int32_t)i;
    }
}

/* The places (rows, k), and the distance of their rows. */
static const int32_t *places_of(const struct tensor *index, const struct tensor *x,
                                int64_t *stride) {
    bool rows = tensor_is_rows(index, stride);
    assert(rows && index->type == DTYPE_I32 && tensor_rows(index) == tensor_rows(x));
    assert(tensor_width(index) > 0 && tensor_width(index) <= tensor_width(x));
    (void)rows;
    (void)x;
    return index->data;
}

int cpu_top_k(struct device *d, const struct tensor *values, const struct tensor *index,
              const struct tensor *x, struct error *e) {
    const struct operand operands[] = {{x, READ}, {values, WRITE}};
    int64_t k = tensor_width(index), stride = 0;
    int32_t *places = index->data;
    places_of(index, x, &stride);
    assert(tensor_width(x) <= INT32_MAX && (values == NULL || tensor_width(values) == k));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 2, e);
    for (; rc == 0 && walk_next(&w); places += stride) {
        choose(places, k, w.data[0], (int64_t)w.count);
        for (int64_t i = 0; i < k && values != NULL; i++) {
            w.data[1][i] = w.data[0][places[i]];
        }
    }
    return rc;
}

int cpu_top_k_backward(struct device *d, const struct tensor *dx, const struct tensor *dy,
                       const struct tensor *index, struct error *e) {
    const struct operand operands[] = {{dx, UPDATE}, {dy, READ}};
    int64_t k = tensor_width(index), stride = 0;
    const int32_t *places = places_of(index, dx, &stride);
    assert(tensor_width(dy) == k);
    struct walk w;
    int rc = walk_rows(&w, d, operands, 2, e);
    for (; rc == 0 && walk_next(&w); places += stride) {
        for (int64_t i = 0; i < k; i++) {
            w.data[0][places[i]] += w.data[1][i];
        }
    }
    return rc;
}
