/* checkpoint.c - see checkpoint.h. */
#include "train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "compress/ops.h"
#include "store/array.h"
#include "store/safetensors.h"

enum { NAME = TENSOR_SPEC_NAME + 64 };

/* A tensor of the file: a whole parameter, or the moments or the mean of a slice. */
struct checkpoint_entry {
    char name[NAME];
    size_t parameter;
    const struct tensor *tensor; /* of a slice; NULL: the parameter's value */
    int rank;
    int64_t shape[TENSOR_SPEC_RANK];
};

struct entries {
    struct checkpoint_entry *list;
    size_t count, capacity;
};

/* ---- What is in a file ----------------------------------------------------------------------- */

static int add(struct entries *all, const struct checkpoint_entry *entry, struct error *e) {
    struct checkpoint_entry *list =
        array_grow(all->list, &all->capacity, all->count + 1, sizeof *list, e);
    if (list == NULL) {
        return ERR_MEMORY;
    }
    all->list = list;
    all->list[all->count++] = *entry;
    return 0;
}

static void shape_as(struct checkpoint_entry *entry, const struct tensor_spec *spec) {
    entry->rank = spec->rank;
    memcpy(entry->shape, spec->shape, sizeof entry->shape);
}

static int add_slice(struct entries *all, const struct optimizer *o, const struct slice *s,
                     const char *kind, const struct tensor *tensor, struct error *e) {
    const struct tensor_spec *spec = &parameters_get(o->parameters, s->parameter)->spec;
    struct checkpoint_entry entry = {.parameter = s->parameter,
                                     .tensor = tensor,
                                     .rank = 2,
                                     .shape = {s->rows, tensor_width(tensor)}};
    if (tensor->data == NULL) {
        return 0;
    }
    snprintf(entry.name, sizeof entry.name, "%s.%s[%" PRId64 ":%" PRId64 "]", kind, spec->name,
             s->first_row, s->first_row + s->rows);
    if (s->rows == spec->rows) {
        snprintf(entry.name, sizeof entry.name, "%s.%s", kind, spec->name);
        shape_as(&entry, spec);
    }
    return add(all, &entry, e);
}

static int list_entries(struct entries *all, const struct optimizer *o, struct error *e) {
    int rc = 0;
    *all = (struct entries){.list = NULL};
    for (size_t i = 0; i < parameters_count(o->parameters) && rc == 0; i++) {
        const struct tensor_spec *spec = &parameters_get(o->parameters, i)->spec;
        struct checkpoint_entry entry = {.parameter = i};
        shape_as(&entry, spec);
        snprintf(entry.name, sizeof entry.name, "value.%s", spec->name);
        rc = spec->trainable ? add(all, &entry, e) : 0;
    }
    for (size_t i = 0; i < o->slice_count && rc == 0; i++) {
        const struct slice *s = &o->slices[i];
        rc = add_slice(all, o, s, "m", &s->first_moment, e);
        if (rc == 0) {
            rc = add_slice(all, o, s, "v", &s->second_moment, e);
        }
        if (rc == 0) {
            rc = add_slice(all, o, s, "ema", &s->ema, e);
        }
    }
    return rc; /* what there is the caller frees */
}

static size_t numbers_of(const struct checkpoint_entry *entry) {
    size_t count = 1;
    for (int i = 0; i < entry->rank; i++) {
        count *= (size_t)entry->shape[i];
    }
    return count;
}

/* malloc's, NULL: out of memory; enough for any entry. */
static float *room(const struct entries *all, struct error *e) {
    size_t most = 1;
    for (size_t i = 0; i < all->count; i++) {
        size_t count = numbers_of(&all->list[i]);
        most = count > most ? count : most;
    }
    float *values = malloc(most * sizeof *values);
    if (values == NULL) {
        error_memory(e, "a checkpoint");
    }
    return values;
}

/* Enough to tell one network, and one choice of slices, from another; means of the weights are
 * compared by themselves. */
static void layout_of(const struct entries *all, char text[17]) {
    XXH64_hash_t hash = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct checkpoint_entry *entry = &all->list[i];
        if (strncmp(entry->name, "ema.", 4) != 0) {
            hash = XXH3_64bits_withSeed(entry->name, strlen(entry->name) + 1, hash);
            hash = XXH3_64bits_withSeed(entry->shape, sizeof entry->shape, hash);
        }
    }
    snprintf(text, 17, "%016" PRIx64, (uint64_t)hash);
}

/* ---- Saving ---------------------------------------------------------------------------------- */

static int read_entry(const struct optimizer *o, const struct checkpoint_entry *entry,
                      float *values, struct error *e) {
    struct device *device = parameters_device(o->parameters);
    if (entry->tensor == NULL) {
        return parameters_read(o->parameters, entry->parameter, values, e);
    }
    const struct tensor host = tensor_of(values, DTYPE_F32, NULL, entry->tensor->shape);
    return device->ops->download(device, &host, entry->tensor, e);
}

static int put_all(struct safetensors_writer *w, const struct entries *all,
                   const struct optimizer *o, struct error *e) {
    float *values = room(all, e);
    int rc = values != NULL ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        rc = read_entry(o, &all->list[i], values, e);
        if (rc == 0) {
            rc = safetensors_writer_put(w, i, values, NULL, e);
        }
    }
    free(values);
    return rc;
}

static int write_file(const char *path, const struct entries *all, const struct optimizer *o,
                      const json_t *metadata, struct error *e) {
    struct safetensors_writer *writer = NULL;
    struct safetensor *tensors = calloc(all->count + 1, sizeof *tensors);
    if (tensors == NULL) {
        return error_memory(e, "a checkpoint");
    }
    for (size_t i = 0; i < all->count; i++) {
        const struct checkpoint_entry *entry = &all->list[i];
        tensors[i] = (struct safetensor){.name = entry->name,
                                         .type = DTYPE_F32,
                                         .rank = entry->rank,
                                         .bytes = numbers_of(entry) * sizeof(float)};
        memcpy(tensors[i].shape, entry->shape, sizeof entry->shape);
    }
    int rc = safetensors_writer_open(&writer, path, tensors, all->count, metadata, e);
    if (rc == 0) {
        rc = put_all(writer, all, o, e);
    }
    if (rc == 0) {
        rc = safetensors_writer_commit(writer, e);
    } else {
        safetensors_writer_close(writer);
    }
    free(tensors);
    return rc;
}

int checkpoint_save(const char *path, const struct optimizer *o, json_t *state, struct error *e) {
    struct entries all;
    char layout[17];
    int rc = list_entries(&all, o, e);
    json_t *metadata = NULL;
    if (rc == 0) {
        layout_of(&all, layout);
        json_object_set_new(state, "step", json_integer(o->step));
        char *text = json_dumps(state, JSON_COMPACT);
        metadata = text != NULL
                       ? json_pack("{s:s, s:s}", "occ.training", text, "occ.layout", layout)
                       : NULL;
        free(text);
        rc = metadata != NULL ? 0 : error_memory(e, "a checkpoint");
    }
    if (rc == 0) {
        rc = write_file(path, &all, o, metadata, e);
    }
    json_decref(metadata);
    free(all.list);
    return rc;
}

/* ---- Loading --------------------------------------------------------------------------------- */

static int write_entry(struct optimizer *o, const struct checkpoint_entry *entry, float *values,
                       struct error *e) {
    struct device *device = parameters_device(o->parameters);
    if (entry->tensor == NULL) {
        return parameters_set(o->parameters, entry->parameter, values, e);
    }
    const struct tensor host = tensor_of(values, DTYPE_F32, NULL, entry->tensor->shape);
    return device->ops->upload(device, entry->tensor, &host, e);
}

/* Nothing is changed unless all of it is there. */
static int check_entries(const struct safetensors *file, const char *path,
                         const struct entries *all, struct error *e) {
    for (size_t i = 0; i < all->count; i++) {
        const struct checkpoint_entry *entry = &all->list[i];
        const struct safetensor *t = safetensors_find(file, entry->name);
        if (t == NULL) {
            return error_set(e, ERR_FORMAT, "%s: '%s' is missing", path, entry->name);
        }
        if (t->type != DTYPE_F32 || t->rank != entry->rank ||
            memcmp(t->shape, entry->shape, (size_t)t->rank * sizeof *t->shape) != 0) {
            return error_set(e, ERR_FORMAT, "%s: '%s' is of another size", path, entry->name);
        }
    }
    for (size_t i = 0; i < safetensors_count(file) && safetensors_count(file) > all->count; i++) {
        const char *name = safetensors_get(file, i)->name;
        if (strncmp(name, "ema.", 4) == 0) {
            return error_set(e, ERR_FORMAT, "%s: '%s' is there, but no mean is to be kept", path,
                             name);
        }
    }
    return 0;
}

static int load_entries(const struct safetensors *file, const struct entries *all,
                        struct optimizer *o, struct error *e) {
    float *values = room(all, e);
    int rc = values != NULL ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        const struct safetensor *t = safetensors_find(file, all->list[i].name);
        rc = safetensors_floats(file, t, values, e);
        if (rc == 0) {
            rc = write_entry(o, &all->list[i], values, e);
        }
    }
    free(values);
    return rc;
}

/* The caller's JSON, checked; NULL: refused. */
static json_t *check_state(const struct safetensors *file, const char *path,
                           const struct entries *all, struct error *e) {
    char layout[17];
    layout_of(all, layout);
    const char *text = safetensors_metadata(file, "occ.training");
    const char *saved = safetensors_metadata(file, "occ.layout");
    if (text != NULL && safetensors_find(file, "values") != NULL) {
        error_set(e, ERR_UNSUPPORTED,
                  "%s: is a checkpoint of an earlier version, which this one cannot go on with; "
                  "name another folder",
                  path);
        return NULL;
    }
    json_t *state = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *step = json_object_get(state, "step");
    if (saved == NULL || strcmp(saved, layout) != 0 || !json_is_integer(step) ||
        json_integer_value(step) < 0) {
        error_set(e, ERR_FORMAT, "%s: is not a checkpoint of this network", path);
        json_decref(state);
        return NULL;
    }
    return state;
}

int checkpoint_load(const char *path, struct optimizer *o, json_t **state, struct error *e) {
    struct safetensors *file;
    struct entries all;
    struct error own; /* its code is what comes back */
    *state = NULL;
    if (access(path, F_OK) != 0) {
        return 0;
    }
    e = e != NULL ? e : &own;
    int rc = safetensors_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    rc = list_entries(&all, o, e);
    json_t *read = rc == 0 ? check_state(file, path, &all, e) : NULL;
    if (read == NULL) {
        rc = e->code;
    }
    if (rc == 0) {
        rc = check_entries(file, path, &all, e);
    }
    if (rc == 0) {
        rc = load_entries(file, &all, o, e);
    }
    safetensors_close(file);
    free(all.list);
    if (rc < 0) {
        json_decref(read);
        return rc;
    }
    o->step = json_integer_value(json_object_get(read, "step"));
    *state = read;
    return 1;
}
