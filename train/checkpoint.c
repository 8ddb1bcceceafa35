/* checkpoint.c - see checkpoint.h. */
#include "train/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/safetensors.h"

enum { ARRAYS = 4 };
static const char *const NAMES[ARRAYS] = {"averages", "means", "values", "variances"};

/* FNV-1a over names and shapes: enough to tell one network from another. */
static void layout_of(const struct parameters *p, char text[17]) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < parameters_count(p); i++) {
        const struct parameter *one = parameters_get(p, i);
        char line[CONFIG_NAME + 64];
        int n = snprintf(line, sizeof line, "%s %" PRId64 "x%" PRId64 "\n", one->spec.name,
                         one->rows, one->width);
        for (int k = 0; k < n; k++) {
            hash = (hash ^ (unsigned char)line[k]) * 1099511628211u;
        }
    }
    snprintf(text, 17, "%016" PRIx64, hash);
}

int checkpoint_save(const char *path, const struct parameters *p, const struct optimizer *o,
                    json_t *state, struct error *e) {
    const float *const list[ARRAYS] = {o->averages, o->means, parameters_values(p), o->variances};
    struct safetensor tensors[ARRAYS];
    size_t count = 0;
    char layout[17];
    layout_of(p, layout);
    for (int i = 0; i < ARRAYS; i++) {
        if (list[i] != NULL) {
            tensors[count++] = (struct safetensor){.name = NAMES[i],
                                                   .type = DTYPE_F32,
                                                   .rank = 1,
                                                   .shape = {(int64_t)parameters_total(p)},
                                                   .data = list[i],
                                                   .bytes = parameters_total(p) * sizeof(float)};
        }
    }
    json_object_set_new(state, "step", json_integer(o->step));
    char *text = json_dumps(state, JSON_COMPACT);
    json_t *metadata =
        text != NULL ? json_pack("{s:s, s:s}", "occ.training", text, "occ.layout", layout) : NULL;
    int rc = metadata != NULL ? safetensors_write(path, tensors, count, metadata, e)
                              : error_set(e, ERR_MEMORY, "out of memory");
    json_decref(metadata);
    free(text);
    return rc;
}

static int load_arrays(const struct safetensors *file, const char *path, struct parameters *p,
                       struct optimizer *o, struct error *e) {
    float *const list[ARRAYS] = {o->averages, o->means, parameters_values(p), o->variances};
    for (int i = 0; i < ARRAYS; i++) {
        const struct safetensor *t = safetensors_find(file, NAMES[i]);
        if ((t != NULL) != (list[i] != NULL)) {
            return error_set(e, ERR_FORMAT, "%s: '%s' is %s", path, NAMES[i],
                             t != NULL ? "there, but not wanted" : "missing");
        }
        if (t == NULL) {
            continue;
        }
        if (t->type != DTYPE_F32 || t->bytes != parameters_total(p) * sizeof(float)) {
            return error_set(e, ERR_FORMAT, "%s: '%s' is of another size", path, NAMES[i]);
        }
        memcpy(list[i], t->data, t->bytes);
    }
    return 0;
}

int checkpoint_load(const char *path, struct parameters *p, struct optimizer *o, json_t **state,
                    struct error *e) {
    struct safetensors *file;
    char layout[17];
    *state = NULL;
    if (access(path, F_OK) != 0) {
        return 0;
    }
    int rc = safetensors_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    layout_of(p, layout);
    const char *text = safetensors_metadata(file, "occ.training");
    const char *saved = safetensors_metadata(file, "occ.layout");
    json_t *read = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *step = json_object_get(read, "step");
    if (saved == NULL || strcmp(saved, layout) != 0 || !json_is_integer(step) ||
        json_integer_value(step) < 0) {
        rc = error_set(e, ERR_FORMAT, "%s: is no checkpoint of this network", path);
    }
    rc = rc == 0 ? load_arrays(file, path, p, o, e) : rc;
    safetensors_close(file);
    if (rc < 0) {
        json_decref(read);
        return rc;
    }
    o->step = json_integer_value(step);
    *state = read;
    return 1;
}
