/* cublas.h - what tests ask of the emulated cuBLASLt. Weak: without it there is none. */
#ifndef OCC_TESTS_KERNELS_CUBLAS_H
#define OCC_TESTS_KERNELS_CUBLAS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C"
#endif
    /* How often an algorithm was looked for. */
    __attribute__((weak)) int64_t
    gpu_blas_searches(void);

#endif
