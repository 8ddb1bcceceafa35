/* weights.c - what is trained: parameters, their first values, and the folder that is shipped. */
#include <stdlib.h>
#include <string.h>

#include "train/tune/task.h"

/* ---- Lists ----------------------------------------------------------------------------------- */

struct taking {
    tensor_spec_take *take;
    void *context;
    bool bridge, spelling, experts; /* which are trained */
};

static bool is_of(const struct tensor_spec *spec, const char *group) {
    return strcmp(spec->group, group) == 0;
}

static int take_all(void *context, const struct tensor_spec *spec, struct error *e) {
    const struct taking *to = context;
    struct tensor_spec all = *spec;
    all.trainable = all.shipped = true;
    return to->take(to->context, &all, e);
}

static int take_bridge(void *context, const struct tensor_spec *spec, struct error *e) {
    const struct taking *to = context;
    struct tensor_spec one = *spec;
    const bool bridge = to->bridge && (to->spelling || !is_of(spec, "spell"));
    one.trainable = spec->trainable && (is_of(spec, "experts") ? to->experts : bridge);
    return to->take(to->context, &one, e);
}

/* What spells is the most of a bridge's time and numbers, and has been learned where it is gone on
 * with. */
static int list_bridge(const struct tune_task *k, bool trained, tensor_spec_take *take,
                       void *context, struct error *e) {
    struct taking to = {.take = take,
                        .context = context,
                        .bridge = trained && k->options->bridge.rate > 0,
                        .spelling = !k->start.has_bridge,
                        .experts = trained};
    return k->options->bridge.used ? bridge_list(&k->bridge, k->reader, take_bridge, &to, e) : 0;
}

/* The decoder's, then the bridge's. */
static int list(const struct tune_task *k, tensor_spec_take *take, void *context, struct error *e) {
    const enum tune_method method = k->options->method;
    struct taking to = {.take = take, .context = context};
    int rc = method == TUNE_FULL    ? decoder_config_list(k->config, take_all, &to, e)
             : tune_by_rows(method) ? gspf_list(&k->mask, k->config, take, context, e)
                                    : lora_list(&k->lora, k->config, take, context, e);
    rc = rc == 0 ? list_bridge(k, true, take, context, e) : rc;
    return rc == 0 && tune_encodes(k->options) ? tune_encoder_list(k, take, context, e) : rc;
}

int tune_task_list(void *context, struct parameters *p, struct error *e) {
    return list(context, parameters_take, p, e);
}

int tune_bridge_list(const struct tune_task *k, struct parameters *p, struct error *e) {
    return list_bridge(k, false, parameters_take, p, e);
}

static int count_one(void *context, const struct tensor_spec *spec, struct error *e) {
    int64_t *count = context;
    (void)e;
    *count += spec->trainable && !spec->optional ? tensor_spec_count(spec) : 0;
    return 0;
}

int64_t tune_trained(const struct tune_task *k) {
    int64_t count = 0;
    struct error e;
    return list(k, count_one, &count, &e) == 0 ? count : 0;
}

/* ---- First values ---------------------------------------------------------------------------- */

/* Of a tensor; 1: it keeps the random ones that are there. */
static int read_first(const struct tune_task *k, const struct tensor_spec *spec, float *values,
                      struct error *e) {
    const struct tune_start *s = &k->start;
    int rc;
    if (is_of(spec, "decoder")) {
        rc = decoder_folder_floats(k->model, spec->name, values, e);
    } else if (is_of(spec, "lora")) {
        rc = s->has_lora ? lora_folder_floats(&s->lora, spec->name, values, e) : 1;
    } else if (is_of(spec, "gspf")) {
        rc = s->has_rows ? gspf_folder_floats(&s->rows, spec->name, values, e) : 1;
    } else if (is_of(spec, CONFIG_GROUP)) {
        rc = tune_encoder_first(k, spec, values, e);
    } else {
        const struct bridge_folder *from = s->has_bridge ? &s->bridge : NULL;
        rc = bridge_first(&k->bridge, from, k->encoder, k->options->seed, spec->name, values, e);
        if (rc == 0 && from == NULL && k->base != NULL && bridge_begins_shifted(spec->name)) {
            rc = bridge_shift(values, k->base, k->device, e);
        }
    }
    return rc;
}

static int read_all(const struct tune_task *k, struct parameters *p, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < parameters_count(p) && rc >= 0; i++) {
        const struct tensor_spec *spec = &parameters_get(p, i)->spec;
        float *values = malloc((size_t)tensor_spec_count(spec) * sizeof *values);
        rc = values != NULL ? read_first(k, spec, values, e) : error_memory(e, "weights");
        if (rc == 0) {
            rc = parameters_set(p, i, values, e);
        }
        free(values);
    }
    return rc < 0 ? rc : 0;
}

int tune_task_fill(void *context, struct parameters *p, struct error *e) {
    const struct tune_task *k = context;
    int rc = k->options->method == TUNE_FULL ? 0 : parameters_fill(p, k->options->seed, e);
    return rc == 0 ? read_all(k, p, e) : rc;
}

/* ---- What is shipped ------------------------------------------------------------------------- */

static int read_below(void *context, const char *name, float *values, struct error *e) {
    return lora_folder_floats(context, name, values, e);
}

/* With the adapter below them, which they were trained beside. */
static int ship_rows(const struct tune_task *k, const char *path, void *from, struct error *e) {
    void *below = (void *)(uintptr_t)&k->start.lora; /* only read */
    char comment[256];
    tune_mask_comment(k, comment);
    int rc = gspf_write(path, &k->mask, k->config, comment, optimizer_read_named, from, e);
    return rc < 0 || !k->start.has_lora
               ? rc
               : lora_write(path, &k->lora, k->config, k->model->path, read_below, below, e);
}

static int read_bridge(void *context, const char *name, float *values, struct error *e) {
    return bridge_folder_floats(context, NULL, name, values, e);
}

/* One that was no part of the run stays beside what it came with. */
static int ship_bridge(const struct tune_task *k, const char *path, uint64_t encoder, void *from,
                       struct error *e) {
    struct bridge_options bridge = k->bridge;
    bridge.encoder = encoder;
    if (k->options->bridge.used) {
        return bridge_write(path, &bridge, k->reader, optimizer_read_named, from, e);
    }
    const struct bridge_folder *kept = &k->start.bridge;
    void *values = (void *)(uintptr_t)kept; /* only read */
    return k->start.has_bridge
               ? bridge_write(path, &kept->options, kept->reader, read_bridge, values, e)
               : 0;
}

int tune_task_ship(void *context, const struct optimizer *o, const char *path, struct error *e) {
    const struct tune_task *k = context;
    const enum tune_method method = k->options->method;
    void *from = (void *)(uintptr_t)o; /* only read */
    int rc = method == TUNE_FULL
                 ? decoder_folder_write(path, k->config, k->model, decoder_folder_type(k->model),
                                        optimizer_read_named, from, e)
             : tune_by_rows(method) ? ship_rows(k, path, from, e)
                                    : lora_write(path, &k->lora, k->config, k->model->path,
                                                 optimizer_read_named, from, e);
    uint64_t encoder = k->bridge.encoder;
    if (rc == 0 && tune_encodes(k->options)) {
        rc = tune_encoder_ship(k, o, path, &encoder, e);
    }
    rc = rc == 0 ? ship_bridge(k, path, encoder, from, e) : rc;
    return rc == 0 ? tune_routing_write(k, e) : rc;
}
