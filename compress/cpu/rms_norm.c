/* rms_norm.c - rows over their root mean square (Zhang and Sennrich 2019). */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_rms_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                 const struct tensor *gamma, float eps, struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {x, READ}};
    const float *gain = vector_of(gamma, tensor_width(x));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 2, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->rms_norm(w.data[0], w.data[1], w.count, gain, eps);
    }
    return rc;
}

int cpu_rms_norm_backward(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
                          const struct tensor *x, const struct tensor *gamma,
                          const struct tensor *dy, float eps, struct error *e) {
    const struct operand operands[] = {{x, READ}, {dy, READ}, {dx, UPDATE}};
    const float *gain = vector_of(gamma, tensor_width(x));
    float *dgain = vector_of(dgamma, tensor_width(x));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        if (dx != NULL) {
            w.level->rms_norm_backward(w.data[2], w.data[0], gain, w.data[1], w.count, eps);
        }
        if (dgain != NULL) {
            w.level->rms_norm_gain_backward(dgain, w.data[0], w.data[1], w.count, eps);
        }
    }
    return rc;
}
