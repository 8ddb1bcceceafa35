/* model.c - see model.h. */
#include "compress/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/encoder_file.h"
#include "store/random.h"

/* ---- Random numbers ------------------------------------------------------------------ */

/* Box and Muller's pair of normal numbers. */
static void normal_pair(uint64_t *state, double pair[2]) {
    double u = ((double)(random_next(state) >> 11) + 1) * 0x1p-53;
    double v = (double)(random_next(state) >> 11) * 0x1p-53;
    double radius = sqrt(-2 * log(u)), angle = 6.283185307179586 * v;
    pair[0] = radius * cos(angle);
    pair[1] = radius * sin(angle);
}

/* ---- New files ---------------------------------------------------------------------------- */

struct make_context {
    enum dtype type;
    uint64_t seed;
    struct safetensor *tensors;
    char (*names)[CONFIG_NAME];
    size_t count, capacity;
};

void model_fill(float *values, const struct tensor_spec *t, uint64_t seed) {
    int64_t count = tensor_spec_count(t);
    for (int64_t i = 0; i < count; i += 2) {
        double pair[2] = {0};
        if (t->deviation > 0) {
            normal_pair(&seed, pair);
        }
        values[i] = (float)(t->deviation * pair[0]) + t->constant;
        if (i + 1 < count) {
            values[i + 1] = (float)(t->deviation * pair[1]) + t->constant;
        }
    }
}

static int make_tensor(void *context, const struct tensor_spec *t, struct error *e) {
    struct make_context *m = context;
    if (t->optional) {
        return 0;
    }
    if (m->count == m->capacity) {
        return error_set(e, ERR_LIMIT, "more tensors than an encoder can have");
    }
    size_t elements = (size_t)tensor_spec_count(t);
    struct safetensor *s = &m->tensors[m->count];
    *s = (struct safetensor){.type = m->type, .rank = t->rank};
    for (int i = 0; i < t->rank; i++) {
        s->shape[i] = t->shape[i];
    }
    float *values = malloc(elements * sizeof *values);
    void *data = malloc(elements * dtype_size(m->type));
    if (values == NULL || data == NULL) {
        free(values);
        free(data);
        return error_memory(e, NULL);
    }
    uint64_t state = m->seed + m->count; /* each tensor has numbers of its own */
    model_fill(values, t, random_next(&state));
    dtype_from_float(data, m->type, values, elements);
    free(values);
    memcpy(m->names[m->count], t->name, sizeof m->names[0]);
    s->name = m->names[m->count++];
    s->data = data;
    s->bytes = elements * dtype_size(m->type);
    return 0;
}

static json_t *metadata_of(const struct encoder_config *config) {
    json_t *json = config_json(config);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_t *metadata = text != NULL ? json_pack("{s:s}", CONFIG_METADATA, text) : NULL;
    free(text);
    json_decref(json);
    return metadata;
}

int model_init(const char *path, const struct encoder_config *config, uint64_t seed,
               enum dtype type, struct error *e) {
    enum { FIXED = 32, EACH_BLOCK = 14 };
    struct make_context m = {.type = type, .seed = seed * 0x9E3779B97F4A7C15};
    m.capacity = (size_t)(FIXED + EACH_BLOCK * (config->depth + config->clip_depth));
    m.tensors = calloc(m.capacity, sizeof *m.tensors);
    m.names = calloc(m.capacity, sizeof *m.names);
    json_t *metadata = metadata_of(config);
    int rc = 0;
    if (m.tensors == NULL || m.names == NULL || metadata == NULL) {
        rc = error_memory(e, NULL);
    }
    if (rc == 0) {
        rc = config_tensors(config, make_tensor, &m, e);
    }
    if (rc == 0) {
        rc = safetensors_write(path, m.tensors, m.count, metadata, e);
    }
    for (size_t i = 0; i < m.count; i++) {
        union {
            const void *read;
            void *data;
        } u = {.read = m.tensors[i].data}; /* made above */
        free(u.data);
    }
    free(m.tensors);
    free(m.names);
    json_decref(metadata);
    return rc;
}

/* ---- Description ------------------------------------------------------------------------- */

int model_info(struct model_info *info, const char *path, struct error *e) {
    struct safetensors *file = NULL;
    *info = (struct model_info){.tensors = 0};
    int rc = safetensors_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    info->has_config = safetensors_metadata(file, CONFIG_METADATA) != NULL;
    rc = encoder_file_config(&info->config, file, path, e);
    if (rc == 0) {
        info->grey = encoder_file_is_grey(file, &info->config);
        rc = encoder_file_check(file, &info->config, path, &info->fingerprint, e);
    }
    for (size_t i = 0; i < safetensors_count(file) && rc == 0; i++) {
        const struct safetensor *t = safetensors_get(file, i);
        if (!config_owns(t->name)) {
            info->others++;
            continue;
        }
        info->tensors++;
        info->parameters += (int64_t)(t->bytes / dtype_size(t->type));
        info->bytes[t->type] += (int64_t)t->bytes;
    }
    safetensors_close(file);
    return rc;
}
