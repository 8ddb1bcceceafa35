/* word_shape.c - the glyphs of a stretch of a word, as HarfBuzz gives them. */
#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>

#include "render/text/word_make.h"
#include "store/utf8.h"

/* Letters of an alphabet stay apart, so that each has a place of its own on the page. */
static const hb_feature_t NO_LIGATURES[] = {
    {.tag = HB_TAG('l', 'i', 'g', 'a'), .end = HB_FEATURE_GLOBAL_END},
    {.tag = HB_TAG('c', 'l', 'i', 'g'), .end = HB_FEATURE_GLOBAL_END},
};

static bool wants_ligatures(UScriptCode script) {
    return script != USCRIPT_LATIN && script != USCRIPT_GREEK && script != USCRIPT_CYRILLIC &&
           script != USCRIPT_COMMON;
}

static bool is_ignorable(uint32_t c) {
    return u_hasBinaryProperty((UChar32)c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT);
}

int maker_add(struct word_maker *m, int font, uint32_t id, uint32_t cluster, struct glyph_place at,
              struct error *e) {
    struct shaped_word *shaped = &m->shaped;
    struct word *w = &shaped->word;
    if (w->glyph_count == SHAPED_GLYPHS) {
        return error_set(e, ERR_LIMIT, "a word needs more than %d glyphs", SHAPED_GLYPHS);
    }
    struct glyph_slot *slot = faces_slot(m->faces, font, id, FIT_ROW, e);
    if (slot == NULL) {
        return ERR_MEMORY;
    }
    shaped->glyphs[w->glyph_count] =
        (struct word_glyph){.slot = slot, .x = w->advance + at.x, .y = at.y};
    shaped->glyph_cluster[w->glyph_count] = (uint16_t)cluster;
    shaped->glyph_advance[w->glyph_count] = at.advance;
    w->glyph_count++;
    w->advance += at.advance;
    return 0;
}

/* ---- Missing characters -------------------------------------------------------------- */

/* In the primary font, "[1FAE9]", where the rows are too low for a box. */
static int add_code(struct word_maker *m, uint32_t cluster, uint32_t code_point, struct error *e) {
    char text[16];
    snprintf(text, sizeof text, "[%04X]", (unsigned)code_point);
    const struct face *face = faces_get(m->faces, FONT_PRIMARY, e);
    int rc = face != NULL ? 0 : ERR_MEMORY;
    for (const char *c = text; *c && rc == 0; c++) {
        hb_codepoint_t id = 0;
        if (hb_font_get_nominal_glyph(face->hb, (unsigned char)*c, &id)) {
            int32_t advance = hb_font_get_glyph_h_advance(face->hb, id);
            rc = maker_add(m, FONT_PRIMARY, id, cluster, (struct glyph_place){.advance = advance},
                           e);
        }
    }
    return rc;
}

int maker_add_missing(struct word_maker *m, uint32_t at, uint32_t cluster, uint32_t code_point,
                      struct error *e) {
    struct shaped_word *shaped = &m->shaped;
    struct word *w = &shaped->word;
    if (w->missing_count < WORD_BYTES) {
        shaped->missing[w->missing_count++] =
            (struct word_missing){.cluster = (uint16_t)at, .code_point = code_point};
    }
    int32_t advance = faces_box_advance(m->faces, code_point);
    return advance > 0 ? maker_add(m, FONT_NONE, code_point, cluster,
                                   (struct glyph_place){.advance = advance}, e)
                       : add_code(m, cluster, code_point, e);
}

/* A character that is not to be seen, and for which the font has no glyph. */
static int add_nothing(struct word_maker *m, uint32_t cluster, struct error *e) {
    const struct face *face = faces_get(m->faces, FONT_PRIMARY, e);
    hb_codepoint_t space = 0;
    if (face == NULL || !hb_font_get_nominal_glyph(face->hb, ' ', &space)) {
        return face != NULL ? 0 : ERR_MEMORY;
    }
    return maker_add(m, FONT_PRIMARY, space, cluster, (struct glyph_place){0}, e);
}

/* A character that no font is asked for: a sign, one that is not to be seen, or one that all lack.
 */
static int add_without_font(struct word_maker *m, uint32_t at, uint32_t c, struct error *e) {
    int32_t advance = faces_sign_advance(m->faces, c);
    if (advance > 0) {
        return maker_add(m, FONT_NONE, c, at, (struct glyph_place){.advance = advance}, e);
    }
    return is_ignorable(c) ? add_nothing(m, at, e) : maker_add_missing(m, at, at, c, e);
}

/* A stretch that no font has, from character to character in the order of the eye. */
static int add_unknown(struct word_maker *m, const char *text, const struct word_stretch *r,
                       bool rtl, struct error *e) {
    uint32_t starts[WORD_BYTES + 1];
    size_t count = 0;
    for (size_t i = r->start, k = 0; i < r->end && count < WORD_BYTES;) {
        const struct shaped_word *shaped = &m->shaped;
        while (k < shaped->borrowed_count && shaped->borrowed[k].at < i) {
            k++;
        }
        if (k == shaped->borrowed_count || shaped->borrowed[k].at != i) {
            starts[count++] = (uint32_t)i;
        }
        uint32_t c;
        bool valid;
        i += utf8_decode(text + i, r->end - i, &c, &valid);
    }
    starts[count] = r->end;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t k = rtl ? count - 1 - i : i;
        uint32_t c;
        bool valid;
        utf8_decode(text + starts[k], r->end - starts[k], &c, &valid);
        size_t first = m->shaped.word.glyph_count;
        rc = add_without_font(m, starts[k], c, e);
        if (rc == 0) {
            rc = maker_marks(m, starts[k], starts[k + 1], starts[k], first, e);
        }
    }
    return rc;
}

/* The character that a font's "missing" glyph stands for: the first of the cluster that the font
 * lacks; 0 when there is none that would be seen. */
static uint32_t lacking(const struct face *face, const char *text, size_t at, size_t end) {
    while (at < end) {
        uint32_t c;
        bool valid;
        at += utf8_decode(text + at, end - at, &c, &valid);
        hb_codepoint_t id;
        if (!hb_font_get_nominal_glyph(face->hb, c, &id) && !is_ignorable(c)) {
            return c;
        }
    }
    return 0;
}

/* ---- HarfBuzz ------------------------------------------------------------------------ */

/* A word without its borrowed marks, and where each byte of it was. */
struct stripped {
    char text[WORD_BYTES + 1];
    uint16_t from[WORD_BYTES + 1];
    uint32_t size, start, end; /* start, end: of the stretch */
};

static void strip(const struct shaped_word *shaped, const char *text, size_t size,
                  const struct word_stretch *r, struct stripped *s) {
    size_t next = 0;
    s->size = 0;
    for (size_t i = 0; i <= size;) {
        s->start = i == r->start ? s->size : s->start;
        s->end = i == r->end ? s->size : s->end;
        if (next < shaped->borrowed_count && shaped->borrowed[next].at == i) {
            i += shaped->borrowed[next++].size;
        } else {
            s->from[s->size] = (uint16_t)i;
            s->text[s->size] = i < size ? text[i] : 0;
            s->size += i < size;
            i++;
        }
    }
}

int maker_ask(struct word_maker *m, const struct face *face, const char *text, size_t size,
              const struct word_stretch *r, bool rtl, struct error *e) {
    hb_buffer_clear_contents(m->buffer);
    hb_buffer_add_utf8(m->buffer, text, (int)size, r->start, (int)(r->end - r->start));
    hb_buffer_set_direction(m->buffer, rtl ? HB_DIRECTION_RTL : HB_DIRECTION_LTR);
    const char *script = uscript_getShortName(r->script);
    hb_buffer_set_script(m->buffer, hb_script_from_string(script != NULL ? script : "Zyyy", -1));
    hb_buffer_set_language(m->buffer, m->language);
    enum { OFF = sizeof NO_LIGATURES / sizeof *NO_LIGATURES };
    hb_shape(face->hb, m->buffer, NO_LIGATURES, wants_ligatures(r->script) ? 0 : OFF);
    return hb_buffer_allocation_successful(m->buffer) ? 0 : error_memory(e, NULL);
}

/* Likewise without the marks that are borrowed; clusters are those of the whole text. */
static int ask_stripped(struct word_maker *m, const struct face *face, const char *text,
                        size_t size, const struct word_stretch *r, bool rtl, struct error *e) {
    struct stripped s = {0};
    strip(&m->shaped, text, size, r, &s);
    struct word_stretch rest = *r;
    rest.start = s.start;
    rest.end = s.end;
    int rc = maker_ask(m, face, s.text, s.size, &rest, rtl, e);
    unsigned count;
    hb_glyph_info_t *info = hb_buffer_get_glyph_infos(m->buffer, &count);
    for (unsigned i = 0; i < count; i++) {
        info[i].cluster = s.from[info[i].cluster];
    }
    return rc;
}

/* Adds glyphs [first, end) of the buffer: those of bytes [start, stop) of the text. */
static int add_group(struct word_maker *m, const struct face *face, int font, const char *text,
                     uint32_t start, uint32_t stop, unsigned first, unsigned end, struct error *e) {
    const hb_glyph_info_t *info = hb_buffer_get_glyph_infos(m->buffer, NULL);
    const hb_glyph_position_t *at = hb_buffer_get_glyph_positions(m->buffer, NULL);
    size_t before = m->shaped.word.glyph_count;
    int rc = 0;
    for (unsigned i = first; i < end && rc == 0; i++) {
        uint32_t lacks = info[i].codepoint == 0 ? lacking(face, text, start, stop) : 0;
        if (info[i].codepoint != 0) {
            struct glyph_place placed = {.x = at[i].x_offset,
                                         .y = at[i].y_offset,
                                         .advance = at[i].x_advance > 0 ? at[i].x_advance : 0};
            rc = maker_add(m, font, info[i].codepoint, start, placed, e);
        } else if (lacks) {
            rc = maker_add_missing(m, start, start, lacks, e);
        } else {
            rc = add_nothing(m, start, e);
        }
    }
    return rc == 0 ? maker_marks(m, start, stop, start, before, e) : rc;
}

int maker_shape(struct word_maker *m, const char *text, size_t size, const struct word_stretch *r,
                bool rtl, struct error *e) {
    const struct face *face = r->font == FONT_NONE ? NULL : faces_get(m->faces, r->font, NULL);
    if (face == NULL) { /* no font, or its file went bad after it was chosen */
        return add_unknown(m, text, r, rtl, e);
    }
    int rc = m->shaped.borrowed_count > 0 ? ask_stripped(m, face, text, size, r, rtl, e)
                                          : maker_ask(m, face, text, size, r, rtl, e);
    unsigned count;
    const hb_glyph_info_t *info = hb_buffer_get_glyph_infos(m->buffer, &count);
    uint32_t before = r->end; /* where the group to the left begins */
    for (unsigned i = 0, end = 0; i < count && rc == 0; i = end) {
        uint32_t start = info[i].cluster;
        while (end < count && info[end].cluster == start) {
            end++;
        }
        uint32_t stop = rtl ? before : end < count ? info[end].cluster : r->end;
        rc = add_group(m, face, r->font, text, start, stop, i, end, e);
        before = start;
    }
    return rc;
}
