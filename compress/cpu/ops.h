/* ops.h - which operations the CPU has: each is cpu_NAME, in the file of its name or of its family,
 * with the type that struct ops gives it. */
#ifndef OCC_COMPRESS_CPU_OPS_H
#define OCC_COMPRESS_CPU_OPS_H

#include "compress/ops.h"

#define CPU_OPERATIONS(OP)                                                                         \
    OP(alloc)                                                                                      \
    OP(release)                                                                                    \
    OP(upload)                                                                                     \
    OP(download) OP(synchronize)                                          /* memory.c */           \
        OP(fill) OP(copy) OP(accumulate)                                  /* copy.c */             \
        OP(gather) OP(scatter_add)                                        /* gather.c */           \
        OP(im2col) OP(im2col_backward)                                    /* im2col.c */           \
        OP(resample) OP(resample_backward)                                /* resample.c */         \
        OP(normalize_pixels)                                              /* pixels.c */           \
        OP(pack) OP(packed_close) OP(linear) OP(mlp)                      /* linear.c */           \
        OP(convolve)                                                      /* convolve.c */         \
        OP(matmul)                                                        /* matmul.c */           \
        OP(add) OP(combine) OP(multiply) OP(multiply_backward)            /* add.c */              \
        OP(gelu) OP(gelu_backward) OP(quick_gelu) OP(quick_gelu_backward) /* gelu.c */             \
        OP(sum_rows)                                                      /* sum_rows.c */         \
        OP(layer_norm) OP(layer_norm_backward)                            /* layer_norm.c */       \
        OP(softmax) OP(softmax_backward)                                  /* softmax.c */          \
        OP(attention)                                                     /* attention.c */        \
        OP(square_sum)                                                    /* square_sum.c */       \
        OP(adamw)                                                         /* adamw.c */

#define CPU_DECLARE(name) extern __typeof__(*(((struct ops *)NULL)->name)) cpu_##name;
CPU_OPERATIONS(CPU_DECLARE)

extern const struct ops CPU_OPS;

#endif
