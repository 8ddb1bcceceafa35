/* encoder_state.h - what an encoder consists of; for encoder*.c alone. */
#ifndef OCC_COMPRESS_ENCODER_STATE_H
#define OCC_COMPRESS_ENCODER_STATE_H

#include "compress/encoder.h"
#include "store/safetensors.h"

/* Floats of the device, except where host is said. */
struct norm {
    float *gamma, *beta;
};

struct block {
    struct norm norm1, norm2;
    struct weights *qkv, *proj, *mlp1, *mlp2;
    float *qkv_bias;                /* for what stands outside the page in a window */
    float *rel_h, *rel_w;           /* windowed blocks: (2 window - 1, head_dim) */
    float *host_rel_h, *host_rel_w; /* global blocks, host: (2 grid - 1, head_dim) */
};

struct encoder {
    struct encoder_config config;
    const struct backend_ops *ops;
    enum dtype compute;
    struct context *context; /* of the thread that opened it; packs weights */
    struct safetensors *file;
    uint64_t fingerprint;

    struct weights *patch;
    struct weights *patch_grey; /* of pixels whose three channels are equal: their sum */
    float *host_position;       /* host: (grid, grid, dim) */
    struct block blocks[CONFIG_DEPTH];
    struct weights *neck_0, *neck_2, *net_2, *net_3;
    struct norm neck_1, neck_3;
    float *host_class, *host_clip_position; /* host: (clip_dim); (1 + clip_grid^2, clip_dim) */
    struct norm pre_norm;
    struct block clip_blocks[CONFIG_DEPTH];
    struct weights *projector;
    struct norm token_norm; /* NULL pointers: none */
    float *host_vectors;    /* host: (2, token_dim) */
};

#endif
