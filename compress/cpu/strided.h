/* strided.h - tensors of any strides: as few axes as they can be seen with, and runs along the last
 * one. */
#ifndef OCC_COMPRESS_CPU_STRIDED_H
#define OCC_COMPRESS_CPU_STRIDED_H

#include "compress/cpu/level.h"
#include "compress/tensor.h"

/* Calls `run` for each run of `count` elements, `to_step` and `from_step` elements apart, of two
 * tensors. Sizes of `from` that are 1 are repeated; from NULL: `to` alone. */
struct strided_run {
    const struct level *level;
    enum dtype to_type, from_type;
    char *to;
    const char *from;
    int64_t to_step, from_step, count;
    const void *extra; /* of the caller */
};
void strided_each(const struct level *level, const struct tensor *to, const struct tensor *from,
                  void (*run)(const struct strided_run *r), const void *extra);

/* Elements of F32 or BF16, `step` apart, as dense F32; and back. */
void run_load(const struct level *level, float *to, const void *from, enum dtype type, int64_t step,
              int64_t count);
void run_store(const struct level *level, void *to, enum dtype type, int64_t step,
               const float *from, int64_t count);

/* to += from, both dense, each F32 or BF16. */
void run_accumulate(const struct level *level, void *to, enum dtype to_type, const void *from,
                    enum dtype from_type, int64_t count);

#endif
