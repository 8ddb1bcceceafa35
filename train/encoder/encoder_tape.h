/* encoder_tape.h - the encoder of compress/encoder.h on a tape, to be trained: the same numbers
 * from the same tensors. */
#ifndef OCC_TRAIN_ENCODER_ENCODER_TAPE_H
#define OCC_TRAIN_ENCODER_ENCODER_TAPE_H

#include "compress/config.h"
#include "train/tape/source.h"

/* Parts of the network from its front; a head can read what each ends with. */
enum encoder_stage { STAGE_NECK, STAGE_NET_2, STAGE_NET_3, STAGE_TOKENS };

/* The outputs of the stages, for heads: rows in the order of the page, page after page; NULL after
 * the last stage that was computed. With h = height / patch and w = width / patch: */
struct encoder_stages {
    struct node *neck;   /* (batch * h * w, neck) */
    struct node *net_2;  /* (batch * h / 2 * w / 2, net_2) */
    struct node *net_3;  /* (batch * h / 4 * w / 4 * column offsets, net_3) */
    struct node *tokens; /* as many rows, token_dim wide */
};

/* Computes as far as `last`. pixels: F32 (batch, height, width, channels), of the tape's device,
 * both sides multiples of 4 patches; three channels, prepared as for encoder_run, or the first
 * alone where the others are zeros (train/read/whiten.h). column_offsets: 1 or 2, as in struct
 * encoder_shape. Pixels, configuration and what `parameters` points to are the caller's and must
 * outlive the backward pass; nodes are the tape's. Failures are the tape's, too. */
void encoder_tape(const struct encoder_config *config, const struct tape_source *parameters,
                  struct tape *t, const struct tensor *pixels, int column_offsets,
                  enum encoder_stage last, struct encoder_stages *out);

#endif
