/* lora_write.c - writing an adapter as PEFT reads it, and adding one to its base's weights. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/file.h"
#include "store/utf8.h"
#include "train/lora/lora_state.h"

/* ---- Tensors --------------------------------------------------------------------------------- */

static int write_tensors(const char *path, const struct lora_options *o,
                         const struct decoder_config *c, parameters_named_reader *read,
                         void *context, struct error *e) {
    struct tensor_list all = {.count = 0};
    json_t *metadata = json_pack("{s:s}", "format", "pt"); /* Hugging Face's loaders ask for it */
    int rc = metadata != NULL ? lora_list(o, c, tensor_list_take, &all, e)
                              : error_memory(e, "an adapter");
    rc = rc == 0 ? tensor_list_write(path, &all, DTYPE_F32, read, context, metadata, e) : rc;
    json_decref(metadata);
    free(all.specs);
    return rc;
}

/* ---- adapter_config.json --------------------------------------------------------------------- */

/* A number without a fraction is written as PEFT writes it. */
static json_t *number(double value) {
    return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *config_json_of(const struct lora_options *o, const char *base) {
    json_t *targets = json_array();
    for (int i = 0; i < DECODER_MATRICES; i++) {
        if (o->matrices[i]) {
            json_array_append_new(targets, json_string(DECODER_MATRIX_NAMES[i]));
        }
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:f, s:s, s:b, s:b, s:o}", "peft_type", "LORA",
                     "task_type", "CAUSAL_LM", "base_model_name_or_path", base, "r",
                     (json_int_t)o->rank, "lora_alpha", number(o->alpha), "lora_dropout",
                     o->dropout, "bias", "none", "fan_in_fan_out", 0, "inference_mode", 1,
                     "target_modules", targets);
}

static int write_config(const char *path, const struct lora_options *o, const char *base,
                        struct error *e) {
    struct output_file file;
    struct bytes name; /* a path may be any bytes, JSON's texts may not */
    size_t replaced = 0;
    bytes_init(&name, SIZE_MAX);
    json_t *root = utf8_repair(&name, base, strlen(base), &replaced, e) == 0
                       ? config_json_of(o, bytes_text(&name))
                       : NULL;
    bytes_close(&name);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    if (text == NULL) {
        return error_memory(e, "an adapter");
    }
    int rc = output_file_open(&file, path, e);
    if (rc == 0) {
        rc = file_write(file.fd, text, strlen(text), NULL, e);
        if (rc == 0) {
            rc = file_write(file.fd, "\n", 1, NULL, e);
        }
        if (rc == 0) {
            rc = output_file_commit(&file, e);
        } else {
            rc = error_context(e, "%s", path);
            output_file_discard(&file);
        }
    }
    free(text);
    return rc;
}

int lora_write(const char *path, const struct lora_options *o, const struct decoder_config *c,
               const char *base, parameters_named_reader *read, void *context, struct error *e) {
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", path);
    }
    char *tensors = file_path(path, "adapter_model.safetensors", e);
    char *config = file_path(path, "adapter_config.json", e);
    int rc = tensors != NULL && config != NULL ? write_tensors(tensors, o, c, read, context, e)
                                               : ERR_MEMORY;
    if (rc == 0) {
        rc = write_config(config, o, base, e);
    }
    free(tensors);
    free(config);
    return rc;
}

/* ---- Added to the base ---------------------------------------------------------------------- */

/* weight (outputs, inputs) += scale B (outputs, rank) A (rank, inputs). */
static void add_product(float *weight, const float *a, const float *b, float scale, int64_t outputs,
                        int64_t inputs, int64_t rank) {
    for (int64_t i = 0; i < outputs; i++) {
        float *row = weight + i * inputs;
        for (int64_t r = 0; r < rank; r++) {
            const float factor = scale * b[i * rank + r], *from = a + r * inputs;
            for (int64_t k = 0; k < inputs; k++) {
                row[k] += factor * from[k];
            }
        }
    }
}

static int add_adapter(const struct lora_folder *f, const struct decoder_config *c, int64_t layer,
                       enum decoder_matrix which, float *values, struct error *e) {
    const struct lora_options *o = &f->options;
    const struct lora_names names = lora_names_of(layer, which);
    int64_t outputs, inputs;
    decoder_matrix_shape(c, which, &outputs, &inputs);
    float *a = malloc((size_t)(o->rank * inputs) * sizeof *a);
    float *b = malloc((size_t)(outputs * o->rank) * sizeof *b);
    int rc = a != NULL && b != NULL ? lora_folder_floats(f, names.a, a, e)
                                    : error_memory(e, "an adapter");
    if (rc == 0) {
        rc = lora_folder_floats(f, names.b, b, e);
    }
    if (rc == 0) {
        add_product(values, a, b, (float)(o->alpha / (double)o->rank), outputs, inputs, o->rank);
    }
    free(a);
    free(b);
    return rc;
}

int lora_folder_add(const struct lora_folder *f, const struct decoder_config *c, const char *name,
                    float *values, struct error *e) {
    for (int64_t layer = 0; layer < c->layers; layer++) {
        for (int i = 0; i < DECODER_MATRICES; i++) {
            char weight[TENSOR_SPEC_NAME];
            decoder_weight_name(weight, layer, (enum decoder_matrix)i);
            if (f->options.matrices[i] && strcmp(name, weight) == 0) {
                return add_adapter(f, c, layer, (enum decoder_matrix)i, values, e);
            }
        }
    }
    return 0;
}
