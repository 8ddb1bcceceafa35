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
    bool exact; /* the picture must have the size of the mode: it is a page; else it is fitted */
    /* filled: */
    struct page_view views[VIEWS];
    int view_count;
    int rc; /* 0, or why there are no views */
    struct error error;
};
void encoded_page_close(struct encoded_page *p); /* the views */

struct page_encoder; /* of one thread */
int page_encoder_open(struct page_encoder **out, const struct encoder *encoder, struct error *e);
void page_encoder_close(struct page_encoder *p); /* NULL is allowed */

/* Encodes up to PAGES_BATCH pages; those of equal mode that follow each other go through the
 * network together. The error of a page is noted in it. */
enum { PAGES_BATCH = 64 };
void pages_encode(struct page_encoder *p, struct encoded_page *const *pages, int count);

#endif
