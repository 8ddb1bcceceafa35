/* draw.c - see draw.h. */
#include "render/draw.h"

#include <assert.h>
#include <string.h>

enum { TEXT_LIMIT = 1 << 24 };

void drawn_page_init(struct drawn_page *d) {
    *d = (struct drawn_page){.drawn = false};
    bytes_init(&d->text, TEXT_LIMIT);
}

void drawn_page_close(struct drawn_page *d) {
    buffer_free(&d->grey);
    buffer_free(&d->clusters);
    bytes_close(&d->text);
}

void drawn_page_clear(struct drawn_page *d) {
    d->drawn = false;
}

int drawn_page_take(void *context, const struct page *page, struct error *e) {
    struct drawn_page *d = context;
    size_t area = (size_t)page->width * (size_t)page->height;
    if (d->drawn) {
        return 0;
    }
    int rc = buffer_reserve(&d->grey, area, 1, e);
    if (rc == 0) {
        rc = buffer_reserve(&d->clusters, page->cluster_count, sizeof *page->clusters, e);
    }
    bytes_clear(&d->text);
    if (rc == 0) {
        rc = bytes_append(&d->text, page->text, page->text_size, e);
    }
    if (rc < 0) {
        return rc;
    }
    memcpy(d->grey.data, page->grey, area);
    if (page->cluster_count > 0) {
        memcpy(d->clusters.data, page->clusters, page->cluster_count * sizeof *page->clusters);
    }
    d->page = (struct page){.width = page->width,
                            .height = page->height,
                            .columns = page->columns,
                            .grey = d->grey.data,
                            .text = bytes_text(&d->text),
                            .text_size = d->text.size,
                            .clusters = d->clusters.data,
                            .cluster_count = page->cluster_count,
                            .counts = page->counts};
    d->drawn = true;
    return 0;
}

int draw_text(struct drawn_page *d, const struct page_setup *setup, const char *text, size_t size,
              struct error *e) {
    struct page_setup own = *setup;
    const struct span span = {.text = text, .size = size};
    struct pager *pager;
    own.context = d;
    own.done = drawn_page_take;
    drawn_page_clear(d);
    int rc = pager_open(&pager, &own, e);
    if (rc < 0) {
        return rc;
    }
    rc = pager_text(pager, PART_NONE, &span, 1, 0, e);
    if (rc == 0 && !d->drawn) {
        rc = pager_flush(pager, e);
    }
    pager_close(pager);
    return rc;
}

void drawn_page_crop(struct drawn_page *d, int left, int top, int width, int height) {
    uint8_t *grey = d->grey.data;
    assert(left >= 0 && top >= 0 && left + width <= d->page.width &&
           top + height <= d->page.height);
    for (int y = 0; y < height; y++) {
        const uint8_t *from = grey + (size_t)(top + y) * (size_t)d->page.width + left;
        memmove(grey + (size_t)y * (size_t)width, from, (size_t)width);
    }
    d->page.width = width;
    d->page.height = height;
}
