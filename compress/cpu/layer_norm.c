/* layer_norm.c - rows less their mean, over their deviation (Ba et al. 2016). */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_layer_norm(struct device *d, const struct tensor *out, const struct tensor *x,
                   const struct tensor *gamma, const struct tensor *beta, float eps,
                   struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {x, READ}};
    const float *gain = vector_of(gamma, tensor_width(x)), *bias = vector_of(beta, tensor_width(x));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 2, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->layer_norm(w.data[0], w.data[1], w.count, gain, bias, eps);
    }
    return rc;
}

int cpu_layer_norm_backward(struct device *d, const struct tensor *dx, const struct tensor *dgamma,
                            const struct tensor *dbeta, const struct tensor *x,
                            const struct tensor *gamma, const struct tensor *dy, float eps,
                            struct error *e) {
    const struct operand operands[] = {{x, READ}, {dy, READ}, {dx, UPDATE}};
    int64_t width = tensor_width(x);
    const float *gain = vector_of(gamma, width);
    float *dgain = vector_of(dgamma, width), *dbias = vector_of(dbeta, width);
    struct walk w;
    int rc = walk_rows(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->layer_norm_backward(w.data[2], dgain, dbias, w.data[0], gain, w.data[1], w.count,
                                     eps);
    }
    return rc;
}
