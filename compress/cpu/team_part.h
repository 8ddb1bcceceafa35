/* team_part.h - parts of the operations that take tensors alone. */
#ifndef OCC_COMPRESS_CPU_TEAM_PART_H
#define OCC_COMPRESS_CPU_TEAM_PART_H

#include "compress/cpu/ops.h"
#include "compress/cpu/team_ops.h"
#include "compress/cpu/team_split.h"

/* The operation that a part calls, by how many tensors it takes, and the numbers that it passes on.
 */
struct rest {
    union {
        __typeof__(*((struct ops *)NULL)->copy) *two;
        __typeof__(*((struct ops *)NULL)->add) *three;
        __typeof__(*((struct ops *)NULL)->multiply_backward) *five;
    } entry;
    float numbers[2];
    const void *options;
};

#define PART(name)                                                                                 \
    static inline int name(struct device *d, const struct tensor *const t[], const void *rest,     \
                           struct error *e)

PART(two_part) {
    return ((const struct rest *)rest)->entry.two(d, t[0], t[1], e);
}

PART(three_part) {
    return ((const struct rest *)rest)->entry.three(d, t[0], t[1], t[2], e);
}

PART(five_part) {
    return ((const struct rest *)rest)->entry.five(d, t[0], t[1], t[2], t[3], t[4], e);
}

#endif
