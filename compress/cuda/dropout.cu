/* dropout.cu - some elements become zeros, the others larger. */
#include "compress/dropout.h"

#include "compress/cuda/elements.h"

struct dropout {
    enum { OUT, X, OPERANDS, WRITTEN = 1, UPDATED = 0 };
    uint64_t key, first;
    uint32_t limit;
    float factor;
    static __device__ inline void at(float *v, int64_t place, const struct dropout *f) {
        const bool kept = dropout_hash(f->key, f->first + (uint64_t)place) >= f->limit;
        v[OUT] = kept ? v[X] * f->factor : 0;
    }
};

int cuda_dropout(struct device *d, const struct tensor *out, const struct tensor *x, float share,
                 uint64_t seed, int64_t first, struct error *e) {
    const struct tensor *const tensors[] = {out, x};
    const struct dropout f = {dropout_key(seed), (uint64_t)first, dropout_limit(share),
                              1 / (1 - share)};
    assert(tensor_same_shape(out, x) && share >= 0 && share < 1 && first >= 0);
    return elements_each(d, &f, tensors, "dropout", e);
}
