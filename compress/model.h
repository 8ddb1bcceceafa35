/* model.h - encoder files: made new, and described. */
#ifndef OCC_COMPRESS_MODEL_H
#define OCC_COMPRESS_MODEL_H

#include <jansson.h>

#include "compress/config.h"
#include "store/dtype.h"
#include "store/safetensors.h"

/* Writes an encoder with random weights: matrices and convolutions normal with variance 1 / inputs
 * (those that end a residual branch less, by twice the depth), tables and vectors normal with
 * deviation 0.02, norms 1 and 0, biases 0. `type`: F32, F16 or BF16. The same configuration and
 * seed give the same bytes. */
int model_init(const char *path, const struct encoder_config *config, uint64_t seed,
               enum dtype type, struct error *e);

/* Writes the encoder of the file `from`, with its reading head and maps for merging, in numbers of
 * another type: F32, F16, BF16, or I8: matrices as integers with a scale for each row
 * (safetensors_floats), other tables BF16, vectors F32; or as they are, to the bit, so that its
 * fingerprint stays. Metadata is kept; `added`, an object of texts or NULL, is put
 * to it, or in the place of what has the same name. */
#define MODEL_SAME_TYPES DTYPE_COUNT
int model_convert(const char *path, const char *from, enum dtype type, json_t *added,
                  struct error *e);
/* Whether metadata of that name may be `text`, JSON: ERR_FORMAT for none, and for a calibration
 * that is none; ERR_USAGE for what describes the weights themselves. */
int model_check_metadata(const char *name, const char *text, struct error *e);

/* The first values of a tensor, as its list has them. */
void model_fill(float *values, const struct tensor_spec *t, uint64_t seed);

struct model_info {
    struct encoder_config config;
    uint64_t fingerprint;        /* encoder_fingerprint */
    bool has_config;             /* in the file; else that of the published checkpoint */
    bool grey;                   /* encoder_is_grey */
    int64_t tensors, parameters; /* of the encoder */
    int64_t others;              /* tensors of the file that are not the encoder's */
    int64_t bytes[DTYPE_COUNT];  /* of the encoder's tensors, by type */
};
/* A file as encoder_open would find it, without loading it; refused likewise: ERR_FORMAT for a file
 * that holds no encoder, or not the whole of one. */
int model_info(struct model_info *info, const char *path, struct error *e);

#endif
