/* softmax.c - each row becomes exp(x) / sum(exp(x)). */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_softmax(struct device *d, const struct tensor *out, const struct tensor *x,
                struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {x, READ}};
    struct walk w;
    int rc = walk_rows(&w, d, operands, 2, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->softmax(w.data[0], w.data[1], w.count);
    }
    return rc;
}

int cpu_softmax_backward(struct device *d, const struct tensor *dx, const struct tensor *y,
                         const struct tensor *dy, struct error *e) {
    const struct operand operands[] = {{dx, UPDATE}, {y, READ}, {dy, READ}};
    struct walk w;
    int rc = walk_rows(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->softmax_backward(w.data[0], w.data[1], w.data[2], w.count);
    }
    return rc;
}
