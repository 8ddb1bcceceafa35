/* page_cells.h - pages of cells: what page.c and page_picture.c ask of page_cells.c (the grid) and
 * page_cell_row.c (the text in it). */
#ifndef OCC_RENDER_PAGE_PAGE_CELLS_H
#define OCC_RENDER_PAGE_PAGE_CELLS_H

#include "render/page/page.h"
#include "render/page/page_list.h"
#include "render/text/flow.h"

enum { CELLS_MOST = 20 * 40 }; /* of a page */
enum cell_use { CELL_FREE, CELL_TEXT, CELL_PICTURE };

struct cells {
    struct flow *flow;
    int width;                /* pixels of a cell */
    int rows, columns, lines; /* cells of a page; rows of text in a cell */

    /* where the next row of text goes; the row that has begun is there */
    int at, line; /* the cell, row-major; line == lines: the one after it */
    uint8_t used[CELLS_MOST];

    /* the row that has begun; none, where there are no items */
    struct page_list items; /* struct line_item; bytes of the page's text */
    int32_t pen;            /* 26.6 */
    uint8_t base;           /* its level in UAX #9: that of the paragraph that it begins with */
    bool mixed;             /* an item has another level than 0 */
    struct bytes kept;      /* words that the shaper has forgotten */
    struct page_list levels, visual;

    /* the text that goes on */
    bool has_part, sign_due;
    int indent_due;
    uint8_t paragraph_level;

    struct page_list ranges; /* of the page: struct page_range */
    bool ordered;
};

int cells_open(struct cells *c, struct shaper *shaper, const struct page_setup *setup,
               struct error *e);
void cells_close(struct cells *c);
void cells_begin_page(struct cells *c);

/* Rows of cells down to the last one in use; cells in use. */
int cells_used_rows(const struct cells *c);
int cells_used(const struct cells *c);
/* Puts the page's ranges into the order of its cells. */
void cells_order_ranges(struct cells *c);

/* Enters a range, or lets the last one go on. */
int cells_add_range(struct pager *p, const struct page_range *range, struct error *e);

/* Text of a part follows: a new row with its sign, if it is another part than before. */
void cells_begin_text(struct pager *p, enum page_part part, int indent);
/* The pager's current paragraph. */
int cells_paragraph(struct pager *p, struct error *e);
/* The newline after it: bytes [start, end) of a source. */
int cells_newline(struct pager *p, uint32_t source, uint32_t start, uint32_t end, struct error *e);
int cells_end_row(struct pager *p, struct error *e);
/* What follows begins a cell, and a part. */
int cells_clear(struct pager *p, struct error *e);

/* *y: of a row of cells that nothing is on, nor on those below it down to `height` pixels. */
int cells_pictures_row(struct pager *p, int height, int *y, struct error *e);
/* Gives the cells of an area to a picture. */
int cells_picture(struct pager *p, int x, int y, int width, int height, uint32_t source,
                  struct error *e);
/* The text goes on at the first free cell from the row of cells at y on. */
void cells_go_to_row(struct pager *p, int y);

#endif
