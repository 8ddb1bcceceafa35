/* network.c - what is trained: parameters, their first values, and the folder that is shipped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/json.h"
#include "train/align/task.h"

static const char ADAPTERS[] = "base_model."; /* how their names begin, and no other's */

static bool is_adapter(const char *name) {
    return strncmp(name, ADAPTERS, sizeof ADAPTERS - 1) == 0;
}

int align_list(const struct align_network *n, bool adapters, struct parameters *p,
               struct error *e) {
    int rc = bridge_list(&n->bridge, n->reader, parameters_take, p, e);
    return rc == 0 && adapters ? lora_list(&n->lora, n->config, parameters_take, p, e) : rc;
}

/* ---- First values ---------------------------------------------------------------------------- */

/* Where values are read from. */
struct first_values {
    const struct align_network *network;
    struct lora_folder lora;     /* path NULL: none */
    struct bridge_folder bridge; /* likewise */
};

static int read_value(const struct first_values *from, const char *name, float *values,
                      struct error *e) {
    const struct align_network *n = from->network;
    if (is_adapter(name)) {
        return lora_folder_floats(&from->lora, name, values, e);
    }
    if (from->bridge.path == NULL && bridge_begins_shifted(name)) {
        return bridge_shift(values, n->base, n->device, e);
    }
    return bridge_first(&n->bridge, from->bridge.path != NULL ? &from->bridge : NULL, n->encoder,
                        n->options->seed, name, values, e);
}

/* Adapters that nothing is known of stay as parameters_fill made them. */
static int set_values(const struct first_values *from, struct parameters *p, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        const struct tensor_spec *spec = &parameters_get(p, i)->spec;
        if (is_adapter(spec->name) && from->lora.path == NULL) {
            continue;
        }
        float *values = malloc((size_t)tensor_spec_count(spec) * sizeof *values);
        rc = values != NULL ? read_value(from, spec->name, values, e) : error_memory(e, "weights");
        if (rc == 0) {
            rc = parameters_set(p, i, values, e);
        }
        free(values);
    }
    return rc;
}

int align_fill(const struct align_network *n, const char *bridge, const char *lora,
               struct parameters *p, struct error *e) {
    struct first_values from = {.network = n};
    int rc = parameters_fill(p, n->options->seed, e);
    if (rc == 0 && lora != NULL && lora_folder_is(lora)) {
        rc = lora_folder_open(&from.lora, lora, n->config, e);
    }
    if (rc == 0 && bridge != NULL && bridge_folder_is(bridge)) {
        rc = bridge_folder_open(&from.bridge, bridge, e);
    }
    rc = rc == 0 ? set_values(&from, p, e) : rc;
    lora_folder_close(&from.lora);
    bridge_folder_close(&from.bridge);
    return rc;
}

/* ---- What is shipped ------------------------------------------------------------------------- */

int align_ship(const struct align_network *n, bool adapters, const struct optimizer *o,
               const char *path, struct error *e) {
    void *from = (void *)(uintptr_t)o; /* only read */
    int rc = mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : error_errno(e, errno, "%s", path);
    if (rc == 0 && adapters) {
        rc = lora_write(path, &n->lora, n->config, n->model->path, optimizer_read_named, from, e);
    }
    return rc == 0 ? bridge_write(path, &n->bridge, n->reader, optimizer_read_named, from, e) : rc;
}

/* ---- What a run that goes on must have in common --------------------------------------------- */

json_t *align_common(const struct align_network *n) {
    const struct align_options *o = n->options;
    const struct bridge_options *b = &n->bridge;
    return json_pack("{s:o, s:o, s:o, s:s, s:I, s:I, s:b, s:I, s:I, s:s, s:f, s:f}", "model",
                     json_hexadecimal(decoder_folder_hash(n->model)), "spans",
                     json_hexadecimal(material_hash(n->material)), "encoder",
                     json_hexadecimal(b->encoder), "bridge", BRIDGE_KIND_NAMES[b->kind], "expand",
                     (json_int_t)o->expand, "hidden", (json_int_t)b->hidden, "reader",
                     (int)n->reader, "experts", (json_int_t)b->experts.count, "seed",
                     (json_int_t)o->seed, "weights", DECODER_FORMAT_NAMES[o->format],
                     "held_accounts", o->held_out, "halved", o->halved);
}
