/* layer_norm.cu - rows less their mean, over their deviation (Ba et al. 2016). */
#include "compress/cuda/norm.h"

int cuda_layer_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                    const struct tensor *gamma, const struct tensor *beta, float eps,
                    struct error *e) {
    return norm_forward<true>(d, out, x, gamma, beta, eps, "layer_norm", e);
}

int cuda_layer_norm_backward(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
                             const struct tensor *dbeta, const struct tensor *x,
                             const struct tensor *gamma, const struct tensor *dy, float eps,
                             struct error *e) {
    return norm_backward<true>(d, dx, dgamma, dbeta, x, gamma, dy, eps, "layer_norm_backward", e);
}
