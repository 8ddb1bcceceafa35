/* weights.c - what is tuned: parameters, their first values, and the folder that is shipped. */
#include <stdlib.h>

#include "train/tune/task.h"

static int take_full(void *context, const struct tensor_spec *spec, struct error *e) {
    struct tensor_spec trained = *spec;
    trained.trainable = trained.shipped = true;
    return parameters_take(context, &trained, e);
}

int tune_task_list(void *context, struct parameters *p, struct error *e) {
    const struct tune_task *k = context;
    return k->options->method == TUNE_FULL ? decoder_config_list(k->config, take_full, p, e)
                                           : lora_list(&k->lora, k->config, parameters_take, p, e);
}

/* ---- First values ---------------------------------------------------------------------------- */

/* Of the model, or of an adapter that is there. */
static int read_first(const struct tune_task *k, const struct lora_folder *adapter,
                      const char *name, float *values, struct error *e) {
    return adapter != NULL ? lora_folder_floats(adapter, name, values, e)
                           : decoder_folder_floats(k->model, name, values, e);
}

static int read_all(const struct tune_task *k, const struct lora_folder *adapter,
                    struct parameters *p, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < parameters_count(p) && rc == 0; i++) {
        const struct tensor_spec *spec = &parameters_get(p, i)->spec;
        float *values = malloc((size_t)tensor_spec_count(spec) * sizeof *values);
        rc = values != NULL ? read_first(k, adapter, spec->name, values, e)
                            : error_memory(e, "weights");
        if (rc == 0) {
            rc = parameters_set(p, i, values, e);
        }
        free(values);
    }
    return rc;
}

int tune_task_fill(void *context, struct parameters *p, struct error *e) {
    const struct tune_task *k = context;
    struct lora_folder adapter;
    if (k->options->method == TUNE_FULL) {
        return read_all(k, NULL, p, e);
    }
    if (k->options->adapter == NULL) {
        return parameters_fill(p, k->options->seed, e);
    }
    int rc = lora_folder_open(&adapter, k->options->adapter, k->config, e);
    if (rc == 0) {
        rc = read_all(k, &adapter, p, e);
        lora_folder_close(&adapter);
    }
    return rc;
}

/* ---- What is shipped ------------------------------------------------------------------------- */

static int read_trained(void *context, const char *name, float *values, struct error *e) {
    const struct optimizer *o = context;
    const struct parameter *one = parameters_find(o->parameters, name);
    if (one == NULL) {
        return error_set(e, ERR_FORMAT, "%s is not a parameter", name);
    }
    return optimizer_read(o, parameters_index(o->parameters, one), values, e);
}

int tune_task_ship(void *context, const struct optimizer *o, const char *path, struct error *e) {
    const struct tune_task *k = context;
    void *from = (void *)(uintptr_t)o; /* only read */
    return k->options->method == TUNE_FULL
               ? decoder_folder_write(path, k->config, k->model, decoder_folder_type(k->model),
                                      read_trained, from, e)
               : lora_write(path, &k->lora, k->config, k->model->path, read_trained, from, e);
}
