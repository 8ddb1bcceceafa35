/* bridge_begin.c - what a bridge that is new begins with. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/model.h"
#include "compress/reader.h"
#include "store/random.h"
#include "train/context/bridge_state.h"
#include "train/decoder/decoder.h"

/* ---- Options --------------------------------------------------------------------------------- */

enum { SAMPLE = 4096 /* embeddings */ };

/* Embeddings 0, step, 2 step, ...: (count, width). */
static int sample(float *values, int64_t count, int64_t step, const struct decoder *base,
                  struct device *device, struct error *e) {
    static const struct tape_options OPTIONS = {.storage = DTYPE_F32, .sums = DTYPE_F32};
    const struct decoder_parts parts = decoder_parts(base);
    struct tape *t;
    int rc = tape_open(&t, device, &OPTIONS, e);
    if (rc < 0) {
        return rc;
    }
    tape_begin(t);
    int32_t *ids = tape_host(t, (size_t)count, sizeof *ids);
    for (int64_t i = 0; i < count && ids != NULL; i++) {
        ids[i] = (int32_t)(i * step);
    }
    const struct tensor index = tape_upload_numbers(t, ids, count);
    struct node *x = index.data != NULL ? parts.embed(parts.context, t, &index) : NULL;
    rc = tape_status(t, e);
    if (rc == 0) {
        const struct tensor host = tensor_of(values, DTYPE_F32, NULL, x->value.shape);
        rc = device->ops->download(device, &host, &x->value, e);
    }
    tape_close(t);
    return rc;
}

/* Some embeddings, (*count, width), malloc's: from all over the vocabulary, or the first ones. */
static int some_embeddings(float **out, int64_t *count, bool all_over, const struct decoder *base,
                           struct device *device, struct error *e) {
    const struct decoder_config *c = decoder_config(base);
    *count = c->vocabulary < SAMPLE ? c->vocabulary : SAMPLE;
    *out = calloc((size_t)(*count * c->width), sizeof **out);
    return *out != NULL
               ? sample(*out, *count, all_over ? c->vocabulary / *count : 1, base, device, e)
               : error_memory(e, NULL);
}

/* The root mean square of the input embeddings. */
static int scale_of(double *scale, const struct decoder *base, struct device *device,
                    struct error *e) {
    const int64_t width = decoder_config(base)->width;
    float *values;
    int64_t count;
    int rc = some_embeddings(&values, &count, true, base, device, e);
    double sum = 0;
    for (int64_t i = 0; i < count * width && rc == 0; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    free(values);
    *scale = sqrt(sum / (double)(count * width));
    return rc;
}

int bridge_shift(float *values, const struct decoder *base, struct device *device,
                 struct error *e) {
    const int64_t width = decoder_config(base)->width;
    float *all;
    int64_t count;
    int rc = some_embeddings(&all, &count, false, base, device, e);
    for (int64_t k = 0; k < width && rc == 0; k++) {
        double sum = 0;
        for (int64_t i = 0; i < count; i++) {
            sum += (double)all[i * width + k];
        }
        values[k] = (float)(sum / (double)count);
    }
    free(all);
    return rc;
}

bool bridge_begins_shifted(const char *name) {
    return strcmp(name, "bridge.mean") == 0 || strcmp(name, "bridge.shift") == 0;
}

static int read_head(struct bridge_options *o, const char *encoder, struct device *device,
                     struct error *e) {
    struct reader *reader;
    int rc = reader_open(&reader, encoder, device->backend, device->compute, e);
    if (rc == 0) {
        o->reading = *reader_config(reader);
        o->hidden = o->hidden > 0 || o->kind == BRIDGE_NAMED ? o->hidden : BRIDGE_SPELLING;
        reader_close(reader);
    }
    return rc;
}

int bridge_begin(struct bridge_options *o, const char *encoder, const struct decoder *base,
                 struct device *device, struct error *e) {
    struct model_info info;
    int rc = model_info(&info, encoder, e);
    if (rc == 0) {
        o->dim = info.config.token_dim;
        o->encoder = info.fingerprint;
        rc = bridge_reads(o->kind) ? read_head(o, encoder, device, e) : 0;
    }
    if (rc == 0 && base != NULL) {
        o->width = decoder_config(base)->width;
        rc = scale_of(&o->scale, base, device, e);
    }
    return rc;
}

/* ---- Values ---------------------------------------------------------------------------------- */

struct first {
    const char *name;
    uint64_t seed, index;
    float *values;
    bool found;
};

static int fill_named(void *context, const struct tensor_spec *spec, struct error *e) {
    struct first *f = context;
    (void)e;
    if (strcmp(spec->name, f->name) == 0) {
        uint64_t state = random_stream(f->seed, f->index);
        model_fill(f->values, spec, random_next(&state));
        f->found = true;
    }
    f->index++;
    return 0;
}

int bridge_first(const struct bridge_options *o, const struct bridge_folder *from,
                 const struct safetensors *encoder, uint64_t seed, const char *name, float *values,
                 struct error *e) {
    const bool head = strncmp(name, "reader.", 7) == 0;
    const bool has = from != NULL && safetensors_find(from->tensors, name) != NULL;
    struct first f = {.name = name, .seed = seed, .values = values};
    if (has || head) {
        const struct bridge_folder new = {.options = *o, .reader = false};
        return bridge_folder_floats(from != NULL ? from : &new, encoder, name, values, e);
    }
    int rc = bridge_list(o, false, fill_named, &f, e);
    return rc < 0 || f.found ? rc : error_set(e, ERR_FORMAT, "a bridge has no tensor %s", name);
}
