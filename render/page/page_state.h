/* page_state.h - inside the pager: what page.c, page_row.c and page_picture.c share. */
#ifndef OCC_RENDER_PAGE_PAGE_STATE_H
#define OCC_RENDER_PAGE_PAGE_STATE_H

#include "render/page/canvas.h"
#include "render/page/page.h"
#include "render/text/line.h"

enum { COLUMNS = 2, MAX_CELLS = 20 };

struct page_list {
    void *items; /* owned */
    size_t count, capacity;
};

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
    int indent; /* patches */

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

/* Room for `more` items; the item after the last one, or NULL when memory has run out. */
int page_list_reserve(struct page_list *l, size_t more, size_t size, struct error *e);
void *page_list_add(struct page_list *l, size_t size, struct error *e);

/* Makes sure that `height` pixels are free in the column: goes to the next one if need be. */
int pager_make_room(struct pager *p, int height, struct error *e);
int pager_next_column(struct pager *p, struct error *e);

/* Records that an area has something in it, for the count of inked cells. */
void pager_mark(struct pager *p, int x, int y, int width, int height);

/* Pixels between which the row at y lies. */
int pager_left(const struct pager *p, int y);
int pager_right(const struct pager *p);

/* Draws a line of the current paragraph as the next row. */
int pager_row(struct pager *p, const struct line *line, struct error *e);

#endif
