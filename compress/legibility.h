/* legibility.h - pages that a reading head will not read well, for one warning a run: text that its
 * alphabet lacks, and pages that it was not sure of when it read them. */
#ifndef OCC_COMPRESS_LEGIBILITY_H
#define OCC_COMPRESS_LEGIBILITY_H

#include "compress/readback.h"
#include "store/stream.h"

/* More of a page's characters than this may not be missing in the alphabet. */
#define LEGIBILITY_OUTSIDE 0.01

/* Pages with a fault, and the page that has most of it. */
struct legibility_pages {
    int64_t count;
    double value; /* share of characters outside; mean confidence, 0 where nothing was read */
    char key[STREAM_KEY_BYTES];
    int page;
};
struct legibility {
    struct legibility_pages outside, doubtful;
    char examples[96]; /* of what that page has outside of the alphabet */
};

/* The text of page `page` of a sample; `a` NULL: the encoder has no alphabet. */
void legibility_text(struct legibility *l, const struct alphabet *a, const char *key, int page,
                     const char *text, size_t size);
/* A page, as it was read, on which there should be something to read. */
void legibility_read(struct legibility *l, const char *key, int page,
                     const struct readback_page *read);
void legibility_add(struct legibility *sum, const struct legibility *part);

/* For people, where there is anything to warn of. */
void legibility_warn(const struct legibility *l);

#endif
