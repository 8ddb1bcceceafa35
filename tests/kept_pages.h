/* kept_pages.h - pages copied for a test to look at, and what holds for every page: it leads back
 * to its source. */
#ifndef OCC_TESTS_KEPT_PAGES_H
#define OCC_TESTS_KEPT_PAGES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "render/page/page.h"
#include "store/utf8.h"

/* What a test keeps of the pages it makes. */
struct kept_page {
    int side; /* width; height, unless there are cells */
    int height, columns;
    uint8_t *grey;
    char *text;
    size_t text_size;
    struct page_box *boxes;
    size_t box_count;
    struct page_range *ranges;
    size_t range_count;
    struct page_cluster *clusters;
    size_t cluster_count;
    int64_t missing;
    bool color;
    struct page_counts counts;
};
enum { KEPT_MOST = 64 };
struct kept {
    struct kept_page pages[KEPT_MOST];
    size_t count;
};

static inline void *kept_copy(const void *from, size_t size) {
    void *to = malloc(size + 1);
    if (to && size > 0) {
        memcpy(to, from, size);
    }
    return to;
}

static inline int kept_add(void *context, const struct page *page, struct error *e) {
    struct kept *kept = context;
    if (kept->count == KEPT_MOST) {
        return error_set(e, ERR_LIMIT, "more pages than this test keeps");
    }
    struct kept_page *k = &kept->pages[kept->count++];
    *k = (struct kept_page){.side = page->width,
                            .height = page->height,
                            .columns = page->columns,
                            .range_count = page->range_count,
                            .text_size = page->text_size,
                            .box_count = page->box_count,
                            .cluster_count = page->cluster_count,
                            .color = page->rgb != NULL,
                            .counts = page->counts};
    k->grey = kept_copy(page->grey, (size_t)page->width * page->height);
    k->text = kept_copy(page->text, page->text_size);
    k->boxes = kept_copy(page->boxes, page->box_count * sizeof *page->boxes);
    k->ranges = kept_copy(page->ranges, page->range_count * sizeof *page->ranges);
    k->clusters = kept_copy(page->clusters, page->cluster_count * sizeof *page->clusters);
    for (size_t i = 0; i < page->missing_count; i++) {
        k->missing += page->missing[i].count;
    }
    k->text[k->text_size] = 0;
    return 0;
}

static inline void kept_release(struct kept *kept) {
    for (size_t i = 0; i < kept->count; i++) {
        free(kept->pages[i].grey);
        free(kept->pages[i].text);
        free(kept->pages[i].boxes);
        free(kept->pages[i].ranges);
        free(kept->pages[i].clusters);
    }
    kept->count = 0;
}

/* What may be missing from the pages: it was left out, or stood where a line ended. */
static inline bool may_be_left_out(const char *text, size_t start, size_t end, int64_t *left_out) {
    while (start < end) {
        uint32_t c;
        bool valid;
        start += utf8_decode(text + start, end - start, &c, &valid);
        bool newline = (c >= 10 && c <= 13) || c == 0x85 || c == 0x2028 || c == 0x2029;
        if (!valid) {
            return false;
        }
        *left_out += c != ' ' && c != '\t' && !newline;
    }
    return true;
}

/* ---- Cells --------------------------------------------------------------------------- */

/* The cell in which a cluster is drawn. */
static inline int kept_cell(const struct kept_page *page, const struct page_cluster *c) {
    return c->y / CELL * page->columns + c->x / (page->side / page->columns * 64);
}

/* Whether the clusters are the page's text, one after another, each within its cell, and the cells
 * in the order of reading. */
static inline bool cells_are_in_order(const struct kept_page *page) {
    int cell = 0, width = page->side / page->columns * 64;
    size_t text = 0;
    for (size_t i = 0; i < page->cluster_count; i++) {
        const struct page_cluster *c = &page->clusters[i];
        int at = kept_cell(page, c), left = at % page->columns * width;
        if (c->text != text || at < cell || c->x < left || c->x + c->advance > left + width ||
            c->y + 8 > page->height) {
            printf("# cluster %zu (%.*s) at %d, %d is out of order\n", i, (int)c->size,
                   page->text + c->text, c->x / 64, c->y);
            return false;
        }
        cell = at;
        text += c->size;
    }
    return text == page->text_size && page->height % CELL == 0 && page->height > 0 &&
           page->height <= page->side;
}

/* What a cell shows of bytes of its source. */
static inline size_t shown_of(const char *source, const struct page_range *range, size_t at,
                              const char **shown, size_t *length) {
    static const char *const NEWLINES[] = {"\r\n", "\n",       "\v",           "\f",
                                           "\r",   "\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"};
    if (range->replaced) {
        *shown = source[range->start] == '\t' ? " " : "\xEF\xBF\xBD";
        *length = strlen(*shown);
        return range->end - range->start;
    }
    for (size_t i = 0; i < sizeof NEWLINES / sizeof *NEWLINES; i++) {
        size_t size = strlen(NEWLINES[i]);
        if (range->end - at >= size && memcmp(source + at, NEWLINES[i], size) == 0) {
            *shown = "\n";
            *length = 1;
            return size;
        }
    }
    *shown = source + at;
    *length = 1;
    return 1;
}

/* The end of the text of a cell that begins with cluster *next. */
static inline size_t cell_text_end(const struct kept_page *page, int cell, size_t *next) {
    while (*next < page->cluster_count && kept_cell(page, &page->clusters[*next]) == cell) {
        ++*next;
    }
    return *next < page->cluster_count ? page->clusters[*next].text : page->text_size;
}

/* Whether every cell holds what its ranges say, apart from what no source holds at its beginning
 * (the sign of a part, spaces before an answer), and the ranges of all pages leave out nothing but
 * what `dropped` counts. */
static inline bool cells_trace_back(const struct kept *kept, const char *source, size_t size) {
    size_t reached = 0;
    int64_t left_out = 0, dropped = 0;
    for (size_t i = 0; i < kept->count; i++) {
        const struct kept_page *page = &kept->pages[i];
        size_t text = 0, cluster = 0, range = 0;
        dropped += page->counts.dropped;
        if (!cells_are_in_order(page)) {
            return false;
        }
        for (int cell = 0; cell < page->height / CELL * page->columns; cell++) {
            size_t end = cell_text_end(page, cell, &cluster);
            if (i == 0 && cell == 0) {
                text += memcmp(page->text, "\xE2\x96", 2) == 0 ? 3 : 0;
                while (text < end && page->text[text] == ' ' && source[0] != ' ') {
                    text++;
                }
            }
            for (; range < page->range_count && page->ranges[range].cell == cell; range++) {
                const struct page_range *r = &page->ranges[range];
                for (; reached < r->start; reached++) {
                    left_out += ((unsigned char)source[reached] & 0xC0) != 0x80;
                }
                if (reached != r->start || r->end > size) {
                    printf("# page %zu cell %d: [%u, %u) after %zu\n", i, cell, r->start, r->end,
                           reached);
                    return false;
                }
                while (reached < r->end) {
                    const char *shown;
                    size_t length;
                    reached += shown_of(source, r, reached, &shown, &length);
                    if (text + length > end || memcmp(page->text + text, shown, length) != 0) {
                        printf("# page %zu cell %d: byte %zu is not what the text says\n", i, cell,
                               reached);
                        return false;
                    }
                    text += length;
                }
            }
            if (text != end) {
                printf("# page %zu cell %d: text without a source\n", i, cell);
                return false;
            }
        }
    }
    for (; reached < size; reached++) {
        left_out += ((unsigned char)source[reached] & 0xC0) != 0x80;
    }
    return kept->count == 0 || left_out == dropped;
}

/* ---- Rows across the page ------------------------------------------------------------ */

/* Walks the rows of the pages along with the boxes: each row is its boxes' texts one after the
 * other, apart from spaces that stand for tabs; the boxes go through the source in order and leave
 * nothing out but what `dropped` counts. */
static inline bool traces_back(const struct kept *kept, const char *source, size_t size) {
    size_t reached = 0;
    int64_t left_out = 0, dropped = 0;
    if (kept->count > 0 && kept->pages[0].columns > 0) {
        return cells_trace_back(kept, source, size);
    }
    for (size_t i = 0; i < kept->count; i++) {
        const struct kept_page *page = &kept->pages[i];
        const char *row = page->text, *end = page->text + page->text_size;
        dropped += page->counts.dropped;
        for (size_t k = 0; k < page->box_count; k++) {
            const struct page_box *box = &page->boxes[k];
            if (box->start < reached || box->end > size || box->start > box->end ||
                !may_be_left_out(source, reached, box->start, &left_out)) {
                printf("# page %zu box %zu: [%u, %u) after %zu\n", i, k, box->start, box->end,
                       reached);
                return false;
            }
            reached = box->end;
            const char *text = box->replaced ? "\xEF\xBF\xBD" : source + box->start;
            size_t length = box->replaced ? 3 : box->end - box->start;
            bool new_row = row == page->text || row[-1] == '\n' || *row == '\n';
            row += *row == '\n' && new_row;
            while ((size_t)(end - row) >= length && memcmp(row, text, length) != 0 && *row == ' ') {
                row++; /* a tab */
            }
            if ((size_t)(end - row) < length || memcmp(row, text, length) != 0) {
                printf("# page %zu box %zu is not what the row says\n", i, k);
                return false;
            }
            row += length;
            if (box->x < 0 || box->y % 8 != 0 || box->width < 1 ||
                box->x + box->width > page->side || box->y + box->height > page->side) {
                printf("# page %zu box %zu lies outside\n", i, k);
                return false;
            }
        }
        while (row < end && (*row == ' ' || *row == '\n')) {
            row++;
        }
        if (row != end) {
            printf("# page %zu: text without a box: %.40s\n", i, row);
            return false;
        }
    }
    bool none = kept->count == 0; /* then nobody says how much was left out */
    if (!may_be_left_out(source, reached, size, &left_out) || (left_out > dropped && !none)) {
        printf("# %lld left out, %lld said so\n", (long long)left_out, (long long)dropped);
        return false;
    }
    return true;
}

#endif
