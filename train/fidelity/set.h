/* set.h - texts to measure by: a file's, the same in capitals, samples made of its words, random
 * strings, digits. */
#ifndef OCC_TRAIN_FIDELITY_SET_H
#define OCC_TRAIN_FIDELITY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compress/alphabet.h"
#include "store/bytes.h"

enum set_kind {
    SET_TEXT,    /* as it is */
    SET_CAPS,    /* in capitals */
    SET_SAMPLES, /* pages of samples made of its words (mixed.h) */
    SET_RANDOM,  /* words of 1 to 14 random signs of printable ASCII */
    SET_DIGITS   /* what is exact or wrong: hexadecimal ids, UUIDs, ids of 19 digits, money, dates,
                  * times, versions, colours, percentages */
};

struct text_set {
    const char *name;
    enum set_kind kind;
    const char *text; /* of the first three; not owned */
    size_t size;
};

/* Makes `out` hold `size` bytes or more for page `number` of `pages`: of a text from that part of
 * it on, round and round; the same for the same seed. `joined`: newlines become spaces, so that
 * pages in rows are full. Nothing of SET_SAMPLES. */
int text_set_fill(const struct text_set *set, struct bytes *out, size_t size, int64_t number,
                  int64_t pages, uint64_t seed, const struct alphabet *alphabet, bool joined,
                  struct error *e);

#endif
