/* page_row.c - one row of text on a page: its glyphs, its boxes, its labels. */
#include "render/page/page_state.h"

/* 26.6 from the left edge of the page to where the line's x begins. */
static int32_t line_origin(const struct pager *p, const struct line *line) {
    int indent = p->indent * PATCH;
    return line->rtl ? (pager_right(p) - indent) * 64 - line->advance
                     : (pager_left(p, p->y) + indent) * 64;
}

static bool is_whole(const struct line_item *item) {
    return item->cluster_end - item->cluster_start == item->word->cluster_count;
}

/* Where the word of an item begins, a part of which may stand elsewhere. */
static int32_t item_origin(const struct line_item *item) {
    const struct word *w = item->word;
    size_t leftmost = w->rtl ? item->cluster_end - (size_t)1 : item->cluster_start;
    return item->x - (is_whole(item) ? 0 : word_clusters(w)[leftmost].x);
}

/* Places the glyphs of an item; draws those bitmaps that are not there yet. */
static int place_item(struct pager *p, const struct line_item *item, int32_t origin,
                      struct error *e) {
    const struct word *w = item->word;
    size_t first, end;
    word_glyph_range(w, item->cluster_start, item->cluster_end, &first, &end);
    enum { QUARTER = 16, HALF_QUARTER = QUARTER / 2 };
    int rc = page_list_reserve(&p->glyphs, end - first, sizeof(struct canvas_glyph), e);
    struct canvas_glyph *placed = p->glyphs.items;
    for (size_t i = first; i < end && rc == 0; i++) {
        const struct word_glyph *g = &word_glyphs(w)[i];
        int32_t x = origin + g->x + HALF_QUARTER;
        unsigned phase = ((uint32_t)x / QUARTER) % GLYPH_PHASES;
        if (g->slot->phase[phase] == NULL) {
            rc = faces_draw(p->faces, g->slot, phase, e);
            if (rc < 0) {
                break;
            }
        }
        const struct glyph *glyph = g->slot->phase[phase];
        if (glyph->height > 0) {
            int y = p->y + p->baseline - ((g->y + 32) >> 6);
            placed[p->glyphs.count++] = (struct canvas_glyph){.glyph = glyph, .x = x >> 6, .y = y};
            p->ink += glyph->ink;
        }
    }
    return rc;
}

static void record_fonts(struct pager *p, const struct word *w) {
    if (w->font_count <= WORD_FONTS) {
        for (size_t i = 0; i < w->font_count; i++) {
            p->fonts_used[w->fonts[i] / 64] |= UINT64_C(1) << (w->fonts[i] % 64);
        }
        return;
    }
    for (size_t i = 0; i < w->glyph_count; i++) {
        uint16_t font = word_glyphs(w)[i].slot->font;
        if (font < fonts_count(p->setup.fonts)) { /* not the box of a missing character */
            p->fonts_used[font / 64] |= UINT64_C(1) << (font % 64);
        }
    }
}

static int record_missing(struct pager *p, const struct line_item *item, struct error *e) {
    const struct word *w = item->word;
    for (size_t i = 0; i < w->missing_count; i++) {
        uint16_t cluster = word_missing(w)[i].cluster;
        if (cluster >= item->cluster_start && cluster < item->cluster_end) {
            struct page_missing *m = page_list_add(&p->missing, sizeof *m, e);
            if (m == NULL) {
                return ERR_MEMORY;
            }
            *m = (struct page_missing){.code_point = word_missing(w)[i].code_point, .count = 1};
        }
    }
    return 0;
}

/* Extends [*left, *right) by what [start, end) of the paragraph takes of an item. */
static void extend(const struct line_item *item, uint32_t start, uint32_t end, int32_t *left,
                   int32_t *right) {
    if (item->end <= start || item->start >= end) {
        return;
    }
    int32_t from = item->x, to = item->x + item->advance;
    if (item->word != NULL && (item->start < start || item->end > end)) {
        const struct word_cluster *at = word_clusters(item->word);
        uint32_t word_start = item->start - at[item->cluster_start].start;
        int32_t origin = item_origin(item);
        from = INT32_MAX;
        to = INT32_MIN;
        for (size_t i = item->cluster_start; i < item->cluster_end; i++) {
            if (word_start + at[i].start < end && word_start + at[i + 1].start > start) {
                from = origin + at[i].x < from ? origin + at[i].x : from;
                int32_t edge = origin + at[i].x + at[i].advance;
                to = edge > to ? edge : to;
            }
        }
    }
    *left = from < *left ? from : *left;
    *right = to > *right ? to : *right;
}

static int add_box(struct pager *p, int32_t left, int32_t right, const struct page_box *box,
                   struct error *e) {
    struct page_box *b = page_list_add(&p->boxes, sizeof *b, e);
    if (b == NULL) {
        return ERR_MEMORY;
    }
    *b = *box;
    int from = left >> 6, to = (right + 63) >> 6;
    if (from < 0) {
        from = 0;
    }
    if (to > p->side) {
        to = p->side;
    }
    b->x = (int16_t)from;
    b->y = (int16_t)p->y;
    b->width = (int16_t)(to > from ? to - from : 1);
    b->height = (int16_t)p->pitch;
    return 0;
}

size_t pager_run(const struct clean *c, uint32_t at) {
    size_t low = 0, high = c->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (c->runs[middle].start <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A box for each part of the line that is one stretch of one source. */
static int add_boxes(struct pager *p, const struct line *line, int32_t origin, struct error *e) {
    const struct clean *c = &p->paragraph;
    uint32_t start = line->items[0].start, end = line->items[line->count - 1].end;
    for (size_t i = pager_run(c, start); i < c->count && c->runs[i].start < end; i++) {
        const struct clean_run *run = &c->runs[i];
        uint32_t run_end = i + 1 < c->count ? c->runs[i + 1].start : (uint32_t)c->text.size;
        uint32_t from = run->start > start ? run->start : start;
        uint32_t to = run_end < end ? run_end : end;
        if (run->source == 0) {
            continue;
        }
        int32_t left = 0, right = line->advance;
        if (from != start || to != end) {
            left = INT32_MAX;
            right = INT32_MIN;
            for (size_t k = 0; k < line->count; k++) {
                extend(&line->items[k], from, to, &left, &right);
            }
        }
        if (left > right) {
            left = right = 0; /* characters that leave no trace */
        }
        struct page_box box = {.part = (uint8_t)p->part,
                               .replaced = run->replaced,
                               .source = run->source,
                               .start = run->source_start + (from - run->start)};
        box.end = box.start + (to - from);
        if (run->replaced) {
            box.start = run->source_start;
            box.end = run->source_start + run->source_size;
        }
        int rc = add_box(p, origin + left, origin + right, &box, e);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int add_cluster(struct pager *p, int32_t x, int32_t advance, uint32_t text, uint32_t size,
                       struct error *e) {
    struct page_cluster *c = page_list_add(&p->clusters, sizeof *c, e);
    if (c == NULL) {
        return ERR_MEMORY;
    }
    *c = (struct page_cluster){
        .x = x, .advance = advance, .y = (int16_t)p->y, .text = text, .size = size};
    return 0;
}

/* `shift`: what to add to an offset in the paragraph for the one in the page's text. */
static int add_clusters(struct pager *p, const struct line_item *item, int32_t origin,
                        uint32_t shift, struct error *e) {
    int rc = 0;
    if (item->word == NULL) {
        int32_t space = item->advance / (int32_t)(item->end - item->start);
        for (uint32_t i = item->start; i < item->end && rc == 0; i++) {
            int32_t x = origin + item->x + (int32_t)(i - item->start) * space;
            rc = add_cluster(p, x, space, i + shift, 1, e);
        }
        return rc;
    }
    const struct word_cluster *at = word_clusters(item->word);
    uint32_t word_start = item->start - at[item->cluster_start].start;
    /* in cells a space that is drawn at the end of a row takes what room there is */
    bool own = p->setup.profile->cells && item->cluster_end - item->cluster_start == 1;
    for (size_t i = item->cluster_start; i < item->cluster_end && rc == 0; i++) {
        rc = add_cluster(p, origin + item_origin(item) + at[i].x,
                         own ? item->advance : at[i].advance, word_start + at[i].start + shift,
                         (uint32_t)(at[i + 1].start - at[i].start), e);
    }
    return rc;
}

uint32_t pager_characters(const char *text, size_t size) {
    uint32_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += (signed char)text[i] >= -64; /* no continuation byte */
    }
    return count;
}

int pager_draw_items(struct pager *p, const struct line_item *items, size_t count, int32_t origin,
                     uint32_t shift, const struct canvas_area *area, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct line_item *item = &items[i];
        if (item->word != NULL) {
            rc = place_item(p, item, origin + item_origin(item), e);
            record_fonts(p, item->word);
            if (rc == 0) {
                rc = record_missing(p, item, e);
            }
        }
        if (rc == 0 && p->setup.clusters) {
            rc = add_clusters(p, item, origin, shift, e);
        }
    }
    if (rc == 0) {
        rc = canvas_glyphs(&p->canvas, p->glyphs.items, p->glyphs.count, area, e);
    }
    p->glyphs.count = 0;
    return rc;
}

static int draw_line(struct pager *p, const struct line *line, int32_t origin, struct error *e) {
    uint32_t start = line->items[0].start, end = line->items[line->count - 1].end;
    uint32_t shift = (uint32_t)p->text.size - start;
    const struct canvas_area row = {.right = p->side, .top = p->y, .bottom = p->y + p->pitch};
    int rc = pager_draw_items(p, line->items, line->count, origin, shift, &row, e);
    const char *text = bytes_text(&p->paragraph.text) + start;
    p->counts.characters += pager_characters(text, end - start);
    if (rc == 0) {
        rc = bytes_append(&p->text, text, end - start, e);
    }
    return rc == 0 ? bytes_append(&p->text, "\n", 1, e) : rc;
}

int pager_row(struct pager *p, const struct line *line, struct error *e) {
    int rc = pager_make_room(p, p->pitch, e);
    if (rc < 0) {
        return rc;
    }
    int32_t origin = line_origin(p, line);
    rc = draw_line(p, line, origin, e);
    if (rc == 0) {
        rc = add_boxes(p, line, origin, e);
    }
    int left = origin >> 6, right = (origin + line->advance + 63) >> 6;
    if (left < 0) {
        left = 0;
    }
    if (right > p->side) {
        right = p->side;
    }
    pager_mark(p, left, p->y, right > left ? right - left : 1, p->pitch);
    p->counts.rows++;
    p->y += p->pitch;
    p->filled = true;
    return rc;
}
