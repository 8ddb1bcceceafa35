/* bridge_file.c - context.safetensors of an adapter's folder. What it says is checked before it is
 * believed: sizes against each other, every tensor against what the sizes ask for. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/file.h"
#include "store/json.h"
#include "train/context/bridge_state.h"

static const char METADATA[] = "occ.context";
enum { VERSION = 1 };

/* ---- Options as JSON ------------------------------------------------------------------------- */

static json_t *reading_json(const struct reading_config *c) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I}", "channels",
                     (json_int_t)c->channels, "hidden", (json_int_t)c->hidden, "embedding",
                     (json_int_t)c->embedding, "classes", (json_int_t)c->classes, "reach",
                     (json_int_t)c->reach, "cells", (int)c->cells, "trunk", (json_int_t)c->trunk,
                     "nested", (json_int_t)c->nested);
}

static json_t *experts_json(const struct bridge_experts *x) {
    return json_pack("{s:I, s:I, s:I, s:f}", "count", (json_int_t)x->count, "chosen",
                     (json_int_t)x->chosen, "hidden", (json_int_t)x->hidden, "balance", x->balance);
}

static json_t *options_json(const struct bridge_options *o, bool reader) {
    char encoder[17];
    snprintf(encoder, sizeof encoder, "%016" PRIx64, o->encoder);
    json_t *root = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:f, s:s, s:b}", "version", VERSION,
                             "kind", BRIDGE_KIND_NAMES[o->kind], "dim", (json_int_t)o->dim, "width",
                             (json_int_t)o->width, "expand", (json_int_t)o->expand, "buckets",
                             (json_int_t)o->buckets, "scale", o->scale, "encoder", encoder,
                             "reader", (int)reader);
    if (root != NULL && (o->kind == BRIDGE_MLP || o->kind == BRIDGE_READING)) {
        json_object_set_new(root, "hidden", json_integer(o->hidden));
    }
    if (root != NULL && bridge_reads(o->kind)) {
        json_object_set_new(root, "reading", reading_json(&o->reading));
    }
    if (root != NULL && o->experts.count > 0) {
        json_object_set_new(root, "experts", experts_json(&o->experts));
    }
    return root;
}

/* A whole number; -1, which nothing may be: there is none. */
static int64_t number(const json_t *root, const char *name) {
    const json_t *value = json_object_get(root, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static struct reading_config reading_of(const json_t *root) {
    return (struct reading_config){.channels = number(root, "channels"),
                                   .hidden = number(root, "hidden"),
                                   .embedding = number(root, "embedding"),
                                   .classes = number(root, "classes"),
                                   .reach = number(root, "reach"),
                                   .cells = json_is_true(json_object_get(root, "cells")),
                                   .trunk = number(root, "trunk"),
                                   .nested = number(root, "nested")};
}

static struct bridge_experts experts_of(const json_t *root) {
    return (struct bridge_experts){.count = number(root, "count"),
                                   .chosen = number(root, "chosen"),
                                   .hidden = number(root, "hidden"),
                                   .balance = json_number_value(json_object_get(root, "balance"))};
}

static int kind_of(const json_t *root) {
    const char *name = json_string_value(json_object_get(root, "kind"));
    int kind = 0;
    while (BRIDGE_KIND_NAMES[kind] != NULL &&
           (name == NULL || strcmp(name, BRIDGE_KIND_NAMES[kind]) != 0)) {
        kind++;
    }
    return BRIDGE_KIND_NAMES[kind] != NULL ? kind : -1;
}

static bool parse_fingerprint(uint64_t *out, const char *text) {
    if (text == NULL || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return false;
    }
    *out = strtoull(text, NULL, 16);
    return true;
}

static void parse_sizes(struct bridge_options *o, const json_t *root) {
    const json_t *experts = json_object_get(root, "experts");
    o->dim = number(root, "dim");
    o->width = number(root, "width");
    o->expand = number(root, "expand");
    o->buckets = number(root, "buckets");
    o->hidden = number(root, "hidden");
    o->scale = json_number_value(json_object_get(root, "scale"));
    o->reading = reading_of(json_object_get(root, "reading"));
    o->experts = experts != NULL ? experts_of(experts) : (struct bridge_experts){.count = 0};
}

int bridge_parse(struct bridge_folder *f, const char *text, struct error *e) {
    struct bridge_options *o = &f->options;
    json_t *root = json_read(text, strlen(text), NULL, e);
    if (root == NULL) {
        return error_context(e, "%s: \"%s\"", f->path, METADATA);
    }
    const int kind = kind_of(root);
    const bool known = json_is_integer(json_object_get(root, "version")) &&
                       number(root, "version") <= VERSION && kind >= 0;
    const bool named =
        parse_fingerprint(&o->encoder, json_string_value(json_object_get(root, "encoder")));
    o->kind = kind >= 0 ? (enum bridge_kind)kind : BRIDGE_LINEAR;
    f->reader = json_is_true(json_object_get(root, "reader"));
    parse_sizes(o, root);
    json_decref(root);
    if (!known) {
        return error_set(e, ERR_UNSUPPORTED, "%s: a bridge of a kind or version not known here",
                         f->path);
    }
    if (!named) {
        return error_set(e, ERR_FORMAT, "%s: does not say which encoder it is for", f->path);
    }
    if (bridge_check(o, e) < 0) {
        return error_set(e, ERR_FORMAT, "%s: a bridge of impossible sizes", f->path);
    }
    return 0;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static bool is_in_file(const struct bridge_folder *f, const struct tensor_spec *spec) {
    return f->reader || strncmp(spec->name, "reader.", 7) != 0;
}

static int check_shape(const struct safetensor *t, const struct tensor_spec *spec, const char *path,
                       struct error *e) {
    const bool same = t != NULL && t->rank == spec->rank &&
                      memcmp(t->shape, spec->shape, (size_t)t->rank * sizeof *t->shape) == 0;
    return same ? 0
                : error_set(e, ERR_FORMAT, "%s: %s is %s", path, spec->name,
                            t == NULL ? "missing" : "of another shape");
}

struct checking {
    const struct bridge_folder *folder;
    size_t known; /* tensors of the list that are in the file */
};

static int check_tensor(void *context, const struct tensor_spec *spec, struct error *e) {
    struct checking *c = context;
    const struct bridge_folder *f = c->folder;
    if (!is_in_file(f, spec)) {
        return 0;
    }
    const struct safetensor *t = safetensors_find(f->tensors, spec->name);
    c->known++;
    int rc = check_shape(t, spec, f->path, e);
    if (rc == 0 && t->type != DTYPE_F32 && t->type != DTYPE_F16 && t->type != DTYPE_BF16) {
        rc = error_set(e, ERR_UNSUPPORTED, "%s: %s is neither F32 nor F16 nor BF16", f->path,
                       spec->name);
    }
    return rc;
}

int bridge_tensors_check(const struct bridge_folder *f, struct error *e) {
    struct checking c = {.folder = f};
    int rc = bridge_list(&f->options, f->reader, check_tensor, &c, e);
    if (rc == 0 && c.known != safetensors_count(f->tensors)) {
        rc = error_set(e, ERR_FORMAT, "%s: holds tensors that belong to no bridge of its kind",
                       f->path);
    }
    return rc;
}

/* ---- The folder ------------------------------------------------------------------------------ */

bool bridge_folder_is(const char *folder) {
    return file_is_there(folder, BRIDGE_FILE);
}

int bridge_folder_open(struct bridge_folder *f, const char *folder, struct error *e) {
    *f = (struct bridge_folder){.path = file_path(folder, BRIDGE_FILE, e)};
    int rc = f->path != NULL ? safetensors_open(&f->tensors, f->path, e) : ERR_MEMORY;
    const char *text = rc == 0 ? safetensors_metadata(f->tensors, METADATA) : NULL;
    if (rc == 0) {
        rc = text != NULL ? bridge_parse(f, text, e)
                          : error_set(e, ERR_FORMAT,
                                      "%s: holds no bridge for visual tokens: it "
                                      "has no \"%s\"",
                                      f->path, METADATA);
    }
    if (rc == 0) {
        rc = bridge_tensors_check(f, e);
    }
    if (rc < 0) {
        bridge_folder_close(f);
    }
    return rc;
}

void bridge_folder_close(struct bridge_folder *f) {
    safetensors_close(f->tensors);
    free(f->path);
    *f = (struct bridge_folder){.path = NULL};
}

/* The tensor that is asked for by name. */
struct wanted {
    const char *name;
    struct tensor_spec spec;
};

static int find_spec(void *context, const struct tensor_spec *spec, struct error *e) {
    struct wanted *w = context;
    (void)e;
    if (strcmp(w->name, spec->name) == 0) {
        w->spec = *spec;
    }
    return 0;
}

int bridge_folder_floats(const struct bridge_folder *f, const struct safetensors *encoder,
                         const char *name, float *values, struct error *e) {
    struct wanted w = {.name = name};
    int rc = bridge_list(&f->options, f->reader, find_spec, &w, e);
    const bool own = is_in_file(f, &w.spec);
    const struct safetensors *file = own ? f->tensors : encoder;
    const char *path = own ? f->path : "the encoder";
    if (rc < 0 || w.spec.rank == 0) {
        return rc < 0 ? rc : error_set(e, ERR_FORMAT, "%s: %s is missing", f->path, name);
    }
    if (file == NULL) {
        return error_set(e, ERR_USAGE, "%s: %s is the encoder's, whose file is not there", f->path,
                         name);
    }
    const struct safetensor *t = safetensors_find(file, name);
    rc = check_shape(t, &w.spec, path, e);
    if (rc == 0) {
        rc = safetensors_floats(file, t, values, e);
        rc = rc < 0 ? error_context(e, "%s", path) : 0;
    }
    return rc;
}

/* ---- Writing --------------------------------------------------------------------------------- */

struct listing {
    struct tensor_list tensors;
    bool reader;
};

static int take_tensor(void *context, const struct tensor_spec *spec, struct error *e) {
    struct listing *l = context;
    return l->reader || strncmp(spec->name, "reader.", 7) != 0
               ? tensor_list_take(&l->tensors, spec, e)
               : 0;
}

static json_t *metadata_of(const struct bridge_options *o, bool reader) {
    json_t *options = options_json(o, reader);
    char *text = options != NULL ? json_dumps(options, JSON_REAL_PRECISION(17)) : NULL;
    json_t *metadata =
        text != NULL ? json_pack("{s:s, s:s}", "format", "pt", METADATA, text) : NULL;
    json_decref(options);
    free(text);
    return metadata;
}

int bridge_write(const char *folder, const struct bridge_options *o, bool reader,
                 parameters_named_reader *read, void *context, struct error *e) {
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", folder);
    }
    struct listing all = {.reader = reader};
    json_t *metadata = metadata_of(o, reader);
    char *path = file_path(folder, BRIDGE_FILE, e);
    int rc = path == NULL       ? ERR_MEMORY
             : metadata == NULL ? error_memory(e, "a bridge")
                                : bridge_list(o, reader, take_tensor, &all, e);
    if (rc == 0) {
        rc = tensor_list_write(path, &all.tensors, DTYPE_BF16, read, context, metadata, e);
    }
    json_decref(metadata);
    free(path);
    free(all.tensors.specs);
    return rc;
}
