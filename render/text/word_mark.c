/* word_mark.c - marks over letters whose font lacks them. No font says where they belong, so they
 * are put in the middle of their base's advance, and out of the way of its ink. */
#include <unicode/uchar.h>

#include "render/text/word_make.h"

/* What a cluster takes so far, 26.6, x from the beginning of the word. */
struct base {
    struct glyph_area ink;
    int32_t start, end; /* its advance */
    int32_t middle; /* y of what a stroke goes through; INT32_MIN: where the mark's font has it */
};

enum { COPIES = 4 }; /* of a line's glyph at most, so that a word of them is not a flood */
enum { OVERLAY = 1, DOUBLE_BELOW = 233, DOUBLE_ABOVE = 234 }; /* canonical combining classes */

static struct base measure(const struct word_maker *m, size_t first) {
    const struct shaped_word *shaped = &m->shaped;
    struct base b = {.ink = {INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN}, .middle = INT32_MIN};
    b.end = b.start = shaped->word.advance;
    for (size_t i = first; i < shaped->word.glyph_count; i++) {
        const struct word_glyph *g = &shaped->glyphs[i];
        struct glyph_area area = faces_area(m->faces, g->slot);
        b.start -= shaped->glyph_advance[i];
        if (area.top > area.bottom) {
            struct glyph_area *ink = &b.ink;
            ink->left = g->x + area.left < ink->left ? g->x + area.left : ink->left;
            ink->right = g->x + area.right > ink->right ? g->x + area.right : ink->right;
            ink->bottom = g->y + area.bottom < ink->bottom ? g->y + area.bottom : ink->bottom;
            ink->top = g->y + area.top > ink->top ? g->y + area.top : ink->top;
        }
    }
    if (b.ink.left > b.ink.right) {
        b.ink = (struct glyph_area){b.start, b.end, 0, 0};
    }
    return b;
}

/* Strokes go through Chinese characters, which are higher than letters, at one height all along. */
static void find_middle(const struct word_maker *m, size_t first, struct base *b) {
    enum { EM_MIDDLE = 380 }; /* per mille of the em, between the edges of its box */
    if (first == m->shaped.word.glyph_count) {
        return;
    }
    const struct glyph_slot *slot = m->shaped.glyphs[first].slot;
    if (slot->font == FACES_NO_FONT || fonts_get(m->fonts, slot->font)->color) {
        b->middle = (b->ink.top + b->ink.bottom) / 2;
    } else if (fonts_get(m->fonts, slot->font)->han) {
        b->middle = faces_opened(m->faces, slot->font)->size * EM_MIDDLE / 1000;
    }
}

/* Lines that meet those of the letters beside: they take the whole advance. */
static bool is_line(uint32_t c) {
    return c == 0x305 || c == 0x332 || c == 0x333 || c == 0x336 || c == 0x33F;
}

/* How far the mark's glyph is moved up. */
static int32_t lift(const struct word_maker *m, uint32_t c, const struct glyph_area *mark,
                    const struct base *b) {
    int32_t size = m->profile->size, gap = size / 16;
    int32_t middle = (mark->top + mark->bottom) / 2;
    if (u_charType((UChar32)c) == U_ENCLOSING_MARK) {
        return (b->ink.top + b->ink.bottom) / 2 - middle;
    }
    if (u_getCombiningClass((UChar32)c) == OVERLAY) {
        return b->middle == INT32_MIN ? 0 : b->middle - middle;
    }
    int32_t up = b->ink.top + gap - mark->bottom, down = b->ink.bottom - gap - mark->top;
    if (2 * middle > size) {
        return up > 0 ? up : 0;
    }
    return middle < 0 && down < 0 ? down : 0;
}

/* Where the middle of the mark's ink goes. */
static int32_t center(uint32_t c, const struct base *b) {
    uint8_t class = u_getCombiningClass((UChar32)c);
    bool two = class == DOUBLE_ABOVE || class == DOUBLE_BELOW;
    return two ? b->end : b->start + (b->end - b->start) / 2;
}

/* A mark that has room of its own stands after the base, as its glyph is. */
static int put_beside(struct word_maker *m, const struct borrowed_mark *mark, uint32_t id,
                      uint32_t cluster, struct base *b, struct error *e) {
    const struct face *face = faces_opened(m->faces, mark->font);
    struct glyph_place at = {.advance = hb_font_get_glyph_h_advance(face->hb, id)};
    int rc = maker_add(m, mark->font, id, cluster, at, e);
    b->end = m->shaped.word.advance;
    return rc;
}

static int put_over(struct word_maker *m, const struct borrowed_mark *mark, uint32_t id,
                    uint32_t cluster, struct base *b, struct error *e) {
    const struct glyph_slot *slot = faces_slot(m->faces, mark->font, id, FIT_ROW, e);
    if (slot == NULL) {
        return ERR_MEMORY;
    }
    struct glyph_area area = faces_area(m->faces, slot);
    int32_t width = area.right - area.left, room = b->end - b->start;
    int32_t y = lift(m, mark->code_point, &area, b);
    int copies = is_line(mark->code_point) && width > 0 && room > width
                     ? (int)((room + width - 1) / width)
                     : 1;
    copies = copies < COPIES ? copies : COPIES;
    int rc = 0;
    for (int i = 0; i < copies && rc == 0; i++) {
        int32_t left = copies > 1 ? b->start + (room - width) / (copies - 1) * i
                                  : center(mark->code_point, b) - width / 2;
        struct glyph_place at = {.x = left - area.left - m->shaped.word.advance, .y = y};
        rc = maker_add(m, mark->font, id, cluster, at, e);
    }
    if (u_getCombiningClass((UChar32)mark->code_point) != OVERLAY) {
        b->ink.top = y + area.top > b->ink.top ? y + area.top : b->ink.top;
        b->ink.bottom = y + area.bottom < b->ink.bottom ? y + area.bottom : b->ink.bottom;
    }
    return rc;
}

static int put(struct word_maker *m, const struct borrowed_mark *mark, uint32_t cluster,
               struct base *b, struct error *e) {
    const struct face *face =
        mark->font == FONT_NONE ? NULL : faces_get(m->faces, mark->font, NULL);
    hb_codepoint_t id = 0;
    if (face == NULL || !hb_font_get_nominal_glyph(face->hb, mark->code_point, &id)) {
        int rc = maker_add_missing(m, mark->at, cluster, mark->code_point, e);
        b->end = m->shaped.word.advance;
        return rc;
    }
    bool beside = u_charType((UChar32)mark->code_point) == U_COMBINING_SPACING_MARK &&
                  hb_font_get_glyph_h_advance(face->hb, id) > 0;
    return beside ? put_beside(m, mark, id, cluster, b, e) : put_over(m, mark, id, cluster, b, e);
}

int maker_marks(struct word_maker *m, uint32_t start, uint32_t end, uint32_t cluster, size_t first,
                struct error *e) {
    const struct shaped_word *shaped = &m->shaped;
    struct base base = {0};
    bool measured = false;
    int rc = 0;
    for (size_t i = 0; i < shaped->borrowed_count && rc == 0; i++) {
        const struct borrowed_mark *mark = &shaped->borrowed[i];
        if (mark->base < start || mark->base >= end) {
            continue;
        }
        if (!measured) {
            base = measure(m, first);
            find_middle(m, first, &base);
            measured = true;
        }
        rc = put(m, mark, cluster, &base, e);
    }
    return rc;
}
