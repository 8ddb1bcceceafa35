/* frozen.h - matrices in the format of their file, as the CPU multiplies with them. */
#ifndef OCC_COMPRESS_CPU_FROZEN_H
#define OCC_COMPRESS_CPU_FROZEN_H

#include "compress/cpu/linear.h"
#include "compress/ops.h"

struct frozen {
    struct packed head;
    struct frozen_matrix matrix; /* over memory of the caller */
};

static inline const struct frozen *frozen_of(const struct packed *w) {
    return (const struct frozen *)w;
}

/* Rows [first, first + count) of a matrix: what a thread takes of it. */
struct frozen frozen_part(const struct packed *w, int64_t first, int64_t count);

/* Whether a product of so few rows reads each output's numbers once, without packing them. */
bool frozen_by_outputs(const struct packed *w, int64_t rows);

/* What linear_block does, of any number of rows. */
int frozen_linear(struct device *d, const struct rows *out, const struct rows *x, int64_t count,
                  const struct packed *w, enum activation activation, const struct rows *residual,
                  struct error *e);

#endif
