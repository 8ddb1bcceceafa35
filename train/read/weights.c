/* weights.c - what is trained to read: parameters, their first values, and the file of weights. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compress/trained.h"
#include "store/log.h"
#include "train/read/task.h"

/* ---- The network ----------------------------------------------------------------------------- */

int read_task_list(void *context, struct parameters *p, struct error *e) {
    const struct read_task *r = context;
    return read_parameters(p, r->options, e);
}

/* The embedding of patches as training has it, and back as the encoder wants it; see whiten.h. */
static int unfuse(const struct read_task *r, struct parameters *p, struct error *e) {
    const struct parameter *weight = parameters_find(p, CONFIG_PATCH_WEIGHT);
    const struct parameter *bias = parameters_find(p, CONFIG_PATCH_BIAS);
    size_t weight_index = parameters_index(p, weight), bias_index = parameters_index(p, bias);
    float *w = malloc(tensor_bytes(&weight->value)), *b = malloc(tensor_bytes(&bias->value));
    int rc = w != NULL && b != NULL ? 0 : error_memory(e, "weights");
    if (rc == 0) {
        rc = parameters_read(p, weight_index, w, e);
    }
    if (rc == 0) {
        rc = parameters_read(p, bias_index, b, e);
    }
    if (rc == 0) {
        whiten_unfuse(r->whitening, w, b, weight->spec.rows);
        rc = parameters_set(p, weight_index, w, e);
    }
    if (rc == 0) {
        rc = parameters_set(p, bias_index, b, e);
    }
    free(w);
    free(b);
    return rc;
}

int read_task_fill(void *context, struct parameters *p, struct error *e) {
    const struct read_task *r = context;
    const char *from = r->options->from;
    struct safetensors *file = NULL;
    size_t missing;
    int rc = parameters_fill(p, r->options->seed + 2, e);
    if (rc < 0 || from == NULL) {
        return rc;
    }
    rc = safetensors_open(&file, from, e);
    if (rc == 0) {
        rc = parameters_load_some(p, file, from, &missing, e);
    }
    safetensors_close(file);
    if (rc == 0) {
        rc = unfuse(r, p, e);
    }
    if (rc == 0) {
        log_info("begins with %s; %zu of %zu parameters are not in it and are random", from,
                 missing, parameters_count(p));
    }
    return rc;
}

json_t *read_task_options(void *context) {
    const struct read_task *r = context;
    const struct read_options *o = r->options;
    json_t *sizes = json_array(), *halvings = json_array();
    for (int i = 0; i < READ_SIZES; i++) {
        json_array_append_new(sizes, json_real(o->sizes[i]));
    }
    for (int i = 0; i < READ_HALVINGS; i++) {
        json_array_append_new(halvings, json_real(o->halvings[i]));
    }
    char pages[17];
    snprintf(pages, sizeof pages, "%016" PRIx64, r->pages_hash);
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:o, s:o}", "pages", pages, "seed",
                     (json_int_t)o->seed, "batch", (json_int_t)o->batch, "halving", o->halving,
                     "staged", o->staged, "sizes", sizes, "halvings", halvings);
}

/* ---- Weights --------------------------------------------------------------------------------- */

static int add_text(json_t *metadata, const char *key, json_t *value, struct error *e) {
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (text == NULL || json_object_set_new(metadata, key, json_string(text)) < 0) {
        free(text);
        return error_memory(e, NULL);
    }
    free(text);
    return 0;
}

/* The profiles that it learns, as the encoder's own metadata have them. */
static json_t *profiles_of(const struct read_task *r) {
    const char *text = json_string_value(json_object_get(r->metadata, TRAINED_PROFILES));
    json_t *list = text != NULL ? json_loads(text, 0, NULL) : NULL;
    return list != NULL ? list : json_array();
}

static json_t *metadata_of(const struct read_task *r, struct error *e) {
    const struct reading_config *c = &r->options->reading;
    json_t *metadata =
        r->metadata != NULL ? json_copy((json_t *)(uintptr_t)r->metadata) : json_object();
    json_t *reading = json_pack(
        "{s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:o, s:o}", "channels", (json_int_t)c->channels,
        "hidden", (json_int_t)c->hidden, "embedding", (json_int_t)c->embedding, "reach",
        (json_int_t)c->reach, "cells", (int)c->cells, "trunk", (json_int_t)c->trunk, "nested",
        (json_int_t)c->nested, "profiles", profiles_of(r), "alphabet", alphabet_json(r->alphabet));
    int rc = add_text(metadata, READING_METADATA, reading, e);
    if (rc == 0) {
        rc = add_text(metadata, CONFIG_METADATA, config_json(&r->options->encoder), e);
    }
    if (rc < 0) {
        json_decref(metadata);
        return NULL;
    }
    return metadata;
}

/* The source of a file of weights. */
struct shipping {
    const struct read_task *task;
    const struct optimizer *optimizer;
    struct tensor_spec *specs;
    size_t *parameters; /* which each of them is */
    size_t count;
    float *weight, *bias; /* of the patches, as the encoder wants them */
};

static int read_fused(struct shipping *s, struct error *e) {
    const struct parameters *p = s->optimizer->parameters;
    const struct parameter *weight = parameters_find(p, CONFIG_PATCH_WEIGHT);
    const struct parameter *bias = parameters_find(p, CONFIG_PATCH_BIAS);
    s->weight = malloc(tensor_bytes(&weight->value));
    s->bias = malloc(tensor_bytes(&bias->value));
    int rc = s->weight != NULL && s->bias != NULL ? 0 : error_memory(e, "weights");
    if (rc == 0) {
        rc = optimizer_read(s->optimizer, parameters_index(p, weight), s->weight, e);
    }
    if (rc == 0) {
        rc = optimizer_read(s->optimizer, parameters_index(p, bias), s->bias, e);
    }
    if (rc == 0) {
        whiten_fuse(s->task->whitening, s->weight, s->bias, weight->spec.rows);
    }
    return rc;
}

static int read_shipped(void *context, size_t i, float *values, struct error *e) {
    const struct shipping *s = context;
    const struct tensor_spec *spec = &s->specs[i];
    size_t bytes = (size_t)tensor_spec_count(spec) * sizeof *values;
    if (strcmp(spec->name, CONFIG_PATCH_WEIGHT) == 0) {
        memcpy(values, s->weight, bytes);
        return 0;
    }
    if (strcmp(spec->name, CONFIG_PATCH_BIAS) == 0) {
        memcpy(values, s->bias, bytes);
        return 0;
    }
    return optimizer_read(s->optimizer, s->parameters[i], values, e);
}

int read_task_ship(void *context, const struct optimizer *o, const char *path, struct error *e) {
    struct shipping s = {.task = context, .optimizer = o};
    size_t count = parameters_count(o->parameters);
    json_t *metadata = metadata_of(s.task, e);
    s.specs = calloc(count, sizeof *s.specs);
    s.parameters = calloc(count, sizeof *s.parameters);
    int rc = metadata == NULL                          ? ERR_MEMORY
             : s.specs == NULL || s.parameters == NULL ? error_memory(e, "weights")
                                                       : read_fused(&s, e);
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct tensor_spec *spec = &parameters_get(o->parameters, i)->spec;
        if (spec->shipped) {
            s.specs[s.count] = *spec;
            s.parameters[s.count++] = i;
        }
    }
    if (rc == 0) {
        rc = parameters_write(path, s.specs, s.count, read_shipped, &s, metadata, e);
    }
    json_decref(metadata);
    free(s.weight);
    free(s.bias);
    free(s.specs);
    free(s.parameters);
    return rc;
}
