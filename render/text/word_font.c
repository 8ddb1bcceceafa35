/* word_font.c - which fonts draw a word, and as what script. */
#include <unicode/uchar.h>

#include "render/text/word_make.h"
#include "store/utf8.h"

static bool character_has(uint32_t c, UProperty property) {
    return u_hasBinaryProperty((UChar32)c, property);
}

static bool is_mark(uint32_t c) {
    return (U_GET_GC_MASK((UChar32)c) & U_GC_M_MASK) != 0;
}

enum { KEYCAP = 0x20E3, TEXT_STYLE = 0xFE0E, EMOJI_STYLE = 0xFE0F, JOINER = 0x200D };

/* Whether a grapheme cluster is to be shown as emoji: UTS #51, sections 2 and 4. */
static bool is_emoji(const uint32_t *cluster, size_t count) {
    if (cluster[0] < 0x80 && count == 1) {
        return false;
    }
    bool joined = false;
    for (size_t i = 1; i < count; i++) {
        if (cluster[i] == TEXT_STYLE) {
            return false;
        }
        if (cluster[i] == EMOJI_STYLE || cluster[i] == KEYCAP) {
            return character_has(cluster[0], UCHAR_EMOJI);
        }
        joined = joined || cluster[i] == JOINER || character_has(cluster[i], UCHAR_EMOJI_MODIFIER);
    }
    return character_has(cluster[0], UCHAR_EMOJI_PRESENTATION) ||
           (joined && character_has(cluster[0], UCHAR_EXTENDED_PICTOGRAPHIC));
}

static size_t decode_cluster(const char *text, size_t size, uint32_t *cluster) {
    size_t count = 0;
    for (size_t i = 0; i < size && count < FONT_CLUSTER; count++) {
        bool valid;
        i += utf8_decode(text + i, size - i, &cluster[count], &valid);
    }
    return count;
}

static UScriptCode script_of(uint32_t c) {
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript((UChar32)c, &status);
    return U_FAILURE(status) || script == USCRIPT_INHERITED ? USCRIPT_COMMON : script;
}

static void add_stretch(struct shaped_word *shaped, uint32_t start, uint32_t end, int font,
                        UScriptCode script) {
    struct word_stretch *last =
        shaped->stretch_count > 0 ? &shaped->stretches[shaped->stretch_count - 1] : NULL;
    bool same =
        last != NULL && last->font == font &&
        (last->script == script || last->script == USCRIPT_COMMON || script == USCRIPT_COMMON);
    if (same) {
        last->end = end;
        last->script = last->script == USCRIPT_COMMON ? script : last->script;
        return;
    }
    shaped->stretches[shaped->stretch_count++] =
        (struct word_stretch){.start = start, .end = end, .font = font, .script = script};
}

/* Whether a mark of a cluster is to be drawn apart from it, though the font may have it: colour
 * fonts have marks for keycaps only, and fonts of Chinese characters put accents beside letters. */
static bool is_foreign(const struct font *font, uint32_t base, uint32_t c) {
    enum { CJK = 0x2E80 }; /* from here on marks of Chinese, Japanese and Korean */
    bool keycap = c == KEYCAP && base < 0x80;
    return is_mark(c) && !character_has(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) &&
           ((font->color && !keycap) || (font->han && c < CJK));
}

/* The font of a cluster. Common characters that the primary lacks come in the font of the letters
 * before them: the first font with a danda may be one for another script. */
static int choose_font(const struct word_maker *m, const uint32_t *cluster, size_t count) {
    const struct shaped_word *shaped = &m->shaped;
    if (count == 1 && faces_sign_advance(m->faces, cluster[0]) > 0) {
        return FONT_NONE;
    }
    int font = fonts_choose(m->fonts, cluster, count, is_emoji(cluster, count));
    int last =
        shaped->stretch_count > 0 ? shaped->stretches[shaped->stretch_count - 1].font : FONT_NONE;
    if (font <= FONT_PRIMARY || last <= FONT_PRIMARY || script_of(cluster[0]) != USCRIPT_COMMON ||
        fonts_get(m->fonts, font)->color) {
        return font;
    }
    bool has_all = true;
    for (size_t i = 0; i < count; i++) {
        has_all = has_all && fonts_have(m->fonts, last, cluster[i]);
    }
    return has_all ? last : font;
}

/* The stretches of a grapheme cluster: what the font of its first character lacks is borrowed, if
 * it is a mark, or else begins a stretch. */
static void add_cluster(struct word_maker *m, const char *text, size_t start, size_t end) {
    struct shaped_word *shaped = &m->shaped;
    uint32_t cluster[FONT_CLUSTER];
    size_t count = decode_cluster(text + start, end - start, cluster), from = start;
    int font = choose_font(m, cluster, count);
    UScriptCode script = script_of(cluster[0]);
    for (size_t at = start; at < end;) {
        uint32_t c;
        bool valid;
        size_t step = utf8_decode(text + at, end - at, &c, &valid);
        bool lacks = at > start && !fonts_have(m->fonts, font, c);
        bool foreign =
            at > start && font != FONT_NONE && is_foreign(fonts_get(m->fonts, font), cluster[0], c);
        if (foreign || (lacks && is_mark(c))) {
            shaped->borrowed[shaped->borrowed_count++] =
                (struct borrowed_mark){.at = (uint16_t)at,
                                       .size = (uint8_t)step,
                                       .base = (uint16_t)from,
                                       .font = fonts_choose(m->fonts, &c, 1, false),
                                       .code_point = c};
        } else if (lacks) {
            add_stretch(shaped, (uint32_t)from, (uint32_t)at, font, script);
            from = at;
            font = fonts_choose(m->fonts, &c, 1, is_emoji(&c, 1));
            script = script_of(c);
        }
        at += step;
    }
    add_stretch(shaped, (uint32_t)from, (uint32_t)end, font, script);
}

/* Common characters have no script of their own, and the rules of a font hang on scripts. Where a
 * cut parted the punctuation of Chinese, Japanese or Korean text from its letters,
 * the font decides. */
static void name_scripts(const struct fonts *fonts, struct shaped_word *shaped) {
    for (size_t i = 0; i < shaped->stretch_count; i++) {
        struct word_stretch *r = &shaped->stretches[i];
        if (r->script == USCRIPT_COMMON && r->font != FONT_NONE && fonts_get(fonts, r->font)->han) {
            r->script = USCRIPT_HAN;
        }
    }
}

int maker_stretches(struct word_maker *m, const char *text, size_t size, struct error *e) {
    struct shaped_word *shaped = &m->shaped;
    shaped->stretch_count = shaped->borrowed_count = 0;
    if (m->ascii.usable && ascii_is(text, size)) {
        add_stretch(shaped, 0, (uint32_t)size, FONT_PRIMARY, USCRIPT_LATIN);
        return 0;
    }
    const uint32_t *ends;
    size_t count;
    int rc = breaker_clusters(m->breaker, text, size, &ends, &count, e);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0, start = 0; i <= count; i++) {
        size_t end = i < count ? ends[i] : size;
        add_cluster(m, text, start, end);
        start = end;
    }
    name_scripts(m->fonts, shaped);
    return 0;
}
