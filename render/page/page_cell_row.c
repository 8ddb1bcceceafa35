/* page_cell_row.c - text in cells: rows of signs, spaces and words. A row belongs to a page as soon
 * as it has anything in it, since all rows are equally wide: text and ranges are entered as they
 * come, glyphs are drawn when the row is full and its order is known. */
#include <unicode/ubidi.h>

#include "render/page/page_state.h"
#include "render/text/sign.h"
#include "store/utf8.h"

enum { ROW_ITEMS = 4096 }; /* most of them without width */
static const char NEWLINE[] = {SIGN_NEWLINE}, SHOWN_SPACE[] = {SIGN_SPACE};

static const uint32_t PART_SIGNS[PART_NONE + 1] = {
    [PART_HEADER] = SIGN_HEADER,     [PART_DESCRIPTION] = SIGN_DESCRIPTION,
    [PART_SCRIPT] = SIGN_SCRIPT,     [PART_HASHTAGS] = SIGN_HASHTAGS,
    [PART_COMMENTS] = SIGN_COMMENTS,
};

/* ---- Rows ---------------------------------------------------------------------------- */

static struct line_item *items_of(const struct pager *p) {
    return p->cell.items.items;
}

static bool is_open(const struct pager *p) {
    return p->cell.items.count > 0;
}

/* 26.6 */
static int32_t row_width(const struct pager *p) {
    return (p->cell.width - 2 * p->setup.profile->inset) * 64;
}

/* Where the row is: a page that is full is handed over first. */
static int begin_row(struct pager *p, uint8_t base, struct error *e) {
    struct cells *c = &p->cell;
    int end = c->rows * c->columns;
    if (c->line == c->lines) {
        c->at++;
        c->line = 0;
    }
    while (c->at < end && c->used[c->at] == CELL_PICTURE) {
        c->at++;
    }
    if (c->at >= end) {
        int rc = pager_finish_page(p, e);
        if (rc < 0) {
            return rc;
        }
    }
    c->used[c->at] = CELL_TEXT;
    c->pen = 0;
    c->base = base;
    p->filled = true;
    return 0;
}

/* A piece of the current paragraph's level, as one of the row: paragraphs after the first one are
 * isolates of it. */
static uint8_t level_in_row(const struct cells *c, uint8_t level, uint8_t paragraph) {
    return (uint8_t)(level + (c->base == 1 && paragraph == 0 ? 2 : 0));
}

static int sign_word(struct pager *p, const char *text, size_t size, const struct word **word,
                     struct error *e) {
    struct word_key key = shaper_key(p->shaper, text, size, false, true);
    return shaper_word(p->shaper, text, &key, word, e);
}

static bool is_space(const struct pager *p, const struct line_item *item) {
    return bytes_text(&p->text)[item->start] == ' ';
}

static int show_space(struct pager *p, struct line_item *item, struct error *e) {
    int rc = sign_word(p, SHOWN_SPACE, sizeof SHOWN_SPACE, &item->word, e);
    if (rc == 0) {
        item->cluster_end = item->word->cluster_count;
        item->advance = item->word->advance;
    }
    return rc;
}

/* A space at the end of a row would not be seen. */
static int show_last_space(struct pager *p, struct error *e) {
    struct line_item *last = items_of(p) + p->cell.items.count - 1;
    if (last->word != NULL) {
        return 0;
    }
    int32_t room = row_width(p) - (p->cell.pen - last->advance);
    p->cell.pen -= last->advance;
    int rc = show_space(p, last, e);
    last->advance = last->advance < room ? last->advance : room;
    p->cell.pen += last->advance;
    return rc;
}

/* Rules L1 and L2 of UAX #9. */
static int order_row(struct pager *p, struct error *e) {
    struct cells *c = &p->cell;
    struct line_item *items = items_of(p);
    size_t count = c->items.count;
    c->levels.count = c->visual.count = 0;
    int rc = page_list_reserve(&c->levels, count, sizeof(UBiDiLevel), e);
    if (rc == 0) {
        rc = page_list_reserve(&c->visual, count, sizeof(int32_t), e);
    }
    if (rc < 0) {
        return rc;
    }
    for (size_t i = count; i > 0 && is_space(p, &items[i - 1]); i--) {
        items[i - 1].level = c->base;
    }
    UBiDiLevel *levels = c->levels.items;
    int32_t *visual = c->visual.items, x = 0;
    for (size_t i = 0; i < count; i++) {
        levels[i] = items[i].level;
    }
    ubidi_reorderVisual(levels, (int32_t)count, visual);
    for (size_t i = 0; i < count; i++) {
        struct line_item *item = &items[visual[i]];
        item->x = x;
        x += item->advance;
    }
    return 0;
}

int cells_end_row(struct pager *p, struct error *e) {
    struct cells *c = &p->cell;
    if (!is_open(p)) {
        return 0;
    }
    int rc = show_last_space(p, e);
    if (rc == 0 && c->mixed) {
        rc = order_row(p, e);
    }
    int left = c->at % c->columns * c->width, inset = p->setup.profile->inset;
    p->y = c->at / c->columns * CELL + c->line * p->pitch;
    int32_t origin = (left + inset) * 64;
    if (c->base & 1) {
        origin = (left + c->width - inset) * 64 - c->pen;
    }
    const struct canvas_area area = {left, p->y, left + c->width, p->y + p->pitch};
    if (rc == 0) {
        rc = pager_draw_items(p, c->items.items, c->items.count, origin, 0, &area, e);
    }
    p->counts.rows++;
    c->line++;
    c->items.count = 0;
    c->mixed = false;
    return rc;
}

/* Enters an item, for which there is room, and its text. */
static int add_item(struct pager *p, struct line_item item, const char *text, size_t size,
                    struct error *e) {
    struct cells *c = &p->cell;
    item.start = (uint32_t)p->text.size;
    item.end = item.start + (uint32_t)size;
    item.x = c->pen;
    int rc = bytes_append(&p->text, text, size, e);
    struct line_item *added = rc == 0 ? page_list_add(&c->items, sizeof *added, e) : NULL;
    if (added == NULL) {
        return ERR_MEMORY;
    }
    *added = item;
    c->pen += item.advance;
    c->mixed = c->mixed || item.level != 0;
    p->counts.characters += pager_characters(text, size);
    return 0;
}

/* The ranges of sources that bytes [start, end) of the current paragraph are. */
static int add_ranges(struct pager *p, uint32_t start, uint32_t end, struct error *e) {
    const struct clean *clean = &p->paragraph;
    int rc = 0;
    for (size_t i = pager_run(clean, start);
         i < clean->count && clean->runs[i].start < end && rc == 0; i++) {
        const struct clean_run *run = &clean->runs[i];
        uint32_t run_end =
            i + 1 < clean->count ? clean->runs[i + 1].start : (uint32_t)clean->text.size;
        uint32_t from = run->start > start ? run->start : start;
        uint32_t to = run_end < end ? run_end : end;
        if (run->source == 0) {
            continue;
        }
        struct page_range range = {.cell = (uint16_t)p->cell.at,
                                   .part = (uint8_t)p->part,
                                   .replaced = run->replaced,
                                   .source = run->source,
                                   .start = run->source_start + (from - run->start)};
        range.end = range.start + (to - from);
        if (run->replaced) {
            range.start = run->source_start;
            range.end = run->source_start + run->source_size;
        }
        rc = cells_add_range(p, &range, e);
    }
    return rc;
}

/* Brings the row to where an item of this width has room. */
static int make_room(struct pager *p, int32_t advance, uint8_t paragraph, struct error *e) {
    struct cells *c = &p->cell;
    int rc = 0;
    if (is_open(p) && (c->pen + advance > row_width(p) || c->items.count == ROW_ITEMS)) {
        rc = cells_end_row(p, e);
    }
    return rc == 0 && !is_open(p) ? begin_row(p, paragraph, e) : rc;
}

/* ---- Signs and spaces ---------------------------------------------------------------- */

/* A sign of no direction, which parts paragraphs in a row. */
static int add_sign(struct pager *p, const char *text, size_t size, uint8_t paragraph,
                    struct error *e) {
    const struct word *word;
    int rc = sign_word(p, text, size, &word, e);
    if (rc == 0) {
        rc = make_room(p, word->advance, paragraph, e);
    }
    struct line_item item = {.level = p->cell.base};
    if (rc == 0) {
        item.word = word;
        item.cluster_end = word->cluster_count;
        item.advance = word->advance;
        rc = add_item(p, item, text, size, e);
    }
    return rc;
}

/* A space: drawn where it is first in its row or comes after another one. */
static int add_space(struct pager *p, uint8_t level, uint8_t paragraph, struct error *e) {
    struct cells *c = &p->cell;
    struct line_item item = {.advance = shaper_space(p->shaper)};
    bool shown = is_open(p) && is_space(p, items_of(p) + c->items.count - 1);
    int rc = shown ? show_space(p, &item, e) : 0;
    if (rc == 0) {
        rc = make_room(p, item.advance, paragraph, e);
    }
    if (rc == 0 && !shown && !is_open(p)) {
        rc = show_space(p, &item, e);
    }
    item.level = level_in_row(c, level, paragraph);
    return rc == 0 ? add_item(p, item, " ", 1, e) : rc;
}

/* The sign of a part that begins, and the spaces before an answer. */
static int add_due(struct pager *p, uint8_t paragraph, struct error *e) {
    struct cells *c = &p->cell;
    int rc = 0;
    if (c->sign_due) {
        char text[4];
        c->sign_due = false;
        rc = cells_end_row(p, e);
        if (rc == 0 && PART_SIGNS[p->part] != 0) {
            rc = add_sign(p, text, utf8_encode(PART_SIGNS[p->part], text), paragraph, e);
        }
    }
    for (; c->indent_due > 0 && rc == 0; c->indent_due--) {
        rc = add_space(p, paragraph, paragraph, e);
    }
    return rc;
}

/* ---- Words --------------------------------------------------------------------------- */

/* Letters that begin a cluster wherever they stand: most of those that are ever asked about. */
static bool is_simple(uint32_t c) {
    return (c >= 0x20 && c < 0x300) || (c >= 0x370 && c < 0x483) || (c >= 0x48A && c < 0x530) ||
           (c >= 0x1E00 && c < 0x2000) || (c >= 0x3400 && c < 0xA000);
}

static bool is_boundary(const char *text, size_t size, size_t at) {
    size_t before = at;
    uint32_t left, right;
    bool valid;
    while (before > 0 && ((unsigned char)text[--before] & 0xC0) == 0x80) {
    }
    utf8_decode(text + before, at - before, &left, &valid);
    utf8_decode(text + at, size - at, &right, &valid);
    return is_simple(left) && is_simple(right);
}

/* Whether the row may end before cluster k: what the shaper made two of may be one to ICU. */
static int may_end_before(struct pager *p, const struct word *w, uint16_t k, bool *may,
                          struct error *e) {
    uint32_t at = word_clusters(w)[k].start;
    *may = is_boundary(word_text(w), w->size, at);
    if (*may) {
        return 0;
    }
    const uint32_t *boundaries;
    size_t count;
    int rc =
        breaker_clusters(shaper_breaker(p->shaper), word_text(w), w->size, &boundaries, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        *may = *may || boundaries[i] == at;
    }
    return rc;
}

/* *end: the clusters [first, *end) have room in the row; none, if the next one has not. */
static int find_fitting(struct pager *p, const struct word *w, uint16_t first, uint16_t *end,
                        struct error *e) {
    const struct word_cluster *at = word_clusters(w);
    int32_t room = row_width(p) - (is_open(p) ? p->cell.pen : 0);
    uint16_t k = first;
    while (k < w->cluster_count && at[k].advance <= room) {
        room -= at[k++].advance;
    }
    bool may = k == w->cluster_count || k == first;
    int rc = 0;
    while (rc == 0 && !may) {
        rc = may_end_before(p, w, k, &may, e);
        k = (uint16_t)(may ? k : k - 1);
        may = may || k == first;
    }
    *end = k;
    return rc;
}

/* The end of the grapheme cluster at `first`, which is wider than a row. */
static int find_wide(struct pager *p, const struct word *w, uint16_t first, uint16_t *end,
                     struct error *e) {
    bool may = false;
    int rc = 0;
    *end = first;
    while (rc == 0 && !may) {
        ++*end;
        may = *end == w->cluster_count;
        rc = may ? 0 : may_end_before(p, w, *end, &may, e);
    }
    return rc;
}

static int add_clusters(struct pager *p, const struct flow_piece *piece, uint16_t first,
                        uint16_t end, struct error *e) {
    const struct word_cluster *at = word_clusters(piece->word);
    struct line_item item = {.word = piece->word, .cluster_start = first, .cluster_end = end};
    for (uint16_t k = first; k < end; k++) {
        item.advance += at[k].advance;
    }
    if (item.advance > row_width(p)) {
        int narrow = shaper_small(p->shaper, piece->word, first, end, row_width(p), &item.word, e);
        if (narrow < 0) {
            return narrow;
        }
        item.cluster_start = 0;
        item.cluster_end = 1;
        item.advance = item.word->advance;
    }
    uint32_t from = at[first].start, to = at[end].start;
    int rc = is_open(p) ? 0 : begin_row(p, piece->paragraph_level, e);
    item.level = level_in_row(&p->cell, piece->level, piece->paragraph_level);
    if (rc == 0) {
        rc = add_item(p, item, word_text(piece->word) + from, to - from, e);
    }
    return rc == 0 ? add_ranges(p, piece->start + from, piece->start + to, e) : rc;
}

static int add_word(struct pager *p, const struct flow_piece *piece, struct error *e) {
    const struct word *w = piece->word;
    int rc = p->cell.items.count == ROW_ITEMS ? cells_end_row(p, e) : 0;
    for (uint16_t first = 0, end; first < w->cluster_count && rc == 0; first = end) {
        rc = find_fitting(p, w, first, &end, e);
        if (rc == 0 && end == first && !is_open(p)) {
            rc = find_wide(p, w, first, &end, e);
        }
        if (rc == 0 && end > first) {
            rc = add_clusters(p, piece, first, end, e);
        }
        if (rc == 0 && end < w->cluster_count) {
            rc = cells_end_row(p, e);
        }
    }
    return rc;
}

static int take_piece(void *context, const struct flow_piece *piece, struct error *e) {
    struct pager *p = context;
    int rc = add_due(p, piece->paragraph_level, e);
    if (rc < 0 || piece->word != NULL) {
        return rc < 0 ? rc : add_word(p, piece, e);
    }
    rc = add_space(p, piece->level, piece->paragraph_level, e);
    return rc == 0 ? add_ranges(p, piece->start, piece->start + 1, e) : rc;
}

/* Words of a row that has begun, before they are forgotten: copies of them. */
static int keep_words(void *context, struct error *e) {
    struct pager *p = context;
    struct cells *c = &p->cell;
    struct line_item *items = items_of(p);
    struct bytes kept;
    size_t total = 0;
    for (size_t i = 0; i < c->items.count; i++) {
        total += items[i].word != NULL ? word_block(items[i].word) : 0;
    }
    bytes_init(&kept, SIZE_MAX / 2);
    int rc = bytes_reserve(&kept, total + 1, e);
    for (size_t i = 0; i < c->items.count && rc == 0; i++) {
        if (items[i].word != NULL) {
            const void *copy = kept.data + kept.size;
            rc = bytes_append(&kept, items[i].word, word_block(items[i].word), e);
            items[i].word = copy;
        }
    }
    bytes_close(&c->kept);
    c->kept = kept;
    return rc;
}

/* ---- The text of a part ------------------------------------------------------------ */

void cells_begin_text(struct pager *p, enum page_part part, int indent) {
    struct cells *c = &p->cell;
    c->sign_due = c->sign_due || !c->has_part || part != p->part;
    c->has_part = true;
    c->indent_due = indent;
}

int cells_paragraph(struct pager *p, struct error *e) {
    const struct flow_taker taker = {.context = p, .take = take_piece, .keep = keep_words};
    return flow_run(p->cell.flow, &p->paragraph, &taker, &p->cell.paragraph_level, e);
}

int cells_newline(struct pager *p, uint32_t source, uint32_t start, uint32_t end, struct error *e) {
    uint8_t level = p->cell.paragraph_level;
    int rc = add_due(p, level, e);
    if (rc == 0) {
        rc = add_sign(p, NEWLINE, sizeof NEWLINE, level, e);
    }
    const struct page_range range = {.cell = (uint16_t)p->cell.at,
                                     .part = (uint8_t)p->part,
                                     .source = source,
                                     .start = start,
                                     .end = end};
    return rc == 0 && source != 0 ? cells_add_range(p, &range, e) : rc;
}
