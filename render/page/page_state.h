/* page_state.h - inside the pager: what page*.c share. */
#ifndef OCC_RENDER_PAGE_PAGE_STATE_H
#define OCC_RENDER_PAGE_PAGE_STATE_H

#include "render/page/canvas.h"
#include "render/page/page.h"
#include "render/page/page_cells.h"
#include "render/text/line.h"

enum { COLUMNS = 2, MAX_CELLS = 20 };

struct pager {
    struct page_setup setup;
    struct shaper *shaper;
    struct faces *faces;
    struct line_breaker *line_breaker;
    struct clean paragraph;
    struct canvas canvas;
    int side, pitch, baseline;
    int columns, column_x[COLUMNS], column_width, top, bottom; /* pixels */

    /* where the next row goes */
    int column, y;
    int beside, beside_end; /* rows above y = beside_end begin at x = beside: a picture is there */
    enum page_part part;
    int indent;        /* patches */
    struct cells cell; /* of a profile with cells, where the above is of no use */

    /* the current page */
    struct bytes text;
    struct page_list boxes, clusters, missing;
    struct page_list glyphs; /* of the current row: struct canvas_glyph */
    uint64_t *fonts_used;
    bool cells[MAX_CELLS][MAX_CELLS];
    uint64_t ink;
    struct page_counts counts;
    bool filled;
};

/* Makes sure that `height` pixels are free in the column: goes to the next one if need be. */
int pager_make_room(struct pager *p, int height, struct error *e);
int pager_next_column(struct pager *p, struct error *e);

/* Records that an area has something in it, for the count of inked cells. */
void pager_mark(struct pager *p, int x, int y, int width, int height);

/* Pixels between which the row at y lies. */
int pager_left(const struct pager *p, int y);
int pager_right(const struct pager *p);

/* Hands over the page and begins the next one. */
int pager_finish_page(struct pager *p, struct error *e);

/* Draws items of the row at p->y, x = 0 of the items being at `origin` (26.6 from the left edge of
 * the page), as far as they are in `area`, and enters their clusters. `shift`: what to add to an
 * offset of an item for the one in the page's text. */
int pager_draw_items(struct pager *p, const struct line_item *items, size_t count, int32_t origin,
                     uint32_t shift, const struct canvas_area *area, struct error *e);

/* The first run that ends after byte `at` of a paragraph. */
size_t pager_run(const struct clean *c, uint32_t at);
/* Code points. */
uint32_t pager_characters(const char *text, size_t size);

/* Draws a line of the current paragraph as the next row. */
int pager_row(struct pager *p, const struct line *line, struct error *e);

#endif
