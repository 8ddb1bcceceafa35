/* parameters_file.c - first values, and parameters from and to safetensors files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compress/model.h"
#include "store/array.h"
#include "store/random.h"
#include "train/parameters.h"

/* The largest parameter in numbers. */
static size_t largest(const struct parameters *p) {
    size_t most = 1;
    for (size_t i = 0; i < parameters_count(p); i++) {
        size_t count = (size_t)tensor_spec_count(&parameters_get(p, i)->spec);
        most = count > most ? count : most;
    }
    return most;
}

int parameters_fill(struct parameters *p, uint64_t seed, struct error *e) {
    float *values = malloc(largest(p) * sizeof *values);
    int rc = values != NULL ? 0 : error_memory(e, "parameters");
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        const struct parameter *one = parameters_get(p, i);
        uint64_t state = random_stream(seed, i);
        if (!one->mapped) {
            model_fill(values, &one->spec, random_next(&state));
            rc = parameters_set(p, i, values, e);
        }
    }
    free(values);
    return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* NULL: not there, or of another shape. */
static const struct safetensor *find(const struct safetensors *file,
                                     const struct tensor_spec *spec) {
    const struct safetensor *t = safetensors_find(file, spec->name);
    bool same = t != NULL && t->rank == spec->rank &&
                memcmp(t->shape, spec->shape, (size_t)t->rank * sizeof *t->shape) == 0;
    return same ? t : NULL;
}

/* Gains, biases and what products multiply are read in one type, rows of tables in both. */
static bool readable(const struct parameter *one, const struct safetensor *t) {
    bool type =
        t->type == one->value.type || (one->spec.kind == TENSOR_TABLE && t->type == DTYPE_BF16);
    return type && (uintptr_t)t->data % dtype_size(t->type) == 0;
}

void parameters_map(struct parameters *p, const struct safetensors *file) {
    if (!parameters_device(p)->backend->host_memory) {
        return;
    }
    for (size_t i = 0; i < parameters_count(p); i++) {
        const struct parameter *one = parameters_get(p, i);
        const struct safetensor *t = one->spec.trainable ? NULL : find(file, &one->spec);
        if (t != NULL && readable(one, t)) {
            void *data = (void *)(uintptr_t)t->data; /* frozen: only read */
            const struct tensor value =
                tensor_matrix(data, t->type, NULL, one->spec.rows, tensor_spec_width(&one->spec));
            parameters_place(p, i, &value);
        }
    }
}

static int refuse(const struct safetensors *file, const struct tensor_spec *spec, const char *path,
                  struct error *e) {
    return error_set(e, ERR_FORMAT, "%s: %s is %s", path, spec->name,
                     safetensors_find(file, spec->name) != NULL ? "of another shape" : "missing");
}

static int load_one(struct parameters *p, size_t index, const struct safetensors *file,
                    const struct safetensor *t, float *values, const char *path, struct error *e) {
    int rc = safetensors_floats(file, t, values, e);
    if (rc < 0) {
        return error_context(e, "%s", path);
    }
    return parameters_set(p, index, values, e);
}

int parameters_load_some(struct parameters *p, const struct safetensors *file, const char *path,
                         size_t *missing, struct error *e) {
    float *values = malloc(largest(p) * sizeof *values);
    int rc = values != NULL ? 0 : error_memory(e, "parameters");
    *missing = 0;
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        const struct parameter *one = parameters_get(p, i);
        const struct safetensor *t = find(file, &one->spec);
        *missing += t == NULL;
        if (t != NULL && !one->mapped) {
            rc = load_one(p, i, file, t, values, path, e);
        }
    }
    free(values);
    return rc;
}

int parameters_load(struct parameters *p, const char *path, struct error *e) {
    struct safetensors *file;
    size_t missing;
    int rc = safetensors_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        const struct tensor_spec *spec = &parameters_get(p, i)->spec;
        rc = find(file, spec) != NULL ? 0 : refuse(file, spec, path, e);
    }
    if (rc == 0) {
        rc = parameters_load_some(p, file, path, &missing, e);
    }
    safetensors_close(file);
    return rc;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* The tensors of a file, all of one type. */
struct writing {
    const struct tensor_spec *specs;
    size_t count;
    enum dtype type;
};

/* Smaller types take the place of the floats that they are made of. */
static int put_all(struct safetensors_writer *w, const struct writing *all, parameters_reader *read,
                   void *context, struct error *e) {
    int64_t most = 1;
    for (size_t i = 0; i < all->count; i++) {
        int64_t numbers = tensor_spec_count(&all->specs[i]);
        most = numbers > most ? numbers : most;
    }
    float *values = malloc((size_t)most * sizeof *values);
    int rc = values != NULL ? 0 : error_memory(e, "weights");
    for (size_t i = 0; i < all->count && rc == 0; i++) {
        rc = read(context, i, values, e);
        if (rc == 0 && all->type != DTYPE_F32) {
            const size_t numbers = (size_t)tensor_spec_count(&all->specs[i]);
            dtype_from_float(values, all->type, values, numbers);
        }
        rc = rc == 0 ? safetensors_writer_put(w, i, values, NULL, e) : rc;
    }
    free(values);
    return rc;
}

static int write_file(const char *path, const struct writing *all, parameters_reader *read,
                      void *context, const json_t *metadata, struct error *e) {
    struct safetensors_writer *writer = NULL;
    struct safetensor *tensors = calloc(all->count + 1, sizeof *tensors);
    if (tensors == NULL) {
        return error_memory(e, "weights");
    }
    for (size_t i = 0; i < all->count; i++) {
        const struct tensor_spec *s = &all->specs[i];
        tensors[i] =
            (struct safetensor){.name = s->name,
                                .type = all->type,
                                .rank = s->rank,
                                .bytes = (size_t)tensor_spec_count(s) * dtype_size(all->type)};
        memcpy(tensors[i].shape, s->shape, sizeof s->shape);
    }
    int rc = safetensors_writer_open(&writer, path, tensors, all->count, metadata, e);
    rc = rc == 0 ? put_all(writer, all, read, context, e) : rc;
    if (rc == 0) {
        rc = safetensors_writer_commit(writer, e);
    } else {
        safetensors_writer_close(writer);
    }
    free(tensors);
    return rc;
}

int parameters_write(const char *path, const struct tensor_spec *specs, size_t count,
                     parameters_reader *read, void *context, const json_t *metadata,
                     struct error *e) {
    const struct writing all = {.specs = specs, .count = count, .type = DTYPE_F32};
    return write_file(path, &all, read, context, metadata, e);
}

/* ---- A list -------------------------------------------------------------------------------- */

int tensor_list_take(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_list *l = context;
    struct tensor_spec *specs = array_grow(l->specs, &l->capacity, l->count + 1, sizeof *specs, e);
    if (specs == NULL) {
        return ERR_MEMORY;
    }
    l->specs = specs;
    l->specs[l->count++] = *spec;
    return 0;
}

struct named {
    const struct tensor_spec *specs;
    parameters_named_reader *read;
    void *context;
};

static int read_named(void *context, size_t i, float *values, struct error *e) {
    const struct named *n = context;
    return n->read(n->context, n->specs[i].name, values, e);
}

int tensor_list_write(const char *path, const struct tensor_list *l, enum dtype type,
                      parameters_named_reader *read, void *context, const json_t *metadata,
                      struct error *e) {
    const struct writing all = {.specs = l->specs, .count = l->count, .type = type};
    struct named by_name = {.specs = l->specs, .read = read, .context = context};
    return write_file(path, &all, read_named, &by_name, metadata, e);
}
