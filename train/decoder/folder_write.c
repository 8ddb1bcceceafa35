/* folder_write.c - writing a model's folder: see decoder.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/json.h"
#include "train/decoder/folder.h"
#include "train/parameters.h"

/* ---- Files ----------------------------------------------------------------------------------- */

static int write_file(const char *path, const struct bytes *text, struct error *e) {
    struct output_file file;
    int rc = output_file_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    rc = file_write(file.fd, text->data, text->size, NULL, e);
    if (rc < 0) {
        output_file_discard(&file);
        return error_context(e, "%s", path);
    }
    return output_file_commit(&file, e);
}

/* `json` ends here; NULL: no memory. */
static int write_json(const char *folder, const char *name, json_t *json, struct error *e) {
    struct bytes text;
    char *path = file_path(folder, name, e);
    char *dump = json != NULL ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    bytes_init(&text, SIZE_MAX);
    int rc =
        path != NULL && dump != NULL ? bytes_printf(&text, e, "%s\n", dump) : error_memory(e, NULL);
    rc = rc == 0 ? write_file(path, &text, e) : rc;
    bytes_close(&text);
    json_decref(json);
    free(dump);
    free(path);
    return rc;
}

/* `from` NULL: no memory. A file that is not there need not be where it is not `needed`. */
static int copy_file(const char *folder, const char *name, const char *from, bool needed,
                     struct error *e) {
    struct bytes content;
    char *to = file_path(folder, name, e);
    if (to == NULL || from == NULL) {
        free(to);
        return error_memory(e, NULL);
    }
    bytes_init(&content, TOKENIZER_FILE_LIMIT);
    int rc = 0;
    if (needed || access(from, F_OK) == 0) {
        rc = file_read(from, &content, e);
        rc = rc == 0 ? write_file(to, &content, e) : rc;
    }
    bytes_close(&content);
    free(to);
    return rc;
}

int folder_copy_tokenizer(const char *folder, const char *tokenizer, const char *beside,
                          struct error *e) {
    static const char *const OTHERS[] = {"tokenizer_config.json", "special_tokens_map.json",
                                         "chat_template.jinja"};
    int rc = copy_file(folder, "tokenizer.json", tokenizer, true, e);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS && rc == 0; i++) {
        char *from = file_path(beside, OTHERS[i], e);
        rc = copy_file(folder, OTHERS[i], from, false, e);
        free(from);
    }
    return rc;
}

int folder_make(const char *path, struct error *e) {
    static const char INDEX[] = "model.safetensors.index.json";
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", path);
    }
    char *index = file_path(path, INDEX, e);
    if (index == NULL) {
        return ERR_MEMORY;
    }
    const bool there = access(index, F_OK) == 0;
    free(index);
    return there ? error_set(e, ERR_USAGE, "%s: holds %s, which would go before what is written",
                             path, INDEX)
                 : 0;
}

/* ---- Configuration --------------------------------------------------------------------------- */

int folder_write_config(const char *path, const struct decoder_config *c, enum dtype type,
                        struct error *e) {
    json_t *config = decoder_config_json(c), *generation = NULL;
    if (config != NULL) {
        json_object_set_new(config, "torch_dtype",
                            json_string(type == DTYPE_BF16 ? "bfloat16" : "float32"));
        generation =
            json_pack("{s:O, s:O}", "bos_token_id", json_object_get(config, "bos_token_id"),
                      "eos_token_id", json_object_get(config, "eos_token_id"));
    }
    int rc = write_json(path, "config.json", config, e);
    if (rc == 0) {
        return write_json(path, "generation_config.json", generation, e);
    }
    json_decref(generation);
    return rc;
}

/* ---- Weights --------------------------------------------------------------------------------- */

int folder_write_weights(const char *path, const struct decoder_config *c, enum dtype type,
                         int (*read)(void *, const char *, float *, struct error *), void *context,
                         struct error *e) {
    struct tensor_list list = {.count = 0};
    json_t *metadata = json_pack("{s:s}", "format", "pt"); /* transformers asks for it */
    char *file = file_path(path, "model.safetensors", e);
    int rc = file == NULL       ? ERR_MEMORY
             : metadata == NULL ? error_memory(e, "weights")
                                : decoder_config_list(c, tensor_list_take, &list, e);
    rc = rc == 0 ? tensor_list_write(file, &list, type, read, context, metadata, e) : rc;
    json_decref(metadata);
    free(list.specs);
    free(file);
    return rc;
}

int decoder_folder_write(const char *path, const struct decoder_config *c,
                         const struct decoder_folder *like, enum dtype type,
                         int (*read)(void *context, const char *name, float *values,
                                     struct error *e),
                         void *context, struct error *e) {
    char *tokenizer = file_path(like->path, "tokenizer.json", e);
    int rc = tokenizer != NULL ? folder_make(path, e) : ERR_MEMORY;
    rc = rc == 0 ? folder_copy_tokenizer(path, tokenizer, like->path, e) : rc;
    rc = rc == 0 ? folder_write_config(path, c, type, e) : rc;
    rc = rc == 0 ? folder_write_weights(path, c, type, read, context, e) : rc;
    free(tokenizer);
    return rc;
}
