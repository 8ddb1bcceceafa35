/* silu.c - x sigmoid(x) and its gradient. */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_silu(struct device *d, const struct tensor *out, const struct tensor *x, struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {x, READ}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 2, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->silu(w.data[0], w.data[1], w.count);
    }
    return rc;
}

int cpu_silu_backward(struct device *d, const struct tensor *dx, const struct tensor *x,
                      const struct tensor *dy, struct error *e) {
    const struct operand operands[] = {{dx, UPDATE}, {x, READ}, {dy, READ}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->silu_backward(w.data[0], w.data[1], w.data[2], w.count);
    }
    return rc;
}
