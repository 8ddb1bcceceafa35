/* walk.h - tensors of any float as runs of F32, which is what kernels see.
 *
 *     const struct operand operands[] = {{out, WRITE}, {x, READ}};
 *     struct walk w;
 *     int rc = walk_elements(&w, d, operands, 2, e);
 *     while (rc == 0 && walk_next(&w)) {
 *         kernel(w.data[0], w.data[1], w.count);
 *     }
 *
 * Of F32 tensors data points into the tensor; of BF16 ones to scratch memory, which is converted
 * before and after as `access` says. The walk must be gone to its end. */
#ifndef OCC_COMPRESS_CPU_WALK_H
#define OCC_COMPRESS_CPU_WALK_H

#include "compress/cpu/device.h"
#include "compress/tensor.h"

enum { WALK_OPERANDS = 6 };

enum access { READ, WRITE, UPDATE /* both */ };

struct operand {
    const struct tensor *tensor; /* NULL: data is NULL too */
    enum access access;
};

struct walk {
    float *data[WALK_OPERANDS];
    size_t count; /* elements of this run */
    /* The rest is walk.c's. */
    const struct level *level;
    int operands;
    int64_t rows, width, chunk, row, column;
    struct {
        char *base, *at;
        bool bf16;
        enum access access;
        int64_t rows, stride;
        int64_t width; /* of whole rows; 0: `count` */
        float *converted;
    } of[WALK_OPERANDS];
};

/* Runs as long as may be. The first operand is the largest: the rows of others that have fewer are
 * repeated. */
int walk_elements(struct walk *w, struct device *d, const struct operand *operands, int count,
                  struct error *e);
/* Each run is a row of the first operand; operands may differ in width, and `count` is that of the
 * first. */
int walk_rows(struct walk *w, struct device *d, const struct operand *operands, int count,
              struct error *e);
bool walk_next(struct walk *w);

/* The numbers of a dense vector of F32, such as the gain of a norm; NULL of NULL. */
float *vector_of(const struct tensor *t, int64_t width);

#endif
