/* decoder_step.h - a step of training of a language model with adapters, as `occ train tune` makes
 * it of one row, on any device: also on the one that computes nothing (compress/dry.h). */
#ifndef OCC_TESTS_BENCH_DECODER_STEP_H
#define OCC_TESTS_BENCH_DECODER_STEP_H

#include "train/lora/lora.h"
#include "train/tape/tape.h"

struct decoder_step; /* opaque */

struct decoder_step_options {
    struct lora_options lora;
    struct tape_options tape;
    int64_t tokens; /* of the row */
};

/* `base` and `device` outlive it. */
int decoder_step_open(struct decoder_step **out, struct device *device, const struct decoder *base,
                      const struct decoder_step_options *o, struct error *e);
void decoder_step_close(struct decoder_step *s); /* NULL is allowed */
/* Forward, backward, norm of the gradients, update; *loss: a token's mean, NULL: not wanted. */
int decoder_step_run(struct decoder_step *s, float *loss, struct error *e);

#endif
