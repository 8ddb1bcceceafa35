/* cublas.h - cuBLASLt, opened when a GPU is: one program runs with and without it. Only cublas.cu
 * knows it. */
#ifndef OCC_COMPRESS_CUDA_CUBLAS_H
#define OCC_COMPRESS_CUDA_CUBLAS_H

#include "compress/cuda/product.h"

struct cublas; /* of a device: the library, and the algorithms of products that it has met */

/* 0, or ERR_UNSUPPORTED with what is missing. */
int cublas_probe(struct error *e);
int cublas_open(struct cublas **out, struct error *e);
void cublas_close(struct cublas *c); /* NULL is allowed */

/* *done: whether there is an algorithm, and the product has begun. Nothing in it is empty. */
int cublas_product(struct device *d, const struct product *p, bool *done, struct error *e);

#endif
