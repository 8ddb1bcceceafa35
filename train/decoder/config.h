/* config.h - the sizes of a language model of the Llama family, as config.json of the Hugging Face
 * layout has them, and the tensors that follow from them.
 *
 * Pre-norm blocks (RMS norm), rotary positions, grouped queries, SwiGLU (Touvron et al. 2023, arXiv
 * 2307.09288); the head may be the embedding ("tied"). */
#ifndef OCC_TRAIN_DECODER_CONFIG_H
#define OCC_TRAIN_DECODER_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "compress/tensor_spec.h"
#include "store/error.h"

/* Stretches the positions of a model that was trained on shorter contexts. */
enum rope_scaling { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3 };

enum { DECODER_ENDS = 8 };
struct decoder_config {
    char name[64];
    int64_t vocabulary, width, layers;
    int64_t heads, kv_heads, head_dim;
    int64_t hidden;  /* of the feed-forward part */
    int64_t context; /* longest sequence that it was trained on */
    double eps;      /* of the norms */
    double rope_theta;
    enum rope_scaling scaling;
    double scaling_factor, low_frequency, high_frequency; /* of scaling */
    int64_t scaling_context;
    bool tied;                  /* the head is the embedding */
    int32_t begin;              /* token; -1: none */
    int32_t ends[DECODER_ENDS]; /* tokens after which generation stops; -1: no more */
};

/* "nano" (about 5 million parameters), "smollm2-135m", "tkllm-1.3b", NULL. */
extern const char *const DECODER_PRESETS[];
int decoder_preset(struct decoder_config *c, const char *name, struct error *e);

/* config.json, hostile or not: ERR_FORMAT for sizes that cannot be, ERR_UNSUPPORTED with its name
 * for what is not of this family. `source` stands before messages. */
int decoder_config_parse(struct decoder_config *c, const json_t *root, const char *source,
                         struct error *e);
json_t *decoder_config_json(const struct decoder_config *c); /* a new reference; NULL: no memory */
/* Adds end tokens, a number or a list, as eos_token_id of config.json and of generation_config.json
 * has them, to those that are there. */
int decoder_config_ends(struct decoder_config *c, const json_t *value, const char *source,
                        struct error *e);

/* All tensors under their names in files ("model.layers.0.self_attn.q_proj.weight"), group
 * "decoder". */
int decoder_config_list(const struct decoder_config *c, tensor_spec_take *take, void *context,
                        struct error *e);
int64_t decoder_config_parameters(const struct decoder_config *c);
#define DECODER_EMBEDDING "model.embed_tokens.weight"
#define DECODER_HEAD "lm_head.weight" /* where it is not tied */

/* The matrices of a block. */
enum decoder_matrix {
    DECODER_Q,
    DECODER_K,
    DECODER_V,
    DECODER_O,
    DECODER_GATE,
    DECODER_UP,
    DECODER_DOWN,
    DECODER_MATRICES
};
/* "q_proj", "k_proj", ..., NULL. */
extern const char *const DECODER_MATRIX_NAMES[DECODER_MATRICES + 1];
void decoder_matrix_shape(const struct decoder_config *c, enum decoder_matrix which,
                          int64_t *outputs, int64_t *inputs);
/* "model.layers.3.self_attn.q_proj", without ".weight". */
void decoder_matrix_name(char out[TENSOR_SPEC_NAME], int64_t layer, enum decoder_matrix which);
/* The same with it. */
void decoder_weight_name(char out[TENSOR_SPEC_NAME], int64_t layer, enum decoder_matrix which);

/* The gains of the norms: before attention and before the feed-forward part of a layer, after the
 * last one. */
enum decoder_gain { GAIN_ATTENTION, GAIN_MLP, GAIN_FINAL };
void decoder_gain_name(char out[TENSOR_SPEC_NAME], enum decoder_gain which, int64_t layer);

/* The rotary frequencies of the head_dim / 2 pairs. */
void decoder_frequencies(const struct decoder_config *c, float *out);

#endif
