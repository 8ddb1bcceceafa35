/* whiten.h - the patches of a page as numbers that say as much each as any other.
 *
 * Neighbouring pixels of text are nearly alike, so the gradients of a patch embedding are long in
 * few directions and short in the many that tell letters apart. Training therefore sees patches x =
 * L^-1 (p - 1): p are the pixels as the encoder sees them, white is +1, and L L^T is what (p - 1)
 * (p - 1)^T is in the mean. In the file of weights this is fused into the embedding: W x + b = (W
 * L^-1) p + (b - W L^-1 1). */
#ifndef OCC_TRAIN_READ_WHITEN_H
#define OCC_TRAIN_READ_WHITEN_H

#include <stdint.h>

#include "store/error.h"

enum { WHITEN_SIDE = 16, WHITEN_AREA = WHITEN_SIDE * WHITEN_SIDE };

struct whitening {
    double moments[WHITEN_AREA][WHITEN_AREA]; /* sums while patches are added; then L */
    double count;
    float inverse[WHITEN_AREA][WHITEN_AREA]; /* L^-1, transposed: upper triangular */
};

/* Adds the patches of a grey page of width x height bytes. */
void whiten_add(struct whitening *w, const uint8_t *grey, int width, int height);
/* Makes `inverse` of what was added. Pixels that never change are damped. */
int whiten_finish(struct whitening *w, struct error *e);
/* The patches of a page in their places: out (height, width), in each patch its whitened numbers,
 * row by row: the first channel of three, of which the others are zeros. */
void whiten_page(const struct whitening *w, float *out, const uint8_t *grey, int width, int height);
/* An embedding of whitened patches, weight (rows, 3, area) and bias (rows), becomes one of pixels
 * in three equal channels. */
void whiten_fuse(const struct whitening *w, float *weight, float *bias, int64_t rows);

/* The other way round, for weights that whiten_fuse has made or that are to be trained on. */
void whiten_unfuse(const struct whitening *w, float *weight, float *bias, int64_t rows);

#endif
