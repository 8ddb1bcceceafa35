/* step.h - pages of a training step: forward, losses, backward; and what its heads have lost. */
#ifndef OCC_TRAIN_READ_STEP_H
#define OCC_TRAIN_READ_STEP_H

#include "train/encoder/encoder_tape.h"
#include "train/read/sample.h"

enum { READ_EARLY = 3 /* heads that are not shipped */ };

/* The plan that all pages of a step share. */
struct read_plan {
    uint64_t number; /* of the step */
    double progress; /* share of the run before it */
    enum read_size size;
    enum encoder_stage last;  /* of those that are there yet: its head has the weight 1 */
    double early[READ_EARLY]; /* weights of the heads before it */
    bool halving;             /* some pages are read after halvings of their tokens */
};

/* Whose losses: the head before the last stage of that number, that of the last stage by the kind
 * of the page, that after so many halvings. */
enum {
    READ_OF_EARLY,
    READ_OF_KIND = READ_OF_EARLY + READ_EARLY,
    READ_OF_HALVING = READ_OF_KIND + READ_KINDS,
    READ_HEADS = READ_OF_HALVING + READ_HALVINGS
};

/* Sums over pages. */
struct read_sums {
    double loss[READ_HEADS][READ_LOSSES]; /* cross-entropies, not scaled */
    int64_t characters[READ_HEADS];
};

/* All parameters: the encoder's and the heads' ("early.0.", ..., "reader."). */
int read_parameters(struct parameters *p, const struct read_options *o, struct error *e);

/* A thread's part of it. */
struct read_pass {
    const struct read_options *options;
    const struct read_plan *plan;
    struct tensor losses;           /* F32 (READ_HEADS, READ_LOSSES) of the device: added to */
    int64_t characters[READ_HEADS]; /* added to */
};

/* How many pages go together, so that products are larger and weights are read once: small ones, or
 * as many more as the device is given at once. */
enum { READ_TOGETHER = 64 /* at most */ };
int64_t read_step_together(const struct read_plan *plan, const struct device *device);
/* Adds the gradients of the losses of `count` pages of one size, no more than go together, each
 * divided by the targets of the step: characters. */
int read_step_pages(struct read_pass *pass, const struct read_sample *samples, int64_t count,
                    const struct trainer_pass *trainer, struct error *e);

#endif
