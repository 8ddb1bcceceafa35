/* decoder_folder_test.c - folders of language models: what is written is read, packed matrices are
 * what they say, and what lies is refused with the reason. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "tests/model_folder.h"

static int open_folder(struct decoder_folder *f, const char *path, struct error *e) {
    *e = (struct error){0};
    return decoder_folder_open(f, path, e);
}

/* Opening fails with that code, and the text names the file and has `what` in it. */
static void refused(const char *path, int code, const char *what) {
    struct decoder_folder f;
    struct error e;
    const int rc = open_folder(&f, path, &e);
    if (!CHECK_NUMBER(rc, code) || !CHECK(strstr(e.text, what) != NULL) ||
        !CHECK(strstr(e.text, path) != NULL)) {
        printf("# %s\n# wanted: %s\n", e.text, what);
    }
    if (rc == 0) {
        decoder_folder_close(&f);
    }
}

/* ---- What is there --------------------------------------------------------------------------- */

static void a_folder_of_transformers_is_read(void) {
    struct decoder_folder f;
    struct error e;
    CHECK_NUMBER(open_folder(&f, SMALL_MODEL, &e), 0);
    const struct decoder_config *c = &f.config;
    CHECK_NUMBER(c->vocabulary, 300);
    CHECK_NUMBER(c->width, 32);
    CHECK_NUMBER(c->layers, 3);
    CHECK_NUMBER(c->heads, 4);
    CHECK_NUMBER(c->kv_heads, 1);
    CHECK_NUMBER(c->head_dim, 8);
    CHECK_NUMBER(c->hidden, 48);
    CHECK_NUMBER(c->context, 128);
    CHECK(c->tied && c->scaling == ROPE_PLAIN);
    CHECK_NEAR(c->eps, 1e-6, 1e-12);
    CHECK_NEAR(c->rope_theta, 10000, 1e-9);
    CHECK_NUMBER(c->begin, 1);
    CHECK_NUMBER(c->ends[0], 2);
    CHECK_NUMBER(c->ends[1], 3); /* of generation_config.json */
    CHECK_NUMBER(c->ends[2], -1);
    CHECK_NUMBER(decoder_config_parameters(c), 31328);
    CHECK(f.chat_template != NULL && strstr(f.chat_template, "add_generation_prompt") != NULL);
    decoder_folder_close(&f);
}

static void presets_have_the_sizes_of_their_names(void) {
    static const struct {
        const char *name;
        int64_t parameters;
    } CASES[] = {{"nano", 5309664}, {"smollm2-135m", 134515008}, {"tkllm-1.3b", 1345423360}};
    struct decoder_config c, again;
    struct error e = {0};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CHECK_TEXT(DECODER_PRESETS[i], CASES[i].name);
        CHECK_NUMBER(decoder_preset(&c, CASES[i].name, &e), 0);
        CHECK_NUMBER(decoder_config_parameters(&c), CASES[i].parameters);
        json_t *json = decoder_config_json(&c);
        CHECK_NUMBER(decoder_config_parse(&again, json, "preset", &e), 0);
        CHECK(memcmp(&c, &again, sizeof c) == 0);
        json_decref(json);
    }
    CHECK_NUMBER(decoder_preset(&c, "llama", &e), ERR_USAGE);
    CHECK_TEXT(e.text, "no decoder is called 'llama': nano, smollm2-135m, tkllm-1.3b");
}

/* Of a name that is longer than its room as many characters are kept as fit. */
static void a_long_name_is_cut_between_characters(void) {
    struct decoder_config c, again;
    struct error e = {0};
    CHECK_NUMBER(decoder_preset(&c, "nano", &e), 0);
    for (int before = 0; before < 4; before++) {
        char name[256];
        size_t size = (size_t)before;
        memset(name, 'x', size);
        for (; size < 120; size += 4) {
            memcpy(name + size, "\xF0\x9F\x8D\x8C", 4);
        }
        name[size] = '\0';
        json_t *json = decoder_config_json(&c), *other = NULL;
        CHECK_NUMBER(json_object_set_new(json, "_name_or_path", json_string(name)), 0);
        CHECK_NUMBER(decoder_config_parse(&again, json, "fuzz", &e), 0);
        other = decoder_config_json(&again);
        CHECK(other != NULL && strlen(again.name) == 60 + (size_t)before);
        json_decref(json);
        json_decref(other);
    }
}

/* As Llama 3.1 stretches them, by transformers. */
static void positions_are_stretched_as_transformers_does(void) {
    static const double WANTED[] = {1.0, 0.17782793939113617, 0.01849667727947235,
                                    0.0007029266562312841};
    struct decoder_config c = {.head_dim = 8,
                               .rope_theta = 1000,
                               .scaling = ROPE_LLAMA3,
                               .scaling_factor = 8,
                               .low_frequency = 1,
                               .high_frequency = 4,
                               .scaling_context = 512};
    float got[4];
    decoder_frequencies(&c, got);
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR((double)got[i] / WANTED[i], 1, 1e-6);
    }
    c.scaling = ROPE_LINEAR;
    decoder_frequencies(&c, got);
    CHECK_NEAR((double)got[0], 0.125, 1e-9);
}

/* ---- Written and read again ------------------------------------------------------------------ */

static int read_from(void *context, const char *name, float *values, struct error *e) {
    return decoder_folder_floats(context, name, values, e);
}

struct equality {
    const struct decoder_folder *a, *b;
    double worst;
    float x[300 * 32], y[300 * 32];
};

static int compare_one(void *context, const struct tensor_spec *spec, struct error *e) {
    struct equality *q = context;
    int rc = decoder_folder_floats(q->a, spec->name, q->x, e);
    rc = rc == 0 ? decoder_folder_floats(q->b, spec->name, q->y, e) : rc;
    for (int64_t i = 0; i < tensor_spec_count(spec) && rc == 0; i++) {
        q->worst = fmax(q->worst, fabs((double)q->x[i] - (double)q->y[i]));
    }
    return rc;
}

/* The largest difference of two folders' weights. */
static double difference(const struct decoder_folder *a, const struct decoder_folder *b) {
    static struct equality q;
    struct error e = {0};
    q.a = a;
    q.b = b;
    q.worst = 0;
    CHECK_NUMBER(decoder_config_list(&a->config, compare_one, &q, &e), 0);
    CHECK_TEXT(e.text, "");
    return q.worst;
}

static void what_is_written_is_read(void) {
    struct decoder_folder f, again;
    struct error e;
    char path[64];
    CHECK_NUMBER(open_folder(&f, SMALL_MODEL, &e), 0);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        snprintf(path, sizeof path, "/tmp/occ-model-XXXXXX");
        CHECK(mkdtemp(path) != NULL);
        const enum dtype type = bf16 ? DTYPE_BF16 : DTYPE_F32;
        CHECK_NUMBER(decoder_folder_write(path, &f.config, &f, type, read_from, &f, &e), 0);
        CHECK_NUMBER(open_folder(&again, path, &e), 0);
        CHECK_TEXT(e.text, "");
        CHECK(memcmp(&f.config, &again.config, sizeof f.config) == 0);
        CHECK_TEXT(again.chat_template, f.chat_template);
        CHECK_NUMBER(tokenizer_size(again.tokenizer), 300);
        const double worst = difference(&f, &again); /* of numbers up to 4 */
        CHECK(bf16 ? worst > 0 && worst < 0x1p-7 : worst == 0);
        decoder_folder_close(&again);
        folder_remove(path);
    }
    decoder_folder_close(&f);
}

static void shards_are_not_written_beside(void) {
    struct decoder_folder f;
    struct error e;
    char path[64];
    model_folder(path, NULL);
    CHECK_NUMBER(open_folder(&f, SMALL_MODEL, &e), 0);
    CHECK_NUMBER(decoder_folder_write(path, &f.config, &f, DTYPE_F32, read_from, &f, &e),
                 ERR_USAGE);
    CHECK(strstr(e.text, "model.safetensors.index.json") != NULL);
    decoder_folder_close(&f);
    folder_remove(path);
}

static void a_new_decoder_follows_from_its_seed(void) {
    struct decoder_folder a, b;
    struct decoder_config c;
    struct error e;
    char path[2][64];
    CHECK_NUMBER(decoder_preset(&c, "nano", &e), 0);
    c.width = 32;
    c.tied = false;
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "/tmp/occ-model-XXXXXX");
        CHECK(mkdtemp(path[i]) != NULL);
        /* A file, and the folder that it lies in. */
        const char *tokenizer = i == 0 ? SMALL_MODEL "/tokenizer.json" : SMALL_MODEL;
        CHECK_NUMBER(decoder_init(path[i], &c, tokenizer, DTYPE_F32, 7, &e), 0);
    }
    CHECK_NUMBER(open_folder(&a, path[0], &e), 0);
    CHECK_NUMBER(open_folder(&b, path[1], &e), 0);
    CHECK_NUMBER(a.config.vocabulary, 300);
    CHECK_NUMBER(a.config.begin, 1);
    CHECK_NUMBER(a.config.ends[0], 2);
    CHECK(a.chat_template != NULL && !a.config.tied);
    CHECK(difference(&a, &b) == 0);
    decoder_folder_close(&b);
    CHECK_NUMBER(decoder_init(path[1], &c, SMALL_MODEL, DTYPE_F32, 8, &e), 0);
    CHECK_NUMBER(open_folder(&b, path[1], &e), 0);
    CHECK(difference(&a, &b) > 0.01);
    decoder_folder_close(&a);
    decoder_folder_close(&b);
    folder_remove(path[0]);
    folder_remove(path[1]);
}

/* ---- Hostile --------------------------------------------------------------------------------- */

static void configurations_that_cannot_be_are_refused(void) {
    static const struct {
        const char *member, *value;
        int code;
        const char *what;
    } CASES[] = {
        {"model_type", "\"qwen2\"", ERR_UNSUPPORTED, "model_type: qwen2 is not supported"},
        {"model_type", NULL, ERR_UNSUPPORTED, "model_type: none"},
        {"model_type", "\"mistral\"", ERR_UNSUPPORTED, "sliding_window"},
        {"hidden_act", "\"gelu\"", ERR_UNSUPPORTED, "hidden_act: gelu"},
        {"attention_bias", "true", ERR_UNSUPPORTED, "attention_bias"},
        {"mlp_bias", "true", ERR_UNSUPPORTED, "mlp_bias"},
        {"sliding_window", "64", ERR_UNSUPPORTED, "sliding_window"},
        {"quantization_config", "{\"bits\": 4}", ERR_UNSUPPORTED, "quantization_config"},
        {"partial_rotary_factor", "0.5", ERR_UNSUPPORTED, "partial_rotary_factor"},
        {"vocab_size", NULL, ERR_FORMAT, "vocab_size must be from 1 to 4194304"},
        {"vocab_size", "0", ERR_FORMAT, "vocab_size"},
        {"vocab_size", "-300", ERR_FORMAT, "vocab_size"},
        {"vocab_size", "\"300\"", ERR_FORMAT, "vocab_size"},
        {"vocab_size", "301", ERR_FORMAT, "model.embed_tokens.weight is of another shape"},
        {"hidden_size", "9223372036854775807", ERR_FORMAT, "hidden_size"},
        {"hidden_size", "64", ERR_FORMAT, "of another shape"},
        {"num_hidden_layers", "1e3", ERR_FORMAT, "num_hidden_layers"},
        {"num_hidden_layers", "4", ERR_FORMAT, "model.layers.3.input_layernorm.weight is missing"},
        {"num_attention_heads", "0", ERR_FORMAT, "num_attention_heads"},
        {"num_attention_heads", "1024", ERR_FORMAT, "of another shape"},
        {"num_key_value_heads", "3", ERR_FORMAT, "must be a multiple of num_key_value_heads"},
        {"head_dim", "7", ERR_FORMAT, "heads are of odd size"},
        {"head_dim", "1000", ERR_FORMAT, "head_dim must be from 1 to 256"},
        {"intermediate_size", "[48]", ERR_FORMAT, "intermediate_size"},
        {"rms_norm_eps", "0", ERR_FORMAT, "rms_norm_eps must be from 1e-30 to 1"},
        {"rms_norm_eps", "\"small\"", ERR_FORMAT, "rms_norm_eps"},
        {"rope_parameters", "[]", ERR_FORMAT, "rope_parameters is not an object"},
        {"rope_parameters", "{\"rope_theta\": -1}", ERR_FORMAT, "rope_theta"},
        {"rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 4}", ERR_UNSUPPORTED,
         "rope_type: yarn"},
        {"rope_parameters", "{\"rope_type\": \"linear\"}", ERR_FORMAT, "factor"},
        {"rope_parameters", "{\"rope_type\": \"linear\", \"factor\": 1e-300}", ERR_FORMAT,
         "factor must be from 1 to 1e+06"},
        {"rope_parameters",
         "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, "
         "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 32}",
         ERR_FORMAT, "high_freq_factor must be above low_freq_factor"},
        {"rope_parameters", "{\"rope_type\": \"llama3\", \"factor\": 8}", ERR_FORMAT,
         "low_freq_factor"},
        {"bos_token_id", "300", ERR_FORMAT, "bos_token_id names no token of the 300"},
        {"eos_token_id", "-1", ERR_FORMAT, "eos_token_id names no token"},
        {"eos_token_id", "[1, \"2\"]", ERR_FORMAT, "eos_token_id names no token"},
        {"eos_token_id", "[1, 2, 3, 4, 5, 6, 7, 8, 9]", ERR_UNSUPPORTED, "more than 8 tokens"},
        {"tie_word_embeddings", "false", ERR_FORMAT, "lm_head.weight is missing"},
    };
    char path[64];
    model_folder(path, "config.json");
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        model_config(path, CASES[i].member, CASES[i].value);
        refused(path, CASES[i].code, CASES[i].what);
    }
    folder_remove(path);
}

static void files_that_are_no_model_are_refused(void) {
    static const struct {
        const char *file, *content; /* NULL: without the file */
        int code;
        const char *what;
    } CASES[] = {
        {"config.json", NULL, ERR_IO, "config.json"},
        {"config.json", "", ERR_FORMAT, "config.json"},
        {"config.json", "[1]", ERR_FORMAT, "config.json: not a JSON object"},
        {"config.json", "{\"a\": ", ERR_FORMAT, "config.json"},
        {"generation_config.json", "{", ERR_FORMAT, "generation_config.json"},
        {"generation_config.json", "{\"eos_token_id\": 300}", ERR_FORMAT, "names no token"},
        {"tokenizer.json", NULL, ERR_IO, "tokenizer.json"},
        {"tokenizer.json", "{}", ERR_FORMAT, "tokenizer.json: there is no model"},
        {"tokenizer_config.json", "no", ERR_FORMAT, "tokenizer_config.json"},
        {"model.safetensors.index.json", "{}", ERR_FORMAT, "no weight_map"},
        {"model.safetensors.index.json", NULL, ERR_FORMAT, "name the file"},
        {"model-00002-of-00003.safetensors", NULL, ERR_IO, "model-00002-of-00003.safetensors"},
        {"model-00002-of-00003.safetensors", "truncated", ERR_LIMIT, "a header of"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char path[64];
        model_folder(path, CASES[i].file);
        if (CASES[i].content != NULL) {
            model_file(path, CASES[i].file, CASES[i].content, strlen(CASES[i].content));
        }
        refused(path, CASES[i].code, CASES[i].what);
        folder_remove(path);
    }
    refused("/nowhere", ERR_IO, "config.json");
}

static int one_row_less(void *context, const char *name, float *values, struct error *e) {
    static float all[300 * 32];
    const bool words = strcmp(name, DECODER_EMBEDDING) == 0;
    int rc = decoder_folder_floats(context, name, words ? all : values, e);
    if (words) {
        memcpy(values, all, 299 * 32 * sizeof *values);
    }
    return rc;
}

/* A token without a row in the embedding. */
static void a_tokenizer_larger_than_the_vocabulary_is_refused(void) {
    struct decoder_folder f;
    struct error e;
    char path[64];
    CHECK_NUMBER(open_folder(&f, SMALL_MODEL, &e), 0);
    struct decoder_config c = f.config;
    c.vocabulary = 299;
    snprintf(path, sizeof path, "/tmp/occ-model-XXXXXX");
    CHECK(mkdtemp(path) != NULL);
    CHECK_NUMBER(decoder_folder_write(path, &c, &f, DTYPE_F32, one_row_less, &f, &e), 0);
    refused(path, ERR_FORMAT, "tokenizer.json has 300 tokens, config.json has fewer");
    decoder_folder_close(&f);
    folder_remove(path);
}

int main(void) {
    RUN(a_folder_of_transformers_is_read);
    RUN(presets_have_the_sizes_of_their_names);
    RUN(a_long_name_is_cut_between_characters);
    RUN(positions_are_stretched_as_transformers_does);
    RUN(what_is_written_is_read);
    RUN(shards_are_not_written_beside);
    RUN(a_new_decoder_follows_from_its_seed);
    RUN(configurations_that_cannot_be_are_refused);
    RUN(files_that_are_no_model_are_refused);
    RUN(a_tokenizer_larger_than_the_vocabulary_is_refused);
    return test_finish();
}
