/* config.h - the sizes of an encoder, and the tensors that follow from them.
 *
 * The architecture is DeepSeek-OCR's DeepEncoder (arXiv 2510.18234): a ViT with windowed and global
 * attention over patches (SAM, arXiv 2304.02643), a neck, two convolutions of stride 2, a global
 * ViT (CLIP, arXiv 2103.00020), both outputs side by side through a linear projector. */
#ifndef OCC_COMPRESS_CONFIG_H
#define OCC_COMPRESS_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "compress/tensor_spec.h"
#include "store/error.h"

enum { CONFIG_DEPTH = 64, CONFIG_RANK = TENSOR_SPEC_RANK, CONFIG_NAME = TENSOR_SPEC_NAME };

struct encoder_config {
    char name[64];
    int64_t patch; /* side of a patch, pixels */
    int64_t grid;  /* patches a side for which the position table was made */
    int64_t dim, depth, heads, mlp;
    int64_t window;             /* side of a window, patches */
    bool global[CONFIG_DEPTH];  /* blocks that attend over the whole page */
    int64_t neck, net_2, net_3; /* channels; net_3 equals clip_dim */
    int64_t clip_dim, clip_depth, clip_heads, clip_mlp;
    int64_t clip_grid; /* tokens a side for which the position table was made */
    int64_t token_dim;
    bool token_norm; /* a layer norm on the tokens */
};

#define CONFIG_EPS 1e-6f             /* layer norms of the first stage and the neck */
#define CONFIG_CLIP_EPS 1e-5f        /* of the second stage, and of the tokens */
#define CONFIG_METADATA "occ.config" /* the key under which safetensors files hold the JSON */

extern const char *const CONFIG_NAMES[]; /* "deepencoder", "nano", NULL */
/* ERR_USAGE for a name that is not in CONFIG_NAMES. */
int config_named(struct encoder_config *c, const char *name, struct error *e);
/* The JSON of CONFIG_METADATA. Sizes are checked: ERR_FORMAT. */
int config_parse(struct encoder_config *c, const char *text, struct error *e);
/* NULL: out of memory. */
json_t *config_json(const struct encoder_config *c);

/* The embedding of patches: the one matrix that sees pixels. */
#define CONFIG_PATCH_WEIGHT "model.sam_model.patch_embed.proj.weight"
#define CONFIG_PATCH_BIAS "model.sam_model.patch_embed.proj.bias"
#define CONFIG_GROUP "encoder"

/* Calls `take` for every tensor, with names as in the published checkpoint. */
int config_tensors(const struct encoder_config *c, tensor_spec_take *take, void *context,
                   struct error *e);
/* The factor of the learning rate of a matrix of the encoder, its heads and maps: a step of Adam
 * moves every weight as far, so what sums over many inputs is moved the further the more there are
 * (Yang et al. 2022); from CONFIG_RATE_INPUTS on it is as many times less. */
enum { CONFIG_RATE_INPUTS = 192 };
double config_rate(int64_t inputs);
/* Whether a name belongs to an encoder at all (a checkpoint holds other parts too). */
bool config_owns(const char *name);

#endif
