/* lora.h - low-rank adaptation (Hu et al. 2021, arXiv 2106.09685) of a decoder's matrices, in the
 * layout of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors with
 * base_model.model.NAME.lora_A.weight (rank, inputs) and .lora_B.weight (outputs, rank).
 *
 *     y = x W^T + alpha / rank * drop(x) A^T B^T         A random, B zeros at first */
#ifndef OCC_TRAIN_LORA_LORA_H
#define OCC_TRAIN_LORA_LORA_H

#include "train/decoder/decoder.h"
#include "train/parameters.h"

enum { LORA_RANK = 4096 }; /* the largest */
struct lora_options {
    int64_t rank;
    double alpha, dropout;
    bool matrices[DECODER_MATRICES]; /* which are adapted */
};
#define LORA_DEFAULTS                                                                              \
    {                                                                                              \
        .rank = 16, .alpha = 32, .dropout = 0, .matrices = {                                       \
            true,                                                                                  \
            true,                                                                                  \
            true,                                                                                  \
            true,                                                                                  \
            true,                                                                                  \
            true,                                                                                  \
            true                                                                                   \
        }                                                                                          \
    }

/* ---- On a tape ------------------------------------------------------------------------------ */

/* The tensors under their PEFT names, trainable, group "lora"; lean: they are small to convert, but
 * all of their copies together are a tenth of what a run with packed weights takes. */
int lora_list(const struct lora_options *o, const struct decoder_config *c, tensor_spec_take *take,
              void *context, struct error *e);

/* The base's parts with adapters, whose A and B come from `source`. All outlives the result's use.
 */
struct lora_source {
    const struct lora_options *options;
    const struct decoder *base;
    const struct tape_source *source;
    uint64_t seed; /* of the dropout in this step; ignored where dropout is 0 */
    bool dropping; /* false: no dropout, for measuring and generation */
};
struct decoder_parts lora_parts(const struct lora_source *s);
/* The low rank of one matrix, for who adds more to it; false: it has none. */
bool lora_low_rank(const struct lora_source *s, struct tape *t, int64_t layer,
                   enum decoder_matrix which, struct tape_adapter *out);

/* ---- Folders -------------------------------------------------------------------------------- */

#define LORA_FILE "adapter_config.json" /* without which a folder has no such adapter */
/* An adapter in a folder, its tensors open but not read. */
struct lora_folder {
    char *path; /* owned */
    struct lora_options options;
    struct safetensors *tensors;
};
/* For a base of these sizes. ERR_FORMAT and ERR_UNSUPPORTED name the file and what is wrong:
 * another base's shapes, DoRA, rank patterns, biases, embeddings. */
int lora_folder_open(struct lora_folder *f, const char *path, const struct decoder_config *c,
                     struct error *e);
void lora_folder_close(struct lora_folder *f); /* {0} is allowed */
/* The values of a tensor of lora_list. */
int lora_folder_floats(const struct lora_folder *f, const char *name, float *values,
                       struct error *e);
/* Adds the adapter to the values of a decoder's tensor `name`, where it adapts that. */
int lora_folder_add(const struct lora_folder *f, const struct decoder_config *c, const char *name,
                    float *values, struct error *e);
/* Whether a folder has one. */
bool lora_folder_is(const char *folder);

/* Writes a folder, which is made if it is not there, as PEFT reads it. `base`: the folder of the
 * base, for base_model_name_or_path. `read` gives the values of the tensors of lora_list, F32. */
int lora_write(const char *path, const struct lora_options *o, const struct decoder_config *c,
               const char *base, parameters_named_reader *read, void *context, struct error *e);

/* ---- To generate with ----------------------------------------------------------------------- */

/* An adapter, frozen; base and device outlive it. */
struct lora; /* read-only, shared by threads of a backend */
int lora_open(struct lora **out, const char *folder, const struct decoder *base,
              struct device *device, struct error *e);
void lora_close(struct lora *l); /* NULL is allowed */
struct decoder_parts lora_frozen_parts(const struct lora *l);
const struct lora_source *lora_frozen_source(const struct lora *l);

#endif
