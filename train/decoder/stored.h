/* stored.h - matrices as they lie in files: plain numbers, or packed (decoder.h). */
#ifndef OCC_TRAIN_DECODER_STORED_H
#define OCC_TRAIN_DECODER_STORED_H

#include "compress/ops.h"
#include "compress/tensor_spec.h"
#include "store/safetensors.h"

struct stored_matrix {
    enum dtype type;                   /* F32, F16, BF16; I8; U8: four bits each */
    struct frozen_matrix frozen;       /* all but `format` */
    const struct safetensor *parts[3]; /* values, scales, minima; NULL where there are none */
};

/* The matrix of that name, whatever its shape. ERR_FORMAT where it is missing, is no matrix, or its
 * scales do not fit it; ERR_UNSUPPORTED for other types. Texts name the tensor. */
int stored_matrix_find(struct stored_matrix *out, const struct safetensors *file, const char *name,
                       struct error *e);
/* Whether it is the tensor of a list: a matrix, packed or not, or plain numbers of any rank. */
int stored_check(const struct safetensors *file, const struct tensor_spec *spec, struct error *e);

/* Whether it is kept as it is stored; *out: how. */
bool stored_matrix_frozen(const struct stored_matrix *m, struct frozen_matrix *out);
/* `count` rows as floats. */
void stored_matrix_rows(const struct stored_matrix *m, int64_t first, int64_t count, float *to);
/* It is not needed for a while: its pages go back to the system. */
void stored_matrix_drop(const struct stored_matrix *m, const struct safetensors *file);

#endif
