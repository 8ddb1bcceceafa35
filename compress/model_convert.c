/* model_convert.c - an encoder's file in numbers of another type. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/calibration.h"
#include "compress/model.h"
#include "compress/reading.h"

struct convert_context {
    const struct safetensors *from;
    enum dtype type;
    struct safetensor *tensors;
    void **data; /* of each, owned */
    char (*scale_names)[CONFIG_NAME + sizeof SAFETENSORS_SCALE];
    size_t count;
};

static bool ends_in(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Scales are made anew with their integers. */
static bool is_converted(const struct convert_context *c, const char *name) {
    return (c->type == MODEL_SAME_TYPES || !ends_in(name, SAFETENSORS_SCALE)) &&
           (config_owns(name) || strncmp(name, "reader.", 7) == 0 ||
            strncmp(name, "merge.", 6) == 0 || strncmp(name, "unmerge.", 8) == 0);
}

/* The matrices of products; positions, norms and biases keep their bits in a file of integers. */
static bool is_matrix(const struct safetensor *t) {
    return t->rank >= 2 && ends_in(t->name, ".weight") && strstr(t->name, "position") == NULL;
}

static void *add(struct convert_context *c, const char *name, enum dtype type, int rank,
                 const int64_t *shape, size_t elements, struct error *e) {
    size_t bytes = elements * dtype_size(type);
    void *data = malloc(bytes);
    if (data == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    struct safetensor *t = &c->tensors[c->count];
    *t =
        (struct safetensor){.name = name, .type = type, .rank = rank, .data = data, .bytes = bytes};
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    c->data[c->count++] = data;
    return data;
}

/* Rows of integers from -127 to 127 and a factor each. */
static int add_integers(struct convert_context *c, const struct safetensor *t, const float *values,
                        size_t elements, struct error *e) {
    size_t rows = (size_t)t->shape[0], width = elements / rows;
    char *name = c->scale_names[c->count];
    int n = snprintf(name, sizeof c->scale_names[0], "%s" SAFETENSORS_SCALE, t->name);
    if (n < 0 || (size_t)n >= sizeof c->scale_names[0]) {
        return error_set(e, ERR_LIMIT, "%s: the name is too long", t->name);
    }
    float *scales = add(c, name, DTYPE_F32, 1, t->shape, rows, e);
    signed char *out =
        scales != NULL ? add(c, t->name, DTYPE_I8, t->rank, t->shape, elements, e) : NULL;
    if (out == NULL) {
        return ERR_MEMORY;
    }
    for (size_t r = 0; r < rows; r++, values += width, out += width) {
        float largest = 0;
        for (size_t i = 0; i < width; i++) {
            largest = fmaxf(largest, fabsf(values[i]));
        }
        scales[r] = largest / 127;
        for (size_t i = 0; i < width; i++) {
            out[i] = (signed char)(largest > 0 ? lrintf(values[i] / scales[r]) : 0);
        }
    }
    return 0;
}

static int convert(struct convert_context *c, const struct safetensor *t, struct error *e) {
    size_t elements = 1;
    for (int i = 0; i < t->rank; i++) {
        elements *= (size_t)t->shape[i];
    }
    if (c->type == MODEL_SAME_TYPES) {
        void *same = add(c, t->name, t->type, t->rank, t->shape, elements, e);
        if (same == NULL) {
            return ERR_MEMORY;
        }
        memcpy(same, t->data, t->bytes);
        return 0;
    }
    float *values = elements > 0 ? malloc(elements * sizeof *values) : NULL;
    if (values == NULL) {
        return elements > 0 ? error_memory(e, NULL)
                            : error_set(e, ERR_FORMAT, "%s is empty", t->name);
    }
    int rc = safetensors_floats(c->from, t, values, e);
    if (rc == 0 && c->type == DTYPE_I8 && is_matrix(t)) {
        rc = add_integers(c, t, values, elements, e);
    } else if (rc == 0) {
        /* beside integers: tables, which are large, and vectors, which are not */
        enum dtype type = c->type != DTYPE_I8 ? c->type : t->rank >= 2 ? DTYPE_BF16 : DTYPE_F32;
        void *data = add(c, t->name, type, t->rank, t->shape, elements, e);
        if (data == NULL) {
            rc = ERR_MEMORY;
        } else {
            dtype_from_float(data, type, values, elements);
        }
    }
    free(values);
    return rc;
}

int model_check_metadata(const char *name, const char *text, struct error *e) {
    struct calibration calibration;
    if (strcmp(name, CONFIG_METADATA) == 0 || strcmp(name, READING_METADATA) == 0) {
        return error_set(e, ERR_USAGE, "%s describes the weights, which stay as they are", name);
    }
    if (strcmp(name, CALIBRATION_METADATA) == 0) {
        return calibration_parse(&calibration, text, e);
    }
    json_error_t why;
    json_t *root = json_loads(text, 0, &why);
    int rc = root != NULL ? 0 : error_set(e, ERR_FORMAT, "is not JSON: %s", why.text);
    json_decref(root);
    return rc;
}

/* The file's own metadata with what is added, a new reference; NULL in *out: there is none. */
static int join_metadata(json_t **out, const struct safetensors *file, json_t *added,
                         struct error *e) {
    json_t *own = safetensors_metadata_all(file);
    *out = own;
    if (added == NULL) {
        return 0;
    }
    *out = own != NULL ? json_copy(own) : json_object();
    json_decref(own);
    return *out != NULL && json_object_update(*out, added) == 0 ? 0 : error_memory(e, NULL);
}

int model_convert(const char *path, const char *from, enum dtype type, json_t *added,
                  struct error *e) {
    struct safetensors *file;
    int rc = safetensors_open(&file, from, e);
    if (rc < 0) {
        return rc;
    }
    size_t most = 2 * safetensors_count(file) + 1;
    struct convert_context c = {.from = file,
                                .type = type,
                                .tensors = calloc(most, sizeof *c.tensors),
                                .data = calloc(most, sizeof *c.data),
                                .scale_names = calloc(most, sizeof *c.scale_names)};
    if (c.tensors == NULL || c.data == NULL || c.scale_names == NULL) {
        rc = error_memory(e, NULL);
    }
    for (size_t i = 0; i < safetensors_count(file) && rc == 0; i++) {
        const struct safetensor *t = safetensors_get(file, i);
        rc = is_converted(&c, t->name) ? convert(&c, t, e) : 0;
    }
    if (rc == 0 && c.count == 0) {
        rc = error_set(e, ERR_FORMAT, "holds no encoder");
    }
    rc = rc < 0 ? error_context(e, "%s", from) : rc;
    json_t *metadata = NULL;
    if (rc == 0) {
        rc = join_metadata(&metadata, file, added, e);
    }
    if (rc == 0) {
        rc = safetensors_write(path, c.tensors, c.count, metadata, e);
    }
    json_decref(metadata);
    for (size_t i = 0; i < c.count; i++) {
        free(c.data[i]);
    }
    free(c.tensors);
    free(c.data);
    free(c.scale_names);
    safetensors_close(file);
    return rc;
}
