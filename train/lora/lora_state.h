/* lora_state.h - names of an adapter's tensors, and the parts of reading one; private to
 * train/lora/ and its fuzz target. */
#ifndef OCC_TRAIN_LORA_LORA_STATE_H
#define OCC_TRAIN_LORA_LORA_STATE_H

#include "train/lora/lora.h"

/* The two matrices of a product, their names in files. */
struct lora_names {
    char a[TENSOR_SPEC_NAME], b[TENSOR_SPEC_NAME];
};
struct lora_names lora_names_of(int64_t layer, enum decoder_matrix which);

/* Of adapter_config.json, all but the matrices; `path` stands before messages. */
int lora_options_parse(struct lora_options *o, const json_t *root, const char *path,
                       struct error *e);
/* Of a folder whose tensors are open: finds out which matrices are adapted. */
int lora_tensors_check(struct lora_folder *f, const struct decoder_config *c, struct error *e);

#endif
