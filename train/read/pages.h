/* pages.h - pages to learn reading from, drawn as they are asked for: the renderer's pages
 * of text files and of random strings, with the place and class of each character. */
#ifndef OCC_TRAIN_READ_PAGES_H
#define OCC_TRAIN_READ_PAGES_H

#include "render/page/page.h"
#include "train/read.h"

struct reading_mix {
    double profiles[PROFILE_COUNT]; /* shares of the pages */
    double random;                  /* share of the pages that hold random strings */
    double pictures;                /* share of the pages with pictures between the text */
    /* Until this share of the training pages are simple: of ASCII, in the first profile with a
     * share; after twice that all are as they come. Where many classes are to be told apart from
     * the beginning, none is: the loss stays at the frequencies of the letters. */
    double simple;
    uint64_t seed;
};

struct reading_pages; /* opaque; shared by threads */

/* Files of UTF-8 text, mapped; each is chosen as often as the root of its size says. */
int reading_pages_open(struct reading_pages **out, const struct reading_mix *mix,
                       const struct alphabet *alphabet, char *const *paths, int count,
                       struct error *e);
void reading_pages_close(struct reading_pages *p); /* NULL is allowed */
/* For read_train: of `p`, which must outlive it. */
struct read_source reading_pages_source(struct reading_pages *p);

/* The labels of a page of the renderer (asked for clusters), appended to *labels, which is the
 * caller's (realloc); *count and *capacity of it. */
struct read_labels {
    struct read_label *list;
    size_t count, capacity;
};
int reading_labels(struct read_labels *out, const struct page *page,
                   const struct alphabet *alphabet, struct error *e);

/* Random words, at least `size` bytes: of printable ASCII, or each of one part of the
 * alphabet. */
enum reading_letters { READING_ASCII, READING_ALL };
int reading_random_text(struct bytes *out, const struct alphabet *alphabet,
                        enum reading_letters letters, size_t size, uint64_t *random,
                        struct error *e);

#endif
