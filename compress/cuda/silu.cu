/* silu.cu - x sigmoid(x) and its gradient. */
#include "compress/cuda/silu.h"

#include "compress/cuda/elements.h"

int cuda_silu(struct device *d, const struct tensor *out, const struct tensor *x, struct error *e) {
    return elements_map<silu>(d, out, x, "silu", e);
}

int cuda_silu_backward(struct device *d, const struct tensor *dx, const struct tensor *x,
                       const struct tensor *dy, struct error *e) {
    return elements_map_backward<silu>(d, dx, x, dy, "silu_backward", e);
}
