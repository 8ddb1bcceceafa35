/* encoder_tape.c - see encoder_tape.h. */
#include "train/encoder_tape.h"

#include <inttypes.h>
#include <stdio.h>

struct pass {
    const struct encoder_taping *n;
    const struct encoder_config *config;
    struct tape *t;
    struct encoder_shape shape;
    int64_t height, width;  /* patches */
    int64_t rows, columns;  /* tokens of one phase */
    const int32_t *windows; /* the patch at each place of the windows, -1: none */
    const int32_t *patches; /* the place of each patch in the windows */
    int64_t places;         /* of the windows of all pages */
};

#define PARAMETER(p, ...)                                                                          \
    parameters_tensor((p)->n->parameters, (p)->t, (p)->n->gradients, __VA_ARGS__)

static struct tensor *norm(struct pass *p, struct tensor *x, const char *prefix, const char *name,
                           float eps) {
    struct tensor *gamma = PARAMETER(p, "%s%s.weight", prefix, name);
    return tape_layer_norm(p->t, x, gamma, PARAMETER(p, "%s%s.bias", prefix, name), eps);
}

static struct tensor *linear(struct pass *p, struct tensor *x, const char *prefix,
                             const char *name) {
    struct tensor *weight = PARAMETER(p, "%s%s.weight", prefix, name);
    return tape_linear(p->t, x, weight, PARAMETER(p, "%s%s.bias", prefix, name));
}

/* ---- Windowed stage ------------------------------------------------------------------------ */

/* A row of pixels for each patch, in the order (channel, y, x) of the weights. */
static struct tensor *cut_patches(struct pass *p, const float *pixels) {
    int64_t side = p->config->patch, tokens = p->shape.batch * p->height * p->width;
    float *out = tape_alloc(p->t, (size_t)(tokens * 3 * side * side), sizeof *out), *to = out;
    if (out == NULL) {
        return NULL;
    }
    for (int64_t i = 0; i < tokens; i++) {
        int64_t page = i / (p->height * p->width), y = i / p->width % p->height, x = i % p->width;
        const float *corner =
            pixels + ((page * p->shape.height + y * side) * p->shape.width + x * side) * 3;
        for (int64_t k = 0; k < 3 * side * side; k++) {
            int64_t channel = k / (side * side), py = k / side % side, px = k % side;
            *to++ = corner[(py * p->shape.width + px) * 3 + channel];
        }
    }
    return tape_input(p->t, out, NULL, tokens, 3 * side * side, NULL);
}

/* Where the patches stand in windows; false: failed. */
static bool make_windows(struct pass *p) {
    int64_t side = p->config->window;
    int64_t down = (p->height + side - 1) / side, across = (p->width + side - 1) / side;
    int64_t page = down * across * side * side, tokens = p->height * p->width;
    p->places = p->shape.batch * page;
    int32_t *windows = tape_alloc(p->t, (size_t)p->places, sizeof *windows);
    int32_t *patches = tape_alloc(p->t, (size_t)(p->shape.batch * tokens), sizeof *patches);
    if (windows == NULL || patches == NULL) {
        return false;
    }
    for (int64_t i = 0; i < p->places; i++) {
        int64_t b = i / page, window = i % page / (side * side), place = i % (side * side);
        int64_t y = window / across * side + place / side;
        int64_t x = window % across * side + place % side;
        bool inside = y < p->height && x < p->width;
        windows[i] = inside ? (int32_t)(b * tokens + y * p->width + x) : -1;
        if (inside) {
            patches[windows[i]] = (int32_t)i;
        }
    }
    p->windows = windows;
    p->patches = patches;
    return true;
}

static struct tensor *sam_attention(struct pass *p, struct tensor *x, const char *prefix,
                                    bool global) {
    const struct encoder_config *c = p->config;
    int64_t height = global ? p->height : c->window, width = global ? p->width : c->window;
    if (!global) {
        x = tape_gather(p->t, x, p->windows, p->places);
    }
    x = linear(p, x, prefix, "attn.qkv");
    struct tensor *rel_h = PARAMETER(p, "%sattn.rel_pos_h", prefix);
    struct tensor *rel_w = PARAMETER(p, "%sattn.rel_pos_w", prefix);
    const struct tape_attention shape = {.heads = c->heads,
                                         .head_dim = c->dim / c->heads,
                                         .tokens = height * width,
                                         .height = height,
                                         .width = width,
                                         .rel_h = tape_resample_linear(p->t, rel_h, 2 * height - 1),
                                         .rel_w = tape_resample_linear(p->t, rel_w, 2 * width - 1)};
    x = tape_attention(p->t, x, &shape);
    x = linear(p, x, prefix, "attn.proj");
    return global ? x : tape_gather(p->t, x, p->patches, p->shape.batch * p->height * p->width);
}

static struct tensor *sam_block(struct pass *p, struct tensor *x, int64_t i) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.sam_model.blocks.%" PRId64 ".", i);
    struct tensor *y = norm(p, x, prefix, "norm1", CONFIG_EPS);
    x = tape_add(p->t, x, sam_attention(p, y, prefix, p->config->global[i]));
    y = norm(p, x, prefix, "norm2", CONFIG_EPS);
    y = tape_gelu(p->t, linear(p, y, prefix, "mlp.lin1"));
    return tape_add(p->t, x, linear(p, y, prefix, "mlp.lin2"));
}

static struct tensor *windowed_stage(struct pass *p, const float *pixels) {
    const char *prefix = "model.sam_model.";
    struct tensor *x = linear(p, cut_patches(p, pixels), prefix, "patch_embed.proj");
    struct tensor *position = PARAMETER(p, "%spos_embed", prefix);
    x = tape_add(p->t, x,
                 tape_resample_bicubic(p->t, position, p->config->grid, p->config->grid, p->height,
                                       p->width));
    for (int64_t i = 0; i < p->config->depth; i++) {
        x = sam_block(p, x, i);
    }
    return x;
}

/* ---- Compressor ------------------------------------------------------------------------------ */

static struct tensor *convolve(struct pass *p, struct tensor *x, int64_t height, int64_t width,
                               int stride_y, int stride_x, const char *name) {
    const struct convolution shape = {.height = height,
                                      .width = width,
                                      .channels = x != NULL ? x->width : 0,
                                      .size = 3,
                                      .stride_y = stride_y,
                                      .stride_x = stride_x,
                                      .pad = 1};
    struct tensor *weight = PARAMETER(p, "model.sam_model.%s.weight", name);
    return tape_convolve(p->t, x, p->shape.batch, &shape, weight, NULL);
}

static void compressor(struct pass *p, struct tensor *x, enum encoder_stage last,
                       struct encoder_stages *out) {
    const char *prefix = "model.sam_model.";
    x = tape_linear(p->t, x, PARAMETER(p, "%sneck.0.weight", prefix), NULL);
    x = norm(p, x, prefix, "neck.1", CONFIG_EPS);
    x = convolve(p, x, p->height, p->width, 1, 1, "neck.2");
    out->neck = norm(p, x, prefix, "neck.3", CONFIG_EPS);
    if (last >= STAGE_NET_2) {
        out->net_2 = convolve(p, out->neck, p->height, p->width, 2, 2, "net_2");
    }
    if (last >= STAGE_NET_3) {
        out->net_3 = convolve(p, out->net_2, p->height / 2, p->width / 2, 2,
                              p->shape.phases == 2 ? 1 : 2, "net_3");
    }
}

/* ---- Global stage ------------------------------------------------------------------------------
 */

/* Row 0 and the resampled rest of the position table. */
static struct tensor *clip_position(struct pass *p) {
    int64_t grid = p->config->clip_grid;
    struct tensor *table = PARAMETER(p, "model.vision_model.embeddings.position_embedding.weight");
    int32_t *index = tape_alloc(p->t, (size_t)(1 + grid * grid), sizeof *index);
    for (int64_t i = 0; index != NULL && i < 1 + grid * grid; i++) {
        index[i] = (int32_t)i;
    }
    if (index == NULL) {
        return NULL;
    }
    struct tensor *first = tape_gather(p->t, table, index, 1);
    struct tensor *rest = tape_gather(p->t, table, index + 1, grid * grid);
    return tape_stack(p->t, first,
                      tape_resample_bicubic(p->t, rest, grid, grid, p->rows, p->columns));
}

/* Sequences of a class token and the tokens of one phase of a page. */
static struct tensor *clip_input(struct pass *p, struct tensor *net_3) {
    const char *prefix = "model.vision_model.";
    int64_t tokens = p->rows * p->columns, phases = p->shape.phases;
    int64_t sequences = p->shape.batch * phases, all = sequences * (1 + tokens);
    int32_t *index = tape_alloc(p->t, (size_t)all, sizeof *index);
    for (int64_t i = 0; index != NULL && i < all; i++) {
        int64_t sequence = i / (1 + tokens), token = i % (1 + tokens) - 1;
        int64_t page = sequence / phases, phase = sequence % phases;
        index[i] = token < 0 ? 0 : (int32_t)(1 + (page * tokens + token) * phases + phase);
    }
    struct tensor *class_row = PARAMETER(p, "%sembeddings.class_embedding", prefix);
    struct tensor *both = tape_stack(p->t, class_row, net_3);
    if (index == NULL) {
        return NULL;
    }
    struct tensor *x = tape_gather(p->t, both, index, all);
    x = tape_add(p->t, x, clip_position(p));
    return norm(p, x, prefix, "pre_layrnorm", CONFIG_CLIP_EPS);
}

static struct tensor *clip_block(struct pass *p, struct tensor *x, int64_t i) {
    const struct encoder_config *c = p->config;
    const struct tape_attention shape = {.heads = c->clip_heads,
                                         .head_dim = c->clip_dim / c->clip_heads,
                                         .tokens = 1 + p->rows * p->columns};
    char prefix[64];
    snprintf(prefix, sizeof prefix, "model.vision_model.transformer.layers.%" PRId64 ".", i);
    struct tensor *y = norm(p, x, prefix, "layer_norm1", CONFIG_CLIP_EPS);
    y = tape_attention(p->t, linear(p, y, prefix, "self_attn.qkv_proj"), &shape);
    x = tape_add(p->t, x, linear(p, y, prefix, "self_attn.out_proj"));
    y = norm(p, x, prefix, "layer_norm2", CONFIG_CLIP_EPS);
    y = tape_quick_gelu(p->t, linear(p, y, prefix, "mlp.fc1"));
    return tape_add(p->t, x, linear(p, y, prefix, "mlp.fc2"));
}

/* Both stages side by side, in the order of the page. */
static struct tensor *projector(struct pass *p, struct tensor *x, struct tensor *net_3) {
    int64_t tokens = p->rows * p->columns, phases = p->shape.phases;
    int64_t all = p->shape.batch * phases * tokens;
    int32_t *index = tape_alloc(p->t, (size_t)all, sizeof *index);
    if (index == NULL) {
        return NULL;
    }
    for (int64_t i = 0; i < all; i++) {
        int64_t page = i / (tokens * phases), token = i % (tokens * phases) / phases;
        index[i] = (int32_t)((page * phases + i % phases) * (1 + tokens) + 1 + token);
    }
    x = tape_beside(p->t, tape_gather(p->t, x, index, all), net_3);
    x = linear(p, x, "model.", "projector.layers");
    return p->config->token_norm ? norm(p, x, "model.", "token_norm", CONFIG_CLIP_EPS) : x;
}

void encoder_tape(const struct encoder_taping *n, struct tape *t, const float *pixels,
                  const struct encoder_shape *shape, enum encoder_stage last,
                  struct encoder_stages *out) {
    struct pass p = {.n = n,
                     .config = n->config,
                     .t = t,
                     .shape = *shape,
                     .height = shape->height / n->config->patch,
                     .width = shape->width / n->config->patch};
    p.rows = p.height / 4;
    p.columns = p.width / 4;
    *out = (struct encoder_stages){.neck = NULL};
    if (!make_windows(&p)) {
        return;
    }
    compressor(&p, windowed_stage(&p, pixels), last, out);
    if (last < STAGE_TOKENS) {
        return;
    }
    struct tensor *x = clip_input(&p, out->net_3);
    for (int64_t i = 0; i < n->config->clip_depth; i++) {
        x = clip_block(&p, x, i);
    }
    out->tokens = projector(&p, x, out->net_3);
}
