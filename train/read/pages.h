/* pages.h - pages to learn reading from, drawn when they are asked for: of text files, of random
 * strings and of made-up samples, with the place and class of each character. */
#ifndef OCC_TRAIN_READ_PAGES_H
#define OCC_TRAIN_READ_PAGES_H

#include "render/page/page.h"
#include "train/read/read.h"

struct training_mix {
    double profiles[PROFILE_COUNT]; /* shares of the pages */
    double samples;  /* share of the pages that are laid out of made-up samples (clip.h) */
    double random;   /* share of the other pages that hold random strings */
    double pictures; /* share of the other pages with pictures between the text; samples have
                        thumbnails two and a half times as often */
    /* Pages are simple, of ASCII in the first profile with a share, until this share of the
     * training run is over; after twice that none is. With many classes from the first step on,
     * none is learned: the loss stays at the frequencies of the letters. */
    double simple;
    uint64_t seed;
};

struct training_pages; /* opaque; shared by threads */

/* Files of UTF-8 text, mapped; each is chosen as often as the root of its size says, those of which
 * the alphabet lacks more than half for a hundredth of the pages (text.h). */
int training_pages_open(struct training_pages **out, const struct training_mix *mix,
                        const struct alphabet *alphabet, char *const *paths, int count,
                        struct error *e);
void training_pages_close(struct training_pages *p); /* NULL is allowed */
/* For read_train: of `p`, which must outlive it. */
struct read_source training_pages_source(struct training_pages *p);

#endif
