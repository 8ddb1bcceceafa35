/* page_load.c - the first step of pages.h: decoding, and fitting to the mode. */
#include <stdio.h>

#include "compress/pages.h"
#include "compress/trained.h"

struct page_rules page_rules_of(const struct encoder *encoder) {
    struct trained trained;
    trained_read(&trained, encoder);
    const struct page_rules rules = {.grey = encoder_is_grey(encoder), .cells = trained.cells};
    trained_close(&trained);
    return rules;
}

bool page_has_size(enum page_mode mode, bool cells, int width, int height) {
    int side = PAGE_SIZES[mode].side;
    bool strip = cells && mode != MODE_GUNDAM && height % CELL == 0 && height > 0 && height < side;
    return width == side && (height == side || strip);
}

static int refuse(const struct encoded_page *page, bool cells, const struct image *picture,
                  struct error *e) {
    int side = PAGE_SIZES[page->mode].side;
    char heights[64];
    snprintf(heights, sizeof heights, cells ? "%d to %d in steps of %d" : "%d", cells ? CELL : side,
             side, CELL);
    return error_set(e, ERR_FORMAT, "a page of %d x %d pixels; mode %s%s has %d x %s",
                     picture->width, picture->height, MODE_NAMES[page->mode],
                     cells ? " in cells" : "", side, heights);
}

/* Pages as they are; other pictures fitted to the mode, but one that an encoder of pages in cells
 * takes as a page. Takes `picture` over. */
static int fit(struct image *out, struct encoded_page *page, const struct page_rules *rules,
               struct image *picture) {
    bool cells = page->exact ? page->cells : rules->cells;
    bool fits = page_has_size(page->mode, cells, picture->width, picture->height);
    page->cells = cells && fits;
    if (fits) {
        *out = *picture;
        return 0;
    }
    int rc = page->exact ? refuse(page, cells, picture, &page->error)
                         : image_fit(out, picture, PAGE_SIZES[page->mode].side, &page->error);
    image_close(picture);
    return rc;
}

/* The picture as a whole, then the tiles where it is large enough for them. */
static int cut(struct loaded_page *l, const struct image *picture) {
    struct error *e = &l->page->error;
    int rows, columns;
    int rc = image_letterbox(&l->pictures[0], picture, PAGE_SIZES[MODE_GUNDAM].side, e);
    if (rc < 0) {
        return rc;
    }
    l->count = 1;
    image_grid(picture->width, picture->height, GUNDAM_TILE, GUNDAM_TILES, &columns, &rows);
    if (columns * rows > 1) {
        rc = image_tiles(&l->pictures[1], picture, GUNDAM_TILE, columns, rows, e);
        l->count += rc == 0 ? columns * rows : 0;
        l->tile_rows = rows;
        l->tile_columns = columns;
    }
    return rc;
}

void page_load(struct loaded_page *l, const struct page_rules *rules) {
    struct encoded_page *page = l->page;
    struct image picture;
    l->count = 0;
    page->rc = image_decode(&picture, page->data, page->size, &page->error);
    if (page->rc < 0) {
        return;
    }
    if (rules->grey) {
        image_grey(&picture);
    }
    if (page->mode == MODE_GUNDAM) {
        page->cells = false;
        page->rc = cut(l, &picture);
        image_close(&picture);
    } else {
        page->rc = fit(&l->pictures[0], page, rules, &picture);
        l->count = page->rc == 0;
    }
    if (page->rc < 0) {
        loaded_page_close(l);
    }
}

void loaded_page_close(struct loaded_page *l) {
    for (int i = 0; i < l->count; i++) {
        image_close(&l->pictures[i]);
    }
    l->count = 0;
}
