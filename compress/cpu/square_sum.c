/* square_sum.c - what gradients are clipped by. */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_square_sum(struct device *d, const struct tensor *sum, const struct tensor *x,
                   struct error *e) {
    const struct operand operands[] = {{x, READ}};
    double total = 0;
    struct walk w;
    int rc = walk_elements(&w, d, operands, 1, e);
    while (rc == 0 && walk_next(&w)) {
        total += w.level->square_sum(w.data[0], w.count);
    }
    if (rc == 0) {
        *vector_of(sum, 1) += (float)total;
    }
    return rc;
}
