/* cublas.h - cuBLASLt, opened when a GPU is: one program runs with and without it. */
#ifndef OCC_COMPRESS_CUDA_CUBLAS_H
#define OCC_COMPRESS_CUDA_CUBLAS_H

#include "compress/cuda/gpu.h"

struct cublas;

/* 0, or ERR_UNSUPPORTED with what is missing. */
int cublas_probe(struct error *e);
int cublas_open(struct cublas **out, struct error *e);
void cublas_close(struct cublas *c); /* NULL is allowed */

#endif
