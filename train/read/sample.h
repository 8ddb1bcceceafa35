/* sample.h - a page to learn reading from, and the targets of heads that it gives. */
#ifndef OCC_TRAIN_READ_SAMPLE_H
#define OCC_TRAIN_READ_SAMPLE_H

#include "store/buffer.h"
#include "train/read/read.h"
#include "train/read/whiten.h"

struct read_sample {
    struct buffer pixels; /* floats (height, width), whitened */
    struct buffer labels; /* struct read_label, in order of rows */
    size_t label_count;
    int width, height, kind;
    int halvings; /* of its tokens, before they are read */
    uint64_t random;
};
void read_sample_close(struct read_sample *s);
/* A copy of a page. */
int read_sample_take(struct read_sample *s, const struct read_page *page,
                     const struct whitening *whitening, struct error *e);
/* A page with as much text as most have at most: a character every 8 pixels in rows of 16. */
int read_sample_full(struct read_sample *s, int side, struct error *e);

/* Of the rows of cells with text a share, of the empty ones another. `page`: its number among the
 * pages that are read together. Memory is the tape's; false: it failed. */
bool read_sample_rows(struct tape *t, const struct read_sample *s, int64_t page, double share,
                      double empty_share, uint64_t *random, struct read_targets *out);

#endif
