/* draw.h - the first page of a text, drawn and kept: what forgetting, measuring and training ask
 * the renderer for. */
#ifndef OCC_RENDER_DRAW_H
#define OCC_RENDER_DRAW_H

#include "render/page/page.h"
#include "store/buffer.h"

/* A page that outlives the pager's call. */
struct drawn_page {
    bool drawn; /* whether the text gave a page at all */
    /* Size, grey pixels, text, columns of cells, clusters and counts; without ranges, boxes,
     * colours, missing characters and fonts. What it points to is the drawn page's. */
    struct page page;
    struct buffer grey, clusters;
    struct bytes text;
};

void drawn_page_init(struct drawn_page *d);
void drawn_page_close(struct drawn_page *d);
/* Before the text of another page. */
void drawn_page_clear(struct drawn_page *d);

/* `done` of a pager whose context is a struct drawn_page: keeps the first page since it was
 * cleared, and lets the others go. */
int drawn_page_take(void *context, const struct page *page, struct error *e);

/* Draws a text as one paragraph, whose newlines end lines; `setup` without context and done. */
int draw_text(struct drawn_page *d, const struct page_setup *setup, const char *text, size_t size,
              struct error *e);

/* Leaves width x height pixels from (left, top) on, which lie within the page. The clusters and the
 * text stay those of the whole page. */
void drawn_page_crop(struct drawn_page *d, int left, int top, int width, int height);

#endif
