/* encoder_file.c - see encoder_file.h. config.h lists the tensors. */
#include "compress/encoder_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "compress/encoder.h"
#include "store/table.h"

int encoder_file_config(struct encoder_config *config, const struct safetensors *file,
                        const char *path, struct error *e) {
    const char *text = safetensors_metadata(file, CONFIG_METADATA);
    if (text == NULL) {
        return config_named(config, "deepencoder", e);
    }
    int rc = config_parse(config, text, e);
    return rc < 0 ? error_context(e, "%s", path) : 0;
}

bool encoder_file_is_grey(const struct safetensors *file, const struct encoder_config *config) {
    const char *pages = safetensors_metadata(file, ENCODER_PAGES);
    return pages != NULL ? strcmp(pages, "grey") == 0 : strcmp(config->name, "nano") == 0;
}

struct check {
    const char *path;
    const struct safetensors *file;
    struct table *known;
    XXH3_state_t *hash;
    size_t missing;
    char first_missing[CONFIG_NAME];
};

static void print_shape(char *text, size_t size, int rank, const int64_t *shape) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < rank && used < size; i++) {
        int n = snprintf(text + used, size - used, "%s%" PRId64, i > 0 ? "x" : "", shape[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* The tensor is part of the encoder: its bytes are part of the fingerprint. */
static int know(struct check *c, const char *name, const struct safetensor *found,
                struct error *e) {
    XXH3_64bits_update(c->hash, name, strlen(name));
    XXH3_64bits_update(c->hash, dtype_name(found->type), strlen(dtype_name(found->type)));
    XXH3_64bits_update(c->hash, found->data, found->bytes);
    int rc = table_add(c->known, name, 0, NULL, e);
    return rc < 0 ? rc : 0;
}

static int check_tensor(void *context, const struct tensor_spec *t, struct error *e) {
    struct check *c = context;
    const struct safetensor *found = safetensors_find(c->file, t->name);
    if (found == NULL) {
        if (!t->optional && c->missing++ == 0) {
            memcpy(c->first_missing, t->name, sizeof c->first_missing);
        }
        return 0;
    }
    const struct safetensor *scale = safetensors_scale(c->file, found);
    if (found->type != DTYPE_F32 && found->type != DTYPE_F16 && found->type != DTYPE_BF16 &&
        scale == NULL) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%s: %s is neither F32 nor F16 nor BF16 nor I8 with a scale", c->path,
                         t->name);
    }
    if (found->rank != t->rank ||
        memcmp(found->shape, t->shape, (size_t)t->rank * sizeof *t->shape) != 0) {
        char is[128], wanted[128];
        print_shape(is, sizeof is, found->rank, found->shape);
        print_shape(wanted, sizeof wanted, t->rank, t->shape);
        return error_set(e, ERR_FORMAT, "%s: %s is %s, should be %s", c->path, t->name, is, wanted);
    }
    int rc = know(c, t->name, found, e);
    return rc == 0 && scale != NULL ? know(c, scale->name, scale, e) : rc;
}

static int check_all(struct check *c, const struct encoder_config *config, struct error *e) {
    int rc = config_tensors(config, check_tensor, c, e);
    if (rc < 0) {
        return rc;
    }
    if (table_count(c->known) == 0) {
        return error_set(e, ERR_FORMAT, "%s: holds no encoder", c->path);
    }
    if (c->missing > 0) {
        return error_set(e, ERR_FORMAT,
                         "%s: no encoder '%s': %zu tensors are missing, the first is %s", c->path,
                         config->name, c->missing, c->first_missing);
    }
    for (size_t i = 0; i < safetensors_count(c->file); i++) {
        const char *name = safetensors_get(c->file, i)->name;
        if (config_owns(name) && !table_find(c->known, name, NULL)) {
            return error_set(e, ERR_FORMAT, "%s: %s is not part of an encoder '%s'", c->path, name,
                             config->name);
        }
    }
    return 0;
}

int encoder_file_check(const struct safetensors *file, const struct encoder_config *config,
                       const char *path, uint64_t *fingerprint, struct error *e) {
    struct check c = {.path = path, .file = file, .hash = XXH3_createState()};
    json_t *json = config_json(config);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    int rc = table_open(&c.known, e);
    if (rc == 0 && (c.hash == NULL || text == NULL)) {
        rc = error_memory(e, NULL);
    }
    if (rc == 0) {
        XXH3_64bits_reset(c.hash);
        XXH3_64bits_update(c.hash, text, strlen(text));
        rc = check_all(&c, config, e);
        *fingerprint = XXH3_64bits_digest(c.hash);
    }
    free(text);
    json_decref(json);
    table_close(c.known);
    XXH3_freeState(c.hash);
    return rc;
}
