/* fidelity_rows.c - rows as they were read, beside what the page has in their place. */
#include "compress/text_distance.h"
#include "train/fidelity/worker.h"

/* Where rows of the reading lie: one under another in each of some columns, all as wide. */
struct place {
    int width, height; /* pixels of a row; of a page in cells, of a cell */
};

/* Columns of text, as a page's clusters show them. */
static bool has_columns(const struct page *page) {
    enum { GUTTER = 8 /* half of the least (compress/reading_text.c) */, COLUMNS_FROM = 1024 };
    int middle = page->width / 2;
    for (size_t i = 0; i < page->cluster_count && page->width >= COLUMNS_FROM; i++) {
        const struct page_cluster *c = &page->clusters[i];
        int left = c->x >> 6, right = (c->x + c->advance) >> 6;
        if (left < middle + GUTTER && right > middle - GUTTER) {
            return false;
        }
    }
    return page->width >= COLUMNS_FROM;
}

static struct place find_places(const struct fidelity_worker *w) {
    const struct page *page = &w->page.page;
    const struct profile *profile = &PROFILES[w->o->profile];
    if (profile->cells) {
        return (struct place){.width = CELL / PAGE_SIZES[w->o->mode].column_offsets,
                              .height = CELL};
    }
    return (struct place){.width = has_columns(page) ? page->width / 2 : page->width,
                          .height = profile->pitch};
}

/* The text of the page in the row's place, in w->packed. */
static int find_row(struct fidelity_worker *w, const struct reading_row *row, struct place place,
                    struct error *e) {
    const struct page *page = &w->page.page;
    int left = row->x / place.width * place.width, rc = 0;
    bytes_clear(&w->packed);
    for (size_t i = 0; i < page->cluster_count && rc == 0; i++) {
        const struct page_cluster *c = &page->clusters[i];
        int middle = (c->x + c->advance / 2) >> 6;
        if (c->y >= row->y && c->y < row->y + place.height && middle >= left &&
            middle < left + place.width) {
            rc = bytes_append(&w->packed, page->text + c->text, c->size, e);
        }
    }
    return rc;
}

int fidelity_watch(struct fidelity_worker *w, struct error *e) {
    const struct place place = find_places(w);
    int rc = 0;
    for (size_t i = 0; i < w->read.row_count && rc == 0; i++) {
        const struct reading_row *row = &w->read.rows[i];
        double accuracy;
        rc = find_row(w, row, place, e);
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
