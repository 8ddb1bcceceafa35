/* product.h - products by packed weights through oneDNN: only product*.[ch] know it.
 *
 * One thread computes a product: pages run beside each other, not products. */
#ifndef OCC_COMPRESS_CPU_PRODUCT_H
#define OCC_COMPRESS_CPU_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/dtype.h"
#include "store/error.h"

struct packed;   /* of compress/ops.h */
struct products; /* the products that a thread has met, ready to run */

/* `level`: of level.h; limits oneDNN to the same instruction sets, once for the process. */
int products_open(struct products **out, const char *level, struct error *e);
void products_close(struct products *p); /* NULL is allowed */

/* matrix (outputs, inputs) of F32, F16 or BF16, any alignment; bias (outputs) or NULL. `compute`:
 * F32 or BF16. */
int product_pack(struct packed **out, struct products *p, const void *matrix, enum dtype type,
                 int64_t outputs, int64_t inputs, const float *bias, enum dtype compute,
                 struct error *e);
void product_packed_close(struct packed *packed); /* NULL is allowed */

/* out (rows, outputs), rows `out_stride` apart, = [out +] x (rows, inputs) W^T + bias. x: of the
 * weights' type, rows `x_stride` apart. out: F32, or BF16 if the weights are. */
int product_run(struct products *p, void *out, enum dtype out_type, int64_t out_stride,
                const void *x, int64_t x_stride, int64_t rows, const struct packed *packed,
                bool accumulate, struct error *e);

#endif
