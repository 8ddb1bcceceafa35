/* labels.h - the places and classes of the characters on a page: what reading is learned from. */
#ifndef OCC_TRAIN_READ_LABELS_H
#define OCC_TRAIN_READ_LABELS_H

#include "compress/alphabet.h"
#include "render/page/page.h"
#include "train/read/head.h"

struct page_labels {
    struct read_label *list; /* owned; in order of row and column */
    size_t count, capacity;
};

/* The labels of a page of the renderer, which was asked for clusters, instead of those that
 * are there. Several characters that the font draws as one shape (a ligature) are as many labels
 * side by side. */
int labels_of_page(struct page_labels *out, const struct page *page,
                   const struct alphabet *alphabet, struct error *e);
/* Leaves those within a square of `side` pixels from (left, top) on; all of them multiples of the
 * cells of reading. */
void labels_crop(struct page_labels *labels, int left, int top, int side);
void labels_close(struct page_labels *labels);

#endif
