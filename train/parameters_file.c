/* parameters_file.c - parameters from and to safetensors files. */
#include <stdlib.h>
#include <string.h>

#include "store/safetensors.h"
#include "train/parameters.h"

static int load_one(struct parameters *p, const struct parameter *to,
                    const struct safetensors *file, const char *path, struct error *e) {
    const struct tensor_spec *wanted = &to->spec;
    const struct safetensor *t = safetensors_find(file, wanted->name);
    if (t == NULL) {
        return error_set(e, ERR_FORMAT, "%s: %s is missing", path, wanted->name);
    }
    if (t->rank != wanted->rank ||
        memcmp(t->shape, wanted->shape, (size_t)t->rank * sizeof *t->shape) != 0) {
        return error_set(e, ERR_FORMAT, "%s: %s is of another shape", path, wanted->name);
    }
    int rc = safetensors_floats(file, t, parameters_values(p) + to->offset, e);
    return rc < 0 ? error_context(e, "%s", path) : 0;
}

static bool is_there(const struct parameter *wanted, const struct safetensors *file) {
    const struct tensor_spec *t = &wanted->spec;
    const struct safetensor *found = safetensors_find(file, t->name);
    return found != NULL && found->rank == t->rank &&
           memcmp(found->shape, t->shape, (size_t)t->rank * sizeof *t->shape) == 0;
}

int parameters_load_some(struct parameters *p, const char *path, size_t *kept, struct error *e) {
    struct safetensors *file;
    int rc = safetensors_open(&file, path, e);
    *kept = 0;
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        bool there = is_there(parameters_get(p, i), file);
        *kept += !there;
        rc = there ? load_one(p, parameters_get(p, i), file, path, e) : 0;
    }
    safetensors_close(file);
    return rc;
}

int parameters_load(struct parameters *p, const char *path, struct error *e) {
    struct safetensors *file;
    int rc = safetensors_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        rc = load_one(p, parameters_get(p, i), file, path, e);
    }
    safetensors_close(file);
    return rc;
}

static void describe(struct safetensor *out, const struct parameter *p, const float *values) {
    *out = (struct safetensor){.name = p->spec.name,
                               .type = DTYPE_F32,
                               .rank = p->spec.rank,
                               .data = values + p->offset,
                               .bytes = p->count * sizeof *values};
    memcpy(out->shape, p->spec.shape, sizeof p->spec.shape);
}

int parameters_save(const struct parameters *p, const char *path, const float *values,
                    bool (*keep)(const struct tensor_spec *spec), const json_t *metadata,
                    struct error *e) {
    size_t count = 0;
    struct safetensor *tensors = calloc(parameters_count(p), sizeof *tensors);
    if (tensors == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < parameters_count(p); i++) {
        const struct parameter *one = parameters_get(p, i);
        if (keep == NULL || keep(&one->spec)) {
            describe(&tensors[count++], one, values);
        }
    }
    int rc = safetensors_write(path, tensors, count, metadata, e);
    free(tensors);
    return rc;
}
