/* parameters_file.c - parameters from and to safetensors files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/safetensors.h"
#include "train/parameters.h"

static int load_one(struct parameters *p, const struct parameter *to,
                    const struct safetensors *file, const char *path, struct error *e) {
    const struct config_tensor *wanted = &to->tensor;
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

/* ---- Saving -------------------------------------------------------------------------- */

/* What is on its way to a file; a parameter may become two tensors. */
struct saving {
    struct safetensor *tensors;
    char (*scale_names)[CONFIG_NAME + sizeof SAFETENSORS_SCALE];
    unsigned char *data;
    size_t count, used;
};

static void *put(struct saving *s, const char *name, enum dtype type, int rank,
                 const int64_t *shape, size_t elements) {
    struct safetensor *out = &s->tensors[s->count++];
    *out = (struct safetensor){.name = name,
                               .type = type,
                               .rank = rank,
                               .data = s->data + s->used,
                               .bytes = elements * dtype_size(type)};
    memcpy(out->shape, shape, (size_t)rank * sizeof *shape);
    void *data = s->data + s->used;
    s->used += (out->bytes + 3) & ~(size_t)3; /* F32 needs its alignment */
    return data;
}

/* Rows of integers from -127 to 127 and a factor each. */
static void put_integers(struct saving *s, const struct parameter *p, const float *values) {
    size_t rows = (size_t)p->tensor.shape[0], width = p->count / rows;
    char *name = s->scale_names[s->count];
    snprintf(name, sizeof s->scale_names[0], "%s" SAFETENSORS_SCALE, p->tensor.name);
    float *scales = put(s, name, DTYPE_F32, 1, p->tensor.shape, rows);
    signed char *out = put(s, p->tensor.name, DTYPE_I8, p->tensor.rank, p->tensor.shape, p->count);
    for (size_t r = 0; r < rows; r++) {
        float largest = 0;
        for (size_t i = 0; i < width; i++) {
            largest = fmaxf(largest, fabsf(values[r * width + i]));
        }
        scales[r] = largest / 127;
        for (size_t i = 0; i < width; i++) {
            float scaled = largest > 0 ? values[r * width + i] / scales[r] : 0;
            out[r * width + i] = (signed char)lrintf(scaled);
        }
    }
}

static void put_parameter(struct saving *s, const struct parameter *p, enum dtype type,
                          const float *values) {
    if (type == DTYPE_I8 && p->decays) {
        put_integers(s, p, values);
        return;
    }
    enum dtype plain = type == DTYPE_I8 ? DTYPE_BF16 : type;
    void *to = put(s, p->tensor.name, plain, p->tensor.rank, p->tensor.shape, p->count);
    dtype_from_float(to, plain, values, p->count);
}

int parameters_save(const struct parameters *p, const char *path, const float *values,
                    enum dtype type, bool (*keep)(const char *name), const json_t *metadata,
                    struct error *e) {
    size_t most = 2 * parameters_count(p);
    struct saving s = {.tensors = calloc(most, sizeof *s.tensors),
                       .scale_names = calloc(most, sizeof *s.scale_names),
                       .data = calloc(parameters_total(p) + 4 * most, sizeof(float))};
    int rc = 0;
    if (s.tensors == NULL || s.scale_names == NULL || s.data == NULL) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        const struct parameter *one = parameters_get(p, i);
        if (keep == NULL || keep(one->tensor.name)) {
            put_parameter(&s, one, type, values + one->offset);
        }
    }
    rc = rc == 0 ? safetensors_write(path, s.tensors, s.count, metadata, e) : rc;
    free(s.data);
    free(s.scale_names);
    free(s.tensors);
    return rc;
}
