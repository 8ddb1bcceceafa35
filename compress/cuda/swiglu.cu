/* swiglu.cu - silu(gate) up (Shazeer 2020), and the gradients of both. */
#include "compress/cuda/elements.h"
#include "compress/cuda/silu.h"

struct swiglu {
    enum { OUT, GATE, UP, OPERANDS, WRITTEN = 1, UPDATED = 0 };
    static __device__ inline void at(float *v, int64_t, const struct swiglu *) {
        v[OUT] = silu::of(v[GATE]) * v[UP];
    }
};

struct swiglu_backward {
    enum { DGATE, DUP, GATE, UP, DY, OPERANDS, WRITTEN = 2, UPDATED = 1 };
    static __device__ inline void at(float *v, int64_t, const struct swiglu_backward *) {
        v[DGATE] += v[DY] * v[UP] * silu::slope(v[GATE]);
        v[DUP] += v[DY] * silu::of(v[GATE]);
    }
};

int cuda_swiglu(struct device *d, const struct tensor *out, const struct tensor *gate,
                const struct tensor *up, struct error *e) {
    const struct tensor *const tensors[] = {out, gate, up};
    const struct swiglu f = {};
    return elements_each(d, &f, tensors, "swiglu", e);
}

int cuda_swiglu_backward(struct device *d, const struct tensor *dgate, const struct tensor *dup,
                         const struct tensor *gate, const struct tensor *up,
                         const struct tensor *dy, struct error *e) {
    const struct tensor *const tensors[] = {dgate, dup, gate, up, dy};
    const struct swiglu_backward f = {};
    return elements_each(d, &f, tensors, "swiglu_backward", e);
}
