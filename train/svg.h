/* svg.h - what pictures of numbers have in common: text into a buffer, the sheet, round numbers. */
#ifndef OCC_TRAIN_SVG_H
#define OCC_TRAIN_SVG_H

#include "store/bytes.h"

struct svg {
    struct bytes *out;
    struct error *e;
    int rc; /* of the writing so far: 0, or the first failure, after which nothing is written */
};

void svg_put(struct svg *svg, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A white sheet with a title; svg_end closes it. */
void svg_begin(struct svg *svg, int width, int height, int left, const char *title);
int svg_end(struct svg *svg); /* svg->rc */

/* The smallest of 1, 2, 5, 10, 20, ... that is not smaller. */
double svg_round_up(double value);

#endif
