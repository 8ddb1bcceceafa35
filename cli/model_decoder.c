/* model_decoder.c - see model_decoder.h. */
#include "cli/model_decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "store/json.h"
#include "train/decoder/decoder.h"

/* The encoder's published checkpoint has a config.json, too. */
bool model_is_decoder(const char *path) {
    enum { LONGEST = 4096, LIMIT = 16 << 20 };
    char name[LONGEST];
    const int length = snprintf(name, sizeof name, "%s/config.json", path);
    json_t *root =
        length > 0 && (size_t)length < sizeof name ? json_read_file(name, LIMIT, NULL, NULL) : NULL;
    const char *type = json_get_text(root, "model_type");
    const bool is_decoder = type != NULL && strncmp(type, "deepseek", 8) != 0;
    json_decref(root);
    return is_decoder;
}

/* Bytes of the tensors, by type; *count: how many these are. */
static json_t *types_of(const struct decoder_folder *f, size_t *count) {
    size_t bytes[DTYPE_COUNT + 1] = {0};
    json_t *types = json_object();
    *count = safetensors_count(f->tensors);
    for (size_t i = 0; i < *count; i++) {
        const struct safetensor *t = safetensors_get(f->tensors, i);
        bytes[t->type] += t->bytes;
    }
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (bytes[i] > 0) {
            json_object_set_new(types, dtype_name((enum dtype)i),
                                json_integer((json_int_t)bytes[i]));
        }
    }
    return types;
}

int model_decoder_info(const char *path, struct error *e) {
    struct decoder_folder f;
    struct bytes text;
    size_t tensors;
    int rc = decoder_folder_open(&f, path, e);
    if (rc < 0) {
        return rc;
    }
    json_t *types = types_of(&f, &tensors);
    json_t *root = json_pack(
        "{s:s, s:I, s:I, s:o, s:I, s:b, s:o}", "kind", "decoder", "tensors", (json_int_t)tensors,
        "parameters", (json_int_t)decoder_config_parameters(&f.config), "bytes", types, "tokens",
        (json_int_t)tokenizer_size(f.tokenizer), "chat_template", (int)(f.chat_template != NULL),
        "config", decoder_config_json(&f.config));
    char *dump = root != NULL ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) : NULL;
    bytes_init(&text, 1 << 20);
    rc = dump != NULL ? bytes_printf(&text, e, "%s\n", dump) : error_memory(e, NULL);
    rc = rc == 0 ? options_print(bytes_text(&text), e) : rc;
    bytes_close(&text);
    free(dump);
    json_decref(root);
    decoder_folder_close(&f);
    return rc;
}

int model_decoder_init(const char *path, const char *name, const char *tokenizer, enum dtype type,
                       uint64_t seed, struct error *e) {
    struct decoder_config config;
    int rc = decoder_preset(&config, name, e);
    if (rc == 0 && tokenizer == NULL) {
        rc = error_set(e, ERR_USAGE, "--decoder needs --tokenizer PATH");
    }
    return rc == 0 ? decoder_init(path, &config, tokenizer, type, seed, e) : rc;
}
