/* product.h - matrix products through oneDNN: the only file that knows it.
 *
 * One thread computes a product: pages run beside each other, not products. */
#ifndef OCC_COMPRESS_CPU_PRODUCT_H
#define OCC_COMPRESS_CPU_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/backend.h"
#include "store/dtype.h"
#include "store/error.h"

struct weights;  /* a matrix (outputs, inputs) and a bias in oneDNN's order; read-only, shared */
struct products; /* the products that a thread has met, ready to run */

/* `level`: of vector.h; limits oneDNN to the same instruction sets, once for the process. */
int products_open(struct products **out, const char *level, struct error *e);
void products_close(struct products *p); /* NULL is allowed */

/* matrix (outputs, inputs) of F32, F16 or BF16, any alignment; bias (outputs) or NULL. `compute`:
 * F32 or BF16. */
int weights_pack(struct weights **out, struct products *p, const void *matrix, enum dtype type,
                 int64_t outputs, int64_t inputs, const float *bias, enum dtype compute,
                 struct error *e);
void weights_close(struct weights *w); /* NULL is allowed */
int64_t weights_outputs(const struct weights *w);
int64_t weights_inputs(const struct weights *w);
enum dtype weights_type(const struct weights *w);

/* out (rows, outputs) = [out +] x (rows, inputs) W^T + bias. x: of the weights' type, dense. */
int product_run(struct products *p, float *out, const void *x, int64_t rows,
                const struct weights *w, bool accumulate, struct error *e);

/* See product_shape in backend.h. */
int product_multiply(struct products *p, float *out, const void *a, const void *b,
                     const struct product_shape *shape, struct error *e);

#endif
