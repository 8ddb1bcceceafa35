/* config.c - see config.h. */
#include "compress/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct encoder_config DEEPENCODER = {
    .name = "deepencoder",
    .patch = 16,
    .grid = 64,
    .dim = 768,
    .depth = 12,
    .heads = 12,
    .mlp = 3072,
    .window = 14,
    .global = {[2] = true, [5] = true, [8] = true, [11] = true},
    .neck = 256,
    .net_2 = 512,
    .net_3 = 1024,
    .clip_dim = 1024,
    .clip_depth = 24,
    .clip_heads = 16,
    .clip_mlp = 4096,
    .clip_grid = 16,
    .token_dim = 1280};

/* A window is a cell, whose text is one run (render/text/profile.h). The widths follow from what a
 * page may cost and what a file may take: train/README.md. */
static const struct encoder_config NANO = {.name = "nano",
                                           .patch = 16,
                                           .grid = 32,
                                           .dim = 256,
                                           .depth = 4,
                                           .heads = 4,
                                           .mlp = 1024,
                                           .window = 4,
                                           .neck = 256,
                                           .net_2 = 384,
                                           .net_3 = 768,
                                           .clip_dim = 768,
                                           .clip_depth = 1,
                                           .clip_heads = 12,
                                           .clip_mlp = 1536,
                                           .clip_grid = 8,
                                           .token_dim = 768,
                                           .token_norm = true};

const char *const CONFIG_NAMES[] = {"deepencoder", "nano", NULL};

int config_named(struct encoder_config *c, const char *name, struct error *e) {
    if (strcmp(name, DEEPENCODER.name) == 0) {
        *c = DEEPENCODER;
        return 0;
    }
    if (strcmp(name, NANO.name) == 0) {
        *c = NANO;
        return 0;
    }
    return error_set(e, ERR_USAGE, "no configuration is called '%s': deepencoder, nano", name);
}

/* ---- JSON -------------------------------------------------------------------- */

/* Limits far above any encoder, so that products of sizes fit an int64_t many times. */
enum { LARGEST_SIZE = 65536, LARGEST_GRID = 1024 };

struct size_reader {
    const json_t *object;
    const char *part;
    int rc;
    struct error *e;
};

static int64_t read_size(struct size_reader *r, const char *key, int64_t largest) {
    json_int_t value = json_integer_value(json_object_get(r->object, key));
    if (r->rc == 0 && (value < 1 || value > largest)) {
        r->rc =
            error_set(r->e, ERR_FORMAT, "encoder configuration: %s.%s must be from 1 to %" PRId64,
                      r->part, key, largest);
    }
    return value;
}

static void read_global(struct size_reader *r, struct encoder_config *c) {
    const json_t *list = json_object_get(r->object, "global_blocks");
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        json_int_t block = json_integer_value(item);
        if (!json_is_integer(item) || block < 0 || block >= c->depth) {
            r->rc = error_set(r->e, ERR_FORMAT,
                              "encoder configuration: sam.global_blocks names a block that is not "
                              "there");
            return;
        }
        c->global[block] = true;
    }
}

static void read_sam(struct size_reader *r, struct encoder_config *c) {
    c->patch = read_size(r, "patch_size", 256);
    c->grid = read_size(r, "grid", LARGEST_GRID);
    c->dim = read_size(r, "dim", LARGEST_SIZE);
    c->depth = read_size(r, "depth", CONFIG_DEPTH);
    c->heads = read_size(r, "heads", LARGEST_SIZE);
    c->mlp = read_size(r, "mlp_dim", LARGEST_SIZE);
    c->window = read_size(r, "window", LARGEST_GRID);
    c->neck = read_size(r, "neck", LARGEST_SIZE);
    c->net_2 = read_size(r, "net_2", LARGEST_SIZE);
    c->net_3 = read_size(r, "net_3", LARGEST_SIZE);
    if (r->rc == 0) {
        read_global(r, c);
    }
}

static void read_clip(struct size_reader *r, struct encoder_config *c) {
    c->clip_dim = read_size(r, "dim", LARGEST_SIZE);
    c->clip_depth = read_size(r, "depth", CONFIG_DEPTH);
    c->clip_heads = read_size(r, "heads", LARGEST_SIZE);
    c->clip_mlp = read_size(r, "mlp_dim", LARGEST_SIZE);
    c->clip_grid = read_size(r, "grid", LARGEST_GRID);
}

static bool heads_fit(int64_t dim, int64_t heads) {
    return dim % heads == 0 && dim / heads <= 256;
}

static int check(const struct encoder_config *c, struct error *e) {
    if (!heads_fit(c->dim, c->heads) || !heads_fit(c->clip_dim, c->clip_heads)) {
        return error_set(e, ERR_FORMAT,
                         "encoder configuration: dim must be heads times at most 256");
    }
    if (c->net_3 != c->clip_dim) {
        return error_set(e, ERR_FORMAT, "encoder configuration: sam.net_3 must equal clip.dim");
    }
    return 0;
}

int config_parse(struct encoder_config *c, const char *text, struct error *e) {
    json_error_t fault;
    *c = (struct encoder_config){.token_norm = false};
    json_t *root = json_loads(text, 0, &fault);
    if (root == NULL) {
        return error_set(e, ERR_FORMAT, "encoder configuration is not JSON: %s", fault.text);
    }
    const char *name = json_string_value(json_object_get(root, "name"));
    snprintf(c->name, sizeof c->name, "%s", name != NULL ? name : "unnamed");
    struct size_reader r = {.object = json_object_get(root, "sam"), .part = "sam", .e = e};
    read_sam(&r, c);
    r.object = json_object_get(root, "clip");
    r.part = "clip";
    read_clip(&r, c);
    r.object = json_object_get(root, "projector");
    r.part = "projector";
    c->token_dim = read_size(&r, "output", LARGEST_SIZE);
    c->token_norm = json_is_true(json_object_get(r.object, "norm"));
    json_decref(root);
    return r.rc == 0 ? check(c, e) : r.rc;
}

json_t *config_json(const struct encoder_config *c) {
    json_t *global = json_array();
    for (int64_t i = 0; i < c->depth; i++) {
        if (c->global[i]) {
            json_array_append_new(global, json_integer(i));
        }
    }
    return json_pack("{s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I},"
                     " s:{s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:b}}",
                     "name", c->name, "sam", "patch_size", (json_int_t)c->patch, "grid",
                     (json_int_t)c->grid, "dim", (json_int_t)c->dim, "depth", (json_int_t)c->depth,
                     "heads", (json_int_t)c->heads, "mlp_dim", (json_int_t)c->mlp, "window",
                     (json_int_t)c->window, "global_blocks", global, "neck", (json_int_t)c->neck,
                     "net_2", (json_int_t)c->net_2, "net_3", (json_int_t)c->net_3, "clip", "dim",
                     (json_int_t)c->clip_dim, "depth", (json_int_t)c->clip_depth, "heads",
                     (json_int_t)c->clip_heads, "mlp_dim", (json_int_t)c->clip_mlp, "grid",
                     (json_int_t)c->clip_grid, "projector", "output", (json_int_t)c->token_dim,
                     "norm", (int)c->token_norm);
}

/* ---- Tensors --------------------------------------------------------------------- */

struct list_context {
    tensor_spec_take *take;
    void *context;
    int rc;
    struct error *e;
};

#define SHAPE(...) TENSOR_SPEC_SHAPE(__VA_ARGS__)

double config_rate(int64_t inputs) {
    return inputs > CONFIG_RATE_INPUTS ? (double)CONFIG_RATE_INPUTS / (double)inputs : 1;
}

static struct tensor_spec spec_of(enum tensor_kind kind, const int64_t shape[CONFIG_RANK]) {
    struct tensor_spec s = tensor_spec_of(kind, CONFIG_GROUP, shape);
    s.rate = kind == TENSOR_MATRIX ? config_rate(tensor_spec_width(&s)) : 1;
    return s;
}

static void list(struct list_context *l, const struct tensor_spec *spec, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void list(struct list_context *l, const struct tensor_spec *spec, const char *format, ...) {
    if (l->rc < 0) {
        return;
    }
    struct tensor_spec s = *spec;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(s.name, sizeof s.name, format, arguments);
    va_end(arguments);
    l->rc = l->take(l->context, &s, l->e);
}

static void list_table(struct list_context *l, const int64_t shape[CONFIG_RANK], const char *prefix,
                       const char *name) {
    const struct tensor_spec s = spec_of(TENSOR_TABLE, shape);
    list(l, &s, "%s%s", prefix, name);
}

/* A weight and its bias. */
static void list_both(struct list_context *l, const struct tensor_spec *weight, const char *prefix,
                      const char *name) {
    const struct tensor_spec bias = spec_of(TENSOR_BIAS, SHAPE(weight->shape[0]));
    list(l, weight, "%s%s.weight", prefix, name);
    list(l, &bias, "%s%s.bias", prefix, name);
}

static void list_norm(struct list_context *l, int64_t width, const char *prefix, const char *name) {
    const struct tensor_spec gain = spec_of(TENSOR_GAIN, SHAPE(width));
    list_both(l, &gain, prefix, name);
}

static void list_linear(struct list_context *l, int64_t outputs, int64_t inputs, const char *prefix,
                        const char *name) {
    const struct tensor_spec weight = spec_of(TENSOR_MATRIX, SHAPE(outputs, inputs));
    list_both(l, &weight, prefix, name);
}

/* One that ends a residual branch: of `depth` blocks with two each, which all add up, it begins
 * with less. */
static void list_branch(struct list_context *l, int64_t outputs, int64_t inputs, int64_t depth,
                        const char *prefix, const char *name) {
    struct tensor_spec weight = spec_of(TENSOR_MATRIX, SHAPE(outputs, inputs));
    weight.deviation = 1 / sqrt((double)inputs * (2 * (double)depth));
    list_both(l, &weight, prefix, name);
}

static void list_convolution(struct list_context *l, const int64_t shape[CONFIG_RANK],
                             const char *prefix, const char *name) {
    const struct tensor_spec weight = spec_of(TENSOR_MATRIX, shape);
    list(l, &weight, "%s%s.weight", prefix, name);
}

static void list_sam_block(struct list_context *l, const struct encoder_config *c, int64_t i) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.sam_model.blocks.%" PRId64 ".", i);
    int64_t side = 2 * (c->global[i] ? c->grid : c->window) - 1;
    list_norm(l, c->dim, prefix, "norm1");
    list_linear(l, 3 * c->dim, c->dim, prefix, "attn.qkv");
    list_branch(l, c->dim, c->dim, c->depth, prefix, "attn.proj");
    list_table(l, SHAPE(side, c->dim / c->heads), prefix, "attn.rel_pos_h");
    list_table(l, SHAPE(side, c->dim / c->heads), prefix, "attn.rel_pos_w");
    list_norm(l, c->dim, prefix, "norm2");
    list_linear(l, c->mlp, c->dim, prefix, "mlp.lin1");
    list_branch(l, c->dim, c->mlp, c->depth, prefix, "mlp.lin2");
}

static void list_sam(struct list_context *l, const struct encoder_config *c) {
    const char *prefix = "model.sam_model.";
    const struct tensor_spec patches = spec_of(TENSOR_MATRIX, SHAPE(c->dim, 3, c->patch, c->patch));
    const struct tensor_spec patch_bias = spec_of(TENSOR_BIAS, SHAPE(c->dim));
    list_table(l, SHAPE(1, c->grid, c->grid, c->dim), prefix, "pos_embed");
    list(l, &patches, CONFIG_PATCH_WEIGHT);
    list(l, &patch_bias, CONFIG_PATCH_BIAS);
    for (int64_t i = 0; i < c->depth; i++) {
        list_sam_block(l, c, i);
    }
    list_convolution(l, SHAPE(c->neck, c->dim, 1, 1), prefix, "neck.0");
    list_norm(l, c->neck, prefix, "neck.1");
    list_convolution(l, SHAPE(c->neck, c->neck, 3, 3), prefix, "neck.2");
    list_norm(l, c->neck, prefix, "neck.3");
    list_convolution(l, SHAPE(c->net_2, c->neck, 3, 3), prefix, "net_2");
    list_convolution(l, SHAPE(c->net_3, c->net_2, 3, 3), prefix, "net_3");
}

static void list_clip_block(struct list_context *l, const struct encoder_config *c, int64_t i) {
    int64_t dim = c->clip_dim;
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.vision_model.transformer.layers.%" PRId64 ".", i);
    list_norm(l, dim, prefix, "layer_norm1");
    list_linear(l, 3 * dim, dim, prefix, "self_attn.qkv_proj");
    list_branch(l, dim, dim, c->clip_depth, prefix, "self_attn.out_proj");
    list_norm(l, dim, prefix, "layer_norm2");
    list_linear(l, c->clip_mlp, dim, prefix, "mlp.fc1");
    list_branch(l, dim, c->clip_mlp, c->clip_depth, prefix, "mlp.fc2");
}

static void list_clip(struct list_context *l, const struct encoder_config *c) {
    const char *prefix = "model.vision_model.";
    struct tensor_spec patches = spec_of(TENSOR_MATRIX, SHAPE(c->clip_dim, 3, 14, 14));
    patches.optional = true; /* this stage sees the first one's output */
    list_table(l, SHAPE(c->clip_dim), prefix, "embeddings.class_embedding");
    list(l, &patches, "%sembeddings.patch_embedding.weight", prefix);
    list_table(l, SHAPE(1 + c->clip_grid * c->clip_grid, c->clip_dim), prefix,
               "embeddings.position_embedding.weight");
    list_norm(l, c->clip_dim, prefix, "pre_layrnorm");
    for (int64_t i = 0; i < c->clip_depth; i++) {
        list_clip_block(l, c, i);
    }
}

int config_tensors(const struct encoder_config *c, tensor_spec_take *take, void *context,
                   struct error *e) {
    struct list_context l = {.take = take, .context = context, .e = e};
    list_sam(&l, c);
    list_clip(&l, c);
    list_linear(&l, c->token_dim, 2 * c->clip_dim, "model.", "projector.layers");
    if (c->token_norm) {
        list_norm(&l, c->token_dim, "model.", "token_norm");
    }
    list_table(&l, SHAPE(c->token_dim), "model.", "image_newline");
    list_table(&l, SHAPE(c->token_dim), "model.", "view_seperator");
    return l.rc;
}

bool config_owns(const char *name) {
    static const char *const PREFIXES[] = {"model.sam_model.", "model.vision_model.",
                                           "model.projector.", "model.token_norm."};
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++) {
        if (strncmp(name, PREFIXES[i], strlen(PREFIXES[i])) == 0) {
            return true;
        }
    }
    return strcmp(name, "model.image_newline") == 0 || strcmp(name, "model.view_seperator") == 0;
}
