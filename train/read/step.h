/* step.h - one page of a training step: forward, losses, backward; for read.c. */
#ifndef OCC_TRAIN_READ_STEP_H
#define OCC_TRAIN_READ_STEP_H

#include "train/encoder_tape.h"
#include "train/read/read.h"
#include "train/read/whiten.h"

enum { READ_EARLY = 3 /* heads that are not shipped */ };

/* What a step's pages have in common. */
struct read_plan {
    uint64_t number; /* of the step */
    double progress; /* share of the training before it */
    enum read_size size;
    enum encoder_stage last;  /* of those that are there yet: its head has the weight 1 */
    double early[READ_EARLY]; /* weights of the heads before it */
    bool merging;
};

/* Sums over pages; `read` of the head behind the last stage. */
struct read_sums {
    struct read_loss early[READ_EARLY], read[READ_KINDS], merged[READ_MERGES];
    int64_t pages;
};
void read_sums_add(struct read_sums *to, const struct read_sums *from);

/* A page copied, with the lattice of its labels. */
struct read_sheet {
    float *pixels;   /* (side, side, 3), whitened */
    size_t capacity; /* floats of pixels */
    int side, kind;
    bool merging;
    struct read_label *labels;
    size_t label_count, label_capacity;
    int merges; /* of the second reading, 0: none */
    uint64_t random;
};
void read_sheet_close(struct read_sheet *s);
int read_sheet_take(struct read_sheet *s, const struct read_page *page,
                    const struct whitening *whitening, struct error *e);

/* All parameters: the encoder's, the heads' ("early.0.", ..., "reader."), the merges'. */
int read_parameters(struct parameters *p, const struct read_options *o, struct error *e);

/* Adds the gradients of a page's losses, each divided by `characters`, those of all pages of the
 * step. */
int read_step_page(struct tape *t, const struct read_options *o, const struct parameters *p,
                   const struct read_plan *plan, const struct read_sheet *sheet, double characters,
                   float *gradients, struct read_sums *sums, struct error *e);

#endif
