/* folder.c - trained rows in an adapter's folder: written, read, and opened to generate with. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/file.h"
#include "train/gspf/gspf_state.h"

static const char MASK_HASH[] = "occ.mask";

static void hash_text(char out[17], const struct mask *m) {
    snprintf(out, 17, "%016" PRIx64, mask_hash(m));
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int write_rows(const char *path, const struct mask *m, const struct decoder_config *c,
                      parameters_named_reader *read, void *context, struct error *e) {
    char hash[17];
    struct tensor_list all = {.count = 0};
    hash_text(hash, m);
    json_t *metadata = json_pack("{s:s, s:s}", "format", "pt", MASK_HASH, hash);
    int rc = metadata != NULL ? gspf_list(m, c, tensor_list_take, &all, e)
                              : error_memory(e, "an adapter");
    rc = rc == 0 ? tensor_list_write(path, &all, DTYPE_F32, read, context, metadata, e) : rc;
    json_decref(metadata);
    free(all.specs);
    return rc;
}

int gspf_write(const char *folder, const struct mask *m, const struct decoder_config *c,
               const char *comment, parameters_named_reader *read, void *context, struct error *e) {
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", folder);
    }
    char *rows = file_path(folder, GSPF_FILE, e), *mask = file_path(folder, GSPF_MASK, e);
    int rc = rows != NULL && mask != NULL ? mask_write(mask, m, comment, e) : ERR_MEMORY;
    if (rc == 0) {
        rc = write_rows(rows, m, c, read, context, e);
    }
    free(rows);
    free(mask);
    return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

bool gspf_folder_is(const char *folder) {
    return file_is_there(folder, GSPF_FILE);
}

static int check_tensor(void *context, const struct tensor_spec *spec, struct error *e) {
    const struct gspf_folder *f = context;
    const struct safetensor *t = safetensors_find(f->tensors, spec->name);
    if (t == NULL) {
        return error_set(e, ERR_FORMAT, "%s/%s: %s is missing", f->path, GSPF_FILE, spec->name);
    }
    if (t->type != DTYPE_F32 && t->type != DTYPE_F16 && t->type != DTYPE_BF16) {
        return error_set(e, ERR_UNSUPPORTED, "%s/%s: %s is neither F32 nor F16 nor BF16", f->path,
                         GSPF_FILE, spec->name);
    }
    if (t->rank != 2 || t->shape[0] != spec->shape[0] || t->shape[1] != spec->shape[1]) {
        return error_set(e, ERR_FORMAT,
                         "%s/%s: %s is not (%" PRId64 ", %" PRId64 ") as its mask has it", f->path,
                         GSPF_FILE, spec->name, spec->shape[0], spec->shape[1]);
    }
    return 0;
}

static int count_spec(void *context, const struct tensor_spec *spec, struct error *e) {
    (void)spec;
    (void)e;
    ++*(size_t *)context;
    return 0;
}

static int check(struct gspf_folder *f, const struct decoder_config *c, struct error *e) {
    char hash[17];
    size_t tensors = 0;
    const char *known = safetensors_metadata(f->tensors, MASK_HASH);
    hash_text(hash, &f->mask);
    if (known == NULL || strcmp(known, hash) != 0) {
        return error_set(e, ERR_FORMAT, "%s/%s: is not the mask that %s was trained with", f->path,
                         GSPF_MASK, GSPF_FILE);
    }
    int rc = gspf_list(&f->mask, c, check_tensor, f, e);
    if (rc == 0) {
        rc = gspf_list(&f->mask, c, count_spec, &tensors, e);
    }
    if (rc == 0 && safetensors_count(f->tensors) != tensors) {
        return error_set(e, ERR_FORMAT, "%s/%s: holds %zu tensors, its mask has %zu", f->path,
                         GSPF_FILE, safetensors_count(f->tensors), tensors);
    }
    return rc;
}

int gspf_folder_open(struct gspf_folder *f, const char *folder, const struct decoder_config *c,
                     struct error *e) {
    char *rows = file_path(folder, GSPF_FILE, e), *mask = file_path(folder, GSPF_MASK, e);
    *f = (struct gspf_folder){.path = strdup(folder)};
    int rc = rows != NULL && mask != NULL && f->path != NULL ? mask_read(&f->mask, mask, c, e)
                                                             : error_memory(e, "an adapter");
    if (rc == 0) {
        rc = safetensors_open(&f->tensors, rows, e);
    }
    if (rc == 0) {
        rc = check(f, c, e);
    }
    free(rows);
    free(mask);
    if (rc < 0) {
        gspf_folder_close(f);
    }
    return rc;
}

void gspf_folder_close(struct gspf_folder *f) {
    safetensors_close(f->tensors);
    mask_close(&f->mask);
    free(f->path);
    *f = (struct gspf_folder){.path = NULL};
}

int gspf_folder_floats(const struct gspf_folder *f, const char *name, float *values,
                       struct error *e) {
    const struct safetensor *t = safetensors_find(f->tensors, name);
    if (t == NULL) {
        return error_set(e, ERR_FORMAT, "%s/%s: %s is missing", f->path, GSPF_FILE, name);
    }
    int rc = safetensors_floats(f->tensors, t, values, e);
    return rc < 0 ? error_context(e, "%s/%s", f->path, GSPF_FILE) : 0;
}

/* ---- Added to the base ----------------------------------------------------------------------- */

int gspf_folder_add(const struct gspf_folder *f, const struct decoder_config *c, const char *name,
                    float *values, struct error *e) {
    size_t count;
    char rows_name[TENSOR_SPEC_NAME];
    int64_t outputs, inputs;
    const struct mask_unit *u = gspf_units_of_weight(&f->mask, name, &count);
    if (u == NULL) {
        return 0;
    }
    gspf_name(rows_name, u->layer, u->matrix);
    decoder_matrix_shape(c, u->matrix, &outputs, &inputs);
    const size_t rows = (size_t)mask_rows(&f->mask, u->layer, u->matrix);
    float *all = malloc(rows * (size_t)inputs * sizeof *all), *from = all;
    int rc = all != NULL ? gspf_folder_floats(f, rows_name, all, e) : error_memory(e, "an adapter");
    for (size_t i = 0; i < count && rc == 0; i++) {
        float *to = values + u[i].first_row * inputs;
        for (int64_t k = 0; k < u[i].rows * inputs; k++) {
            to[k] += *from++;
        }
    }
    free(all);
    return rc;
}

/* ---- Frozen ---------------------------------------------------------------------------------- */

struct gspf {
    struct mask mask;
    struct parameters *parameters;
    struct tape_source tensors;
    struct gspf_source source;
};

static int read_value(void *context, const char *name, float *values, struct error *e) {
    return gspf_folder_floats(context, name, values, e);
}

static int open_frozen(struct gspf *g, struct gspf_folder *f, const struct decoder *base,
                       struct device *device, struct error *e) {
    int rc = parameters_open(&g->parameters, device, e);
    if (rc == 0) {
        rc = gspf_list(&f->mask, decoder_config(base), parameters_take_frozen, g->parameters, e);
    }
    if (rc == 0) {
        rc = parameters_allocate(g->parameters, e);
    }
    return rc == 0 ? parameters_fill_from(g->parameters, read_value, f, e) : rc;
}

int gspf_open(struct gspf **out, const char *folder, const struct decoder *base,
              const struct lora_source *lora, struct device *device, struct error *e) {
    struct gspf_folder f = {.path = NULL};
    struct gspf *g = calloc(1, sizeof *g);
    *out = NULL;
    if (g == NULL) {
        return error_memory(e, "an adapter");
    }
    int rc = gspf_folder_open(&f, folder, decoder_config(base), e);
    if (rc == 0) {
        rc = open_frozen(g, &f, base, device, e);
    }
    g->mask = f.mask; /* taken over */
    f.mask = (struct mask){.count = 0};
    gspf_folder_close(&f);
    if (rc < 0) {
        gspf_close(g);
        return rc;
    }
    g->tensors = parameters_source(g->parameters);
    g->source =
        (struct gspf_source){.mask = &g->mask, .base = base, .lora = lora, .source = &g->tensors};
    *out = g;
    return 0;
}

void gspf_close(struct gspf *g) {
    if (g != NULL) {
        parameters_close(g->parameters);
        mask_close(&g->mask);
        free(g);
    }
}

struct decoder_parts gspf_frozen_parts(const struct gspf *g) {
    return gspf_parts(&g->source);
}
