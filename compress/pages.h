/* pages.h - picture files to visual tokens, in two steps: what a page looks like to the network
 * (page_load), and what the network makes of pages together (pages_encode). */
#ifndef OCC_COMPRESS_PAGES_H
#define OCC_COMPRESS_PAGES_H

#include <stdbool.h>

#include "compress/encoder.h"
#include "compress/image.h"
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

/* ---- Loading: by any thread ------------------------------------------------------------------ */

/* The pictures of a page as the network takes them: one, or of gundam the view and the tiles. */
struct loaded_page {
    struct encoded_page *page;
    void *owner; /* of the page; the caller's */
    struct image pictures[1 + GUNDAM_TILES];
    int count;                   /* 0: the page could not be loaded, and says why */
    int tile_rows, tile_columns; /* of gundam */
};

struct page_rules {
    bool grey;  /* colours would be new to the encoder */
    bool cells; /* it was trained on pages in cells */
};
struct page_rules page_rules_of(const struct encoder *encoder);

/* Decodes and fits l->page. */
void page_load(struct loaded_page *l, const struct page_rules *rules);
void loaded_page_close(struct loaded_page *l); /* its pictures */

/* ---- Encoding -------------------------------------------------------------------------------- */

enum { PAGES_BATCH = 256 /* that are worth giving at once */ };

struct page_encoder; /* of one thread */
/* `memory`: bytes of the device that it may take, on one with memory of its own; 0: what there is.
 */
int page_encoder_open(struct page_encoder **out, const struct encoder *encoder, size_t memory,
                      struct error *e);
void page_encoder_close(struct page_encoder *p); /* NULL is allowed */

/* Encodes pages and frees their pictures. Those of one size go through the network together, as
 * many as the device's memory holds. The error of a page is noted in it: ERR_LIMIT where not even
 * it alone has room. */
void pages_encode(struct page_encoder *p, struct loaded_page *loaded, int count);

/* Loads and encodes one page. */
void page_encode(struct page_encoder *p, struct encoded_page *page);

#endif
