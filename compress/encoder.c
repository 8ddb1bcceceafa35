/* encoder.c - the forward pass: operations of the device in the order of the network. */
#include "compress/encoder.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "compress/encoder_state.h"

/* ---- Shapes ---------------------------------------------------------------------- */

int encoder_grid(const struct encoder *encoder, const struct encoder_shape *shape, int64_t *rows,
                 int64_t *columns, struct error *e) {
    int64_t unit = 4 * encoder->config.patch, largest = 64 * unit;
    if (shape->height < unit || shape->width < unit || shape->height % unit != 0 ||
        shape->width % unit != 0 || shape->height > largest || shape->width > largest) {
        return error_set(e, ERR_USAGE,
                         "a page of %" PRId64 "x%" PRId64 " pixels: the encoder takes multiples of "
                         "%" PRId64 " up to %" PRId64,
                         shape->width, shape->height, unit, largest);
    }
    *rows = shape->height / unit;
    *columns = shape->width / unit * shape->column_offsets;
    return 0;
}

/* ---- Session ------------------------------------------------------------------------- */

int encoder_session_open(struct encoder_session **out, const struct encoder *encoder,
                         struct error *e) {
    *out = NULL;
    struct encoder_session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->encoder = encoder;
    int rc = device_open(&s->device, encoder->backend, encoder->compute, e);
    if (rc < 0) {
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void encoder_session_clear(struct encoder_session *s) {
    if (s->device == NULL) {
        return;
    }
    position_tables_close(s);
    encoder_buffers_release(s);
    device_close(s->device);
    s->device = NULL;
}

void encoder_session_close(struct encoder_session *s) {
    if (s != NULL) {
        encoder_session_clear(s);
        free(s);
    }
}

void encoder_trace(struct encoder_session *s,
                   void (*show)(void *context, const char *name, const float *data, int64_t rows,
                                int64_t columns),
                   void *context) {
    s->show = show;
    s->show_context = context;
}

/* ---- The network ------------------------------------------------------------------------ */

/* A pass: sizes, and what it computes with. The first error ends it. */
struct pass {
    struct encoder_session *s;
    const struct encoder *encoder;
    const struct encoder_config *config;
    struct device *device;
    const struct ops *ops;
    int64_t batch, column_offsets;
    int64_t height, width; /* patches */
    int64_t rows, columns; /* tokens of one column offset */
    struct error *e;
};

static struct tensor buffer_of(const struct pass *p, int index, int64_t rows, int64_t width) {
    return device_buffer_matrix(&p->s->buffers[index], rows, width);
}

/* The same for what only products read, in what they read: the same numbers in half the bytes. */
static struct tensor operand_of(const struct pass *p, int index, int64_t rows, int64_t width) {
    return device_buffer_matrix_of(&p->s->buffers[index], p->device->compute, rows, width);
}

/* Queries, keys and values: a processor's attention rounds them on its own. */
static struct tensor projection_of(const struct pass *p, int64_t rows, int64_t width) {
    return device_buffer_matrix_of(&p->s->buffers[BUFFER_WIDE], encoder_projection_type(p->encoder),
                                   rows, width);
}

static int show(const struct pass *p, const char *name, int64_t index, const struct tensor *x) {
    if (p->s->show == NULL) {
        return 0;
    }
    char full[64];
    float *host = malloc(tensor_bytes(x));
    if (host == NULL) {
        return error_memory(p->e, NULL);
    }
    struct tensor copy = tensor_matrix(host, DTYPE_F32, NULL, tensor_rows(x), tensor_width(x));
    snprintf(full, sizeof full, index < 0 ? "%s" : "%s.%" PRId64, name, index);
    int rc = p->ops->download(p->device, &copy, x, p->e);
    if (rc == 0) {
        p->s->show(p->s->show_context, full, host, tensor_rows(x), tensor_width(x));
    }
    free(host);
    return rc;
}

static int run_norm(const struct pass *p, const struct tensor *out, const struct tensor *x,
                    const struct norm *norm, float eps) {
    return p->ops->layer_norm(p->device, out, x, &norm->gamma, &norm->beta, eps, p->e);
}

static int run_linear(const struct pass *p, const struct tensor *out, const struct tensor *x,
                      const struct packed *w, const struct tensor *residual) {
    return p->ops->linear(p->device, out, x, w, ACTIVATION_NONE, residual, p->e);
}

/* out (sequences * tokens, dim) = attention of qkv (sequences * tokens, 3 dim). */
static int run_attention(const struct pass *p, const struct tensor *out, const struct tensor *qkv,
                         int64_t sequences, int64_t heads, const struct attention_options *o) {
    int64_t dim = tensor_width(out), head_dim = dim / heads;
    struct tensor q = tensor_heads(qkv, sequences, 0, heads, head_dim);
    struct tensor k = tensor_heads(qkv, sequences, dim, heads, head_dim);
    struct tensor v = tensor_heads(qkv, sequences, 2 * dim, heads, head_dim);
    struct tensor result = tensor_heads(out, sequences, 0, heads, head_dim);
    return p->ops->attention(p->device, &result, NULL, &q, &k, &v, o, p->e);
}

struct block_options {
    int64_t sequences, heads;
    struct attention_options attention;
    float eps;
    enum activation activation;
};

/* x (sequences * tokens, dim) += attention and MLP of a block. */
static int run_block(const struct pass *p, const struct block *b, const struct tensor *x,
                     const struct block_options *o) {
    int64_t rows = tensor_rows(x), dim = tensor_width(x);
    struct tensor y = operand_of(p, BUFFER_Y, rows, dim);
    struct tensor wide = projection_of(p, rows, 3 * dim);
    int rc = run_norm(p, &y, x, &b->norm1, o->eps);
    if (rc == 0) {
        rc = run_linear(p, &wide, &y, b->qkv, NULL);
    }
    if (rc == 0) {
        rc = run_attention(p, &y, &wide, o->sequences, o->heads, &o->attention);
    }
    if (rc == 0) {
        rc = run_linear(p, x, &y, b->proj, x);
    }
    if (rc == 0) {
        rc = run_norm(p, &y, x, &b->norm2, o->eps);
    }
    if (rc == 0) {
        rc = p->ops->mlp(p->device, x, &y, b->mlp1, o->activation, b->mlp2, x, p->e);
    }
    return rc;
}

/* ---- Windowed stage ------------------------------------------------------------------------ */

/* One block on x, pages of `height` rows of patches; of a block that is not global also rows of
 * windows of one page. */
static int run_sam_block(const struct pass *p, int64_t i, int64_t height, const struct tensor *x) {
    const struct encoder_config *c = p->config;
    const struct block *b = &p->encoder->blocks[i];
    const bool global = c->global[i];
    const struct tensor rel_h = global ? rel_h_of(p->s, i, height) : b->rel_h;
    const struct tensor rel_w = global ? p->s->tables->rel_w[i] : b->rel_w;
    const struct block_options o = {.sequences = tensor_rows(x) / (height * p->width),
                                    .heads = c->heads,
                                    .eps = CONFIG_EPS,
                                    .activation = ACTIVATION_GELU,
                                    .attention = {.height = global ? height : c->window,
                                                  .width = global ? p->width : c->window,
                                                  .rel_h = &rel_h,
                                                  .rel_w = &rel_w,
                                                  .window = global ? 0 : c->window,
                                                  .grid_height = height,
                                                  .grid_width = p->width,
                                                  .pad = &b->qkv_bias}};
    return run_block(p, b, x, &o);
}

/* A processor works through a piece that stays in its cache; a GPU is busy with all of it only. */
static bool works_piece_by_piece(const struct pass *p) {
    return p->device->backend->host_memory;
}

/* Blocks `first` to `end`, none of them global, on pages: of one page a row of windows goes through
 * all of them while it is in the cache, if it fits. */
static int run_strips(const struct pass *p, int64_t first, int64_t end, const struct tensor *x) {
    enum { FITS = 3 << 19 /* bytes of queries, keys and values */ };
    const struct encoder_config *c = p->config;
    int64_t bytes = c->window * p->width * 3 * c->dim * (int64_t)sizeof(float);
    bool fits = works_piece_by_piece(p) && bytes <= FITS;
    int64_t strip = fits ? c->window * p->width : tensor_rows(x);
    int rc = 0;
    for (int64_t y = 0; y < tensor_rows(x); y += strip) {
        int64_t count = tensor_rows(x) - y < strip ? tensor_rows(x) - y : strip;
        struct tensor rows = tensor_row_range(x, y, count);
        for (int64_t i = first; i < end && rc == 0; i++) {
            rc = run_sam_block(p, i, fits ? count / p->width : p->height, &rows);
        }
    }
    return rc;
}

static int run_sam_blocks(const struct pass *p, const struct tensor *x) {
    const struct encoder_config *c = p->config;
    const int64_t rows = works_piece_by_piece(p) ? p->height * p->width : tensor_rows(x);
    int64_t end;
    int rc = 0;
    for (int64_t i = 0; i < c->depth && rc == 0; i = end) {
        end = i + 1;
        while (p->s->show == NULL && !c->global[i] && end < c->depth && !c->global[end]) {
            end++;
        }
        for (int64_t k = 0; k < tensor_rows(x) && rc == 0; k += rows) {
            struct tensor pages = tensor_row_range(x, k, rows);
            rc = c->global[i] ? run_sam_block(p, i, p->height, &pages)
                              : run_strips(p, i, end, &pages);
        }
        if (rc == 0) {
            rc = show(p, "sam.block", i, x);
        }
    }
    return rc;
}

/* Pixels to the device, normalised there where they are bytes: (batch, height, width, channels). */
static int send_pixels(const struct pass *p, const struct tensor *pixels, struct tensor *out) {
    static const float HALF[3] = {IMAGE_MEAN, IMAGE_MEAN, IMAGE_MEAN};
    static const float DEVIATION[3] = {IMAGE_DEVIATION, IMAGE_DEVIATION, IMAGE_DEVIATION};
    struct tensor wide = buffer_of(p, BUFFER_WIDE, tensor_rows(pixels), tensor_width(pixels));
    *out = tensor_reshape(&wide, pixels->shape);
    if (pixels->type == DTYPE_F32) {
        return p->ops->upload(p->device, out, pixels, p->e);
    }
    struct tensor bytes =
        tensor_of(p->s->buffers[BUFFER_INPUT].memory.data, DTYPE_U8, p->device, pixels->shape);
    int rc = p->ops->upload(p->device, &bytes, pixels, p->e);
    if (rc == 0) {
        rc = p->ops->normalize_pixels(p->device, out, &bytes, HALF, DEVIATION, p->e);
    }
    return rc;
}

static int run_windowed_stage(const struct pass *p, const struct tensor *pixels,
                              const struct tensor *x) {
    const struct encoder_config *c = p->config;
    int64_t channels = tensor_width(pixels);
    const struct convolution_options patches = {.height = pixels->shape[1],
                                                .width = pixels->shape[2],
                                                .channels = channels,
                                                .size = (int)c->patch,
                                                .stride_y = (int)c->patch,
                                                .stride_x = (int)c->patch};
    const struct packed *w = channels == 1 ? p->encoder->patch_grey : p->encoder->patch;
    const struct tensor position = position_of(p->s, p->height);
    struct tensor input;
    int rc = send_pixels(p, pixels, &input);
    if (rc == 0) {
        rc = p->ops->convolve(p->device, x, &input, &patches, w, p->e);
    }
    if (rc == 0) {
        rc = p->ops->add(p->device, x, x, &position, p->e);
    }
    if (rc == 0) {
        rc = show(p, "sam.embed", -1, x);
    }
    if (rc == 0) {
        rc = run_sam_blocks(p, x);
    }
    return rc;
}

/* ---- Compressor ---------------------------------------------------------------------------- */

/* out (batch * out_height * out_width, outputs) of x (batch * height * width, channels): a kernel
 * of 3 x 3. */
static int run_convolution(const struct pass *p, const struct tensor *out, const struct tensor *x,
                           int64_t height, int64_t width, int stride_y, int stride_x,
                           const struct packed *w) {
    const struct convolution_options o = {.height = height,
                                          .width = width,
                                          .channels = tensor_width(x),
                                          .size = 3,
                                          .stride_y = stride_y,
                                          .stride_x = stride_x,
                                          .pad = 1};
    struct tensor pictures =
        tensor_reshape(x, TENSOR_SHAPE(p->batch, height, width, tensor_width(x)));
    return p->ops->convolve(p->device, out, &pictures, &o, w, p->e);
}

/* x (patches, dim) -> neck -> net_2 -> net_3: compressed (tokens of all column offsets, net_3). */
static int run_compressor(const struct pass *p, const struct tensor *x,
                          const struct tensor *compressed) {
    const struct encoder_config *c = p->config;
    const struct encoder *encoder = p->encoder;
    int64_t patches = tensor_rows(x);
    struct tensor neck = buffer_of(p, BUFFER_Y, patches, c->neck);
    struct tensor wide_neck = buffer_of(p, BUFFER_X, patches, c->neck);
    struct tensor net_2 = buffer_of(p, BUFFER_X, patches / 4, c->net_2);
    int rc = run_linear(p, &neck, x, encoder->neck_0, NULL);
    if (rc == 0) {
        rc = run_norm(p, &neck, &neck, &encoder->neck_1, CONFIG_EPS);
    }
    if (rc == 0) {
        rc = run_convolution(p, &wide_neck, &neck, p->height, p->width, 1, 1, encoder->neck_2);
    }
    if (rc == 0) {
        rc = run_norm(p, &neck, &wide_neck, &encoder->neck_3, CONFIG_EPS);
    }
    if (rc == 0) {
        rc = show(p, "sam.neck", -1, &neck);
    }
    if (rc == 0) {
        rc = run_convolution(p, &net_2, &neck, p->height, p->width, 2, 2, encoder->net_2);
    }
    if (rc == 0) {
        rc = show(p, "sam.net_2", -1, &net_2);
    }
    if (rc == 0) {
        rc = run_convolution(p, compressed, &net_2, p->height / 2, p->width / 2, 2,
                             p->column_offsets == 2 ? 1 : 2, encoder->net_3);
    }
    if (rc == 0) {
        rc = show(p, "sam.net_3", -1, compressed);
    }
    return rc;
}

/* ---- Global stage ---------------------------------------------------------------------------- */

/* Tokens (pages x column offsets, tokens, width) of a matrix in the order of the page, in which the
 * columns of both offsets take turns: page b at offset f is sequence b * column_offsets + f. */
static struct tensor by_column_offset(const struct pass *p, const struct tensor *x) {
    int64_t width = tensor_width(x), stride = x->stride[TENSOR_RANK - 2];
    struct tensor view = *x;
    const int64_t shape[TENSOR_RANK] = {p->batch, p->column_offsets, p->rows * p->columns, width};
    const int64_t strides[TENSOR_RANK] = {p->column_offsets * p->rows * p->columns * stride, stride,
                                          p->column_offsets * stride, 1};
    for (int i = 0; i < TENSOR_RANK; i++) {
        view.shape[i] = shape[i];
        view.stride[i] = strides[i];
    }
    return view;
}

/* Of sequences that begin with a class token, the rest: (batch, column offsets, tokens, width). */
static struct tensor tokens_of(const struct pass *p, const struct tensor *x) {
    int64_t tokens = p->rows * p->columns;
    struct tensor all =
        tensor_reshape(x, TENSOR_SHAPE(p->batch, p->column_offsets, 1 + tokens, tensor_width(x)));
    return tensor_slice(&all, TENSOR_RANK - 2, 1, tokens);
}

/* The compressor's output -> x (pages x column offsets * (1 + tokens), dim). */
static int run_clip_input(const struct pass *p, const struct tensor *compressed,
                          const struct tensor *x) {
    int64_t sequences = p->batch * p->column_offsets, dim = tensor_width(x);
    struct tensor tokens = tokens_of(p, x), from = by_column_offset(p, compressed);
    struct tensor all =
        tensor_reshape(x, TENSOR_SHAPE(1, sequences, tensor_rows(x) / sequences, dim));
    struct tensor class_rows = tensor_slice(&all, TENSOR_RANK - 2, 0, 1);
    const struct tensor position = clip_position_of(p->s, p->height);
    int rc = p->ops->fill(p->device, &class_rows, 0, p->e);
    if (rc == 0) {
        rc = p->ops->copy(p->device, &tokens, &from, p->e);
    }
    if (rc == 0) {
        rc = p->ops->add(p->device, x, x, &position, p->e);
    }
    if (rc == 0) {
        rc = run_norm(p, x, x, &p->encoder->pre_norm, CONFIG_CLIP_EPS);
    }
    if (rc == 0) {
        rc = show(p, "clip.input", -1, x);
    }
    return rc;
}

static int run_global_stage(const struct pass *p, const struct tensor *x) {
    const struct block_options o = {.sequences = p->batch * p->column_offsets,
                                    .heads = p->config->clip_heads,
                                    .eps = CONFIG_CLIP_EPS,
                                    .activation = ACTIVATION_QUICK_GELU};
    int rc = 0;
    for (int64_t i = 0; i < p->config->clip_depth && rc == 0; i++) {
        rc = run_block(p, &p->encoder->clip_blocks[i], x, &o);
        if (rc == 0) {
            rc = show(p, "clip.layer", i, x);
        }
    }
    return rc;
}

/* Both stages side by side, in the order of the page, through the projector: tokens. */
static int run_projector(const struct pass *p, const struct tensor *x,
                         const struct tensor *compressed, const struct tensor *tokens) {
    int64_t dim = tensor_width(compressed), all = tensor_rows(compressed);
    struct tensor both = buffer_of(p, BUFFER_WIDE, all, 2 * dim);
    struct tensor left = tensor_column_range(&both, 0, dim);
    struct tensor right = tensor_column_range(&both, dim, dim);
    struct tensor to = by_column_offset(p, &left), from = tokens_of(p, x);
    int rc = p->ops->copy(p->device, &to, &from, p->e);
    if (rc == 0) {
        rc = p->ops->copy(p->device, &right, compressed, p->e);
    }
    if (rc == 0) {
        rc = show(p, "concat", -1, &both);
    }
    if (rc == 0) {
        rc = run_linear(p, tokens, &both, p->encoder->projector, NULL);
    }
    if (rc == 0 && p->config->token_norm) {
        rc = run_norm(p, tokens, tokens, &p->encoder->token_norm, CONFIG_CLIP_EPS);
    }
    if (rc == 0) {
        rc = show(p, "tokens", -1, tokens);
    }
    return rc;
}

/* ---- All of it ----------------------------------------------------------------------------- */

/* What `tokens` becomes, of the device: in the buffer Y. */
static int run_network(const struct pass *p, const struct tensor *pixels, struct tensor *tokens) {
    const struct encoder_config *c = p->config;
    int64_t sequences = p->batch * p->column_offsets, all = sequences * p->rows * p->columns;
    struct tensor patches = buffer_of(p, BUFFER_X, p->batch * p->height * p->width, c->dim);
    struct tensor compressed = buffer_of(p, BUFFER_COMPRESSED, all, c->clip_dim);
    struct tensor clip = buffer_of(p, BUFFER_X, all + sequences, c->clip_dim);
    *tokens = buffer_of(p, BUFFER_Y, all, c->token_dim);
    int rc = run_windowed_stage(p, pixels, &patches);
    if (rc == 0) {
        rc = run_compressor(p, &patches, &compressed);
    }
    if (rc == 0) {
        rc = run_clip_input(p, &compressed, &clip);
    }
    if (rc == 0) {
        rc = run_global_stage(p, &clip);
    }
    if (rc == 0) {
        rc = run_projector(p, &clip, &compressed, tokens);
    }
    return rc;
}

int encoder_run(struct encoder_session *s, const struct tensor *tokens, const struct tensor *pixels,
                int column_offsets, struct error *e) {
    const struct encoder *encoder = s->encoder;
    const struct encoder_shape shape = {pixels->shape[0], pixels->shape[1], pixels->shape[2],
                                        column_offsets};
    struct pass p = {.s = s,
                     .encoder = encoder,
                     .config = &encoder->config,
                     .batch = shape.batch,
                     .column_offsets = column_offsets,
                     .height = shape.height / encoder->config.patch,
                     .width = shape.width / encoder->config.patch,
                     .e = e};
    struct tensor result;
    int rc = encoder_grid(encoder, &shape, &p.rows, &p.columns, e);
    if (rc == 0 && s->device == NULL) { /* it was cleared */
        rc = device_open(&s->device, encoder->backend, encoder->compute, e);
    }
    if (rc < 0) {
        return rc;
    }
    p.device = s->device;
    p.ops = s->device->ops;
    p.columns /= column_offsets;
    rc = position_tables_find(s, p.height, p.width, e);
    if (rc == 0) {
        rc = encoder_buffers_reserve(s, &shape, pixels->type, tensor_width(pixels), e);
    }
    if (rc == 0) {
        rc = run_network(&p, pixels, &result);
    }
    if (rc == 0) {
        assert(tensor_count(tokens) == tensor_count(&result));
        struct tensor to = tensor_as_matrix(tokens);
        rc = s->device->ops->download(s->device, &to, &result, e);
    }
    return rc;
}

int encoder_run_image(struct encoder_session *s, float *tokens, const struct image *image,
                      int column_offsets, struct error *e) {
    const struct encoder_shape shape = {1, image->height, image->width, column_offsets};
    int64_t rows, columns;
    int rc = encoder_grid(s->encoder, &shape, &rows, &columns, e);
    if (rc < 0) {
        return rc;
    }
    struct tensor pixels = image_tensor(image);
    struct tensor to =
        tensor_matrix(tokens, DTYPE_F32, NULL, rows * columns, s->encoder->config.token_dim);
    return encoder_run(s, &to, &pixels, column_offsets, e);
}
