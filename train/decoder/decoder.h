/* decoder.h - a language model in a folder of the Hugging Face layout: config.json, safetensors
 * (one file or shards), tokenizer.json, a chat template; opened with its weights frozen, and
 * written.
 *
 * Matrices may be stored packed, which other programs do not read: NAME.weight as I8 (outputs,
 * inputs) with NAME.weight.scale, F32 (outputs) or F16 (outputs, inputs / 32); or as U8 (outputs,
 * inputs / 2), four bits each (enum frozen_format), with NAME.weight.scale and NAME.weight.minimum,
 * F16 (outputs, inputs / 32). */
#ifndef OCC_TRAIN_DECODER_DECODER_H
#define OCC_TRAIN_DECODER_DECODER_H

#include "compress/ops.h"
#include "store/safetensors.h"
#include "train/decoder/network.h"
#include "train/tokenizer/tokenizer.h"

/* ---- The folder, without weights in memory ------------------------------------------------- */

struct decoder_folder {
    char *path; /* all owned */
    struct decoder_config config;
    struct safetensors *tensors;
    struct tokenizer *tokenizer;
    char *chat_template; /* Jinja, of tokenizer_config.json or chat_template.jinja; NULL: none */
    json_t *tokenizer_config; /* NULL: none */
};
/* Checks that all tensors are there and of the right shape. ERR_FORMAT, ERR_UNSUPPORTED, ...: texts
 * name the file. */
int decoder_folder_open(struct decoder_folder *f, const char *path, struct error *e);
void decoder_folder_close(struct decoder_folder *f); /* {0} is allowed */
/* Of the beginning of each tensor: enough to tell one model from another. */
uint64_t decoder_folder_hash(const struct decoder_folder *f);
/* The values of any tensor as floats: `to` has room for all. */
int decoder_folder_floats(const struct decoder_folder *f, const char *name, float *to,
                          struct error *e);
/* BF16, or F32 where that is what its largest tensor is: for what is made of it. */
enum dtype decoder_folder_type(const struct decoder_folder *f);
/* Writes a folder: weights by `read` (parameters.h's), tokenizer and chat template copied from
 * `like`. type: F32 or BF16. Files appear whole or not at all. */
int decoder_folder_write(const char *path, const struct decoder_config *c,
                         const struct decoder_folder *like, enum dtype type,
                         int (*read)(void *context, const char *name, float *values,
                                     struct error *e),
                         void *context, struct error *e);

/* Writes a folder with random weights. `tokenizer`: a tokenizer.json, or a folder with one; what
 * else belongs to it and lies beside it comes along. The size of the vocabulary, the first and the
 * end token are the tokenizer's. The same configuration and seed give the same bytes. */
int decoder_init(const char *path, const struct decoder_config *preset, const char *tokenizer,
                 enum dtype type, uint64_t seed, struct error *e);

/* ---- Frozen weights ------------------------------------------------------------------------ */

struct decoder; /* read-only, shared by threads; the folder outlives it */

/* In which format matrices are kept in memory. AUTO: packed ones and BF16 as they are stored,
 * others in the type that the device computes in. Formats that are not stored are made: I8 by row,
 * U4 by the extremes of a block, and with INT4 an embedding or head that is not stored so in I8. */
enum decoder_format { DECODER_AUTO, DECODER_F32, DECODER_BF16, DECODER_INT8, DECODER_INT4 };
extern const char *const DECODER_FORMAT_NAMES[]; /* "auto", "f32", "bf16", "int8", "int4", NULL */

/* `device`: any of the backend; where that does not read the host's memory it outlives the decoder.
 */
int decoder_open(struct decoder **out, const struct decoder_folder *folder,
                 enum decoder_format format, struct device *device, struct error *e);
/* Without weights, on a device that computes nothing (compress/dry.h) and outlives it: to know what
 * memory a run takes. `folder`: where it is, for how matrices are stored; NULL: in F32. */
int decoder_open_dry(struct decoder **out, const struct decoder_config *c,
                     const struct decoder_folder *folder, enum decoder_format format,
                     struct device *device, struct error *e);
void decoder_close(struct decoder *d); /* NULL is allowed */
const struct decoder_config *decoder_config(const struct decoder *d);
/* NULL: a dry one of no folder. */
const struct tokenizer *decoder_tokenizer(const struct decoder *d);
size_t decoder_bytes(const struct decoder *d); /* of the weights in memory, mapped ones included */
/* Frozen parts: nothing in them needs a gradient. */
struct decoder_parts decoder_parts(const struct decoder *d);
const struct packed *decoder_packed(const struct decoder *d, int64_t layer,
                                    enum decoder_matrix which);

#endif
