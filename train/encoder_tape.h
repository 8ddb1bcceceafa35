/* encoder_tape.h - the encoder of compress/encoder.h on a tape, to be trained: the same numbers
 * from the same tensors. */
#ifndef OCC_TRAIN_ENCODER_TAPE_H
#define OCC_TRAIN_ENCODER_TAPE_H

#include "compress/encoder.h"
#include "train/parameters.h"

/* Parts of the network from its front; a head can read what each ends with. */
enum encoder_stage { STAGE_NECK, STAGE_NET_2, STAGE_NET_3, STAGE_TOKENS };

/* What heads may read: rows in the order of the page, page after page; NULL behind the last. */
struct encoder_stages {
    struct tensor *neck;   /* (batch * height / 16 * width / 16, neck) */
    struct tensor *net_2;  /* half of both sides */
    struct tensor *net_3;  /* a quarter; with two phases, half of the width */
    struct tensor *tokens; /* as net_3, token_dim wide */
};

struct encoder_taping {
    const struct encoder_config *config;
    const struct parameters *parameters; /* with parameters_add_encoder */
    float *gradients;                    /* see parameters_tensor */
};

/* As far as `last`. pixels (batch, height, width, 3), prepared as for encoder_run, must outlive the
 * backward pass. Failures are the tape's; sizes are the caller's promise. */
void encoder_tape(const struct encoder_taping *n, struct tape *t, const float *pixels,
                  const struct encoder_shape *shape, enum encoder_stage last,
                  struct encoder_stages *out);

#endif
