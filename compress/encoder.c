/* encoder.c - the forward pass: operations of the backend in the order of the network. */
#include "compress/encoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compress/encoder_state.h"
#include "compress/resample.h"

/* Position tables, fitted to one grid. */
struct tables {
    struct tables *next;                              /* the most recently used first */
    int64_t height, width;                            /* patches */
    float *position;                                  /* (height, width, dim) */
    float *rel_h[CONFIG_DEPTH], *rel_w[CONFIG_DEPTH]; /* of global blocks */
    /* of the global stage, one phase: (1 + tokens, clip_dim), row 0 with the class embedding */
    int64_t clip_height, clip_width;
    float *clip_position;
};
enum { TABLES = 4 /* kept: the modes of a stream alternate */ };

/* X and Y are the two sides of most operations, WIDE has queries, keys and values, KEPT what the
 * compressor gave, until the end. */
enum { BUFFER_X, BUFFER_Y, BUFFER_WIDE, BUFFER_KEPT, BUFFERS };

struct encoder_session {
    const struct encoder *n;
    struct context *context;
    struct tables *tables;
    float *buffers[BUFFERS];
    size_t sizes[BUFFERS]; /* floats */
    float *grey;           /* host: one channel of the pixels */
    size_t grey_size;
    void (*show)(void *context, const char *name, const float *data, int64_t rows, int64_t columns);
    void *show_context;
};

/* ---- Shapes ---------------------------------------------------------------------- */

int encoder_grid(const struct encoder *n, const struct encoder_shape *shape, int64_t *rows,
                 int64_t *columns, struct error *e) {
    int64_t unit = 4 * n->config.patch, largest = 64 * unit;
    if (shape->height < unit || shape->width < unit || shape->height % unit != 0 ||
        shape->width % unit != 0 || shape->height > largest || shape->width > largest) {
        return error_set(e, ERR_USAGE,
                         "a page of %" PRId64 "x%" PRId64 " pixels: the encoder takes multiples of "
                         "%" PRId64 " up to %" PRId64,
                         shape->width, shape->height, unit, largest);
    }
    *rows = shape->height / unit;
    *columns = shape->width / unit * shape->phases;
    return 0;
}

/* ---- Tables ------------------------------------------------------------------------ */

static void tables_close(struct encoder_session *s, struct tables *t) {
    const struct backend_ops *ops = s->n->ops;
    ops->release(s->context, t->position);
    ops->release(s->context, t->clip_position);
    for (int i = 0; i < CONFIG_DEPTH; i++) {
        ops->release(s->context, t->rel_h[i]);
        ops->release(s->context, t->rel_w[i]);
    }
    free(t);
}

/* Frees `host`. */
static int to_device(struct encoder_session *s, float **out, float *host, size_t count,
                     struct error *e) {
    const struct backend_ops *ops = s->n->ops;
    *out = ops->alloc(s->context, count);
    int rc = *out != NULL ? ops->upload(s->context, *out, host, count, e)
                          : error_set(e, ERR_MEMORY, "out of memory");
    free(host);
    return rc;
}

static int fit_position(struct encoder_session *s, struct tables *t, struct error *e) {
    const struct encoder_config *c = &s->n->config;
    size_t count = (size_t)(t->height * t->width * c->dim);
    float *host = malloc(count * sizeof *host);
    if (host == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    int rc = resample_bicubic(host, t->height, t->width, s->n->host_position, c->grid, c->grid,
                              c->dim, e);
    if (rc < 0) {
        free(host);
        return rc;
    }
    return to_device(s, &t->position, host, count, e);
}

static int fit_relative(struct encoder_session *s, float **out, const float *from, int64_t side,
                        struct error *e) {
    const struct encoder_config *c = &s->n->config;
    int64_t rows = 2 * side - 1, width = c->dim / c->heads;
    float *host = malloc((size_t)(rows * width) * sizeof *host);
    if (host == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    resample_linear(host, rows, from, 2 * c->grid - 1, width);
    return to_device(s, out, host, (size_t)(rows * width), e);
}

/* The class embedding is added to its position here, so that a page's tokens are only added to. */
static int fit_clip(struct encoder_session *s, struct tables *t, struct error *e) {
    const struct encoder_config *c = &s->n->config;
    int64_t dim = c->clip_dim, tokens = t->clip_height * t->clip_width;
    size_t count = (size_t)((1 + tokens) * dim);
    float *host = malloc(count * sizeof *host);
    if (host == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    for (int64_t i = 0; i < dim; i++) {
        host[i] = s->n->host_class[i] + s->n->host_clip_position[i];
    }
    int rc = resample_bicubic(host + dim, t->clip_height, t->clip_width,
                              s->n->host_clip_position + dim, c->clip_grid, c->clip_grid, dim, e);
    if (rc < 0) {
        free(host);
        return rc;
    }
    return to_device(s, &t->clip_position, host, count, e);
}

static int tables_make(struct encoder_session *s, struct tables *t, struct error *e) {
    const struct encoder *n = s->n;
    int rc = fit_position(s, t, e);
    for (int64_t i = 0; i < n->config.depth && rc == 0; i++) {
        if (!n->config.global[i]) {
            continue;
        }
        rc = fit_relative(s, &t->rel_h[i], n->blocks[i].host_rel_h, t->height, e);
        if (rc == 0) {
            rc = fit_relative(s, &t->rel_w[i], n->blocks[i].host_rel_w, t->width, e);
        }
    }
    return rc == 0 ? fit_clip(s, t, e) : rc;
}

static int tables_find(struct encoder_session *s, int64_t height, int64_t width, struct error *e) {
    int kept = 0;
    for (struct tables **link = &s->tables; *link != NULL; link = &(*link)->next) {
        struct tables *t = *link;
        if (t->height == height && t->width == width) {
            *link = t->next;
            t->next = s->tables;
            s->tables = t;
            return 0;
        }
        if (++kept == TABLES) {
            *link = NULL;
            tables_close(s, t);
            break;
        }
    }
    struct tables *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    t->height = height;
    t->width = width;
    t->clip_height = height / 4;
    t->clip_width = width / 4;
    int rc = tables_make(s, t, e);
    if (rc < 0) {
        tables_close(s, t);
        return rc;
    }
    t->next = s->tables;
    s->tables = t;
    return 0;
}

/* ---- Session ------------------------------------------------------------------------- */

int encoder_session_open(struct encoder_session **out, const struct encoder *n, struct error *e) {
    *out = NULL;
    struct encoder_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    s->n = n;
    int rc = n->ops->context_open(&s->context, n->compute, e);
    if (rc < 0) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void encoder_session_close(struct encoder_session *s) {
    if (s == NULL) {
        return;
    }
    while (s->tables != NULL) {
        struct tables *first = s->tables;
        s->tables = first->next;
        tables_close(s, first);
    }
    for (int i = 0; i < BUFFERS; i++) {
        s->n->ops->release(s->context, s->buffers[i]);
    }
    s->n->ops->context_close(s->context);
    free(s->grey);
    free(s);
}

void encoder_trace(struct encoder_session *s,
                   void (*show)(void *context, const char *name, const float *data, int64_t rows,
                                int64_t columns),
                   void *context) {
    s->show = show;
    s->show_context = context;
}

static void show(struct encoder_session *s, const char *name, int64_t index, const float *data,
                 int64_t rows, int64_t columns) {
    if (s->show == NULL) {
        return;
    }
    char full[64];
    snprintf(full, sizeof full, index < 0 ? "%s" : "%s.%" PRId64, name, index);
    s->show(s->show_context, full, data, rows, columns);
}

static int buffer_get(struct encoder_session *s, int index, int64_t count, struct error *e) {
    const struct backend_ops *ops = s->n->ops;
    if ((size_t)count <= s->sizes[index]) {
        return 0;
    }
    ops->release(s->context, s->buffers[index]);
    s->sizes[index] = 0;
    s->buffers[index] = ops->alloc(s->context, (size_t)count);
    if (s->buffers[index] == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory for a page's activations");
    }
    s->sizes[index] = (size_t)count;
    return 0;
}

/* ---- The network ------------------------------------------------------------------------ */

/* A pass: sizes, and the buffers as they are used. The first error ends it. */
struct pass {
    struct encoder_session *s;
    const struct encoder *n;
    const struct backend_ops *ops;
    struct context *context;
    struct encoder_shape shape;
    int64_t height, width; /* patches */
    int64_t rows, columns; /* tokens of one phase */
    struct error *e;
};

/* x (rows, dim) += attention and MLP of a block. y: (rows, dim); wide: (rows, 3 dim). */
static int run_block(struct pass *p, const struct block *b, float *x, float *y, float *wide,
                     int64_t batch, const struct attention *shape, float eps,
                     enum activation activation) {
    const struct backend_ops *ops = p->ops;
    int64_t dim = shape->heads * shape->head_dim, rows = batch * shape->tokens;
    int rc = ops->layer_norm(p->context, y, x, rows, dim, b->norm1.gamma, b->norm1.beta, eps, p->e);
    if (rc == 0) {
        rc = ops->linear(p->context, wide, y, rows, b->qkv, ACTIVATION_NONE, NULL, p->e);
    }
    if (rc == 0) {
        rc = ops->attention(p->context, y, wide, batch, shape, p->e);
    }
    if (rc == 0) {
        rc = ops->linear(p->context, x, y, rows, b->proj, ACTIVATION_NONE, x, p->e);
    }
    if (rc == 0) {
        rc = ops->layer_norm(p->context, y, x, rows, dim, b->norm2.gamma, b->norm2.beta, eps, p->e);
    }
    if (rc == 0) {
        rc = ops->mlp(p->context, x, y, rows, b->mlp1, activation, b->mlp2, x, p->e);
    }
    return rc;
}

static bool is_grey(const float *pixels, size_t count) {
    for (size_t i = 0; i < count; i++, pixels += 3) {
        if (pixels[0] != pixels[1] || pixels[1] != pixels[2]) {
            return false;
        }
    }
    return true;
}

/* The pixels to the device; of grey pages one channel. *channels: how many. */
static int upload_pixels(struct pass *p, float *to, const float *pixels, int *channels) {
    size_t count = (size_t)(p->shape.batch * p->shape.height * p->shape.width);
    *channels = is_grey(pixels, count) ? 1 : 3;
    if (*channels == 3) {
        return p->ops->upload(p->context, to, pixels, 3 * count, p->e);
    }
    struct encoder_session *s = p->s;
    if (s->grey_size < count) {
        free(s->grey);
        s->grey_size = 0;
        s->grey = malloc(count * sizeof *s->grey);
        if (s->grey == NULL) {
            return error_set(p->e, ERR_MEMORY, "out of memory for a page");
        }
        s->grey_size = count;
    }
    for (size_t i = 0; i < count; i++) {
        s->grey[i] = pixels[3 * i];
    }
    return p->ops->upload(p->context, to, s->grey, count, p->e);
}

/* One block on `height` rows of patches of one page: all of them, or whole rows of windows. */
static int run_sam_block(struct pass *p, int64_t i, int64_t height, float *x, float *y,
                         float *wide) {
    const struct encoder_config *c = &p->n->config;
    const struct tables *t = p->s->tables;
    const struct block *b = &p->n->blocks[i];
    bool global = c->global[i];
    const struct relative_position position = {.height = global ? height : c->window,
                                               .width = global ? p->width : c->window,
                                               .rel_h = global ? t->rel_h[i] : b->rel_h,
                                               .rel_w = global ? t->rel_w[i] : b->rel_w};
    const struct attention shape = {.heads = c->heads,
                                    .head_dim = c->dim / c->heads,
                                    .tokens = height * p->width,
                                    .position = &position,
                                    .window = global ? 0 : c->window,
                                    .grid_height = height,
                                    .grid_width = p->width,
                                    .pad = b->qkv_bias};
    return run_block(p, b, x, y, wide, 1, &shape, CONFIG_EPS, ACTIVATION_GELU);
}

/* Blocks `first` to `end`, none of them global, on one page: a row of windows goes through all of
 * them while it is in the cache, if it fits. */
static int run_strips(struct pass *p, int64_t first, int64_t end, float *x, float *y, float *wide) {
    enum { FITS = 3 << 19 /* bytes of queries, keys and values */ };
    const struct encoder_config *c = &p->n->config;
    int64_t bytes = c->window * p->width * 3 * c->dim * (int64_t)sizeof *x;
    int64_t strip = bytes <= FITS ? c->window : p->height;
    int rc = 0;
    for (int64_t y0 = 0; y0 < p->height; y0 += strip) {
        int64_t height = p->height - y0 < strip ? p->height - y0 : strip;
        for (int64_t i = first; i < end && rc == 0; i++) {
            rc = run_sam_block(p, i, height, x + y0 * p->width * c->dim, y, wide);
        }
    }
    return rc;
}

static int run_sam_blocks(struct pass *p, float *x, float *y, float *wide) {
    const struct encoder_config *c = &p->n->config;
    int64_t page = p->height * p->width * c->dim, end;
    int rc = 0;
    for (int64_t i = 0; i < c->depth && rc == 0; i = end) {
        end = i + 1;
        while (p->s->show == NULL && !c->global[i] && end < c->depth && !c->global[end]) {
            end++;
        }
        for (int64_t k = 0; k < p->shape.batch && rc == 0; k++) {
            rc = c->global[i] ? run_sam_block(p, i, p->height, x + k * page, y, wide)
                              : run_strips(p, i, end, x + k * page, y, wide);
        }
        show(p->s, "sam.block", i, x, p->shape.batch * p->height * p->width, c->dim);
    }
    return rc;
}

static int run_windowed_stage(struct pass *p, const float *pixels, int channels, float *x, float *y,
                              float *wide) {
    const struct encoder_config *c = &p->n->config;
    const struct convolution patches = {.height = p->shape.height,
                                        .width = p->shape.width,
                                        .channels = channels,
                                        .size = (int)c->patch,
                                        .stride_y = (int)c->patch,
                                        .stride_x = (int)c->patch};
    int64_t batch = p->shape.batch, tokens = p->height * p->width;
    const struct weights *weights = channels == 1 ? p->n->patch_grey : p->n->patch;
    int rc = p->ops->convolve(p->context, x, pixels, batch, &patches, weights, p->e);
    if (rc == 0) {
        rc = p->ops->add(p->context, x, x, p->s->tables->position, batch, (size_t)(tokens * c->dim),
                         p->e);
    }
    show(p->s, "sam.embed", -1, x, batch * tokens, c->dim);
    return rc == 0 ? run_sam_blocks(p, x, y, wide) : rc;
}

/* x (patches, dim) -> neck -> net_2 -> net_3: kept (tokens of all phases, net_3). */
static int run_compressor(struct pass *p, float *x, float *y, float *kept) {
    const struct encoder_config *c = &p->n->config;
    const struct encoder *n = p->n;
    struct convolution shape = {.height = p->height,
                                .width = p->width,
                                .channels = c->neck,
                                .size = 3,
                                .stride_y = 1,
                                .stride_x = 1,
                                .pad = 1};
    int64_t batch = p->shape.batch, rows = batch * p->height * p->width;
    int rc = p->ops->linear(p->context, y, x, rows, n->neck_0, ACTIVATION_NONE, NULL, p->e);
    if (rc == 0) {
        rc = p->ops->layer_norm(p->context, y, y, rows, c->neck, n->neck_1.gamma, n->neck_1.beta,
                                CONFIG_EPS, p->e);
    }
    if (rc == 0) {
        rc = p->ops->convolve(p->context, x, y, batch, &shape, n->neck_2, p->e);
    }
    if (rc == 0) {
        rc = p->ops->layer_norm(p->context, y, x, rows, c->neck, n->neck_3.gamma, n->neck_3.beta,
                                CONFIG_EPS, p->e);
    }
    show(p->s, "sam.neck", -1, y, rows, c->neck);
    shape.stride_y = shape.stride_x = 2;
    if (rc == 0) {
        rc = p->ops->convolve(p->context, x, y, batch, &shape, n->net_2, p->e);
    }
    show(p->s, "sam.net_2", -1, x, rows / 4, c->net_2);
    shape.height = p->height / 2;
    shape.width = p->width / 2;
    shape.channels = c->net_2;
    shape.stride_x = p->shape.phases == 2 ? 1 : 2;
    if (rc == 0) {
        rc = p->ops->convolve(p->context, kept, x, batch, &shape, n->net_3, p->e);
    }
    show(p->s, "sam.net_3", -1, kept, rows / 16 * p->shape.phases, c->net_3);
    return rc;
}

/* The compressor's output -> tokens x (pages of all phases, 1 + tokens, dim): page b's phase f is
 * sequence b * phases + f; its tokens are every phases-th of the page. */
static int run_clip_input(struct pass *p, const float *kept, float *x) {
    const struct encoder_config *c = &p->n->config;
    int64_t dim = c->clip_dim, tokens = p->rows * p->columns;
    int64_t phases = p->shape.phases, sequences = p->shape.batch * phases;
    int rc = 0;
    for (int64_t i = 0; i < sequences && rc == 0; i++) {
        float *sequence = x + i * (1 + tokens) * dim;
        const float *page = kept + i / phases * phases * tokens * dim;
        const float *position = p->s->tables->clip_position;
        rc = p->ops->copy(p->context, sequence, dim, position, dim, 1, dim, p->e);
        if (rc == 0) {
            rc = p->ops->copy(p->context, sequence + dim, dim, page + i % phases * dim,
                              phases * dim, tokens, dim, p->e);
        }
        if (rc == 0) {
            rc = p->ops->add(p->context, sequence + dim, sequence + dim, position + dim, 1,
                             (size_t)(tokens * dim), p->e);
        }
    }
    if (rc == 0) {
        rc = p->ops->layer_norm(p->context, x, x, sequences * (1 + tokens), dim,
                                p->n->pre_norm.gamma, p->n->pre_norm.beta, CONFIG_CLIP_EPS, p->e);
    }
    show(p->s, "clip.input", -1, x, sequences * (1 + tokens), dim);
    return rc;
}

static int run_global_stage(struct pass *p, float *x, float *y, float *wide) {
    const struct encoder_config *c = &p->n->config;
    int64_t tokens = 1 + p->rows * p->columns, sequences = p->shape.batch * p->shape.phases;
    const struct attention shape = {
        .heads = c->clip_heads, .head_dim = c->clip_dim / c->clip_heads, .tokens = tokens};
    int rc = 0;
    for (int64_t i = 0; i < c->clip_depth && rc == 0; i++) {
        rc = run_block(p, &p->n->clip_blocks[i], x, y, wide, sequences, &shape, CONFIG_CLIP_EPS,
                       ACTIVATION_QUICK_GELU);
        show(p->s, "clip.layer", i, x, sequences * tokens, c->clip_dim);
    }
    return rc;
}

/* Both stages side by side, phases interleaved again, through the projector: y. */
static int run_projector(struct pass *p, const float *x, const float *kept, float *both, float *y) {
    const struct encoder_config *c = &p->n->config;
    int64_t dim = c->clip_dim, tokens = p->rows * p->columns;
    int64_t phases = p->shape.phases, all = p->shape.batch * phases * tokens;
    int rc = 0;
    for (int64_t i = 0; i < p->shape.batch * phases && rc == 0; i++) {
        float *page = both + i / phases * phases * tokens * 2 * dim;
        rc = p->ops->copy(p->context, page + i % phases * 2 * dim, phases * 2 * dim,
                          x + (i * (1 + tokens) + 1) * dim, dim, tokens, dim, p->e);
    }
    if (rc == 0) {
        rc = p->ops->copy(p->context, both + dim, 2 * dim, kept, dim, all, dim, p->e);
    }
    show(p->s, "concat", -1, both, all, 2 * dim);
    if (rc == 0) {
        rc = p->ops->linear(p->context, y, both, all, p->n->projector, ACTIVATION_NONE, NULL, p->e);
    }
    if (rc == 0 && c->token_norm) {
        rc = p->ops->layer_norm(p->context, y, y, all, c->token_dim, p->n->token_norm.gamma,
                                p->n->token_norm.beta, CONFIG_CLIP_EPS, p->e);
    }
    show(p->s, "tokens", -1, y, all, c->token_dim);
    return rc;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int get_buffers(struct pass *p) {
    const struct encoder_config *c = &p->n->config;
    int64_t patches = p->shape.batch * p->height * p->width;
    int64_t sequences = p->shape.batch * p->shape.phases;
    int64_t tokens = sequences * p->rows * p->columns, clip = tokens + sequences;
    int64_t narrow = patches * larger(larger(c->dim, c->neck), (c->net_2 + 3) / 4);
    const int64_t sizes[BUFFERS] = {
        [BUFFER_X] = larger(narrow, clip * c->clip_dim),
        [BUFFER_Y] = larger(larger(narrow, clip * c->clip_dim), tokens * c->token_dim),
        [BUFFER_WIDE] = larger(larger(patches * 3 * c->dim, patches * 3 * c->patch * c->patch),
                               clip * 3 * c->clip_dim),
        [BUFFER_KEPT] = tokens * c->clip_dim};
    int rc = 0;
    for (int i = 0; i < BUFFERS && rc == 0; i++) {
        rc = buffer_get(p->s, i, sizes[i], p->e);
    }
    return rc;
}

int encoder_run(struct encoder_session *s, float *tokens, const float *pixels,
                const struct encoder_shape *shape, struct error *e) {
    const struct encoder *n = s->n;
    struct pass p = {.s = s,
                     .n = n,
                     .ops = n->ops,
                     .context = s->context,
                     .shape = *shape,
                     .height = shape->height / n->config.patch,
                     .width = shape->width / n->config.patch,
                     .e = e};
    int rc = encoder_grid(n, shape, &p.rows, &p.columns, e);
    if (rc == 0) {
        p.columns /= shape->phases;
        rc = tables_find(s, p.height, p.width, e);
    }
    if (rc == 0) {
        rc = get_buffers(&p);
    }
    if (rc < 0) {
        return rc;
    }
    float *x = s->buffers[BUFFER_X], *y = s->buffers[BUFFER_Y];
    float *wide = s->buffers[BUFFER_WIDE], *kept = s->buffers[BUFFER_KEPT];
    int64_t sequences = shape->batch * shape->phases;
    int channels;
    rc = upload_pixels(&p, wide, pixels, &channels);
    if (rc == 0) {
        rc = run_windowed_stage(&p, wide, channels, x, y, wide);
    }
    if (rc == 0) {
        rc = run_compressor(&p, x, y, kept);
    }
    if (rc == 0) {
        rc = run_clip_input(&p, kept, x);
    }
    if (rc == 0) {
        rc = run_global_stage(&p, x, y, wide);
    }
    if (rc == 0) {
        rc = run_projector(&p, x, kept, wide, y);
    }
    if (rc == 0) {
        rc = n->ops->download(s->context, tokens, y,
                              (size_t)(sequences * p.rows * p.columns * n->config.token_dim), e);
    }
    return rc;
}
