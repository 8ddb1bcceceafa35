/* model_decoder.h - language models in `occ model`. */
#ifndef OCC_CLI_MODEL_DECODER_H
#define OCC_CLI_MODEL_DECODER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/dtype.h"
#include "store/error.h"

/* Whether it is a folder with a language model rather than an encoder's. */
bool model_is_decoder(const char *path);
/* Prints what `occ model info` says of it. */
int model_decoder_info(const char *path, struct error *e);
/* A new one, of the preset `name`. */
int model_decoder_init(const char *path, const char *name, const char *tokenizer, enum dtype type,
                       uint64_t seed, struct error *e);

#endif
