/* encoder_tape.h - the encoder of compress/encoder.h on a tape, to be trained: the same numbers
 * from the same tensors. */
#ifndef OCC_TRAIN_ENCODER_ENCODER_TAPE_H
#define OCC_TRAIN_ENCODER_ENCODER_TAPE_H

#include "compress/config.h"
#include "train/tape/source.h"

/* Parts of the network from its front; a head can read what each ends with. */
enum encoder_stage { STAGE_NECK, STAGE_NET_2, STAGE_NET_3, STAGE_TOKENS };

/* What heads may read: rows in the order of the page, page after page; NULL after the last. */
struct encoder_stages {
    struct node *neck;   /* (batch * height / patch * width / patch, neck) */
    struct node *net_2;  /* half of both sides */
    struct node *net_3;  /* a quarter; with two phases, half of the width */
    struct node *tokens; /* as net_3, token_dim wide */
};

/* As far as `last`. pixels: F32 (batch, height, width, channels), of the device, both sides
 * multiples of 4 patches; three channels, prepared as for encoder_run, or the first alone where the
 * others are zeros (train/read/whiten.h). They, the configuration and what `parameters` points to
 * must outlive the backward pass. `phases`: 1 or 2, as in struct encoder_shape. Failures are the
 * tape's. */
void encoder_tape(const struct encoder_config *config, const struct tape_source *parameters,
                  struct tape *t, const struct tensor *pixels, int phases, enum encoder_stage last,
                  struct encoder_stages *out);

#endif
