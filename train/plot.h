/* plot.h - the curves of a training run as an SVG picture.
 *
 * Loss by pages, or rows of text, seen, the loss on a logarithmic scale, one curve for each name,
 * the learning rate below. Numbers and text become shapes here, nothing is read or written; the
 * same lines give the same bytes. */
#ifndef OCC_TRAIN_PLOT_H
#define OCC_TRAIN_PLOT_H

#include <stdint.h>

#include "store/bytes.h"

struct plot_counts {
    int64_t lines;      /* that are not blank */
    int64_t left_out;   /* of them: not drawn, as something in them is wrong */
    struct error first; /* why the first of those was left out, "line 7: ..." */
};

/* Appends the picture of `size` bytes of metrics.ndjson, a line {"step", "pages", "rate", NAME:
 * [character, presence], ...} for each of its points: what is drawn of a NAME is the sum of both;
 * of a language model's {"step", "rows", "rate", "loss", "held_out"}, where one is missing at
 * times. A line is left out whole when it is not JSON, when its pages are missing or fewer than
 * those before, when an array is not a pair of losses, or when it brings too many names. Other
 * members are of no concern. ERR_FORMAT when no loss is left to draw; the text does not name the
 * file. */
int plot_training(struct bytes *out, const void *metrics, size_t size, struct plot_counts *counts,
                  struct error *e);

#endif
