/* sum_rows.c - one row, the sum of all. */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_sum_rows(struct device *d, const struct tensor *sums, const struct tensor *x,
                 struct error *e) {
    const struct operand operands[] = {{x, READ}};
    float *to = vector_of(sums, tensor_width(x));
    struct walk w;
    int rc = walk_rows(&w, d, operands, 1, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->accumulate(to, w.data[0], w.count);
    }
    return rc;
}
