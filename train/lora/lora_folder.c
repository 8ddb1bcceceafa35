/* lora_folder.c - reading an adapter's folder. What it says is checked against the base before it
 * is believed; what PEFT can do to a model and this program cannot is refused by name. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/file.h"
#include "train/decoder/folder.h"
#include "train/lora/lora_state.h"

static const char CONFIG[] = LORA_FILE;

/* ---- adapter_config.json --------------------------------------------------------------------- */

/* Null, false, 0, "" and what has no members stand for "not used". */
static bool is_unused(const json_t *value) {
    return value == NULL || json_is_null(value) || json_is_false(value) ||
           (json_is_number(value) && json_number_value(value) == 0) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

/* Ways to begin that take something off the base's weights. */
static bool changes_base(const char *begun) {
    static const char *const CHANGES[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES && begun != NULL; i++) {
        if (strncmp(begun, CHANGES[i], strlen(CHANGES[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int check_kind(const json_t *root, const char *path, struct error *e) {
    static const char *const REFUSED[] = {"use_dora",          "rank_pattern",
                                          "alpha_pattern",     "modules_to_save",
                                          "fan_in_fan_out",    "layer_replication",
                                          "lora_bias",         "trainable_token_indices",
                                          "use_qalora",        "alora_invocation_tokens",
                                          "target_parameters", "use_bdlora"};
    const char *kind = json_string_value(json_object_get(root, "peft_type"));
    const json_t *bias = json_object_get(root, "bias");
    if (!json_is_object(root)) {
        return error_set(e, ERR_FORMAT, "%s: not a JSON object", path);
    }
    if (kind == NULL || strcmp(kind, "LORA") != 0) {
        return error_set(e, ERR_UNSUPPORTED, "%s: \"peft_type\" is %.40s, only LORA is known", path,
                         kind != NULL ? kind : "missing");
    }
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        if (!is_unused(json_object_get(root, REFUSED[i]))) {
            return error_set(e, ERR_UNSUPPORTED, "%s: adapters with \"%s\" are not supported", path,
                             REFUSED[i]);
        }
    }
    if (changes_base(json_string_value(json_object_get(root, "init_lora_weights")))) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%s: \"init_lora_weights\" says that the base was changed, too; convert "
                         "the adapter to an ordinary one",
                         path);
    }
    if (!is_unused(bias) &&
        (!json_is_string(bias) || strcmp(json_string_value(bias), "none") != 0)) {
        return error_set(e, ERR_UNSUPPORTED, "%s: adapters with trained biases are not supported",
                         path);
    }
    return 0;
}

static int read_options(struct lora_options *o, const json_t *root, const char *path,
                        struct error *e) {
    const json_t *rank = json_object_get(root, "r"), *alpha = json_object_get(root, "lora_alpha");
    const json_t *dropout = json_object_get(root, "lora_dropout");
    *o = (struct lora_options){.rank = json_integer_value(rank),
                               .alpha = json_number_value(alpha),
                               .dropout = json_number_value(dropout)};
    if (!json_is_integer(rank) || o->rank < 1 || o->rank > LORA_RANK) {
        return error_set(e, ERR_FORMAT, "%s: \"r\" is not a whole number from 1 to %d", path,
                         LORA_RANK);
    }
    if (!json_is_number(alpha) || !isfinite(o->alpha) || fabs(o->alpha) > 1e6) {
        return error_set(e, ERR_FORMAT, "%s: \"lora_alpha\" is not a number of ordinary size",
                         path);
    }
    if (!is_unused(dropout) && (!json_is_number(dropout) || !(o->dropout >= 0 && o->dropout < 1))) {
        return error_set(e, ERR_FORMAT, "%s: \"lora_dropout\" is not a share below 1", path);
    }
    if (json_is_true(json_object_get(root, "use_rslora"))) {
        o->alpha *= sqrt((double)o->rank); /* its factor is alpha / sqrt(rank) */
    }
    return 0;
}

int lora_options_parse(struct lora_options *o, const json_t *root, const char *path,
                       struct error *e) {
    int rc = check_kind(root, path, e);
    return rc == 0 ? read_options(o, root, path, e) : rc;
}

static int read_config(struct lora_options *o, const char *folder, struct error *e) {
    json_t *root = NULL;
    char *path = file_path(folder, CONFIG, e);
    int rc = path != NULL ? folder_json(&root, folder, CONFIG, true, e) : ERR_MEMORY;
    if (rc == 0) {
        rc = lora_options_parse(o, root, path, e);
    }
    json_decref(root);
    free(path);
    return rc;
}

/* ---- adapter_model.safetensors --------------------------------------------------------------- */

static int check_shape(const struct lora_folder *f, const struct safetensor *t, int64_t rows,
                       int64_t width, struct error *e) {
    if (t->type != DTYPE_F32 && t->type != DTYPE_F16 && t->type != DTYPE_BF16) {
        return error_set(e, ERR_UNSUPPORTED, "%s: %s is neither F32 nor F16 nor BF16", f->path,
                         t->name);
    }
    if (t->rank != 2 || t->shape[0] != rows || t->shape[1] != width) {
        return error_set(e, ERR_FORMAT,
                         "%s: %s is not (%" PRId64 ", %" PRId64
                         "): the adapter is of another base or rank",
                         f->path, t->name, rows, width);
    }
    return 0;
}

/* *there: whether the matrix of this layer has both of its tensors. */
static int check_pair(const struct lora_folder *f, const struct decoder_config *c, int64_t layer,
                      enum decoder_matrix which, bool *there, struct error *e) {
    const struct lora_names names = lora_names_of(layer, which);
    const struct safetensor *a = safetensors_find(f->tensors, names.a);
    const struct safetensor *b = safetensors_find(f->tensors, names.b);
    int64_t outputs, inputs;
    decoder_matrix_shape(c, which, &outputs, &inputs);
    *there = a != NULL && b != NULL;
    if (a == NULL && b == NULL) {
        return 0;
    }
    if (!*there) {
        return error_set(e, ERR_FORMAT, "%s: %s is missing", f->path,
                         a == NULL ? names.a : names.b);
    }
    int rc = check_shape(f, a, f->options.rank, inputs, e);
    return rc == 0 ? check_shape(f, b, outputs, f->options.rank, e) : rc;
}

/* Which matrices are adapted is what the tensors say: target_modules may be an expression. */
static int check_matrix(struct lora_folder *f, const struct decoder_config *c,
                        enum decoder_matrix which, struct error *e) {
    bool first = false, there = false;
    int rc = check_pair(f, c, 0, which, &first, e);
    for (int64_t layer = 1; layer < c->layers && rc == 0; layer++) {
        rc = check_pair(f, c, layer, which, &there, e);
        if (rc == 0 && there != first) {
            rc = error_set(e, ERR_UNSUPPORTED,
                           "%s: %s is adapted in some of the base's %" PRId64 " layers alone",
                           f->path, DECODER_MATRIX_NAMES[which], c->layers);
        }
    }
    f->options.matrices[which] = first;
    return rc;
}

static int find_name(void *context, const struct tensor_spec *spec, struct error *e) {
    (void)e;
    return strcmp(context, spec->name) == 0 ? ERR_USAGE : 0; /* ends the list: found */
}

/* Once all that are wanted are there: as many as that, or one that is not known. */
static int check_others(const struct lora_folder *f, const struct decoder_config *c,
                        struct error *e) {
    size_t known = 0, count = safetensors_count(f->tensors);
    for (int i = 0; i < DECODER_MATRICES; i++) {
        known += f->options.matrices[i] ? 2 * (size_t)c->layers : 0;
    }
    if (known == 0 && count == 0) {
        return error_set(e, ERR_FORMAT, "%s: holds no tensors", f->path);
    }
    for (size_t i = 0; i < count && known < count; i++) {
        const char *name = safetensors_get(f->tensors, i)->name;
        if (lora_list(&f->options, c, find_name, (void *)(uintptr_t)name, NULL) == 0) {
            return error_set(e, ERR_UNSUPPORTED,
                             "%s: %.200s is not an adapter of a matrix of this base's layers",
                             f->path, name);
        }
    }
    return 0;
}

int lora_tensors_check(struct lora_folder *f, const struct decoder_config *c, struct error *e) {
    int rc = 0;
    for (int i = 0; i < DECODER_MATRICES && rc == 0; i++) {
        rc = check_matrix(f, c, (enum decoder_matrix)i, e);
    }
    return rc == 0 ? check_others(f, c, e) : rc;
}

static int open_tensors(struct lora_folder *f, const struct decoder_config *c, struct error *e) {
    char *path = file_path(f->path, "adapter_model.safetensors", e);
    int rc = path != NULL ? safetensors_open(&f->tensors, path, e) : ERR_MEMORY;
    free(path);
    return rc == 0 ? lora_tensors_check(f, c, e) : rc;
}

/* ---- The folder ------------------------------------------------------------------------------ */

int lora_folder_open(struct lora_folder *f, const char *path, const struct decoder_config *c,
                     struct error *e) {
    *f = (struct lora_folder){.path = strdup(path)};
    int rc = f->path != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = read_config(&f->options, path, e);
    }
    if (rc == 0) {
        rc = open_tensors(f, c, e);
    }
    if (rc < 0) {
        lora_folder_close(f);
    }
    return rc;
}

bool lora_folder_is(const char *folder) {
    return file_is_there(folder, CONFIG);
}

void lora_folder_close(struct lora_folder *f) {
    safetensors_close(f->tensors);
    free(f->path);
    *f = (struct lora_folder){.path = NULL};
}

int lora_folder_floats(const struct lora_folder *f, const char *name, float *values,
                       struct error *e) {
    const struct safetensor *t = safetensors_find(f->tensors, name);
    if (t == NULL) {
        return error_set(e, ERR_FORMAT, "%s: %s is missing", f->path, name);
    }
    int rc = safetensors_floats(f->tensors, t, values, e);
    return rc < 0 ? error_context(e, "%s", f->path) : 0;
}
