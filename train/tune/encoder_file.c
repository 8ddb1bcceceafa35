/* encoder_file.c - an encoder that learns along: its tensors, and the file that is shipped. */
#include <stdlib.h>
#include <string.h>

#include "compress/calibration.h"
#include "compress/model.h"
#include "compress/store_notes.h"
#include "store/file.h"
#include "train/tune/task.h"

int tune_encoder_list(const struct tune_task *k, tensor_spec_take *take, void *context,
                      struct error *e) {
    const bool known = k->encoder != NULL; /* not yet, where a run was refused before */
    return known ? config_tensors(&k->encoder_config, take, context, e) : 0;
}

int tune_encoder_first(const struct tune_task *k, const struct tensor_spec *spec, float *values,
                       struct error *e) {
    const struct safetensor *t = safetensors_find(k->encoder, spec->name);
    return t != NULL
               ? safetensors_floats(k->encoder, t, values, e)
               : error_set(e, ERR_FORMAT, "%s: has no %s", k->options->bridge.encoder, spec->name);
}

/* ---- The file -------------------------------------------------------------------------------- */

struct encoder_file {
    const struct safetensors *from;
    const struct optimizer *optimizer;
    struct safetensor *tensors;
    float **values; /* of those that were trained: owned */
    size_t count;
};

static bool is_scale_of_trained(const struct encoder_file *f, const char *name) {
    char of[TENSOR_SPEC_NAME];
    const size_t size = strlen(name), end = strlen(SAFETENSORS_SCALE);
    if (size <= end || size - end >= sizeof of ||
        strcmp(name + size - end, SAFETENSORS_SCALE) != 0) {
        return false;
    }
    memcpy(of, name, size - end);
    of[size - end] = '\0';
    return parameters_find(f->optimizer->parameters, of) != NULL && config_owns(of);
}

static int read_one(struct encoder_file *f, const struct parameter *one, struct error *e) {
    const struct parameters *p = f->optimizer->parameters;
    const size_t count = (size_t)tensor_spec_count(&one->spec);
    float *values = malloc(count * sizeof *values);
    if (values == NULL) {
        return error_memory(e, "weights");
    }
    struct safetensor *t = &f->tensors[f->count];
    f->values[f->count] = values;
    t->type = DTYPE_F32;
    t->data = values;
    t->bytes = count * sizeof *values;
    return optimizer_read(f->optimizer, parameters_index(p, one), values, e);
}

/* What was trained, in F32; the head and all else as they are. */
static int collect(struct encoder_file *f, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < safetensors_count(f->from) && rc == 0; i++) {
        const struct safetensor *t = safetensors_get(f->from, i);
        const struct parameter *one =
            config_owns(t->name) ? parameters_find(f->optimizer->parameters, t->name) : NULL;
        if (is_scale_of_trained(f, t->name)) {
            continue;
        }
        f->tensors[f->count] = *t;
        rc = one != NULL ? read_one(f, one, e) : 0;
        f->count++;
    }
    return rc;
}

/* What was measured of the encoder that it was is not true of this one. */
static json_t *metadata_of(const struct safetensors *from) {
    json_t *metadata = safetensors_metadata_all(from);
    if (metadata != NULL) {
        json_object_del(metadata, FIDELITY_METADATA);
        json_object_del(metadata, CALIBRATION_METADATA);
    }
    return metadata;
}

static int write_file(const struct tune_task *k, const struct optimizer *o, const char *path,
                      struct error *e) {
    const size_t most = safetensors_count(k->encoder) + 1;
    struct encoder_file f = {.from = k->encoder,
                             .optimizer = o,
                             .tensors = calloc(most, sizeof *f.tensors),
                             .values = calloc(most, sizeof *f.values)};
    int rc = f.tensors != NULL && f.values != NULL ? collect(&f, e) : error_memory(e, "weights");
    if (rc == 0) {
        json_t *metadata = metadata_of(k->encoder);
        rc = safetensors_write(path, f.tensors, f.count, metadata, e);
        json_decref(metadata);
    }
    for (size_t i = 0; i < most && f.values != NULL; i++) {
        free(f.values[i]);
    }
    free(f.tensors);
    free(f.values);
    return rc;
}

int tune_encoder_ship(const struct tune_task *k, const struct optimizer *o, const char *folder,
                      uint64_t *fingerprint, struct error *e) {
    struct model_info info;
    char *path = file_path(folder, TUNE_ENCODER, e);
    int rc = path != NULL ? write_file(k, o, path, e) : ERR_MEMORY;
    if (rc == 0) {
        rc = model_info(&info, path, e);
        *fingerprint = info.fingerprint;
    }
    free(path);
    return rc;
}
