/* encoder_load.c - an encoder from a safetensors file: what must be there is listed by config.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/encoder_file.h"
#include "compress/encoder_state.h"

/* ---- Loading --------------------------------------------------------------------- */

struct loader {
    struct encoder *n;
    int rc; /* once negative, nothing more is loaded */
    struct error *e;
};

static const struct safetensor *find(struct loader *l, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static const struct safetensor *find(struct loader *l, const char *format, va_list arguments) {
    char name[CONFIG_NAME];
    vsnprintf(name, sizeof name, format, arguments);
    return safetensors_find(l->n->file, name);
}

static size_t elements(const struct safetensor *t) {
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        count *= (size_t)t->shape[i];
    }
    return count;
}

/* Values on the host, malloc's. */
static float *values_of(struct loader *l, const struct safetensor *t) {
    float *values = malloc(elements(t) * sizeof *values);
    if (values == NULL) {
        l->rc = error_set(l->e, ERR_MEMORY, "out of memory");
        return NULL;
    }
    l->rc = safetensors_floats(l->n->file, t, values, l->e);
    if (l->rc < 0) {
        free(values);
        return NULL;
    }
    return values;
}

static float *load_host(struct loader *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static float *load_host(struct loader *l, const char *format, ...) {
    if (l->rc < 0) {
        return NULL;
    }
    va_list arguments;
    va_start(arguments, format);
    const struct safetensor *t = find(l, format, arguments);
    va_end(arguments);
    return values_of(l, t);
}

/* To the device; frees `values`. */
static float *send(struct loader *l, float *values, size_t count) {
    if (l->rc < 0) {
        free(values);
        return NULL;
    }
    const struct backend_ops *ops = l->n->ops;
    float *device = ops->alloc(l->n->context, count);
    if (device == NULL) {
        l->rc = error_set(l->e, ERR_MEMORY, "out of memory");
    } else {
        l->rc = ops->upload(l->n->context, device, values, count, l->e);
    }
    free(values);
    return device;
}

static void load_norm(struct loader *l, struct norm *norm, const char *prefix, const char *name,
                      int64_t width) {
    norm->gamma = send(l, load_host(l, "%s%s.weight", prefix, name), (size_t)width);
    norm->beta = send(l, load_host(l, "%s%s.bias", prefix, name), (size_t)width);
}

/* (out, in, ky, kx) becomes (out, ky, kx, in). */
static void permute(float *to, const float *from, const struct safetensor *t) {
    int64_t in = t->shape[1], ky = t->shape[2], kx = t->shape[3];
    for (int64_t o = 0; o < t->shape[0]; o++) {
        for (int64_t i = 0; i < in; i++) {
            for (int64_t k = 0; k < ky * kx; k++) {
                to[(o * ky * kx + k) * in + i] = from[(o * in + i) * ky * kx + k];
            }
        }
    }
}

static struct weights *pack_convolution(struct loader *l, const struct safetensor *t,
                                        const float *bias) {
    struct weights *w = NULL;
    float *values = values_of(l, t), *permuted = malloc(elements(t) * sizeof *permuted);
    if (values != NULL && permuted != NULL) {
        permute(permuted, values, t);
        l->rc = l->n->ops->pack(l->n->context, &w, permuted, DTYPE_F32, t->shape[0],
                                t->shape[1] * t->shape[2] * t->shape[3], bias, l->e);
    } else if (l->rc == 0) {
        l->rc = error_set(l->e, ERR_MEMORY, "out of memory");
    }
    free(permuted);
    free(values);
    return w;
}

/* prefix.name.weight, a matrix or a convolution, and prefix.name.bias if there is one. */
static struct weights *load_weights(struct loader *l, const char *prefix, const char *name) {
    char full[CONFIG_NAME];
    struct weights *w = NULL;
    if (l->rc < 0) {
        return NULL;
    }
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    const struct safetensor *b = safetensors_find(l->n->file, full);
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    const struct safetensor *t = safetensors_find(l->n->file, full);
    float *bias = b != NULL ? values_of(l, b) : NULL;
    if (l->rc == 0 && t->rank == 4) {
        w = pack_convolution(l, t, bias);
    } else if (l->rc == 0) {
        float *values = t->type == DTYPE_I8 ? values_of(l, t) : NULL;
        l->rc = l->rc == 0 ? l->n->ops->pack(l->n->context, &w, values != NULL ? values : t->data,
                                             values != NULL ? DTYPE_F32 : t->type, t->shape[0],
                                             t->shape[1], bias, l->e)
                           : l->rc;
        free(values);
    }
    free(bias);
    return w;
}

/* The patch embedding for grey pages: a third of the products. */
static struct weights *load_grey_patch(struct loader *l) {
    struct weights *w = NULL;
    float *values = load_host(l, CONFIG_PATCH_WEIGHT);
    float *bias = load_host(l, CONFIG_PATCH_BIAS);
    int64_t dim = l->n->config.dim, area = l->n->config.patch * l->n->config.patch;
    for (int64_t i = 0; i < dim * area && l->rc == 0; i++) {
        const float *from = values + i / area * 3 * area + i % area;
        values[i] = from[0] + from[area] + from[2 * area]; /* never ahead of what is read */
    }
    if (l->rc == 0) {
        l->rc = l->n->ops->pack(l->n->context, &w, values, DTYPE_F32, dim, area, bias, l->e);
    }
    free(values);
    free(bias);
    return w;
}

static void load_sam_block(struct loader *l, int64_t i) {
    const struct encoder_config *c = &l->n->config;
    struct block *b = &l->n->blocks[i];
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.sam_model.blocks.%" PRId64 ".", i);
    load_norm(l, &b->norm1, prefix, "norm1", c->dim);
    b->qkv = load_weights(l, prefix, "attn.qkv");
    b->qkv_bias = send(l, load_host(l, "%sattn.qkv.bias", prefix), (size_t)(3 * c->dim));
    b->proj = load_weights(l, prefix, "attn.proj");
    float *rel_h = load_host(l, "%sattn.rel_pos_h", prefix);
    float *rel_w = load_host(l, "%sattn.rel_pos_w", prefix);
    if (c->global[i]) {
        b->host_rel_h = rel_h;
        b->host_rel_w = rel_w;
    } else {
        size_t count = (size_t)((2 * c->window - 1) * (c->dim / c->heads));
        b->rel_h = send(l, rel_h, count);
        b->rel_w = send(l, rel_w, count);
    }
    load_norm(l, &b->norm2, prefix, "norm2", c->dim);
    b->mlp1 = load_weights(l, prefix, "mlp.lin1");
    b->mlp2 = load_weights(l, prefix, "mlp.lin2");
}

static void load_clip_block(struct loader *l, int64_t i) {
    int64_t dim = l->n->config.clip_dim;
    struct block *b = &l->n->clip_blocks[i];
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.vision_model.transformer.layers.%" PRId64 ".", i);
    load_norm(l, &b->norm1, prefix, "layer_norm1", dim);
    b->qkv = load_weights(l, prefix, "self_attn.qkv_proj");
    b->proj = load_weights(l, prefix, "self_attn.out_proj");
    load_norm(l, &b->norm2, prefix, "layer_norm2", dim);
    b->mlp1 = load_weights(l, prefix, "mlp.fc1");
    b->mlp2 = load_weights(l, prefix, "mlp.fc2");
}

static void load_vectors(struct loader *l) {
    struct encoder *n = l->n;
    size_t dim = (size_t)n->config.token_dim;
    float *newline = load_host(l, "model.image_newline");
    float *separator = load_host(l, "model.view_seperator");
    n->host_vectors = malloc(2 * dim * sizeof *n->host_vectors);
    if (l->rc == 0 && n->host_vectors == NULL) {
        l->rc = error_set(l->e, ERR_MEMORY, "out of memory");
    }
    if (l->rc == 0) {
        memcpy(n->host_vectors, newline, dim * sizeof *newline);
        memcpy(n->host_vectors + dim, separator, dim * sizeof *separator);
    }
    free(newline);
    free(separator);
}

static int load_all(struct encoder *n, struct error *e) {
    const struct encoder_config *c = &n->config;
    struct loader l = {.n = n, .e = e};
    const char *sam = "model.sam_model.", *clip = "model.vision_model.";
    n->host_position = load_host(&l, "%spos_embed", sam);
    n->patch = load_weights(&l, sam, "patch_embed.proj");
    n->patch_grey = load_grey_patch(&l);
    for (int64_t i = 0; i < c->depth; i++) {
        load_sam_block(&l, i);
    }
    n->neck_0 = load_weights(&l, sam, "neck.0");
    load_norm(&l, &n->neck_1, sam, "neck.1", c->neck);
    n->neck_2 = load_weights(&l, sam, "neck.2");
    load_norm(&l, &n->neck_3, sam, "neck.3", c->neck);
    n->net_2 = load_weights(&l, sam, "net_2");
    n->net_3 = load_weights(&l, sam, "net_3");
    n->host_class = load_host(&l, "%sembeddings.class_embedding", clip);
    n->host_clip_position = load_host(&l, "%sembeddings.position_embedding.weight", clip);
    load_norm(&l, &n->pre_norm, clip, "pre_layrnorm", c->clip_dim);
    for (int64_t i = 0; i < c->clip_depth; i++) {
        load_clip_block(&l, i);
    }
    n->projector = load_weights(&l, "model.", "projector.layers");
    if (c->token_norm) {
        load_norm(&l, &n->token_norm, "model.", "token_norm", c->token_dim);
    }
    load_vectors(&l);
    return l.rc;
}

/* ---- Open and close ------------------------------------------------------------------ */

int encoder_open(struct encoder **out, const char *path, const struct encoder_config *config,
                 const struct backend_ops *ops, enum dtype compute, struct error *e) {
    *out = NULL;
    struct encoder *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    n->ops = ops;
    n->compute = compute;
    int rc = safetensors_open(&n->file, path, e);
    if (rc == 0) {
        n->config = config != NULL ? *config : n->config;
        rc = config == NULL ? encoder_file_config(&n->config, n->file, path, e) : 0;
    }
    if (rc == 0) {
        rc = encoder_file_check(n->file, &n->config, path, &n->fingerprint, e);
    }
    if (rc == 0) {
        rc = ops->context_open(&n->context, compute, e);
    }
    if (rc == 0) {
        rc = load_all(n, e);
    }
    if (rc < 0) {
        encoder_close(n);
        return rc;
    }
    *out = n;
    return 0;
}

static void norm_close(struct encoder *n, struct norm *norm) {
    n->ops->release(n->context, norm->gamma);
    n->ops->release(n->context, norm->beta);
}

static void block_close(struct encoder *n, struct block *b) {
    norm_close(n, &b->norm1);
    norm_close(n, &b->norm2);
    n->ops->weights_close(b->qkv);
    n->ops->weights_close(b->proj);
    n->ops->weights_close(b->mlp1);
    n->ops->weights_close(b->mlp2);
    n->ops->release(n->context, b->qkv_bias);
    n->ops->release(n->context, b->rel_h);
    n->ops->release(n->context, b->rel_w);
    free(b->host_rel_h);
    free(b->host_rel_w);
}

void encoder_close(struct encoder *n) {
    if (n == NULL) {
        return;
    }
    for (int i = 0; i < CONFIG_DEPTH; i++) {
        block_close(n, &n->blocks[i]);
        block_close(n, &n->clip_blocks[i]);
    }
    struct weights *const weights[] = {n->patch, n->patch_grey, n->neck_0,   n->neck_2,
                                       n->net_2, n->net_3,      n->projector};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        n->ops->weights_close(weights[i]);
    }
    norm_close(n, &n->neck_1);
    norm_close(n, &n->neck_3);
    norm_close(n, &n->pre_norm);
    norm_close(n, &n->token_norm);
    free(n->host_position);
    free(n->host_class);
    free(n->host_clip_position);
    free(n->host_vectors);
    n->ops->context_close(n->context);
    safetensors_close(n->file);
    free(n);
}

const struct encoder_config *encoder_config(const struct encoder *n) {
    return &n->config;
}

uint64_t encoder_fingerprint(const struct encoder *n) {
    return n->fingerprint;
}

const float *encoder_vectors(const struct encoder *n) {
    return n->host_vectors;
}

const char *encoder_metadata(const struct encoder *n, const char *key) {
    return safetensors_metadata(n->file, key);
}

bool encoder_is_grey(const struct encoder *n) {
    const char *pages = encoder_metadata(n, ENCODER_PAGES);
    return pages != NULL ? strcmp(pages, "grey") == 0 : strcmp(n->config.name, "nano") == 0;
}
