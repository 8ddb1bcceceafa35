/* init.c - decoders that have learned nothing yet: see decoder.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compress/model.h"
#include "store/file.h"
#include "store/random.h"
#include "train/decoder/folder.h"

/* ---- First weights --------------------------------------------------------------------------- */

struct first_weights {
    const struct decoder_config *config;
    uint64_t seed;
    const char *name; /* that is asked for */
    float *values;
    uint64_t index; /* of the tensor that is listed */
};

/* Each tensor has a stream of its own. */
static int fill_named(void *context, const struct tensor_spec *spec, struct error *e) {
    struct first_weights *w = context;
    uint64_t state = random_stream(w->seed, w->index++);
    (void)e;
    if (strcmp(spec->name, w->name) == 0) {
        model_fill(w->values, spec, random_next(&state));
    }
    return 0;
}

static int first_values(void *context, const char *name, float *values, struct error *e) {
    struct first_weights *w = context;
    w->name = name;
    w->values = values;
    w->index = 0;
    return decoder_config_list(w->config, fill_named, w, e);
}

/* ---- The tokenizer --------------------------------------------------------------------------- */

/* A token that tokenizer_config.json names; -1: none. */
static int32_t named_token(const struct tokenizer *t, const json_t *config, const char *key) {
    const char *text = folder_token(config, key);
    return text != NULL ? tokenizer_added(t, text) : -1;
}

/* The sizes and tokens of a configuration that follow from a tokenizer. */
static int fit_tokenizer(struct decoder_config *c, const char *path, const char *beside,
                         struct error *e) {
    struct tokenizer *tokenizer;
    json_t *config;
    int rc = tokenizer_open(&tokenizer, path, TOKENIZER_SPLIT_AUTO, e);
    if (rc < 0) {
        return rc;
    }
    rc = folder_json(&config, beside, "tokenizer_config.json", false, e);
    if (rc == 0) {
        c->vocabulary = tokenizer_size(tokenizer);
        c->begin = named_token(tokenizer, config, "bos_token");
        c->ends[0] = named_token(tokenizer, config, "eos_token");
        if (config == NULL) { /* as many tokenizers call it */
            c->ends[0] = tokenizer_added(tokenizer, "<|endoftext|>");
        }
    }
    json_decref(config);
    tokenizer_close(tokenizer);
    return rc;
}

/* The file, and the folder that it lies in, of a path to either; to be freed. */
static int find_tokenizer(const char *path, char **file, char **folder, struct error *e) {
    struct stat status;
    const bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    *folder = strdup(path);
    *file = is_folder ? file_path(path, "tokenizer.json", e) : strdup(path);
    char *slash = *folder != NULL && !is_folder ? strrchr(*folder, '/') : NULL;
    if (slash != NULL) {
        slash[slash == *folder] = '\0';
    } else if (*folder != NULL && !is_folder) {
        free(*folder);
        *folder = strdup(".");
    }
    return *file != NULL && *folder != NULL ? 0 : error_memory(e, NULL);
}

int decoder_init(const char *path, const struct decoder_config *preset, const char *tokenizer,
                 enum dtype type, uint64_t seed, struct error *e) {
    struct decoder_config c = *preset;
    struct first_weights weights = {.config = &c, .seed = seed};
    char *file, *beside;
    int rc = find_tokenizer(tokenizer, &file, &beside, e);
    rc = rc == 0 ? fit_tokenizer(&c, file, beside, e) : rc;
    rc = rc == 0 ? folder_make(path, e) : rc;
    rc = rc == 0 ? folder_copy_tokenizer(path, file, beside, e) : rc;
    rc = rc == 0 ? folder_write_config(path, &c, type, e) : rc;
    rc = rc == 0 ? folder_write_weights(path, &c, type, first_values, &weights, e) : rc;
    free(file);
    free(beside);
    return rc;
}
