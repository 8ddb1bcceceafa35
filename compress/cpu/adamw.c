/* adamw.c - a step of the optimizer. */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_adamw(struct device *d, const struct tensor *weight, const struct tensor *first_moment,
              const struct tensor *second_moment, const struct tensor *gradient,
              const struct adamw_step *step, struct error *e) {
    const struct operand operands[] = {
        {weight, UPDATE}, {first_moment, UPDATE}, {second_moment, UPDATE}, {gradient, READ}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 4, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->adamw(w.data[0], w.data[1], w.data[2], w.data[3], w.count, step);
    }
    return rc;
}
