/* encoder_tape.c - see encoder_tape.h. */
#include "train/encoder/encoder_tape.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHRINKS = 4 /* sides of the grid, in the compressor */, NAME = 64 };

struct tape_pass {
    const struct encoder_config *config;
    struct tape_source parameters;
    struct tape *t;
    int64_t batch, column_offsets;
    int64_t height, width; /* patches */
    int64_t table_height;  /* rows of patches for which positions are fitted (encoder_state.h) */
    int64_t rows, columns; /* tokens of one column offset */
    int64_t places;        /* of the windows of all pages */
    bool fits;             /* windows cover the grid without leaving it */
};

static struct node *linear(const struct tape_pass *p, struct node *x, const char *prefix,
                           const char *name) {
    return tape_named_linear(&p->parameters, p->t, x, prefix, name);
}

static struct node *norm(const struct tape_pass *p, struct node *x, const char *prefix,
                         const char *name, float eps) {
    return tape_named_layer_norm(&p->parameters, p->t, x, prefix, name, eps);
}

/* ---- Windowed stage -------------------------------------------------------------------------- */

/* Of (batch, height, width, side): the patch at each place of the windows, -1: none. */
static void fill_windows(int32_t *out, int64_t count, const int64_t *shape) {
    const int64_t height = shape[1], width = shape[2], side = shape[3];
    const int64_t across = (width + side - 1) / side, page = count / shape[0];
    for (int64_t i = 0; i < count; i++) {
        const int64_t window = i % page / (side * side), place = i % (side * side);
        const int64_t y = window / across * side + place / side;
        const int64_t x = window % across * side + place % side;
        const bool inside = y < height && x < width;
        out[i] = inside ? (int32_t)(i / page * height * width + y * width + x) : -1;
    }
}

/* The place of each patch in the windows. */
static void fill_patches(int32_t *out, int64_t count, const int64_t *shape) {
    const int64_t height = shape[1], width = shape[2], side = shape[3];
    const int64_t down = (height + side - 1) / side, across = (width + side - 1) / side;
    for (int64_t i = 0; i < count; i++) {
        const int64_t page = i / (height * width), y = i / width % height, x = i % width;
        const int64_t window = (page * down + y / side) * across + x / side;
        out[i] = (int32_t)((window * side + y % side) * side + x % side);
    }
}

/* Patches in the order of the windows, and back. */
static struct node *to_windows(const struct tape_pass *p, struct node *x) {
    const struct tensor index =
        tape_table(p->t, fill_windows, p->places,
                   TAPE_TABLE(p->batch, p->height, p->width, p->config->window));
    return tape_gather(p->t, x, &index);
}

static struct node *from_windows(const struct tape_pass *p, struct node *x) {
    const struct tensor index =
        tape_table(p->t, fill_patches, p->batch * p->height * p->width,
                   TAPE_TABLE(p->batch, p->height, p->width, p->config->window));
    return tape_gather(p->t, x, &index);
}

/* Relative positions of a sequence `side` patches long, of the table that is fitted to one of
 * `fitted` patches. */
static struct node *positions(const struct tape_pass *p, const char *prefix, const char *name,
                              int64_t fitted, int64_t side) {
    struct node *table = tape_named(&p->parameters, p->t, "%s%s", prefix, name);
    if (table == NULL) {
        return NULL;
    }
    const struct resample_options o = {.from_rows = tensor_rows(&table->value),
                                       .from_columns = 1,
                                       .rows = 2 * fitted - 1,
                                       .columns = 1};
    table = tape_resample(p->t, table, &o);
    return fitted == side ? table : tape_row_range(p->t, table, fitted - side, 2 * side - 1);
}

/* The first `rows` of `fitted` rows of places, each `columns` wide, of a table of grid x grid. */
static struct node *grid_positions(const struct tape_pass *p, struct node *table, int64_t grid,
                                   int64_t fitted, int64_t rows, int64_t columns) {
    const struct resample_options o = {.from_rows = grid,
                                       .from_columns = grid,
                                       .rows = fitted,
                                       .columns = columns,
                                       .bicubic = true};
    table = tape_resample(p->t, table, &o);
    return fitted == rows ? table : tape_row_range(p->t, table, 0, rows * columns);
}

/* Attention of sequences of height * width patches, with positions. */
static struct node *attend(const struct tape_pass *p, struct node *x, const char *prefix,
                           bool global) {
    const struct encoder_config *c = p->config;
    const int64_t height = global ? p->height : c->window, width = global ? p->width : c->window;
    const int64_t head = c->dim / c->heads;
    const struct tape_attention o = {
        .height = height,
        .width = width,
        .rel_h = positions(p, prefix, "attn.rel_pos_h", global ? p->table_height : height, height),
        .rel_w = positions(p, prefix, "attn.rel_pos_w", width, width)};
    x = linear(p, x, prefix, "attn.qkv");
    if (x == NULL) {
        return NULL;
    }
    const int64_t sequences = tensor_rows(&x->value) / (height * width);
    x = tape_attention(p->t, tape_heads(p->t, x, sequences, 0, c->heads, head),
                       tape_heads(p->t, x, sequences, c->dim, c->heads, head),
                       tape_heads(p->t, x, sequences, 2 * c->dim, c->heads, head), &o);
    return linear(p, x, prefix, "attn.proj");
}

/* Where windows fit, the patches stay in their order from one windowed block to the next. */
static struct node *sam_block(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct tape_pass *p = context;
    const struct encoder_config *c = p->config;
    const bool windowed = !c->global[i], padded = windowed && !p->fits;
    const bool enters = i == 0 || c->global[i - 1], leaves = i + 1 == c->depth || c->global[i + 1];
    char prefix[NAME];
    snprintf(prefix, sizeof prefix, "model.sam_model.blocks.%" PRId64 ".", i);
    if (windowed && p->fits && enters) {
        x = to_windows(p, x);
    }
    struct node *y = norm(p, x, prefix, "norm1", CONFIG_EPS);
    y = attend(p, padded ? to_windows(p, y) : y, prefix, c->global[i]);
    x = tape_add(t, x, padded ? from_windows(p, y) : y);
    y = norm(p, x, prefix, "norm2", CONFIG_EPS);
    y = tape_gelu(t, linear(p, y, prefix, "mlp.lin1"));
    x = tape_add(t, x, linear(p, y, prefix, "mlp.lin2"));
    return windowed && p->fits && leaves ? from_windows(p, x) : x;
}

/* Each patch's pixels times the weights of their channels. */
static struct node *embed(const struct tape_pass *p, const struct tensor *pixels) {
    const char *prefix = "model.sam_model.patch_embed.proj";
    const int64_t side = p->config->patch, channels = tensor_width(pixels);
    const struct convolution_options o = {.height = pixels->shape[1],
                                          .width = pixels->shape[2],
                                          .channels = channels,
                                          .size = (int)side,
                                          .stride_y = (int)side,
                                          .stride_x = (int)side};
    const struct tensor matrix = tensor_as_matrix(pixels);
    struct node *weight = tape_named(&p->parameters, p->t, "%s.weight", prefix);
    if (channels == 1) {
        weight = tape_column_range(p->t, weight, 0, side * side);
    }
    return tape_convolve(p->t, tape_input(p->t, &matrix, NULL), p->batch, &o, weight,
                         tape_named(&p->parameters, p->t, "%s.bias", prefix));
}

static struct node *windowed_stage(const struct tape_pass *p, const struct tensor *pixels) {
    const struct encoder_config *c = p->config;
    struct node *position =
        grid_positions(p, tape_named(&p->parameters, p->t, "model.sam_model.pos_embed"), c->grid,
                       p->table_height, p->height, p->width);
    struct node *x = tape_add(p->t, embed(p, pixels), position);
    return tape_blocks(p->t, x, c->depth, sam_block, p, sizeof *p);
}

/* ---- Compressor ------------------------------------------------------------------------------ */

static struct node *convolve(const struct tape_pass *p, struct node *x, int64_t height,
                             int64_t width, int stride_y, int stride_x, const char *name) {
    const struct convolution_options o = {.height = height,
                                          .width = width,
                                          .channels = x != NULL ? tensor_width(&x->value) : 0,
                                          .size = 3,
                                          .stride_y = stride_y,
                                          .stride_x = stride_x,
                                          .pad = 1};
    struct node *weight = tape_named(&p->parameters, p->t, "model.sam_model.%s.weight", name);
    return tape_convolve(p->t, x, p->batch, &o, weight, NULL);
}

static void compressor(const struct tape_pass *p, struct node *x, enum encoder_stage last,
                       struct encoder_stages *out) {
    const char *prefix = "model.sam_model.";
    x = tape_linear(p->t, x, tape_named(&p->parameters, p->t, "%sneck.0.weight", prefix), NULL);
    x = norm(p, x, prefix, "neck.1", CONFIG_EPS);
    x = convolve(p, x, p->height, p->width, 1, 1, "neck.2");
    out->neck = norm(p, x, prefix, "neck.3", CONFIG_EPS);
    if (last >= STAGE_NET_2) {
        out->net_2 = convolve(p, out->neck, p->height, p->width, 2, 2, "net_2");
    }
    if (last >= STAGE_NET_3) {
        out->net_3 = convolve(p, out->net_2, p->height / 2, p->width / 2, 2,
                              p->column_offsets == 2 ? 1 : 2, "net_3");
    }
}

/* ---- Global stage ---------------------------------------------------------------------------- */

/* Row 0 and the fitted rest of the position table. */
static struct node *clip_position(const struct tape_pass *p) {
    const int64_t grid = p->config->clip_grid;
    struct node *table =
        tape_named(&p->parameters, p->t, "model.vision_model.embeddings.position_embedding.weight");
    struct node *rest = grid_positions(p, tape_row_range(p->t, table, 1, grid * grid), grid,
                                       p->table_height / SHRINKS, p->rows, p->columns);
    return tape_concat_rows(p->t, tape_row_range(p->t, table, 0, 1), rest);
}

/* Of (column offsets, tokens of one): row 0 before the tokens of each offset of each page, which
 * are the rows from 1 on, in the order of the page. */
static void fill_sequences(int32_t *out, int64_t count, const int64_t *shape) {
    const int64_t column_offsets = shape[0], tokens = shape[1];
    for (int64_t i = 0; i < count; i++) {
        const int64_t sequence = i / (1 + tokens), token = i % (1 + tokens) - 1;
        const int64_t page = sequence / column_offsets, offset = sequence % column_offsets;
        out[i] = token < 0 ? 0 : (int32_t)(1 + (page * tokens + token) * column_offsets + offset);
    }
}

/* The tokens of the sequences in the order of the page. */
static void fill_page_order(int32_t *out, int64_t count, const int64_t *shape) {
    const int64_t column_offsets = shape[0], tokens = shape[1];
    for (int64_t i = 0; i < count; i++) {
        const int64_t page = i / (tokens * column_offsets),
                      token = i % (tokens * column_offsets) / column_offsets;
        out[i] = (int32_t)((page * column_offsets + i % column_offsets) * (1 + tokens) + 1 + token);
    }
}

/* Sequences of a class token and the tokens of one column offset of a page. */
static struct node *clip_input(const struct tape_pass *p, struct node *net_3) {
    const char *prefix = "model.vision_model.";
    const int64_t tokens = p->rows * p->columns;
    struct node *class_row =
        tape_named(&p->parameters, p->t, "%sembeddings.class_embedding", prefix);
    const struct tensor index =
        tape_table(p->t, fill_sequences, p->batch * p->column_offsets * (1 + tokens),
                   TAPE_TABLE(p->column_offsets, tokens));
    struct node *x = tape_gather(p->t, tape_concat_rows(p->t, class_row, net_3), &index);
    x = tape_add(p->t, x, clip_position(p));
    return norm(p, x, prefix, "pre_layrnorm", CONFIG_CLIP_EPS);
}

static struct node *clip_block(struct tape *t, struct node *x, int64_t i, const void *context) {
    const struct tape_pass *p = context;
    const struct encoder_config *c = p->config;
    const int64_t sequences = p->batch * p->column_offsets, head = c->clip_dim / c->clip_heads;
    const struct tape_attention o = {.causal = false};
    char prefix[NAME];
    snprintf(prefix, sizeof prefix, "model.vision_model.transformer.layers.%" PRId64 ".", i);
    struct node *y = norm(p, x, prefix, "layer_norm1", CONFIG_CLIP_EPS);
    y = linear(p, y, prefix, "self_attn.qkv_proj");
    y = tape_attention(t, tape_heads(t, y, sequences, 0, c->clip_heads, head),
                       tape_heads(t, y, sequences, c->clip_dim, c->clip_heads, head),
                       tape_heads(t, y, sequences, 2 * c->clip_dim, c->clip_heads, head), &o);
    x = tape_add(t, x, linear(p, y, prefix, "self_attn.out_proj"));
    y = norm(p, x, prefix, "layer_norm2", CONFIG_CLIP_EPS);
    y = tape_quick_gelu(t, linear(p, y, prefix, "mlp.fc1"));
    return tape_add(t, x, linear(p, y, prefix, "mlp.fc2"));
}

/* Both stages side by side, in the order of the page. */
static struct node *projector(const struct tape_pass *p, struct node *x, struct node *net_3) {
    const int64_t tokens = p->rows * p->columns;
    const struct tensor index =
        tape_table(p->t, fill_page_order, p->batch * p->column_offsets * tokens,
                   TAPE_TABLE(p->column_offsets, tokens));
    x = tape_concat_columns(p->t, tape_gather(p->t, x, &index), net_3);
    x = linear(p, x, "model.", "projector.layers");
    return p->config->token_norm ? norm(p, x, "model.", "token_norm", CONFIG_CLIP_EPS) : x;
}

void encoder_tape(const struct encoder_config *config, const struct tape_source *parameters,
                  struct tape *t, const struct tensor *pixels, int column_offsets,
                  enum encoder_stage last, struct encoder_stages *out) {
    struct tape_pass p = {.config = config,
                          .parameters = *parameters,
                          .t = t,
                          .batch = pixels->shape[0],
                          .column_offsets = column_offsets,
                          .height = pixels->shape[1] / config->patch,
                          .width = pixels->shape[2] / config->patch};
    const int64_t side = config->window;
    p.table_height = p.height > p.width ? p.height : p.width;
    p.rows = p.height / SHRINKS;
    p.columns = p.width / SHRINKS;
    p.fits = p.height % side == 0 && p.width % side == 0;
    p.places =
        p.batch * ((p.height + side - 1) / side) * ((p.width + side - 1) / side) * side * side;
    *out = (struct encoder_stages){.neck = NULL};
    compressor(&p, windowed_stage(&p, pixels), last, out);
    if (last < STAGE_TOKENS) {
        return;
    }
    struct node *x = clip_input(&p, out->net_3);
    x = tape_blocks(t, x, config->clip_depth, clip_block, &p, sizeof p);
    out->tokens = projector(&p, x, out->net_3);
}
