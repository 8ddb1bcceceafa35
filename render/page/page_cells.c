/* page_cells.c - the grid of a page of cells: which are in use, what of the sources is in them, and
 * pictures. The text is set by page_cell_row.c. */
#include <stdlib.h>
#include <string.h>

#include "render/page/page_state.h"

static void cells_geometry(struct cells *c, const struct page_setup *setup) {
    const struct page_size *size = &PAGE_SIZES[setup->mode];
    c->width = CELL / size->column_offsets;
    c->rows = setup->rows > 0 ? setup->rows : size->side / CELL;
    c->columns = (setup->columns > 0 ? setup->columns : size->side / CELL) * size->column_offsets;
    c->lines = CELL / setup->profile->pitch;
}

void cells_begin_page(struct cells *c) {
    memset(c->used, 0, sizeof c->used);
    c->at = c->line = 0;
    c->ranges.count = 0;
    c->ordered = true;
}

int cells_used_rows(const struct cells *c) {
    int last = c->rows * c->columns;
    while (last > 0 && c->used[last - 1] == CELL_FREE) {
        last--;
    }
    return (last + c->columns - 1) / c->columns;
}

int cells_used(const struct cells *c) {
    int count = 0;
    for (int i = 0; i < c->rows * c->columns; i++) {
        count += c->used[i] != CELL_FREE;
    }
    return count;
}

/* Pictures stand before the text beside them, and reach into rows of cells below it. */
static int by_cell(const void *a, const void *b) {
    const struct page_range *x = a, *y = b;
    if (x->cell != y->cell) {
        return x->cell < y->cell ? -1 : 1;
    }
    return (x->number > y->number) - (x->number < y->number);
}

void cells_order_ranges(struct cells *c) {
    if (!c->ordered && c->ranges.count > 0) {
        qsort(c->ranges.items, c->ranges.count, sizeof(struct page_range), by_cell);
    }
    c->ordered = true;
}

int cells_add_range(struct pager *p, const struct page_range *range, struct error *e) {
    struct cells *c = &p->cell;
    struct page_range *last =
        c->ranges.count > 0 ? (struct page_range *)c->ranges.items + c->ranges.count - 1 : NULL;
    if (last != NULL && last->cell == range->cell && last->part == range->part &&
        last->source == range->source && last->end == range->start && !last->replaced &&
        !range->replaced && range->end > range->start) {
        last->end = range->end;
        return 0;
    }
    c->ordered = c->ordered && (last == NULL || last->cell <= range->cell);
    struct page_range *added = page_list_add(&c->ranges, sizeof *added, e);
    if (added == NULL) {
        return ERR_MEMORY;
    }
    *added = *range;
    added->number = (uint32_t)c->ranges.count;
    return 0;
}

int cells_clear(struct pager *p, struct error *e) {
    struct cells *c = &p->cell;
    int rc = cells_end_row(p, e);
    c->line = c->line > 0 ? c->lines : 0;
    c->has_part = false;
    c->indent_due = 0;
    return rc;
}

int cells_pictures_row(struct pager *p, int height, int *y, struct error *e) {
    struct cells *c = &p->cell;
    int rc = cells_end_row(p, e);
    if (height > c->rows * CELL) {
        return error_set(e, ERR_LIMIT, "a picture of %d pixels is higher than the page", height);
    }
    if (rc == 0 && cells_used_rows(c) * CELL + height > c->rows * CELL) {
        rc = pager_finish_page(p, e);
    }
    *y = cells_used_rows(c) * CELL;
    return rc;
}

void cells_go_to_row(struct pager *p, int y) {
    p->cell.at = y / CELL * p->cell.columns;
    p->cell.line = 0;
}

int cells_picture(struct pager *p, int x, int y, int width, int height, uint32_t source,
                  struct error *e) {
    struct cells *c = &p->cell;
    int rc = 0;
    for (int row = y / CELL; row < (y + height) / CELL; row++) {
        for (int column = x / c->width; column < (x + width) / c->width && rc == 0; column++) {
            struct page_range range = {.cell = (uint16_t)(row * c->columns + column),
                                       .part = (uint8_t)p->part,
                                       .source = source};
            c->used[range.cell] = CELL_PICTURE;
            rc = cells_add_range(p, &range, e);
        }
    }
    return rc;
}

int cells_open(struct cells *c, struct shaper *shaper, const struct page_setup *setup,
               struct error *e) {
    bytes_init(&c->kept, SIZE_MAX / 2);
    cells_geometry(c, setup);
    cells_begin_page(c);
    return flow_open(&c->flow, shaper, e);
}

void cells_close(struct cells *c) {
    flow_close(c->flow);
    bytes_close(&c->kept);
    free(c->items.items);
    free(c->ranges.items);
    free(c->levels.items);
    free(c->visual.items);
}
