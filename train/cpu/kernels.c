/* kernels.c - the level that belongs to the one of compress/cpu/vector.h. */
#include "train/kernels.h"

#include <string.h>

#include "compress/cpu/vector.h"

const struct kernels *kernels_choose(struct error *e) {
    const struct vector_ops *vector = vector_ops_choose(e);
    if (vector == NULL) {
        return NULL;
    }
#if defined(__x86_64__)
    if (strcmp(vector->name, "avx2") == 0) {
        return &KERNELS_AVX2;
    }
    if (strcmp(vector->name, "portable") != 0) {
        return &KERNELS_AVX512;
    }
#endif
    return &KERNELS_PORTABLE;
}
