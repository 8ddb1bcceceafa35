/* word_make.c - what a word is, once its glyphs are there; and the short way for ASCII. */
#include "render/text/word_make.h"

#include <hb-ot.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>

#include "store/utf8.h"

/* ---- ASCII --------------------------------------------------------------------------- */

static int ask_harfbuzz(void *context, const char *text, size_t size, uint32_t *ids,
                        int32_t *advances, size_t *count, bool *plain, struct error *e) {
    struct word_maker *m = context;
    struct word_stretch all = {
        .end = (uint32_t)size, .font = FONT_PRIMARY, .script = USCRIPT_LATIN};
    const struct face *face = faces_get(m->faces, FONT_PRIMARY, e);
    int rc = face != NULL ? maker_ask(m, face, text, size, &all, false, e) : ERR_MEMORY;
    unsigned glyphs = 0;
    const hb_glyph_info_t *info = hb_buffer_get_glyph_infos(m->buffer, &glyphs);
    const hb_glyph_position_t *at = hb_buffer_get_glyph_positions(m->buffer, NULL);
    *plain = glyphs <= size;
    *count = glyphs;
    for (unsigned i = 0; i < glyphs && i < size && rc == 0; i++) {
        ids[i] = info[i].codepoint;
        advances[i] = at[i].x_advance;
        *plain = *plain && at[i].x_offset == 0 && at[i].y_offset == 0 && info[i].cluster == i &&
                 at[i].x_advance >= 0;
    }
    return rc;
}

static int open_ascii(struct word_maker *m, struct error *e) {
    struct ascii_oracle oracle = {.context = m, .shape = ask_harfbuzz};
    return ascii_init(&m->ascii, m->faces, &oracle, e);
}

/* What make_from_stretches would make of it. */
static int make_ascii(struct word_maker *m, const char *text, size_t size, struct error *e) {
    struct shaped_word *shaped = &m->shaped;
    struct word *w = &shaped->word;
    struct ascii_oracle oracle = {.context = m, .shape = ask_harfbuzz};
    for (size_t i = 0; i < size; i++) {
        int index = text[i] - ASCII_FIRST;
        int32_t advance = m->ascii.advances[index], change = 0;
        if (i + 1 < size) {
            int rc = ascii_kerning(&m->ascii, &oracle, text[i], text[i + 1], &change, e);
            if (rc < 0) {
                return rc;
            }
        }
        shaped->glyphs[i] = (struct word_glyph){.slot = m->ascii.slots[index], .x = w->advance};
        shaped->clusters[i] = (struct word_cluster){.start = (uint16_t)i,
                                                    .glyph = (uint16_t)i,
                                                    .x = w->advance,
                                                    .advance = advance + change};
        w->advance += advance + change;
    }
    shaped->clusters[size] =
        (struct word_cluster){.start = (uint16_t)size, .glyph = (uint16_t)size, .x = w->advance};
    w->glyph_count = w->cluster_count = (uint16_t)size;
    w->font_count = 1;
    w->fonts[0] = FONT_PRIMARY;
    return 0;
}

/* ---- The finished word --------------------------------------------------------------- */

static int by_start(const void *a, const void *b) {
    const struct word_cluster *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* Glyphs next to each other with the same cluster make one; in logical order. */
static void find_clusters(struct shaped_word *shaped, size_t size) {
    struct word *w = &shaped->word;
    size_t n = 0;
    int32_t x = 0;
    for (size_t i = 0; i < w->glyph_count; i++) {
        if (n == 0 || shaped->clusters[n - 1].start != shaped->glyph_cluster[i]) {
            shaped->clusters[n++] = (struct word_cluster){
                .start = shaped->glyph_cluster[i], .glyph = (uint16_t)i, .x = x};
        }
        shaped->clusters[n - 1].advance += shaped->glyph_advance[i];
        x += shaped->glyph_advance[i];
        if (n == WORD_BYTES) {
            break;
        }
    }
    qsort(shaped->clusters, n, sizeof *shaped->clusters, by_start);
    /* a font may draw the parts of a cluster far from each other: the first counts */
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || shaped->clusters[i].start != shaped->clusters[kept - 1].start) {
            shaped->clusters[kept++] = shaped->clusters[i];
        }
    }
    if (kept > 0) {
        shaped->clusters[0].start = 0; /* characters that left no glyph belong to their neighbour */
    }
    shaped->clusters[kept] =
        (struct word_cluster){.start = (uint16_t)size, .glyph = w->glyph_count, .x = w->advance};
    w->cluster_count = (uint16_t)kept;
}

static int find_pieces(struct word_maker *m, const char *text, size_t size, struct error *e) {
    struct shaped_word *shaped = &m->shaped;
    struct word *w = &shaped->word;
    const uint32_t *at;
    size_t count;
    int rc = breaker_lines(m->breaker, text, size, &at, &count, e);
    if (rc < 0) {
        return rc;
    }
    size_t cluster = 0;
    for (size_t i = 0; i < count; i++) {
        while (cluster < w->cluster_count && shaped->clusters[cluster].start < at[i]) {
            cluster++;
        }
        /* a break inside a cluster, such as a ligature's, is none */
        if (cluster < w->cluster_count && shaped->clusters[cluster].start == at[i]) {
            shaped->pieces[w->piece_count++].cluster_end = (uint16_t)cluster;
        }
    }
    if (w->piece_count > 0) {
        shaped->pieces[w->piece_count++].cluster_end = w->cluster_count;
    }
    return 0;
}

/* A mark belongs to the character before it, unless that is a space without width (LB9, LB10).
 */
static void find_ends(struct word *w, const char *text, size_t size) {
    bool valid;
    utf8_decode(text, size, &w->first, &valid);
    w->last = w->first;
    w->first_class = (uint8_t)u_getIntPropertyValue((UChar32)w->first, UCHAR_LINE_BREAK);
    int last_class = U_LB_ZWSPACE;
    for (size_t i = 0; i < size;) {
        uint32_t c;
        i += utf8_decode(text + i, size - i, &c, &valid);
        int class = u_getIntPropertyValue((UChar32)c, UCHAR_LINE_BREAK);
        bool mark = class == U_LB_COMBINING_MARK || class == U_LB_ZWJ;
        if (!mark || last_class == U_LB_ZWSPACE) {
            w->last = c;
            last_class = class;
        }
    }
    w->last_class = (uint8_t)last_class;
}

static void record_font(struct word *w, uint16_t font) {
    uint8_t k = 0;
    while (k < w->font_count && k < WORD_FONTS && w->fonts[k] != font) {
        k++;
    }
    if (font != FACES_NO_FONT && k == w->font_count) {
        if (k < WORD_FONTS) {
            w->fonts[k] = font;
        }
        w->font_count = (uint8_t)(k < WORD_FONTS ? k + 1 : WORD_FONTS + 1);
    }
}

static void find_fonts(struct shaped_word *shaped) {
    for (size_t i = 0; i < shaped->word.glyph_count; i++) {
        record_font(&shaped->word, shaped->glyphs[i].slot->font);
    }
}

/* The end of a cluster in bytes of missing entries becomes its index. */
static void index_missing(struct shaped_word *shaped) {
    struct word *w = &shaped->word;
    for (size_t i = 0; i < w->missing_count; i++) {
        uint16_t k = 0;
        while (k + 1 < w->cluster_count &&
               shaped->clusters[k + 1].start <= shaped->missing[i].cluster) {
            k++;
        }
        shaped->missing[i].cluster = k;
    }
}

static int make_from_stretches(struct word_maker *m, const char *text, size_t size, bool rtl,
                               struct error *e) {
    struct shaped_word *shaped = &m->shaped;
    int rc = maker_stretches(m, text, size, e);
    for (size_t i = 0; i < shaped->stretch_count && rc == 0; i++) {
        size_t k = rtl ? shaped->stretch_count - 1 - i : i;
        rc = maker_shape(m, text, size, &shaped->stretches[k], rtl, e);
    }
    if (rc == 0) {
        rc = maker_fit(m, e);
    }
    if (rc == 0) {
        find_fonts(shaped);
        find_clusters(shaped, size);
        index_missing(shaped);
    }
    return rc;
}

int maker_make(struct word_maker *m, const char *text, size_t size, bool rtl, bool piece,
               struct error *e) {
    struct shaped_word *shaped = &m->shaped;
    shaped->word = (struct word){.size = (uint16_t)size, .rtl = rtl};
    bool ascii = m->ascii.usable && m->default_language && !rtl && ascii_is(text, size);
    int rc = ascii ? make_ascii(m, text, size, e) : make_from_stretches(m, text, size, rtl, e);
    if (rc < 0) {
        return rc;
    }
    find_ends(&shaped->word, text, size);
    return piece || rtl || ascii_is_solid(text, size) ? 0 : find_pieces(m, text, size, e);
}

/* ---- Opening ------------------------------------------------------------------------- */

/* Whether a table of the primary font has rules of its own for Latin text of this language. */
static bool has_rules_for(hb_face_t *face, hb_tag_t table, hb_language_t language) {
    hb_tag_t scripts[HB_OT_MAX_TAGS_PER_SCRIPT], languages[HB_OT_MAX_TAGS_PER_LANGUAGE], chosen;
    unsigned script_count = HB_OT_MAX_TAGS_PER_SCRIPT;
    unsigned language_count = HB_OT_MAX_TAGS_PER_LANGUAGE, script, found;
    hb_ot_tags_from_script_and_language(HB_SCRIPT_LATIN, language, &script_count, scripts,
                                        &language_count, languages);
    hb_ot_layout_table_select_script(face, table, script_count, scripts, &script, &chosen);
    return hb_ot_layout_script_select_language(face, table, script, language_count, languages,
                                               &found);
}

void maker_language(struct word_maker *m, hb_language_t language) {
    m->language = language;
    bool known = language != HB_LANGUAGE_INVALID;
    const struct face *primary = known ? faces_get(m->faces, FONT_PRIMARY, NULL) : NULL;
    hb_face_t *face = primary != NULL ? hb_font_get_face(primary->hb) : NULL;
    m->default_language =
        !known || (face != NULL && !has_rules_for(face, HB_OT_TAG_GSUB, language) &&
                   !has_rules_for(face, HB_OT_TAG_GPOS, language));
}

int maker_open(struct word_maker *m, const struct fonts *fonts, const struct profile *profile,
               struct error *e) {
    m->fonts = fonts;
    m->profile = profile;
    m->buffer = hb_buffer_create();
    int rc = hb_buffer_allocation_successful(m->buffer) ? 0 : error_memory(e, NULL);
    if (rc == 0) {
        rc = breaker_open(&m->breaker, e);
    }
    if (rc == 0) {
        rc = faces_open(&m->faces, fonts, profile, e);
    }
    if (rc == 0) {
        maker_language(m, HB_LANGUAGE_INVALID);
        rc = open_ascii(m, e);
    }
    if (rc < 0) {
        maker_close(m);
    }
    return rc;
}

void maker_close(struct word_maker *m) {
    faces_close(m->faces);
    breaker_close(m->breaker);
    hb_buffer_destroy(m->buffer);
    *m = (struct word_maker){0};
}
