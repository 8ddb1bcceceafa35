/* labels.h - the places and classes of the characters on a page: what reading is learned from. */
#ifndef OCC_TRAIN_READ_LABELS_H
#define OCC_TRAIN_READ_LABELS_H

#include "compress/alphabet.h"
#include "render/page/page.h"
#include "train/read/head.h"

struct page_labels {
    struct read_label *list; /* owned; in order of row and column */
    size_t count;
    /* for labels.c */
    struct placed_label *places; /* owned */
    size_t place_count, capacity, list_capacity;
};

/* The labels of a page of the renderer, which was asked for clusters, instead of those that
 * are there. Several characters that the font draws as one shape (a ligature) are as many labels
 * side by side. On a page of cells all of the text is labelled, spaces and newlines too, and each
 * label is within its cell. */
int labels_of_page(struct page_labels *out, const struct page *page,
                   const struct alphabet *alphabet, struct error *e);
/* Leaves those within a rectangle of pixels; all of its numbers multiples of the cells of
 * reading. */
void labels_crop(struct page_labels *labels, int left, int top, int width, int height);
void labels_close(struct page_labels *labels);

#endif
