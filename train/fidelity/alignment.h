/* alignment.h - which characters of a text are found again in a reading of it. */
#ifndef OCC_TRAIN_FIDELITY_ALIGNMENT_H
#define OCC_TRAIN_FIDELITY_ALIGNMENT_H

#include <stddef.h>
#include <stdint.h>

#include "store/buffer.h"
#include "store/error.h"

/* Memory that is used again from text to text; all zero at the beginning. */
struct alignment {
    int64_t distance;  /* Levenshtein's: characters left out, added and changed */
    const int32_t *to; /* of each code point of the text: its place in the reading; -1: changed or
                          left out. Rising; valid until the next call */
    struct buffer places, letters, masks, state, block;
};
void alignment_close(struct alignment *a);

/* Aligns two texts of code points by one of the shortest ways from the one to the other; equal
 * characters are put together from the end as long as that is shortest. Myers 1999 and Hyyrö 2003:
 * 64 rows of the table at a time, and of its columns only every BLOCK-th is kept and the others
 * made again on the way back, so that memory grows with the length alone. ERR_LIMIT beyond 2^31
 * code points. */
int alignment_make(struct alignment *a, const uint32_t *text, size_t size, const uint32_t *read,
                   size_t read_size, struct error *e);

#endif
