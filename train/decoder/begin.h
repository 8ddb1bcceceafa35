/* begin.h - the token that stands before every text of a model. */
#ifndef OCC_TRAIN_DECODER_BEGIN_H
#define OCC_TRAIN_DECODER_BEGIN_H

#include "train/decoder/decoder.h"

/* As Hugging Face's tokenizers put it there: where add_bos_token of tokenizer_config.json says so
 * or, where that says nothing, post_processor of tokenizer.json. A bos_token alone is no reason:
 * many models have one and never begin with it. *begin: -1: none. ERR_FORMAT names the file where
 * it asks for a token that is not there. Chat templates write it themselves. */
int decoder_begin(const struct decoder_folder *f, int32_t *begin, struct error *e);

#endif
