/* encoder_memory.c - what a run takes of the device's memory: buffers, tables and scratch. */
#include "compress/encoder_state.h"

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

enum dtype encoder_projection_type(const struct encoder *encoder) {
    return encoder->backend->host_memory ? DTYPE_F32 : encoder->compute;
}

/* What sizes follow from: of all pages together. */
struct extent {
    int64_t patches, sequences, tokens, clip; /* clip: tokens with their class tokens */
};

static struct extent extent_of(const struct encoder *encoder, const struct encoder_shape *shape) {
    const int64_t patch = encoder->config.patch;
    const int64_t height = shape->height / patch, width = shape->width / patch;
    struct extent x = {.patches = shape->batch * height * width,
                       .sequences = shape->batch * shape->column_offsets};
    x.tokens = x.sequences * (height / 4) * (width / 4);
    x.clip = x.tokens + x.sequences;
    return x;
}

/* ---- Buffers ------------------------------------------------------------------------------- */

/* Elements of F32; pixels: of all channels. */
static void list_counts(int64_t counts[BUFFERS], const struct encoder *encoder,
                        const struct encoder_shape *shape, enum dtype type, int64_t channels) {
    const struct encoder_config *c = &encoder->config;
    const struct extent x = extent_of(encoder, shape);
    const int64_t pixels = shape->batch * shape->height * shape->width * channels;
    const int64_t narrow = x.patches * larger(larger(c->dim, c->neck), (c->net_2 + 3) / 4);
    const int64_t projected = larger(x.patches * 3 * c->dim, x.clip * 3 * c->clip_dim);
    const int64_t size = (int64_t)dtype_size(encoder_projection_type(encoder));
    const int64_t float_size = (int64_t)sizeof(float);
    counts[BUFFER_INPUT] = type == DTYPE_U8 ? (pixels + float_size - 1) / float_size : 0;
    counts[BUFFER_X] = larger(narrow, x.clip * c->clip_dim);
    counts[BUFFER_Y] = larger(counts[BUFFER_X], x.tokens * c->token_dim);
    counts[BUFFER_WIDE] = larger((projected * size + float_size - 1) / float_size,
                                 larger(pixels, x.tokens * 2 * c->clip_dim));
    counts[BUFFER_COMPRESSED] = x.tokens * c->clip_dim;
}

void encoder_buffers_release(struct encoder_session *s) {
    for (int i = 0; i < BUFFERS; i++) {
        device_buffer_release(&s->buffers[i], s->device);
    }
}

/* On a device with memory of its own, all are of one shape: the largest of several shapes together
 * might be more than there is. */
int encoder_buffers_reserve(struct encoder_session *s, const struct encoder_shape *shape,
                            enum dtype pixels, int64_t channels, struct error *e) {
    int64_t counts[BUFFERS];
    bool fit = true;
    list_counts(counts, s->encoder, shape, pixels, channels);
    for (int i = 0; i < BUFFERS; i++) {
        const struct tensor *memory = &s->buffers[i].memory;
        fit =
            fit && (counts[i] == 0 || (memory->data != NULL && tensor_count(memory) >= counts[i]));
    }
    if (!fit && !s->device->backend->host_memory) {
        encoder_buffers_release(s);
    }
    int rc = 0;
    for (int i = 0; i < BUFFERS && rc == 0; i++) {
        rc = counts[i] > 0 ? device_buffer_reserve(&s->buffers[i], s->device, counts[i], e) : 0;
    }
    return rc;
}

/* ---- All of it ----------------------------------------------------------------------------- */

/* Of attention in F32: what relative positions add to the logits of a patch. */
static int64_t position_bytes(const struct encoder *encoder, const struct encoder_shape *shape) {
    const struct encoder_config *c = &encoder->config;
    const int64_t sides = (shape->height + shape->width) / c->patch;
    return encoder->compute == DTYPE_F32 ? extent_of(encoder, shape).patches * c->heads *
                                               larger(sides, 4 * c->window) * (int64_t)sizeof(float)
                                         : 0;
}

/* What is between the two products of an MLP, or the patches of a convolution; and what a product
 * reads in another type. */
static int64_t scratch_bytes(const struct encoder *encoder, const struct encoder_shape *shape,
                             int64_t channels) {
    enum { WORKSPACE = 48 << 20 /* of the library of products */ };
    const struct encoder_config *c = &encoder->config;
    const struct extent x = extent_of(encoder, shape);
    const int64_t size = (int64_t)dtype_size(encoder->compute);
    const int64_t hidden = larger(x.patches * c->mlp, x.clip * c->clip_mlp);
    const int64_t first = x.patches * c->patch * c->patch * channels;
    const int64_t second = larger(x.patches * 9 * c->neck, x.tokens * 9 * c->net_2);
    const int64_t other = larger(larger(x.patches * c->dim, x.tokens * 2 * c->clip_dim), first);
    return (larger(hidden, larger(first, second)) + other) * size + position_bytes(encoder, shape) +
           WORKSPACE;
}

/* Of the square page. */
static int64_t table_bytes(const struct encoder *encoder, const struct encoder_shape *shape) {
    const struct encoder_config *c = &encoder->config;
    const int64_t side = larger(shape->height, shape->width) / c->patch;
    return (side * side * c->dim + (1 + side / 4 * (side / 4)) * c->clip_dim) *
           (int64_t)sizeof(float);
}

size_t encoder_run_bytes(const struct encoder *encoder, const struct encoder_shape *shape,
                         int64_t channels) {
    int64_t counts[BUFFERS];
    int64_t bytes = scratch_bytes(encoder, shape, channels) + table_bytes(encoder, shape);
    list_counts(counts, encoder, shape, DTYPE_U8, channels);
    for (int i = 0; i < BUFFERS; i++) {
        bytes += counts[i] * (int64_t)sizeof(float);
    }
    return (size_t)bytes;
}

size_t encoder_weight_bytes(const struct encoder *encoder) {
    return encoder->packed_bytes + encoder->device->bytes;
}
