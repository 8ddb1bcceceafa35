/* folder.c - reading a model's folder: see decoder.h. */
#include "train/decoder/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "store/file.h"
#include "store/json.h"
#include "train/decoder/stored.h"

enum { JSON_LIMIT = 16 << 20, TEMPLATE_LIMIT = 1 << 20 };

/* ---- Files of the folder --------------------------------------------------------------------- */

int folder_json(json_t **out, const char *folder, const char *name, bool needed, struct error *e) {
    *out = NULL;
    char *path = file_path(folder, name, e);
    if (path == NULL) {
        return ERR_MEMORY;
    }
    int rc = 0;
    if (needed || access(path, F_OK) == 0) {
        struct bytes text;
        bytes_init(&text, JSON_LIMIT);
        rc = file_read(path, &text, e);
        if (rc == 0) {
            /* Hugging Face's own writers put integers into it that fit no 64 bits. */
            *out = json_read(text.data, text.size, NULL, e);
            rc = *out == NULL ? error_context(e, "%s", path) : 0;
        }
        bytes_close(&text);
    }
    free(path);
    return rc;
}

const char *folder_token(const json_t *tokenizer_config, const char *key) {
    const json_t *token = json_object_get(tokenizer_config, key);
    return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

static int read_config(struct decoder_folder *f, struct error *e) {
    json_t *root, *generation = NULL;
    char *source = file_path(f->path, "config.json", e);
    if (source == NULL) {
        return ERR_MEMORY;
    }
    int rc = folder_json(&root, f->path, "config.json", true, e);
    rc = rc == 0 ? decoder_config_parse(&f->config, root, source, e) : rc;
    rc = rc == 0 ? folder_json(&generation, f->path, "generation_config.json", false, e) : rc;
    json_t *ends = json_object_get(generation, "eos_token_id");
    if (rc == 0 && ends != NULL) {
        rc = decoder_config_ends(&f->config, ends, "generation_config.json", e);
        rc = rc < 0 ? error_context(e, "%s", f->path) : 0;
    }
    json_decref(root);
    json_decref(generation);
    free(source);
    return rc;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static int check_one(void *context, const struct tensor_spec *spec, struct error *e) {
    return stored_check(context, spec, e);
}

static int open_tensors(struct decoder_folder *f, struct error *e) {
    int rc = safetensors_open(&f->tensors, f->path, e);
    if (rc < 0) {
        return rc;
    }
    rc = decoder_config_list(&f->config, check_one, f->tensors, e);
    return rc < 0 ? error_context(e, "%s", f->path) : 0;
}

int decoder_folder_floats(const struct decoder_folder *f, const char *name, float *to,
                          struct error *e) {
    const struct safetensor *t = safetensors_find(f->tensors, name);
    struct stored_matrix m;
    int rc = 0;
    if (t != NULL && t->rank != 2) {
        rc = safetensors_floats(f->tensors, t, to, e);
    } else {
        rc = stored_matrix_find(&m, f->tensors, name, e);
        if (rc == 0) {
            stored_matrix_rows(&m, 0, m.frozen.outputs, to);
            stored_matrix_drop(&m, f->tensors);
        }
    }
    return rc < 0 ? error_context(e, "%s", f->path) : 0;
}

/* ---- Tokenizer and chat template ------------------------------------------------------------- */

static int open_tokenizer(struct decoder_folder *f, struct error *e) {
    char *path = file_path(f->path, "tokenizer.json", e);
    if (path == NULL) {
        return ERR_MEMORY;
    }
    int rc = tokenizer_open(&f->tokenizer, path, TOKENIZER_SPLIT_AUTO, e);
    if (rc == 0 && tokenizer_size(f->tokenizer) > f->config.vocabulary) {
        rc = error_set(e, ERR_FORMAT, "%s has %d tokens, config.json has fewer", path,
                       (int)tokenizer_size(f->tokenizer));
    }
    free(path);
    return rc;
}

/* One, or several with names, of which "default" is meant. */
static const char *template_of(const json_t *config) {
    const json_t *value = json_object_get(config, "chat_template"), *one;
    size_t i;
    json_array_foreach(value, i, one) {
        const char *name = json_get_text(one, "name");
        if (name != NULL && strcmp(name, "default") == 0) {
            return json_get_text(one, "template");
        }
    }
    return json_string_value(value);
}

/* A file of its own goes before a member of tokenizer_config.json. */
static int read_template(struct decoder_folder *f, struct error *e) {
    struct bytes text;
    char *path = file_path(f->path, "chat_template.jinja", e);
    if (path == NULL) {
        return ERR_MEMORY;
    }
    bytes_init(&text, TEMPLATE_LIMIT);
    int rc = 0;
    const char *found = template_of(f->tokenizer_config);
    if (access(path, F_OK) == 0) {
        rc = file_read(path, &text, e);
        found = bytes_text(&text);
    }
    if (rc == 0 && found != NULL) {
        f->chat_template = strdup(found);
        rc = f->chat_template == NULL ? error_memory(e, NULL) : 0;
    }
    bytes_close(&text);
    free(path);
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------------- */

int decoder_folder_open(struct decoder_folder *f, const char *path, struct error *e) {
    *f = (struct decoder_folder){.path = strdup(path)};
    int rc = f->path != NULL ? read_config(f, e) : error_memory(e, NULL);
    rc = rc == 0 ? open_tensors(f, e) : rc;
    rc = rc == 0 ? open_tokenizer(f, e) : rc;
    rc = rc == 0 ? folder_json(&f->tokenizer_config, path, "tokenizer_config.json", false, e) : rc;
    rc = rc == 0 ? read_template(f, e) : rc;
    if (rc < 0) {
        decoder_folder_close(f);
    }
    return rc;
}

void decoder_folder_close(struct decoder_folder *f) {
    tokenizer_close(f->tokenizer);
    safetensors_close(f->tensors);
    json_decref(f->tokenizer_config);
    free(f->chat_template);
    free(f->path);
    *f = (struct decoder_folder){.path = NULL};
}

uint64_t decoder_folder_hash(const struct decoder_folder *f) {
    enum { BEGINNING = 256 };
    uint64_t hash = 0;
    for (size_t i = 0; i < safetensors_count(f->tensors); i++) {
        const struct safetensor *t = safetensors_get(f->tensors, i);
        hash = XXH3_64bits_withSeed(t->name, strlen(t->name), hash);
        hash = XXH3_64bits_withSeed(t->data, t->bytes < BEGINNING ? t->bytes : BEGINNING, hash);
    }
    return hash;
}

enum dtype decoder_folder_type(const struct decoder_folder *f) {
    const struct safetensor *largest = safetensors_get(f->tensors, 0);
    for (size_t i = 1; i < safetensors_count(f->tensors); i++) {
        const struct safetensor *t = safetensors_get(f->tensors, i);
        largest = t->bytes > largest->bytes ? t : largest; /* norms may be F32 in any */
    }
    return largest->type == DTYPE_F32 ? DTYPE_F32 : DTYPE_BF16;
}
