/* encoder_state.h - what an encoder consists of; for encoder*.c alone. */
#ifndef OCC_COMPRESS_ENCODER_STATE_H
#define OCC_COMPRESS_ENCODER_STATE_H

#include "compress/device_buffer.h"
#include "compress/encoder.h"
#include "store/safetensors.h"

struct norm {
    struct tensor gamma, beta; /* (width); data NULL: there is none */
};

struct block {
    struct norm norm1, norm2;
    struct packed *qkv, *proj, *mlp1, *mlp2;
    struct tensor qkv_bias; /* of what stands outside the page in a window */
    struct tensor rel_h,
        rel_w; /* (2 window - 1, head_dim), or (2 grid - 1, head_dim) where global */
};

/* All tensors are of the device. */
struct encoder {
    struct encoder_config config;
    const struct backend *backend;
    enum dtype compute;
    struct device *device; /* of the thread that opened it: it packs the weights */
    struct safetensors *file;
    uint64_t fingerprint;
    size_t packed_bytes; /* of all matrices */

    struct packed *patch;
    struct packed *patch_grey; /* of one channel that stands for three: their sum */
    struct tensor position;    /* (grid * grid, dim) */
    struct block blocks[CONFIG_DEPTH];
    struct packed *neck_0, *neck_2, *net_2, *net_3;
    struct norm neck_1, neck_3;
    struct tensor class_row;     /* (clip_dim) */
    struct tensor clip_position; /* (1 + clip_grid * clip_grid, clip_dim) */
    struct norm pre_norm;
    struct block clip_blocks[CONFIG_DEPTH];
    struct packed *projector;
    struct norm token_norm; /* perhaps none */
    float *host_vectors;    /* of the host: (2, token_dim) */
};

/* Position tables, fitted to a grid. Pages of one width share those of the square page, of which a
 * page that is less high uses the first rows: a row has the same positions whatever follows it.
 * Only a page that is higher than wide has tables of its own. */
struct position_tables {
    struct position_tables *next;                           /* used before this one */
    int64_t height, width;                                  /* patches; height >= width */
    struct tensor position;                                 /* (height * width, dim) */
    struct tensor rel_h[CONFIG_DEPTH], rel_w[CONFIG_DEPTH]; /* of global blocks */
    struct tensor clip_position; /* (1 + tokens of an offset, clip_dim), row 0 with the class row */
};

/* INPUT has the bytes of pages; X and Y are the two sides of most operations; WIDE has pixels,
 * then queries, keys and values; COMPRESSED what the compressor gave, until the end. */
enum { BUFFER_INPUT, BUFFER_X, BUFFER_Y, BUFFER_WIDE, BUFFER_COMPRESSED, BUFFERS };

struct encoder_session {
    const struct encoder *encoder;
    struct device *device;          /* NULL: not since encoder_session_clear */
    struct position_tables *tables; /* the most recently used first */
    struct device_buffer buffers[BUFFERS];
    void (*show)(void *context, const char *name, const float *data, int64_t rows, int64_t columns);
    void *show_context;
};

/* Of queries, keys and values. */
enum dtype encoder_projection_type(const struct encoder *encoder);
/* Room in all buffers for pixels of this shape. */
int encoder_buffers_reserve(struct encoder_session *s, const struct encoder_shape *shape,
                            enum dtype pixels, int64_t channels, struct error *e);
void encoder_buffers_release(struct encoder_session *s);

/* Puts the tables for pages of height x width patches first. */
int position_tables_find(struct encoder_session *s, int64_t height, int64_t width, struct error *e);
void position_tables_close(struct encoder_session *s);
/* Of the first tables, what a page of `height` rows uses: position (height * width, dim),
 * clip_position, rel_h of block i (2 height - 1, head_dim). */
struct tensor position_of(const struct encoder_session *s, int64_t height);
struct tensor clip_position_of(const struct encoder_session *s, int64_t height);
struct tensor rel_h_of(const struct encoder_session *s, int64_t i, int64_t height);

#endif
