/* tensor_spec.c - see tensor_spec.h. */
#include "compress/tensor_spec.h"

#include <assert.h>
#include <math.h>

#define TABLE_DEVIATION 0.02

int64_t tensor_spec_count(const struct tensor_spec *s) {
    int64_t count = 1;
    for (int i = 0; i < s->rank; i++) {
        count *= s->shape[i];
    }
    return count;
}

int64_t tensor_spec_width(const struct tensor_spec *s) {
    return tensor_spec_count(s) / s->rows;
}

struct tensor_spec tensor_spec_of(enum tensor_kind kind, const char *group,
                                  const int64_t shape[TENSOR_SPEC_RANK]) {
    struct tensor_spec s = {
        .kind = kind, .rows = 1, .group = group, .trainable = true, .rate = 1, .shipped = true};
    while (s.rank < TENSOR_SPEC_RANK && shape[s.rank] > 0) {
        s.shape[s.rank] = shape[s.rank];
        s.rank++;
    }
    assert(s.rank > 0 && s.shape[0] > 0 && s.shape[s.rank - 1] > 0);
    switch (kind) {
    case TENSOR_MATRIX:
        s.rows = s.shape[0];
        s.deviation = 1 / sqrt((double)tensor_spec_width(&s));
        s.decays = true;
        break;
    case TENSOR_TABLE:
        s.rows = tensor_spec_count(&s) / s.shape[s.rank - 1];
        s.deviation = TABLE_DEVIATION;
        break;
    case TENSOR_GAIN:
        s.constant = 1;
        break;
    case TENSOR_BIAS:
        break;
    }
    return s;
}
