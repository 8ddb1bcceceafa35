/* page.c - the pager: the geometry of its pages, where the next row goes, and when a page is full.
 * Rows are drawn by page_row.c, pictures by page_picture.c. */
#include "render/page/page.h"

#include <stdlib.h>
#include <string.h>

#include "render/page/page_state.h"
#include "store/array.h"

enum { COLUMN_CHARACTERS = 120, TEXT_LIMIT = 64 << 20 };
#define GLYPH_BYTES ((size_t)64 << 20) /* of glyph bitmaps kept from page to page */

const char *const PAGE_PARTS[PART_COUNT + 1] = {
    [PART_HEADER] = "header", [PART_THUMBS] = "thumbs",     [PART_DESCRIPTION] = "description",
    [PART_SCRIPT] = "script", [PART_HASHTAGS] = "hashtags", [PART_COMMENTS] = "comments",
    [PART_AUDIO] = "audio",
};

int page_list_reserve(struct page_list *l, size_t more, size_t size, struct error *e) {
    void *items = array_grow(l->items, &l->capacity, l->count + more, size, e);
    l->items = items != NULL ? items : l->items;
    return items != NULL ? 0 : ERR_MEMORY;
}

void *page_list_add(struct page_list *l, size_t size, struct error *e) {
    return page_list_reserve(l, 1, size, e) == 0 ? (char *)l->items + l->count++ * size : NULL;
}

/* ---- Geometry ------------------------------------------------------------------------ */

/* Whether a row over the whole width would hold more than COLUMN_CHARACTERS of English. */
static int wants_columns(struct pager *p, int width, bool *wants, struct error *e) {
    static const char *const SAMPLE[] = {"the",  "quick", "brown", "fox", "jumps",
                                         "over", "the",   "lazy",  "dog"};
    enum { WORDS = sizeof SAMPLE / sizeof *SAMPLE };
    int64_t advance = shaper_space(p->shaper) * (WORDS - 1), characters = WORDS - 1;
    for (size_t i = 0; i < WORDS; i++) {
        const struct word *word;
        size_t size = strlen(SAMPLE[i]);
        struct word_key key = shaper_key(p->shaper, SAMPLE[i], size, false, false);
        int rc = shaper_word(p->shaper, SAMPLE[i], &key, &word, e);
        if (rc < 0) {
            return rc;
        }
        advance += word->advance;
        characters += (int64_t)size;
    }
    *wants = width * 64 * characters > COLUMN_CHARACTERS * advance;
    return 0;
}

/* For rows across the page. */
static int set_geometry(struct pager *p, struct error *e) {
    const struct profile *profile = p->setup.profile;
    const struct page_size *size = &PAGE_SIZES[p->setup.mode];
    int margin = profile->margin * PATCH, gutter = profile->gutter * PATCH;
    p->top = margin;
    p->bottom = (p->setup.rows > 0 ? p->setup.rows * CELL : p->side) - margin;
    int width = (p->setup.columns > 0 ? p->setup.columns * CELL : p->side) - 2 * margin;
    bool columns = false;
    int rc = size->text_columns ? wants_columns(p, width, &columns, e) : 0;
    p->columns = columns ? COLUMNS : 1;
    p->column_width = (width - (p->columns - 1) * gutter) / p->columns;
    for (int i = 0; i < p->columns; i++) {
        p->column_x[i] = margin + i * (p->column_width + gutter);
    }
    p->y = p->top;
    return rc;
}

/* ---- Pages --------------------------------------------------------------------------- */

static void begin_page(struct pager *p) {
    canvas_clear(&p->canvas);
    bytes_clear(&p->text);
    p->boxes.count = p->clusters.count = p->missing.count = 0;
    memset(p->fonts_used, 0, ((size_t)fonts_count(p->setup.fonts) / 64 + 1) * sizeof(uint64_t));
    memset(p->cells, 0, sizeof p->cells);
    cells_begin_page(&p->cell);
    p->ink = 0;
    p->counts = (struct page_counts){0};
    p->column = 0;
    p->y = p->top;
    p->beside_end = 0;
    p->filled = false;
    faces_trim(p->faces, GLYPH_BYTES);
}

static int by_code_point(const void *a, const void *b) {
    const struct page_missing *x = a, *y = b;
    return (x->code_point > y->code_point) - (x->code_point < y->code_point);
}

/* One entry a code point. */
static void merge_missing(struct page_list *l) {
    struct page_missing *items = l->items;
    if (l->count == 0) {
        return;
    }
    qsort(items, l->count, sizeof *items, by_code_point);
    size_t kept = 0;
    for (size_t i = 1; i < l->count; i++) {
        if (items[i].code_point == items[kept].code_point) {
            items[kept].count += items[i].count;
        } else {
            items[++kept] = items[i];
        }
    }
    l->count = kept + 1;
}

static void count_cells(struct pager *p) {
    int n = p->side / CELL;
    if (p->setup.profile->cells) {
        p->counts.cells = (int64_t)cells_used_rows(&p->cell) * p->cell.columns;
        p->counts.inked = cells_used(&p->cell);
        return;
    }
    p->counts.cells = (int64_t)n * n;
    for (int i = 0; i < n * n; i++) {
        p->counts.inked += p->cells[i / n][i % n];
    }
}

int pager_finish_page(struct pager *p, struct error *e) {
    bool cells = p->setup.profile->cells;
    merge_missing(&p->missing);
    cells_order_ranges(&p->cell);
    count_cells(p);
    p->counts.ink = (int64_t)(p->ink / 255);
    p->counts.clipped = (int64_t)((p->canvas.clipped + 254) / 255);
    struct page page = {.width = p->side,
                        .height = cells ? cells_used_rows(&p->cell) * CELL : p->side,
                        .grey = p->canvas.grey,
                        .text = bytes_text(&p->text),
                        .text_size = p->text.size,
                        .columns = cells ? p->cell.columns : 0,
                        .ranges = p->cell.ranges.items,
                        .range_count = p->cell.ranges.count,
                        .boxes = p->boxes.items,
                        .box_count = p->boxes.count,
                        .clusters = p->clusters.items,
                        .cluster_count = p->clusters.count,
                        .missing = p->missing.items,
                        .missing_count = p->missing.count,
                        .fonts_used = p->fonts_used,
                        .counts = p->counts};
    int rc = canvas_rgb(&p->canvas, &page.rgb, e);
    if (rc == 0) {
        rc = p->setup.done(p->setup.context, &page, e);
    }
    begin_page(p);
    return rc;
}

int pager_next_column(struct pager *p, struct error *e) {
    p->column++;
    p->y = p->top;
    p->beside_end = 0;
    return p->column < p->columns ? 0 : pager_finish_page(p, e);
}

int pager_make_room(struct pager *p, int height, struct error *e) {
    return p->y + height > p->bottom && p->y > p->top ? pager_next_column(p, e) : 0;
}

void pager_mark(struct pager *p, int x, int y, int width, int height) {
    int last_x = (x + width - 1) / CELL, last_y = (y + height - 1) / CELL;
    for (int row = y / CELL; row <= last_y && row < MAX_CELLS; row++) {
        for (int column = x / CELL; column <= last_x && column < MAX_CELLS; column++) {
            p->cells[row][column] = true;
        }
    }
}

/* ---- Text ---------------------------------------------------------------------------- */

int pager_left(const struct pager *p, int y) {
    int left = p->column_x[p->column];
    left = y < p->beside_end && p->beside > left ? p->beside : left;
    return left + p->setup.profile->inset;
}

int pager_right(const struct pager *p) {
    return p->column_x[p->column] + p->column_width - p->setup.profile->inset;
}

/* 26.6: what the next row has room for. */
static int32_t row_width(const struct pager *p) {
    bool here = p->y + p->pitch <= p->bottom; /* else it begins a column */
    int width =
        here ? pager_right(p) - pager_left(p, p->y) : p->column_width - 2 * p->setup.profile->inset;
    return (width - p->indent * PATCH) * 64;
}

static int take_line(void *context, const struct line *line, struct error *e) {
    struct pager *p = context;
    int rc = pager_row(p, line, e);
    line_breaker_set_width(p->line_breaker, row_width(p));
    return rc;
}

static int lay_out_paragraph(struct pager *p, struct error *e) {
    p->counts.replaced += p->paragraph.replaced;
    p->counts.dropped += p->paragraph.dropped;
    int rc = p->setup.profile->cells
                 ? cells_paragraph(p, e)
                 : line_breaker_run(p->line_breaker, &p->paragraph, row_width(p), take_line, p, e);
    clean_clear(&p->paragraph);
    return rc;
}

/* The size of the newline that ends bytes [0, size); 0: there is none (clean.h ends a paragraph
 * that is too long without one). */
static size_t newline_before(const char *text, size_t size) {
    static const char *const NEWLINES[] = {"\r\n", "\n",       "\v",           "\f",
                                           "\r",   "\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"};
    for (size_t i = 0; i < sizeof NEWLINES / sizeof *NEWLINES; i++) {
        size_t length = strlen(NEWLINES[i]);
        if (length <= size && memcmp(text + size - length, NEWLINES[i], length) == 0) {
            return length;
        }
    }
    return 0;
}

/* Ends the paragraph after `used` bytes of a span; in cells a newline is drawn. */
static int end_paragraph(struct pager *p, const struct span *span, size_t used, struct error *e) {
    size_t newline = newline_before(span->text, used);
    uint32_t end = span->start + (uint32_t)used;
    int rc = lay_out_paragraph(p, e);
    return rc == 0 && newline > 0 && p->setup.profile->cells
               ? cells_newline(p, span->source, end - (uint32_t)newline, end, e)
               : rc;
}

int pager_text(struct pager *p, enum page_part part, const struct span *spans, size_t count,
               int indent, struct error *e) {
    indent = indent < 0 ? 0 : indent > PAGE_INDENT ? PAGE_INDENT : indent;
    if (p->setup.profile->cells) {
        cells_begin_text(p, part, indent);
    }
    p->part = part;
    p->indent = indent;
    int rc = 0;
    clean_clear(&p->paragraph);
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct span rest = spans[i];
        while (rest.size > 0 && rc == 0) {
            size_t used;
            bool line_end;
            rc = clean_append(&p->paragraph, &rest, &used, &line_end, e);
            if (rc == 0 && line_end) {
                rc = end_paragraph(p, &rest, used, e);
            }
            rest.text += used;
            rest.start += (uint32_t)used;
            rest.size -= used;
        }
    }
    return rc == 0 ? lay_out_paragraph(p, e) : rc;
}

/* ---- The pager ----------------------------------------------------------------------- */

int pager_gap(struct pager *p, int rows, struct error *e) {
    if (p->setup.profile->cells || p->y == p->top) {
        return 0;
    }
    p->y += rows * p->pitch;
    return pager_make_room(p, p->pitch, e);
}

int pager_clear(struct pager *p, struct error *e) {
    if (p->setup.profile->cells) {
        return cells_clear(p, e);
    }
    p->y = p->y < p->beside_end ? p->beside_end : p->y;
    p->beside_end = 0;
    return pager_make_room(p, p->pitch, e);
}

int pager_flush(struct pager *p, struct error *e) {
    int rc = p->setup.profile->cells ? cells_clear(p, e) : 0;
    return rc == 0 && p->filled ? pager_finish_page(p, e) : rc;
}

void pager_language(struct pager *p, const char *language) {
    shaper_language(p->shaper, language);
}

bool pager_has_cells(const struct pager *p) {
    return p->setup.profile->cells;
}

const struct faces *pager_faces(const struct pager *p) {
    return p->faces;
}

static int open_rows(struct pager *p, struct error *e) {
    int rc = line_breaker_open(&p->line_breaker, p->shaper, e);
    return rc == 0 ? set_geometry(p, e) : rc;
}

int pager_open(struct pager **out, const struct page_setup *setup, struct error *e) {
    struct pager *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return error_memory(e, NULL);
    }
    p->setup = *setup;
    clean_init(&p->paragraph);
    p->paragraph.exact = setup->profile->cells;
    bytes_init(&p->text, TEXT_LIMIT);
    p->fonts_used = calloc((size_t)fonts_count(setup->fonts) / 64 + 1, sizeof *p->fonts_used);
    int rc = p->fonts_used != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = shaper_open(&p->shaper, setup->fonts, setup->profile, e);
    }
    p->faces = rc == 0 ? shaper_faces(p->shaper) : NULL;
    if (rc == 0) {
        p->side = PAGE_SIZES[setup->mode].side;
        p->pitch = setup->profile->pitch;
        p->baseline = faces_baseline(p->faces);
        rc = setup->profile->cells ? cells_open(&p->cell, p->shaper, setup, e) : open_rows(p, e);
    }
    if (rc == 0) {
        rc = canvas_open(&p->canvas, p->side, setup->color, e);
    }
    if (rc < 0) {
        pager_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pager_close(struct pager *p) {
    if (p == NULL) {
        return;
    }
    canvas_close(&p->canvas);
    cells_close(&p->cell);
    line_breaker_close(p->line_breaker);
    shaper_close(p->shaper);
    clean_close(&p->paragraph);
    bytes_close(&p->text);
    free(p->boxes.items);
    free(p->clusters.items);
    free(p->missing.items);
    free(p->glyphs.items);
    free(p->fonts_used);
    free(p);
}
