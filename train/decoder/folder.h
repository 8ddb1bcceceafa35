/* folder.h - what the files of a model's folder share. */
#ifndef OCC_TRAIN_DECODER_FOLDER_H
#define OCC_TRAIN_DECODER_FOLDER_H

#include "train/decoder/decoder.h"

/* The JSON of a file, a new reference; *out NULL where it is not there and not `needed`. */
int folder_json(json_t **out, const char *folder, const char *name, bool needed, struct error *e);
/* The text of a special token that tokenizer_config.json (NULL is allowed) names, as a text or as
 * an object with its content; NULL: none. */
const char *folder_token(const json_t *tokenizer_config, const char *key);

/* Parts of writing one, in this order, so that a folder without weights is not whole. Makes the
 * folder; ERR_USAGE where it holds shards, which would go before what is written. */
int folder_make(const char *path, struct error *e);
/* The file `tokenizer` as tokenizer.json, and what belongs to it out of the folder `beside`. */
int folder_copy_tokenizer(const char *folder, const char *tokenizer, const char *beside,
                          struct error *e);
int folder_write_config(const char *path, const struct decoder_config *c, enum dtype type,
                        struct error *e);
int folder_write_weights(const char *path, const struct decoder_config *c, enum dtype type,
                         int (*read)(void *context, const char *name, float *values,
                                     struct error *e),
                         void *context, struct error *e);

#endif
