/* text_distance.h - how far what was read is from what was written, both folded (fold.h). */
#ifndef OCC_COMPRESS_TEXT_DISTANCE_H
#define OCC_COMPRESS_TEXT_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

/* 1 - edit distance / length of `text` (Levenshtein over code points), not below 0; 1 for two empty
 * texts: one minus the character error rate. Newlines count as characters. */
int text_accuracy(const char *read, size_t read_size, const char *text, size_t size,
                  double *accuracy, struct error *e);
/* The distance itself, and the length of `text` in code points once folded. */
int text_distance(const char *read, size_t read_size, const char *text, size_t size,
                  int64_t *distance, int64_t *length, struct error *e);

#endif
