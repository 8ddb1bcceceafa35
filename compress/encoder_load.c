/* encoder_load.c - an encoder from a safetensors file: what must be there is listed by config.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/encoder_file.h"
#include "compress/encoder_state.h"

/* ---- Loading --------------------------------------------------------------------- */

struct encoder_loader {
    struct encoder *encoder;
    int rc; /* once negative, nothing more is loaded */
    struct error *e;
};

static const struct safetensor *find(struct encoder_loader *l, const char *format,
                                     va_list arguments) __attribute__((format(printf, 2, 0)));

static const struct safetensor *find(struct encoder_loader *l, const char *format,
                                     va_list arguments) {
    char name[CONFIG_NAME];
    vsnprintf(name, sizeof name, format, arguments);
    return safetensors_find(l->encoder->file, name);
}

static size_t elements(const struct safetensor *t) {
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        count *= (size_t)t->shape[i];
    }
    return count;
}

/* Values on the host, malloc's. */
static float *values_of(struct encoder_loader *l, const struct safetensor *t) {
    float *values = malloc(elements(t) * sizeof *values);
    if (values == NULL) {
        l->rc = error_memory(l->e, NULL);
        return NULL;
    }
    l->rc = safetensors_floats(l->encoder->file, t, values, l->e);
    if (l->rc < 0) {
        free(values);
        return NULL;
    }
    return values;
}

static float *load_host(struct encoder_loader *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static float *load_host(struct encoder_loader *l, const char *format, ...) {
    if (l->rc < 0) {
        return NULL;
    }
    va_list arguments;
    va_start(arguments, format);
    const struct safetensor *t = find(l, format, arguments);
    va_end(arguments);
    return values_of(l, t);
}

/* To the device, as a matrix; frees `values`. */
static struct tensor send(struct encoder_loader *l, float *values, int64_t rows, int64_t width) {
    struct device *d = l->encoder->device;
    struct tensor out = tensor_matrix(NULL, DTYPE_F32, d, rows, width);
    if (l->rc == 0) {
        l->rc = d->ops->alloc(d, &out, l->e);
    }
    if (l->rc == 0) {
        struct tensor host = tensor_matrix(values, DTYPE_F32, NULL, rows, width);
        l->rc = d->ops->upload(d, &out, &host, l->e);
    }
    free(values);
    return out;
}

static void load_norm(struct encoder_loader *l, struct norm *norm, const char *prefix,
                      const char *name, int64_t width) {
    norm->gamma = send(l, load_host(l, "%s%s.weight", prefix, name), 1, width);
    norm->beta = send(l, load_host(l, "%s%s.bias", prefix, name), 1, width);
}

/* bias: NULL, or as many as the matrix has outputs. */
static struct packed *pack(struct encoder_loader *l, const struct tensor *matrix, float *bias) {
    struct packed *w = NULL;
    struct device *d = l->encoder->device;
    struct tensor added = tensor_vector(bias, DTYPE_F32, NULL, tensor_rows(matrix));
    l->rc = d->ops->pack(d, &w, matrix, bias != NULL ? &added : NULL, l->e);
    l->encoder->packed_bytes += l->rc == 0 ? w->bytes : 0;
    return w;
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

static struct packed *pack_convolution(struct encoder_loader *l, const struct safetensor *t,
                                       float *bias) {
    struct packed *w = NULL;
    float *values = values_of(l, t), *permuted = malloc(elements(t) * sizeof *permuted);
    if (values != NULL && permuted != NULL) {
        struct tensor matrix = tensor_matrix(permuted, DTYPE_F32, NULL, t->shape[0],
                                             t->shape[1] * t->shape[2] * t->shape[3]);
        permute(permuted, values, t);
        w = pack(l, &matrix, bias);
    } else if (l->rc == 0) {
        l->rc = error_memory(l->e, NULL);
    }
    free(permuted);
    free(values);
    return w;
}

/* As the file has it, except integers with a scale, which become floats. */
static struct packed *pack_matrix(struct encoder_loader *l, const struct safetensor *t,
                                  float *bias) {
    struct packed *w = NULL;
    float *values = t->type == DTYPE_I8 ? values_of(l, t) : NULL;
    union {
        const void *read;
        void *data;
    } file = {.read = t->data}; /* a tensor's data is not const; pack reads it */
    struct tensor matrix =
        tensor_matrix(values != NULL ? values : file.data, values != NULL ? DTYPE_F32 : t->type,
                      NULL, t->shape[0], t->shape[1]);
    if (l->rc == 0) {
        w = pack(l, &matrix, bias);
    }
    free(values);
    return w;
}

/* prefix.name.weight, a matrix or a convolution, and prefix.name.bias if there is one. */
static struct packed *load_weights(struct encoder_loader *l, const char *prefix, const char *name) {
    char full[CONFIG_NAME];
    struct packed *w = NULL;
    if (l->rc < 0) {
        return NULL;
    }
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    const struct safetensor *b = safetensors_find(l->encoder->file, full);
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    const struct safetensor *t = safetensors_find(l->encoder->file, full);
    float *bias = b != NULL ? values_of(l, b) : NULL;
    if (l->rc == 0) {
        w = t->rank == 4 ? pack_convolution(l, t, bias) : pack_matrix(l, t, bias);
    }
    free(bias);
    return w;
}

/* The patch embedding for pages of one channel that stands for three: a third of the products. */
static struct packed *load_grey_patch(struct encoder_loader *l) {
    struct packed *w = NULL;
    float *values = load_host(l, CONFIG_PATCH_WEIGHT);
    float *bias = load_host(l, CONFIG_PATCH_BIAS);
    int64_t dim = l->encoder->config.dim,
            area = l->encoder->config.patch * l->encoder->config.patch;
    struct tensor matrix = tensor_matrix(values, DTYPE_F32, NULL, dim, area);
    for (int64_t i = 0; i < dim * area && l->rc == 0; i++) {
        const float *from = values + i / area * 3 * area + i % area;
        values[i] = from[0] + from[area] + from[2 * area]; /* never ahead of what is read */
    }
    if (l->rc == 0) {
        w = pack(l, &matrix, bias);
    }
    free(values);
    free(bias);
    return w;
}

static void load_sam_block(struct encoder_loader *l, int64_t i) {
    const struct encoder_config *c = &l->encoder->config;
    struct block *b = &l->encoder->blocks[i];
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.sam_model.blocks.%" PRId64 ".", i);
    load_norm(l, &b->norm1, prefix, "norm1", c->dim);
    b->qkv = load_weights(l, prefix, "attn.qkv");
    b->qkv_bias = send(l, load_host(l, "%sattn.qkv.bias", prefix), 1, 3 * c->dim);
    b->proj = load_weights(l, prefix, "attn.proj");
    int64_t places = 2 * (c->global[i] ? c->grid : c->window) - 1, head_dim = c->dim / c->heads;
    b->rel_h = send(l, load_host(l, "%sattn.rel_pos_h", prefix), places, head_dim);
    b->rel_w = send(l, load_host(l, "%sattn.rel_pos_w", prefix), places, head_dim);
    load_norm(l, &b->norm2, prefix, "norm2", c->dim);
    b->mlp1 = load_weights(l, prefix, "mlp.lin1");
    b->mlp2 = load_weights(l, prefix, "mlp.lin2");
}

static void load_clip_block(struct encoder_loader *l, int64_t i) {
    int64_t dim = l->encoder->config.clip_dim;
    struct block *b = &l->encoder->clip_blocks[i];
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.vision_model.transformer.layers.%" PRId64 ".", i);
    load_norm(l, &b->norm1, prefix, "layer_norm1", dim);
    b->qkv = load_weights(l, prefix, "self_attn.qkv_proj");
    b->proj = load_weights(l, prefix, "self_attn.out_proj");
    load_norm(l, &b->norm2, prefix, "layer_norm2", dim);
    b->mlp1 = load_weights(l, prefix, "mlp.fc1");
    b->mlp2 = load_weights(l, prefix, "mlp.fc2");
}

static void load_vectors(struct encoder_loader *l) {
    struct encoder *encoder = l->encoder;
    size_t dim = (size_t)encoder->config.token_dim;
    float *newline = load_host(l, "model.image_newline");
    float *separator = load_host(l, "model.view_seperator");
    encoder->host_vectors = malloc(2 * dim * sizeof *encoder->host_vectors);
    if (l->rc == 0 && encoder->host_vectors == NULL) {
        l->rc = error_memory(l->e, NULL);
    }
    if (l->rc == 0) {
        memcpy(encoder->host_vectors, newline, dim * sizeof *newline);
        memcpy(encoder->host_vectors + dim, separator, dim * sizeof *separator);
    }
    free(newline);
    free(separator);
}

static int load_all(struct encoder *encoder, struct error *e) {
    const struct encoder_config *c = &encoder->config;
    struct encoder_loader l = {.encoder = encoder, .e = e};
    const char *sam = "model.sam_model.", *clip = "model.vision_model.";
    encoder->position = send(&l, load_host(&l, "%spos_embed", sam), c->grid * c->grid, c->dim);
    encoder->patch = load_weights(&l, sam, "patch_embed.proj");
    encoder->patch_grey = load_grey_patch(&l);
    for (int64_t i = 0; i < c->depth; i++) {
        load_sam_block(&l, i);
    }
    encoder->neck_0 = load_weights(&l, sam, "neck.0");
    load_norm(&l, &encoder->neck_1, sam, "neck.1", c->neck);
    encoder->neck_2 = load_weights(&l, sam, "neck.2");
    load_norm(&l, &encoder->neck_3, sam, "neck.3", c->neck);
    encoder->net_2 = load_weights(&l, sam, "net_2");
    encoder->net_3 = load_weights(&l, sam, "net_3");
    encoder->class_row =
        send(&l, load_host(&l, "%sembeddings.class_embedding", clip), 1, c->clip_dim);
    encoder->clip_position = send(&l, load_host(&l, "%sembeddings.position_embedding.weight", clip),
                                  1 + c->clip_grid * c->clip_grid, c->clip_dim);
    load_norm(&l, &encoder->pre_norm, clip, "pre_layrnorm", c->clip_dim);
    for (int64_t i = 0; i < c->clip_depth; i++) {
        load_clip_block(&l, i);
    }
    encoder->projector = load_weights(&l, "model.", "projector.layers");
    if (c->token_norm) {
        load_norm(&l, &encoder->token_norm, "model.", "token_norm", c->token_dim);
    }
    load_vectors(&l);
    return l.rc;
}

/* ---- Open and close ------------------------------------------------------------------ */

int encoder_open(struct encoder **out, const char *path, const struct encoder_config *config,
                 const struct backend *backend, enum dtype compute, struct error *e) {
    *out = NULL;
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL) {
        return error_memory(e, NULL);
    }
    encoder->backend = backend;
    encoder->compute = compute;
    int rc = safetensors_open(&encoder->file, path, e);
    if (rc == 0) {
        encoder->config = config != NULL ? *config : encoder->config;
        rc = config == NULL ? encoder_file_config(&encoder->config, encoder->file, path, e) : 0;
    }
    if (rc == 0) {
        rc = encoder_file_check(encoder->file, &encoder->config, path, &encoder->fingerprint, e);
    }
    if (rc == 0) {
        rc = device_open(&encoder->device, backend, compute, e);
    }
    if (rc == 0) {
        rc = load_all(encoder, e);
    }
    if (rc == 0) { /* for the devices of other threads */
        rc = encoder->device->ops->synchronize(encoder->device, e);
    }
    if (rc < 0) {
        encoder_close(encoder);
        return rc;
    }
    *out = encoder;
    return 0;
}

static void release(struct encoder *encoder, struct tensor *t) {
    if (t->data != NULL) {
        encoder->device->ops->release(encoder->device, t);
    }
}

static void packed_close(struct encoder *encoder, struct packed *w) {
    if (w != NULL) {
        encoder->device->ops->packed_close(w);
    }
}

static void norm_close(struct encoder *encoder, struct norm *norm) {
    release(encoder, &norm->gamma);
    release(encoder, &norm->beta);
}

static void block_close(struct encoder *encoder, struct block *b) {
    norm_close(encoder, &b->norm1);
    norm_close(encoder, &b->norm2);
    packed_close(encoder, b->qkv);
    packed_close(encoder, b->proj);
    packed_close(encoder, b->mlp1);
    packed_close(encoder, b->mlp2);
    release(encoder, &b->qkv_bias);
    release(encoder, &b->rel_h);
    release(encoder, &b->rel_w);
}

void encoder_close(struct encoder *encoder) {
    if (encoder == NULL) {
        return;
    }
    for (int i = 0; i < CONFIG_DEPTH; i++) {
        block_close(encoder, &encoder->blocks[i]);
        block_close(encoder, &encoder->clip_blocks[i]);
    }
    struct packed *const weights[] = {encoder->patch,    encoder->patch_grey, encoder->neck_0,
                                      encoder->neck_2,   encoder->net_2,      encoder->net_3,
                                      encoder->projector};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        packed_close(encoder, weights[i]);
    }
    norm_close(encoder, &encoder->neck_1);
    norm_close(encoder, &encoder->neck_3);
    norm_close(encoder, &encoder->pre_norm);
    norm_close(encoder, &encoder->token_norm);
    release(encoder, &encoder->position);
    release(encoder, &encoder->class_row);
    release(encoder, &encoder->clip_position);
    free(encoder->host_vectors);
    device_close(encoder->device);
    safetensors_close(encoder->file);
    free(encoder);
}

const struct backend *encoder_backend(const struct encoder *encoder) {
    return encoder->backend;
}

const struct encoder_config *encoder_config(const struct encoder *encoder) {
    return &encoder->config;
}

uint64_t encoder_fingerprint(const struct encoder *encoder) {
    return encoder->fingerprint;
}

const float *encoder_vectors(const struct encoder *encoder) {
    return encoder->host_vectors;
}

const char *encoder_metadata(const struct encoder *encoder, const char *key) {
    return safetensors_metadata(encoder->file, key);
}

bool encoder_is_grey(const struct encoder *encoder) {
    return encoder_file_is_grey(encoder->file, &encoder->config);
}
