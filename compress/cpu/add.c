/* add.c - sums and products, element by element. */
#include "compress/cpu/ops.h"
#include "compress/cpu/walk.h"

int cpu_add(struct device *d, const struct tensor *out, const struct tensor *a,
            const struct tensor *b, struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {a, READ}, {b, READ}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->add(w.data[0], w.data[1], w.data[2], w.count);
    }
    return rc;
}

int cpu_combine(struct device *d, const struct tensor *out, float alpha, const struct tensor *a,
                float beta, const struct tensor *b, struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {a, READ}, {b, READ}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->combine(w.data[0], alpha, w.data[1], beta, w.data[2], w.count);
    }
    return rc;
}

int cpu_multiply(struct device *d, const struct tensor *out, const struct tensor *a,
                 const struct tensor *b, struct error *e) {
    const struct operand operands[] = {{out, WRITE}, {a, READ}, {b, READ}};
    struct walk w;
    int rc = walk_elements(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->multiply(w.data[0], w.data[1], w.data[2], w.count);
    }
    return rc;
}

/* One of the two gradients, from the other factor. */
static int factor_backward(struct device *d, const struct tensor *da, const struct tensor *b,
                           const struct tensor *dy, struct error *e) {
    const struct operand operands[] = {{da, UPDATE}, {b, READ}, {dy, READ}};
    struct walk w;
    if (da == NULL) {
        return 0;
    }
    int rc = walk_elements(&w, d, operands, 3, e);
    while (rc == 0 && walk_next(&w)) {
        w.level->multiply_backward(w.data[0], w.data[1], w.data[2], w.count);
    }
    return rc;
}

int cpu_multiply_backward(struct device *d, const struct tensor *da, const struct tensor *db,
                          const struct tensor *a, const struct tensor *b, const struct tensor *dy,
                          struct error *e) {
    int rc = factor_backward(d, da, b, dy, e);
    if (rc == 0) {
        rc = factor_backward(d, db, a, dy, e);
    }
    return rc;
}
