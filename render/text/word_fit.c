/* word_fit.c - rows are low, and letters with marks may be higher than what is over or under the
 * baseline. What reaches out of the row is moved into it by whole pixels, and made lower where that
 * does not suffice: cut off, letters would lose the marks that tell them from others. */
#include "render/text/word_make.h"

enum {
    PIXEL = 64,
    UNSEEN = PIXEL / 8, /* may be cut off: the tops of b, d, h in rows of 8 pixels */
};

/* Glyphs that are moved together. */
struct group {
    size_t first, end;
};

/* Letters that touch their neighbours are moved with the whole stretch. */
static bool is_joined(UScriptCode script) {
    static const UScriptCode JOINED[] = {
        USCRIPT_ARABIC,     USCRIPT_SYRIAC,  USCRIPT_NKO,      USCRIPT_MONGOLIAN,
        USCRIPT_MANDAEAN,   USCRIPT_ADLAM,   USCRIPT_PHAGS_PA, USCRIPT_HANIFI_ROHINGYA,
        USCRIPT_DEVANAGARI, USCRIPT_BENGALI, USCRIPT_GURMUKHI};
    for (size_t i = 0; i < sizeof JOINED / sizeof *JOINED; i++) {
        if (script == JOINED[i]) {
            return true;
        }
    }
    return false;
}

static int32_t whole_pixels(int32_t y) {
    return (y + PIXEL / 2) / PIXEL * PIXEL - ((y + PIXEL / 2) % PIXEL < 0 ? PIXEL : 0);
}

/* What a group takes at `height` of FIT_STEPS. */
static void extent(const struct shaped_word *shaped, const struct group *g, int height,
                   int32_t *top, int32_t *bottom) {
    *top = INT32_MIN;
    *bottom = INT32_MAX;
    for (size_t i = g->first; i < g->end; i++) {
        const struct glyph_slot *slot = shaped->glyphs[i].slot;
        int32_t y = whole_pixels(shaped->glyphs[i].y * height / FIT_STEPS);
        int32_t high = y + slot->top * height / FIT_STEPS;
        int32_t low = y + slot->bottom * height / FIT_STEPS;
        if (slot->top > slot->bottom) {
            *top = high > *top ? high : *top;
            *bottom = low < *bottom ? low : *bottom;
        }
    }
}

/* Pixels by which an extent is to be moved down, and whether it is in the row then. */
static bool find_move(int32_t top, int32_t bottom, int32_t above, int32_t below, int *down) {
    int32_t over = top - above - UNSEEN, under = -below - bottom - UNSEEN;
    *down = 0;
    if (over > 0) {
        *down = (over + PIXEL - 1) / PIXEL;
    } else if (under > 0) {
        *down = -((under + PIXEL - 1) / PIXEL);
    }
    int32_t moved = *down * PIXEL;
    return top - moved <= above + UNSEEN && bottom - moved >= -below - UNSEEN;
}

/* The way into the row: at the greatest height at which the group has room, because differences
 * between letters are the greater. What has none at any stands in the middle of the row at the
 * lowest, cut off at both ends. */
static void find_fit(const struct word_maker *m, const struct group *g, int *height, int *down) {
    enum { LEAST = FIT_STEPS - (FIT_LOWEST - FIT_WHOLE) };
    int32_t above = faces_baseline(m->faces) * PIXEL, below = faces_below(m->faces) * PIXEL;
    int32_t top = 0, bottom = 0;
    for (*height = FIT_STEPS; *height >= LEAST; --*height) {
        extent(&m->shaped, g, *height, &top, &bottom);
        if (find_move(top, bottom, above, below, down)) {
            return;
        }
    }
    *height = LEAST;
    *down = (top + bottom - (above - below)) / 2 / PIXEL;
}

/* Whether all glyphs of a group are whole where they are, drawn FIT_ROW. */
static bool is_in_row(const struct word_maker *m, const struct group *g, enum measure how) {
    int32_t above = faces_baseline(m->faces) * PIXEL + UNSEEN;
    int32_t below = faces_below(m->faces) * PIXEL + UNSEEN;
    bool in = true;
    for (size_t i = g->first; i < g->end; i++) {
        const struct word_glyph *glyph = &m->shaped.glyphs[i];
        faces_measure(m->faces, glyph->slot, how);
        int32_t y = whole_pixels(glyph->y), top = glyph->slot->top, bottom = glyph->slot->bottom;
        in = in && (top == bottom ||
                    (top <= above && bottom >= -below && y + top <= above && y + bottom >= -below));
    }
    return in;
}

/* A Chinese character lies in its em box, which has the size of the row (face.h). */
static bool is_square(const struct word_maker *m, const struct group *g) {
    uint16_t font = m->shaped.glyphs[g->first].slot->font;
    return g->end == g->first + 1 && font != FACES_NO_FONT && fonts_get(m->fonts, font)->han;
}

static int fit_group(struct word_maker *m, const struct group *g, struct error *e) {
    if (is_square(m, g)) {
        return 0;
    }
    if (is_in_row(m, g, MEASURE_ROUGH) || is_in_row(m, g, MEASURE_EXACT)) {
        return 0;
    }
    struct shaped_word *shaped = &m->shaped;
    int height, down;
    find_fit(m, g, &height, &down);
    for (size_t i = g->first; i < g->end; i++) {
        struct word_glyph *glyph = &shaped->glyphs[i];
        if (glyph->slot->font == FACES_NO_FONT) {
            continue; /* boxes are as high as the row */
        }
        unsigned fit = FIT_WHOLE + (unsigned)(FIT_STEPS - height);
        glyph->slot = faces_slot(m->faces, glyph->slot->font, glyph->slot->id, fit, e);
        if (glyph->slot == NULL) {
            return ERR_MEMORY;
        }
        glyph->y = whole_pixels(glyph->y * height / FIT_STEPS) - down * PIXEL;
    }
    return 0;
}

/* The stretch of a byte of the word. */
static const struct word_stretch *stretch_at(const struct shaped_word *shaped, uint32_t at) {
    size_t i = 0;
    while (i + 1 < shaped->stretch_count && shaped->stretches[i].end <= at) {
        i++;
    }
    return &shaped->stretches[i];
}

int maker_fit(struct word_maker *m, struct error *e) {
    const struct shaped_word *shaped = &m->shaped;
    int rc = 0;
    for (struct group g = {0}; g.first < shaped->word.glyph_count && rc == 0; g.first = g.end) {
        uint16_t cluster = shaped->glyph_cluster[g.first];
        const struct word_stretch *r = stretch_at(shaped, cluster);
        bool joined = is_joined(r->script);
        g.end = g.first + 1;
        while (g.end < shaped->word.glyph_count &&
               (shaped->glyph_cluster[g.end] == cluster ||
                (joined && stretch_at(shaped, shaped->glyph_cluster[g.end]) == r))) {
            g.end++;
        }
        rc = fit_group(m, &g, e);
    }
    return rc;
}
