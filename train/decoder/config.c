/* config.c - see config.h: sizes, and the tensors that follow from them. */
#include "train/decoder/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Presets --------------------------------------------------------------------------------- */

#define ENDS(...)                                                                                  \
    { __VA_ARGS__, -1, -1, -1, -1, -1, -1, -1 }

static const struct decoder_config PRESETS[] = {
    /* Most of it is the embedding of SmolLM2's 49,152 tokens. */
    {.name = "nano",
     .vocabulary = 49152,
     .width = 96,
     .layers = 6,
     .heads = 3,
     .kv_heads = 1,
     .head_dim = 32,
     .hidden = 256,
     .context = 2048,
     .eps = 1e-5,
     .rope_theta = 10000,
     .tied = true,
     .begin = 1,
     .ends = ENDS(2)},
    {.name = "smollm2-135m",
     .vocabulary = 49152,
     .width = 576,
     .layers = 30,
     .heads = 9,
     .kv_heads = 3,
     .head_dim = 64,
     .hidden = 1536,
     .context = 8192,
     .eps = 1e-5,
     .rope_theta = 100000,
     .tied = true,
     .begin = 1,
     .ends = ENDS(2)},
    /* The shapes of a Llama of 1.3 billion parameters. */
    {.name = "tkllm-1.3b",
     .vocabulary = 32000,
     .width = 2048,
     .layers = 24,
     .heads = 16,
     .kv_heads = 16,
     .head_dim = 128,
     .hidden = 5504,
     .context = 8192,
     .eps = 1e-5,
     .rope_theta = 10000,
     .begin = 1,
     .ends = ENDS(2)},
};
const char *const DECODER_PRESETS[] = {"nano", "smollm2-135m", "tkllm-1.3b", NULL};

int decoder_preset(struct decoder_config *c, const char *name, struct error *e) {
    for (size_t i = 0; i < sizeof PRESETS / sizeof *PRESETS; i++) {
        if (strcmp(name, PRESETS[i].name) == 0) {
            *c = PRESETS[i];
            return 0;
        }
    }
    return error_set(e, ERR_USAGE, "no decoder is called '%.64s': nano, smollm2-135m, tkllm-1.3b",
                     name);
}

/* ---- Matrices of a block --------------------------------------------------------------------- */

const char *const DECODER_MATRIX_NAMES[] = {"q_proj",    "k_proj",  "v_proj",    "o_proj",
                                            "gate_proj", "up_proj", "down_proj", NULL};

void decoder_matrix_shape(const struct decoder_config *c, enum decoder_matrix which,
                          int64_t *outputs, int64_t *inputs) {
    *outputs = *inputs = c->width;
    switch (which) {
    case DECODER_Q:
        *outputs = c->heads * c->head_dim;
        break;
    case DECODER_K:
    case DECODER_V:
        *outputs = c->kv_heads * c->head_dim;
        break;
    case DECODER_O:
        *inputs = c->heads * c->head_dim;
        break;
    case DECODER_GATE:
    case DECODER_UP:
        *outputs = c->hidden;
        break;
    case DECODER_DOWN:
        *inputs = c->hidden;
        break;
    case DECODER_MATRICES:
        break;
    }
}

void decoder_matrix_name(char out[TENSOR_SPEC_NAME], int64_t layer, enum decoder_matrix which) {
    snprintf(out, TENSOR_SPEC_NAME, "model.layers.%" PRId64 ".%s.%s", layer,
             which < DECODER_GATE ? "self_attn" : "mlp", DECODER_MATRIX_NAMES[which]);
}

void decoder_weight_name(char out[TENSOR_SPEC_NAME], int64_t layer, enum decoder_matrix which) {
    decoder_matrix_name(out, layer, which);
    strncat(out, ".weight", TENSOR_SPEC_NAME - strlen(out) - 1);
}

void decoder_gain_name(char out[TENSOR_SPEC_NAME], enum decoder_gain which, int64_t layer) {
    if (which == GAIN_FINAL) {
        snprintf(out, TENSOR_SPEC_NAME, "model.norm.weight");
    } else {
        snprintf(out, TENSOR_SPEC_NAME, "model.layers.%" PRId64 ".%s.weight", layer,
                 which == GAIN_ATTENTION ? "input_layernorm" : "post_attention_layernorm");
    }
}

/* ---- Tensors --------------------------------------------------------------------------------- */

#define GROUP "decoder"

struct list_context {
    tensor_spec_take *take;
    void *context;
    struct error *e;
};

static int list_gain(const struct list_context *l, const struct decoder_config *c,
                     enum decoder_gain which, int64_t layer) {
    struct tensor_spec s = tensor_spec_of(TENSOR_GAIN, GROUP, TENSOR_SPEC_SHAPE(c->width));
    decoder_gain_name(s.name, which, layer);
    return l->take(l->context, &s, l->e);
}

/* The embedding and the head begin small: with states of the norm's length, the first logits are
 * then nearly alike. What is multiplied with is a matrix also where rows of it are looked up. */
static int list_words(const struct list_context *l, const struct decoder_config *c,
                      const char *name, enum tensor_kind kind) {
    struct tensor_spec s = tensor_spec_of(kind, GROUP, TENSOR_SPEC_SHAPE(c->vocabulary, c->width));
    s.deviation = 0.02;
    snprintf(s.name, sizeof s.name, "%s", name);
    return l->take(l->context, &s, l->e);
}

/* Those that end a residual branch begin with less: of all layers two each add up. */
static int list_matrix(const struct list_context *l, const struct decoder_config *c, int64_t layer,
                       enum decoder_matrix which) {
    int64_t outputs, inputs;
    decoder_matrix_shape(c, which, &outputs, &inputs);
    struct tensor_spec s = tensor_spec_of(TENSOR_MATRIX, GROUP, TENSOR_SPEC_SHAPE(outputs, inputs));
    if (which == DECODER_O || which == DECODER_DOWN) {
        s.deviation /= sqrt(2 * (double)c->layers);
    }
    decoder_weight_name(s.name, layer, which);
    return l->take(l->context, &s, l->e);
}

static int list_block(const struct list_context *l, const struct decoder_config *c, int64_t layer) {
    int rc = list_gain(l, c, GAIN_ATTENTION, layer);
    for (int i = DECODER_Q; i <= DECODER_O && rc >= 0; i++) {
        rc = list_matrix(l, c, layer, (enum decoder_matrix)i);
    }
    rc = rc >= 0 ? list_gain(l, c, GAIN_MLP, layer) : rc;
    for (int i = DECODER_GATE; i <= DECODER_DOWN && rc >= 0; i++) {
        rc = list_matrix(l, c, layer, (enum decoder_matrix)i);
    }
    return rc;
}

int decoder_config_list(const struct decoder_config *c, tensor_spec_take *take, void *context,
                        struct error *e) {
    const struct list_context l = {take, context, e};
    int rc = list_words(&l, c, DECODER_EMBEDDING, c->tied ? TENSOR_MATRIX : TENSOR_TABLE);
    for (int64_t i = 0; i < c->layers && rc >= 0; i++) {
        rc = list_block(&l, c, i);
    }
    rc = rc >= 0 ? list_gain(&l, c, GAIN_FINAL, 0) : rc;
    if (rc >= 0 && !c->tied) {
        rc = list_words(&l, c, DECODER_HEAD, TENSOR_MATRIX);
    }
    return rc < 0 ? rc : 0;
}

static int add_count(void *context, const struct tensor_spec *spec, struct error *e) {
    (void)e;
    *(int64_t *)context += tensor_spec_count(spec);
    return 0;
}

int64_t decoder_config_parameters(const struct decoder_config *c) {
    int64_t count = 0;
    decoder_config_list(c, add_count, &count, NULL);
    return count;
}

/* ---- Rotary positions ------------------------------------------------------------------------ */

#define TWO_PI 6.283185307179586

/* Llama 3.1's: what turns seldom within the old context is stretched, what turns often stays, and
 * between them it goes over from one to the other. */
static double llama3(const struct decoder_config *c, double frequency) {
    const double turns = (double)c->scaling_context * frequency / TWO_PI;
    if (turns < c->low_frequency) {
        return frequency / c->scaling_factor;
    }
    if (turns > c->high_frequency) {
        return frequency;
    }
    const double kept = (turns - c->low_frequency) / (c->high_frequency - c->low_frequency);
    return (1 - kept) * frequency / c->scaling_factor + kept * frequency;
}

void decoder_frequencies(const struct decoder_config *c, float *out) {
    for (int64_t i = 0; i < c->head_dim / 2; i++) {
        double f = pow(c->rope_theta, -2 * (double)i / (double)c->head_dim);
        switch (c->scaling) {
        case ROPE_PLAIN:
            break;
        case ROPE_LINEAR:
            f /= c->scaling_factor;
            break;
        case ROPE_LLAMA3:
            f = llama3(c, f);
            break;
        }
        out[i] = (float)f;
    }
}
