/* reader.c - opening a reading head. */
#include "compress/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/reader_state.h"
#include "store/nest.h"

static const char *const NAMES[READER_MATRICES] = {
    [READER_TRUNK_0] = "reader.trunk.0",   [READER_TRUNK_1] = "reader.trunk.1",
    [READER_UNFOLD] = "reader.unfold",     [READER_MIX] = "reader.mix",
    [READER_PRESENCE] = "reader.presence", [READER_CHARACTER] = "reader.character",
    [READER_CLASS] = "reader.class",       [READER_MERGE_COLUMNS] = "merge.columns",
    [READER_MERGE_ROWS] = "merge.rows",    [READER_UNMERGE_COLUMNS] = "unmerge.columns",
    [READER_UNMERGE_ROWS] = "unmerge.rows"};

/* ---- Loading --------------------------------------------------------------------------- */

struct reader_loader {
    struct reader *reader;
    const char *path;
};

static int matrix_named(const char *name) {
    for (int i = 0; i < READER_MATRICES; i++) {
        size_t length = strlen(NAMES[i]);
        if (strncmp(name, NAMES[i], length) == 0 && strcmp(name + length, ".weight") == 0) {
            return i;
        }
    }
    return -1;
}

/* The tensor as floats, malloc's; NULL: failed. */
static float *read_tensor(const struct reader_loader *l, const struct tensor_spec *t,
                          struct error *e) {
    const struct safetensor *found = safetensors_find(l->reader->file, t->name);
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        count *= (size_t)t->shape[i];
    }
    if (found == NULL || found->rank != t->rank ||
        memcmp(found->shape, t->shape, (size_t)t->rank * sizeof *t->shape) != 0) {
        error_set(e, ERR_FORMAT, "%s: %s is %s", l->path, t->name,
                  found == NULL ? "missing" : "of another shape");
        return NULL;
    }
    float *values = malloc(count * sizeof *values);
    if (values == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    if (safetensors_floats(l->reader->file, found, values, e) < 0) {
        error_context(e, "%s", l->path);
        free(values);
        return NULL;
    }
    return values;
}

/* The table of levels, which no product packs. */
static int load_level(const struct reader_loader *l, const struct tensor_spec *t, struct error *e) {
    struct reader *r = l->reader;
    float *values = read_tensor(l, t, e);
    if (values == NULL) {
        return e->code;
    }
    struct tensor host = tensor_matrix(values, DTYPE_F32, NULL, t->shape[0], t->shape[1]);
    r->level = tensor_matrix(NULL, DTYPE_F32, r->device, t->shape[0], t->shape[1]);
    int rc = r->device->ops->alloc(r->device, &r->level, e);
    if (rc == 0) {
        rc = r->device->ops->upload(r->device, &r->level, &host, e);
    }
    free(values);
    return rc;
}

/* Weights come before their bias, and are packed with it. */
static int load_matrix(void *context, const struct tensor_spec *t, struct error *e) {
    const struct reader_loader *l = context;
    struct reader *r = l->reader;
    int index = matrix_named(t->name);
    if (strcmp(t->name, "reader.level.weight") == 0) {
        return load_level(l, t, e);
    }
    if (index < 0) {
        return 0;
    }
    struct tensor_spec bias = {.rank = 1, .shape = {t->shape[0]}};
    snprintf(bias.name, sizeof bias.name, "%s.bias", NAMES[index]);
    float *weight = read_tensor(l, t, e);
    float *added = weight != NULL ? read_tensor(l, &bias, e) : NULL;
    struct tensor matrix = tensor_matrix(weight, DTYPE_F32, NULL, t->shape[0], t->shape[1]);
    struct tensor vector = tensor_vector(added, DTYPE_F32, NULL, t->shape[0]);
    int rc = added != NULL
                 ? r->device->ops->pack(r->device, &r->matrices[index], &matrix, &vector, e)
                 : e->code;
    r->packed_bytes += rc == 0 ? r->matrices[index]->bytes : 0;
    free(weight);
    free(added);
    return rc;
}

static int64_t size_in(const json_t *root, const char *key) {
    json_int_t value = json_integer_value(json_object_get(root, key));
    return value > 0 && value <= 65536 ? value : -1;
}

/* One that files from before it leave out. */
static int64_t added_size_in(const json_t *root, const char *key, int64_t before, int64_t largest) {
    const json_t *found = json_object_get(root, key);
    json_int_t value = found == NULL            ? before
                       : json_is_integer(found) ? json_integer_value(found)
                                                : -1;
    return value >= 0 && value <= largest ? value : -1;
}

static void parse_config(struct reading_config *c, const json_t *root) {
    *c = (struct reading_config){.channels = size_in(root, "channels"),
                                 .hidden = size_in(root, "hidden"),
                                 .embedding = size_in(root, "embedding"),
                                 .reach = added_size_in(root, "reach", READING_OLD_REACH, 64),
                                 .cells = json_is_true(json_object_get(root, "cells")),
                                 .trunk = added_size_in(root, "trunk", 0, 65536),
                                 .nested = added_size_in(root, "nested", 0, NEST_LEVELS)};
}

static int parse(struct reader *r, const char *path, struct error *e) {
    const char *text = safetensors_metadata(r->file, READING_METADATA);
    const struct safetensor *unfold = safetensors_find(r->file, "reader.unfold.weight");
    if (text == NULL || unfold == NULL) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%s: carries no reading head: its tokens cannot be read back", path);
    }
    json_t *root = json_loads(text, 0, NULL);
    int rc = alphabet_parse(&r->alphabet, json_object_get(root, "alphabet"), e);
    parse_config(&r->config, root);
    json_decref(root);
    if (rc < 0) {
        return error_context(e, "%s", path);
    }
    r->config.classes = alphabet_count(r->alphabet);
    r->dim = unfold->rank == 2 ? unfold->shape[1] : -1;
    const struct reading_config *c = &r->config;
    if (c->channels < 0 || c->hidden < 0 || c->embedding < 0 || c->reach < 0 || c->trunk < 0 ||
        c->nested < 0 || r->dim < 1 || r->dim > 65536) {
        return error_set(e, ERR_FORMAT, "%s: a reading head of impossible sizes", path);
    }
    return 0;
}

static int parse_calibration(struct reader *r, const char *path, struct error *e) {
    const char *text = safetensors_metadata(r->file, CALIBRATION_METADATA);
    int rc = text != NULL ? calibration_parse(&r->calibration, text, e) : 0;
    return rc < 0 ? error_context(e, "%s: " CALIBRATION_METADATA, path) : 0;
}

/* With the devices of other threads. */
static int share(struct reader *r, struct error *e) {
    return r->device->ops->synchronize(r->device, e);
}

static int load(struct reader *r, const char *path, struct error *e) {
    struct reader_loader l = {.reader = r, .path = path};
    r->merges = safetensors_find(r->file, "merge.columns.weight") != NULL;
    int rc = reading_tensors(&r->config, "reader.", r->dim, READING_ROWS, READING_STEPS,
                             load_matrix, &l, e);
    if (rc == 0 && r->merges) {
        rc = merge_tensors(r->dim, load_matrix, &l, e);
    }
    return rc == 0 ? share(r, e) : rc;
}

int reader_open(struct reader **out, const char *path, const struct backend *backend,
                enum dtype compute, struct error *e) {
    struct error local;
    e = e != NULL ? e : &local;
    *out = NULL;
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_memory(e, NULL);
    }
    r->backend = backend;
    r->compute = compute;
    int rc = safetensors_open(&r->file, path, e);
    if (rc == 0) {
        rc = parse(r, path, e);
    }
    if (rc == 0) {
        rc = parse_calibration(r, path, e);
    }
    if (rc == 0) {
        rc = device_open(&r->device, backend, compute, e);
    }
    if (rc == 0) {
        rc = load(r, path, e);
    }
    if (rc < 0) {
        reader_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

static int load_merge(void *context, const struct tensor_spec *t, struct error *e) {
    return strncmp(t->name, "merge.", 6) == 0 ? load_matrix(context, t, e) : 0;
}

int reader_open_maps(struct reader **out, const void *file, size_t size, const char *name,
                     int64_t dim, const struct backend *backend, enum dtype compute,
                     struct error *e) {
    struct error local;
    e = e != NULL ? e : &local;
    *out = NULL;
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_memory(e, NULL);
    }
    struct reader_loader l = {.reader = r, .path = name};
    *r = (struct reader){.backend = backend, .compute = compute, .dim = dim, .merges = true};
    int rc = safetensors_open_memory(&r->file, file, size, name, e);
    if (rc == 0) {
        rc = device_open(&r->device, backend, compute, e);
    }
    if (rc == 0) {
        rc = merge_tensors(dim, load_merge, &l, e);
    }
    if (rc == 0) {
        rc = share(r, e);
    }
    if (rc < 0) {
        reader_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void reader_close(struct reader *r) {
    if (r == NULL) {
        return;
    }
    for (int i = 0; i < READER_MATRICES; i++) {
        if (r->matrices[i] != NULL) {
            r->device->ops->packed_close(r->matrices[i]);
        }
    }
    if (r->level.data != NULL) {
        r->device->ops->release(r->device, &r->level);
    }
    device_close(r->device);
    alphabet_close(r->alphabet);
    safetensors_close(r->file);
    free(r);
}

const struct alphabet *reader_alphabet(const struct reader *r) {
    return r->alphabet;
}

const struct calibration *reader_calibration(const struct reader *r) {
    return &r->calibration;
}

int64_t reader_dim(const struct reader *r) {
    return r->dim;
}

bool reader_merges(const struct reader *r) {
    return r->merges;
}

const struct reading_config *reader_config(const struct reader *r) {
    return &r->config;
}
