/* fidelity_rows.c - rows as they were read, beside what the page has in their place. */
#include "compress/text_distance.h"
#include "train/fidelity/worker.h"

/* Columns of text, as a page's clusters show them: pixels from the one's left edge to the next. */
static int band_width(const struct page *page) {
    enum { GUTTER = 8 /* half of the least (compress/reading_text.c) */, COLUMNS_FROM = 1024 };
    int middle = page->width / 2;
    for (size_t i = 0; i < page->cluster_count; i++) {
        const struct page_cluster *c = &page->clusters[i];
        int left = c->x >> 6, right = (c->x + c->advance) >> 6;
        if (left < middle + GUTTER && right > middle - GUTTER) {
            return page->width;
        }
    }
    return page->width >= COLUMNS_FROM ? middle : page->width;
}

/* The text of the page in the row's place, in w->packed. */
static int find_row(struct fidelity_worker *w, const struct reading_row *row, int band,
                    struct error *e) {
    const struct page *page = &w->page.page;
    int left = row->x / band * band, rc = 0;
    bytes_clear(&w->packed);
    for (size_t i = 0; i < page->cluster_count && rc == 0; i++) {
        const struct page_cluster *c = &page->clusters[i];
        int middle = (c->x + c->advance / 2) >> 6;
        if (c->y == row->y && middle >= left && middle < left + band) {
            rc = bytes_append(&w->packed, page->text + c->text, c->size, e);
        }
    }
    return rc;
}

int fidelity_watch(struct fidelity_worker *w, struct error *e) {
    int band = band_width(&w->page.page), rc = 0;
    for (size_t i = 0; i < w->read.row_count && rc == 0; i++) {
        const struct reading_row *row = &w->read.rows[i];
        double accuracy;
        rc = find_row(w, row, band, e);
        if (rc == 0) {
            rc = text_accuracy(bytes_text(&w->read.text) + row->start, row->end - row->start,
                               bytes_text(&w->packed), w->packed.size, &accuracy, e);
        }
        if (rc == 0) {
            const struct measured_row measured = {.confidence = row->confidence,
                                                  .accuracy = (float)accuracy};
            rc = measured_rows_add(&w->rows, &measured, e);
        }
    }
    return rc;
}
