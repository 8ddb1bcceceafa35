/* page_text.h - the text of a page that is no sample: a part of a file, or random strings. */
#ifndef OCC_TRAIN_READ_PAGE_TEXT_H
#define OCC_TRAIN_READ_PAGE_TEXT_H

#include <stdbool.h>

#include "train/read/letters.h"
#include "train/read/text.h"

/* A thread's. */
struct page_text {
    const struct text_files *texts;
    const struct letters *letters;
    const struct alphabet *alphabet;
    struct bytes text; /* what the calls make, instead of what is there */
    struct bytes scratch;
};
void page_text_init(struct page_text *t, const struct text_files *texts,
                    const struct letters *letters, const struct alphabet *alphabet);
void page_text_close(struct page_text *t);

/* About `size` bytes of a file from a random line on, as one paragraph if `flows`. One page of
 * twenty is in capitals, on one of four every sixth word is followed by characters outside the
 * alphabet. `ascii`: of a place, if one is found, where nearly all is ASCII, and as it stands. */
int page_text_prose(struct page_text *t, size_t size, bool flows, bool ascii, uint64_t *random,
                    struct error *e);
/* At least `size` bytes of random words of the alphabet, numbers, identifiers; with some characters
 * outside the alphabet if of all letters. `plain`: nothing but text_random's. */
int page_text_random(struct page_text *t, size_t size, enum text_letters letters, bool plain,
                     uint64_t *random, struct error *e);

#endif
