/* rms_norm.cu - rows over their root mean square (Zhang and Sennrich 2019). */
#include "compress/cuda/norm.h"

int cuda_rms_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                  const struct tensor *gamma, float eps, struct error *e) {
    return norm_forward<false>(d, out, x, gamma, NULL, eps, "rms_norm", e);
}

int cuda_rms_norm_backward(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
                           const struct tensor *x, const struct tensor *gamma,
                           const struct tensor *dy, float eps, struct error *e) {
    return norm_backward<false>(d, dx, dgamma, NULL, x, gamma, dy, eps, "rms_norm_backward", e);
}
