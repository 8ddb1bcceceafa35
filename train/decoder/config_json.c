/* config_json.c - the configuration as config.json of the Hugging Face layout has it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "store/utf8.h"
#include "train/decoder/config.h"

/* Far above any model, so that products of sizes fit an int64_t, and places an int32_t. */
enum {
    MOST_TOKENS = 1 << 22,
    MOST_WIDTH = 1 << 16,
    MOST_LAYERS = 1 << 10,
    MOST_HEADS = 1 << 10,
    MOST_HEAD_DIM = 256, /* what attention takes */
    MOST_HIDDEN = 1 << 20,
    MOST_CONTEXT = 1 << 24
};

/* ---- Members --------------------------------------------------------------------------------- */

struct reader {
    const json_t *object;
    const char *source;
    int rc; /* the first failure */
    struct error *e;
};

/* NULL: absent, or null, which means the same. */
static const json_t *member(const struct reader *r, const char *key) {
    const json_t *value = json_object_get(r->object, key);
    return json_is_null(value) ? NULL : value;
}

/* fallback 0: it must be there. */
static int64_t read_size(struct reader *r, const char *key, int64_t fallback, int64_t largest) {
    const json_t *value = member(r, key);
    const json_int_t size = value != NULL ? json_integer_value(value) : fallback;
    const bool fits = (value == NULL || json_is_integer(value)) && size >= 1 && size <= largest;
    if (r->rc == 0 && !fits) {
        r->rc = error_set(r->e, ERR_FORMAT, "%s: %s must be from 1 to %" PRId64, r->source, key,
                          largest);
    }
    return fits ? size : 1; /* so that others can be divided by it */
}

/* fallback 0: it must be there. */
static double read_real(struct reader *r, const char *key, double fallback, double least,
                        double largest) {
    const json_t *value = member(r, key);
    const double number = value != NULL ? json_number_value(value) : fallback;
    if (r->rc == 0 && !(number >= least && number <= largest)) {
        r->rc = error_set(r->e, ERR_FORMAT, "%s: %s must be from %g to %g", r->source, key, least,
                          largest);
    }
    return number;
}

static const char *read_text(const struct reader *r, const char *key, const char *fallback) {
    const char *text = json_string_value(member(r, key));
    return text != NULL ? text : fallback;
}

static void refuse(struct reader *r, const char *key, const char *what) {
    if (r->rc == 0) {
        r->rc = error_set(r->e, ERR_UNSUPPORTED, "%s: %s: %.80s is not supported", r->source, key,
                          what);
    }
}

/* ---- What is not of the family --------------------------------------------------------------- */

/* Mistral's is the same network where it has no window: without the member it has one. */
static void check_family(struct reader *r) {
    static const char *const ABSENT[] = {"attention_bias", "mlp_bias", "sliding_window",
                                         "quantization_config"};
    const char *type = read_text(r, "model_type", "none");
    const bool mistral = strcmp(type, "mistral") == 0;
    if (strcmp(type, "llama") != 0 && !mistral) {
        refuse(r, "model_type", type);
    }
    if (mistral && json_object_get(r->object, "sliding_window") == NULL) {
        refuse(r, "sliding_window", "the default");
    }
    const char *activation = read_text(r, "hidden_act", "silu");
    if (strcmp(activation, "silu") != 0) {
        refuse(r, "hidden_act", activation);
    }
    for (size_t i = 0; i < sizeof ABSENT / sizeof *ABSENT; i++) {
        const json_t *value = member(r, ABSENT[i]);
        if (value != NULL && !json_is_false(value)) {
            refuse(r, ABSENT[i], "what it asks for");
        }
    }
    const json_t *part = member(r, "partial_rotary_factor");
    if (part != NULL && json_number_value(part) != 1) {
        refuse(r, "partial_rotary_factor", "other than 1");
    }
}

/* ---- Rotary positions ------------------------------------------------------------------------ */

static void read_scaling(struct reader *r, struct decoder_config *c) {
    const char *type = read_text(r, "rope_type", read_text(r, "type", "default"));
    if (strcmp(type, "default") == 0) {
        return;
    }
    c->scaling_factor = read_real(r, "factor", 0, 1, 1e6);
    if (strcmp(type, "linear") == 0) {
        c->scaling = ROPE_LINEAR;
    } else if (strcmp(type, "llama3") == 0) {
        c->scaling = ROPE_LLAMA3;
        c->low_frequency = read_real(r, "low_freq_factor", 0, 1e-6, 1e6);
        c->high_frequency = read_real(r, "high_freq_factor", 0, 1e-6, 1e6);
        c->scaling_context = read_size(r, "original_max_position_embeddings", 0, MOST_CONTEXT);
        if (r->rc == 0 && c->high_frequency <= c->low_frequency) {
            r->rc = error_set(r->e, ERR_FORMAT,
                              "%s: high_freq_factor must be above low_freq_factor", r->source);
        }
    } else {
        refuse(r, "rope_type", type);
    }
}

/* Older files have rope_theta and rope_scaling, newer ones both in rope_parameters. */
static void read_rotary(struct reader *r, struct decoder_config *c) {
    static const char *const PLACES[] = {"rope_parameters", "rope_scaling"};
    c->rope_theta = read_real(r, "rope_theta", 10000, 1, 1e12);
    for (int i = 0; i < 2; i++) {
        struct reader part = *r;
        part.object = member(r, PLACES[i]);
        if (part.object == NULL) {
            continue;
        }
        if (!json_is_object(part.object) && r->rc == 0) {
            r->rc = error_set(r->e, ERR_FORMAT, "%s: %s is not an object", r->source, PLACES[i]);
            return;
        }
        c->rope_theta = read_real(&part, "rope_theta", c->rope_theta, 1, 1e12);
        read_scaling(&part, c);
        r->rc = part.rc;
        return;
    }
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

static int32_t read_token(struct reader *r, const json_t *value, const char *key, int64_t most) {
    const json_int_t id = json_integer_value(value);
    if (r->rc == 0 && (!json_is_integer(value) || id < 0 || id >= most)) {
        r->rc = error_set(r->e, ERR_FORMAT, "%s: %s names no token of the %" PRId64, r->source, key,
                          most);
        return -1;
    }
    return (int32_t)id;
}

int decoder_config_ends(struct decoder_config *c, const json_t *value, const char *source,
                        struct error *e) {
    struct reader r = {.source = source, .e = e};
    const size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < count && r.rc == 0 && !json_is_null(value); i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        const int32_t id = read_token(&r, one, "eos_token_id", c->vocabulary);
        int place = 0;
        while (place < DECODER_ENDS && c->ends[place] >= 0 && c->ends[place] != id) {
            place++;
        }
        if (r.rc == 0 && place == DECODER_ENDS) {
            r.rc = error_set(e, ERR_UNSUPPORTED, "%s: eos_token_id: more than %d tokens", source,
                             DECODER_ENDS);
        } else if (r.rc == 0) {
            c->ends[place] = id;
        }
    }
    return r.rc;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void read_sizes(struct reader *r, struct decoder_config *c) {
    c->vocabulary = read_size(r, "vocab_size", 0, MOST_TOKENS);
    c->width = read_size(r, "hidden_size", 0, MOST_WIDTH);
    c->layers = read_size(r, "num_hidden_layers", 0, MOST_LAYERS);
    c->heads = read_size(r, "num_attention_heads", 0, MOST_HEADS);
    c->kv_heads = read_size(r, "num_key_value_heads", c->heads, MOST_HEADS);
    c->head_dim = read_size(r, "head_dim", c->width / c->heads, MOST_HEAD_DIM);
    c->hidden = read_size(r, "intermediate_size", 0, MOST_HIDDEN);
    c->context = read_size(r, "max_position_embeddings", 2048, MOST_CONTEXT);
    c->eps = read_real(r, "rms_norm_eps", 1e-6, 1e-30, 1);
    if (r->rc == 0 && c->heads % c->kv_heads != 0) {
        r->rc = error_set(r->e, ERR_FORMAT,
                          "%s: num_attention_heads must be a multiple of num_key_value_heads",
                          r->source);
    }
    if (r->rc == 0 && c->head_dim % 2 != 0) {
        r->rc = error_set(r->e, ERR_FORMAT, "%s: heads are of odd size", r->source);
    }
}

int decoder_config_parse(struct decoder_config *c, const json_t *root, const char *source,
                         struct error *e) {
    struct reader r = {.object = root, .source = source, .e = e};
    *c = (struct decoder_config){.begin = -1};
    for (int i = 0; i < DECODER_ENDS; i++) {
        c->ends[i] = -1;
    }
    if (!json_is_object(root)) {
        return error_set(e, ERR_FORMAT, "%s: not a JSON object", source);
    }
    check_family(&r);
    read_sizes(&r, c);
    read_rotary(&r, c);
    c->tied = json_is_true(member(&r, "tie_word_embeddings"));
    const json_t *begin = member(&r, "bos_token_id"), *ends = member(&r, "eos_token_id");
    if (begin != NULL) {
        c->begin = read_token(&r, begin, "bos_token_id", c->vocabulary);
    }
    if (ends != NULL && r.rc == 0) {
        r.rc = decoder_config_ends(c, ends, source, e);
    }
    const char *name = read_text(&r, "_name_or_path", "llama");
    size_t size = strlen(name);
    size = utf8_floor(name, size < sizeof c->name ? size : sizeof c->name - 1);
    memcpy(c->name, name, size);
    return r.rc;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static json_t *scaling_json(const struct decoder_config *c) {
    switch (c->scaling) {
    case ROPE_PLAIN:
        break;
    case ROPE_LINEAR:
        return json_pack("{s:s, s:f}", "rope_type", "linear", "factor", c->scaling_factor);
    case ROPE_LLAMA3:
        return json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor",
                         c->scaling_factor, "low_freq_factor", c->low_frequency, "high_freq_factor",
                         c->high_frequency, "original_max_position_embeddings",
                         (json_int_t)c->scaling_context);
    }
    return json_null();
}

static json_t *token_json(int32_t id) {
    return id >= 0 ? json_integer(id) : json_null();
}

/* One as a number, several as a list. */
static json_t *ends_json(const struct decoder_config *c) {
    if (c->ends[0] < 0 || c->ends[1] < 0) {
        return token_json(c->ends[0]);
    }
    json_t *list = json_array();
    for (int i = 0; i < DECODER_ENDS && c->ends[i] >= 0; i++) {
        json_array_append_new(list, json_integer(c->ends[i]));
    }
    return list;
}

json_t *decoder_config_json(const struct decoder_config *c) {
    return json_pack(
        "{s:s, s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:b, s:s, s:b, "
        "s:b, s:o, s:o}",
        "_name_or_path", c->name, "architectures", "LlamaForCausalLM", "model_type", "llama",
        "vocab_size", (json_int_t)c->vocabulary, "hidden_size", (json_int_t)c->width,
        "num_hidden_layers", (json_int_t)c->layers, "num_attention_heads", (json_int_t)c->heads,
        "num_key_value_heads", (json_int_t)c->kv_heads, "head_dim", (json_int_t)c->head_dim,
        "intermediate_size", (json_int_t)c->hidden, "max_position_embeddings",
        (json_int_t)c->context, "rms_norm_eps", c->eps, "rope_theta", c->rope_theta, "rope_scaling",
        scaling_json(c), "tie_word_embeddings", (int)c->tied, "hidden_act", "silu",
        "attention_bias", 0, "mlp_bias", 0, "bos_token_id", token_json(c->begin), "eos_token_id",
        ends_json(c));
}
