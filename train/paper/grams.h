/* grams.h - texts as sparse vectors of their runs of 3 to 5 characters.
 *
 * A text's spaces, newlines and the like count as one space, also before and after it. Runs of code
 * points are counted in 2^18 places by their hash; a count n is sqrt(n), times the logarithm of
 * (1 + texts) / (1 + texts with it), and vectors have length 1. */
#ifndef OCC_TRAIN_PAPER_GRAMS_H
#define OCC_TRAIN_PAPER_GRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

enum { GRAMS_PLACES = 1 << 18, GRAMS_LEAST = 3, GRAMS_MOST = 5 };

struct grams_entry {
    uint32_t place;
    float value;
};
/* Rows, one a text; {0} has none. */
struct grams {
    struct grams_entry *entries; /* owned; by place within a row */
    size_t count, capacity;
    size_t *ends; /* owned; of each row */
    size_t rows, row_capacity;
};
void grams_close(struct grams *g);
/* Appends a row of counts. */
int grams_add(struct grams *g, const char *text, size_t size, struct error *e);
/* The weights of places that follow from rows of counts: GRAMS_PLACES of them; what a single text
 * has counts for nothing, since nothing is learned from it. */
void grams_weights(const struct grams *g, float *weights);
/* Counts become the vectors, from row `first` on. A row without any known run is all zeros. */
void grams_weigh(struct grams *g, size_t first, const float *weights);

const struct grams_entry *grams_row(const struct grams *g, size_t row, size_t *count);
/* With a vector of GRAMS_PLACES. */
double grams_dot(const struct grams *g, size_t row, const float *vector);
void grams_accumulate(const struct grams *g, size_t row, float factor, float *vector);

#endif
