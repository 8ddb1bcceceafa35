/* encoder_file.h - what an encoder's safetensors file must hold. */
#ifndef OCC_COMPRESS_ENCODER_FILE_H
#define OCC_COMPRESS_ENCODER_FILE_H

#include <stdint.h>

#include "compress/config.h"
#include "store/safetensors.h"

/* The file's own configuration, or that of the published checkpoint where the file has none.
 * `path` is for messages. */
int encoder_file_config(struct encoder_config *config, const struct safetensors *file,
                        const char *path, struct error *e);
/* See encoder_is_grey. */
bool encoder_file_is_grey(const struct safetensors *file, const struct encoder_config *config);

/* Whether all tensors of the encoder are there, with their shapes and in types that can be computed
 * with, and no others under an encoder's names: ERR_FORMAT or ERR_UNSUPPORTED names what is not.
 * `fingerprint`: see encoder_fingerprint. */
int encoder_file_check(const struct safetensors *file, const struct encoder_config *config,
                       const char *path, uint64_t *fingerprint, struct error *e);

#endif
