/* swiglu.c - silu(gate) up (Shazeer 2020), and the gradients of both. */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_swiglu(struct device *d, const struct tensor *out, const struct tensor *gate,
               const struct tensor *up, struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {gate, READ}, {up, READ}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->swiglu(w.data[0], w.data[1], w.data[2], w.count);
    }
    return rc;
}

int cpu_swiglu_backward(struct device *d, const struct tensor *dgate, const struct tensor *dup,
                        const struct tensor *gate, const struct tensor *up, const struct tensor *dy,
                        struct error *e) {
    const struct operand operands[] = {
        {dy, READ}, {gate, READ}, {up, READ}, {dgate, UPDATE}, {dup, UPDATE}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 5, e);
    while (rc == 0 && walk_next(&w)) {
        if (dgate != NULL) {
            w.level->swiglu_gate_backward(w.data[3], w.data[1], w.data[2], w.data[0], w.count);
        }
        if (dup != NULL) {
            w.level->swiglu_up_backward(w.data[4], w.data[1], w.data[0], w.count);
        }
    }
    return rc;
}
