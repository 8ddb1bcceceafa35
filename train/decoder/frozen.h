/* frozen.h - matrices made from what is stored, in the format in which they are kept in memory. */
#ifndef OCC_TRAIN_DECODER_FROZEN_H
#define OCC_TRAIN_DECODER_FROZEN_H

#include "train/decoder/stored.h"

/* A frozen matrix, and the memory that it lies in, NULL where that is the file's. */
struct frozen_copy {
    struct frozen_matrix matrix;
    void *memory; /* owned */
};

/* `m` in another format: I8 by row, U4 by the extremes of each block of 32 with F16 scales.
 * ERR_UNSUPPORTED, with the tensor's name, where rows are no multiple of a block wide. */
int frozen_copy_make(struct frozen_copy *out, const char *name, const struct stored_matrix *m,
                     enum frozen_format format, struct error *e);
/* The matrix alone, which points to nothing. */
int frozen_copy_shape(struct frozen_matrix *out, const char *name, const struct stored_matrix *m,
                      enum frozen_format format, struct error *e);

#endif
