/* pages.h - picture files to visual tokens: decoding, preprocessing and encoding of one thread. */
#ifndef OCC_COMPRESS_PAGES_H
#define OCC_COMPRESS_PAGES_H

#include <stdbool.h>

#include "compress/encoder.h"
#include "render/mode.h"

/* The tokens of a view: (rows, columns, token_dim). */
struct page_view {
    float *tokens; /* owned */
    int rows, columns;
};
enum { VIEWS = 2 /* gundam: the global view, then the tiles as one grid; else one */ };
enum { GUNDAM_TILE = 640, GUNDAM_TILES = 9 /* at most, as the published inference has it */ };

struct encoded_page {
    const void *data; /* a PNG, JPEG or PNM file; the caller's */
    size_t size;
    enum page_mode mode;
    /* The picture is a page and must have the size of the mode; else it is fitted. A page in cells
     * is as wide as the mode and as many cells high as its text fills, at most as high as wide. */
    bool exact;
    bool cells; /* of a picture that was not exact, filled: whether it was taken as such a page */
    /* filled: */
    struct page_view views[VIEWS];
    int view_count;
    int rc; /* 0, or why there are no views */
    struct error error;
};
void encoded_page_close(struct encoded_page *p); /* the views */

/* Whether a page of this size in pixels is one of the mode's. */
bool page_has_size(enum page_mode mode, bool cells, int width, int height);

struct page_encoder; /* of one thread */
int page_encoder_open(struct page_encoder **out, const struct encoder *encoder, struct error *e);
void page_encoder_close(struct page_encoder *p); /* NULL is allowed */

/* Encodes up to PAGES_BATCH pages; those of equal mode and size that follow each other in their
 * mode go through the network together. The error of a page is noted in it. */
enum { PAGES_BATCH = 64 };
void pages_encode(struct page_encoder *p, struct encoded_page *const *pages, int count);

#endif
