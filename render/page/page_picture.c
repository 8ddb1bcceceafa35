/* page_picture.c - pictures on a page. */
#include "render/page/page_state.h"

int pager_picture_width(const struct pager *p) {
    if (p->setup.profile->cells) {
        return p->cell.columns * p->cell.width;
    }
    int width = INT16_MAX;
    for (int i = 0; i < p->columns; i++) {
        int first = (p->column_x[i] + CELL - 1) / CELL;
        int last = (p->column_x[i] + p->column_width) / CELL;
        width = (last - first) * CELL < width ? (last - first) * CELL : width;
    }
    return width;
}

static int cells_for(int pixels) {
    return (pixels + CELL - 1) / CELL * CELL;
}

/* Pixels that a picture takes across. */
static int room_for(const struct pager *p, int pixels) {
    int cell = p->setup.profile->cells ? p->cell.width : CELL;
    return (pixels + cell - 1) / cell * cell;
}

/* Brings y to the next row of cells with room for `height`. */
static int begin_strip(struct pager *p, int height, struct error *e) {
    if (p->setup.profile->cells) {
        return cells_pictures_row(p, height, &p->y, e);
    }
    int rc = pager_clear(p, e);
    for (int tries = 0; tries <= COLUMNS && rc == 0; tries++) {
        p->y = cells_for(p->y);
        if (p->y + height <= p->bottom) {
            return 0;
        }
        rc = pager_next_column(p, e);
    }
    return rc < 0
               ? rc
               : error_set(e, ERR_LIMIT, "a picture of %d pixels is higher than the page", height);
}

static int put_picture(struct pager *p, enum page_part part, const struct page_picture *picture,
                       int x, struct error *e) {
    const struct picture *pixels = picture->picture;
    int width = room_for(p, pixels->width), height = cells_for(pixels->height);
    int left = x + (width - pixels->width) / 2, top = p->y + (height - pixels->height) / 2;
    int rc = canvas_picture(&p->canvas, pixels, left, top, e);
    struct page_box *box = rc == 0 ? page_list_add(&p->boxes, sizeof *box, e) : NULL;
    if (box == NULL) {
        return rc < 0 ? rc : ERR_MEMORY;
    }
    *box = (struct page_box){.x = (int16_t)left,
                             .y = (int16_t)top,
                             .width = (int16_t)pixels->width,
                             .height = (int16_t)pixels->height,
                             .part = (uint8_t)part,
                             .source = picture->source};
    p->filled = true;
    if (p->setup.profile->cells) {
        return cells_picture(p, x, p->y, width, height, picture->source, e);
    }
    pager_mark(p, x, p->y, width, height);
    return 0;
}

/* Text goes on beside the strip if there is room worth it, else below. */
static void end_strip(struct pager *p, int x, int height) {
    int end = p->column_x[p->column] + p->column_width;
    if (2 * (end - x) >= p->column_width) {
        p->beside = x;
        p->beside_end = p->y + height;
    } else {
        p->y += height;
    }
}

/* As many pictures from `first` on as have room side by side: *end, and the height of the strip. */
static int find_strip(const struct pager *p, const struct page_picture *pictures, size_t count,
                      size_t first, size_t *end) {
    int height = 0, used = 0;
    for (*end = first; *end < count; ++*end) {
        used += room_for(p, pictures[*end].picture->width);
        if (used > pager_picture_width(p)) {
            break;
        }
        int needed = cells_for(pictures[*end].picture->height);
        height = needed > height ? needed : height;
    }
    return height;
}

int pager_pictures(struct pager *p, enum page_part part, const struct page_picture *pictures,
                   size_t count, struct error *e) {
    int rc = 0, first = 0; /* where the text goes on, in cells */
    p->part = part;
    for (size_t i = 0; i < count && rc == 0;) {
        size_t end;
        int height = find_strip(p, pictures, count, i, &end);
        if (end == i) {
            return error_set(e, ERR_LIMIT, "a picture of %d pixels is wider than a column",
                             pictures[i].picture->width);
        }
        rc = begin_strip(p, height, e);
        first = i == 0 || p->y == 0 ? p->y : first;
        int x = cells_for(p->column_x[p->column]);
        for (; i < end && rc == 0; i++) {
            rc = put_picture(p, part, &pictures[i], x, e);
            x += room_for(p, pictures[i].picture->width);
        }
        end_strip(p, x, height);
    }
    if (count > 0 && p->setup.profile->cells) {
        cells_go_to_row(p, first);
    }
    return rc;
}
