/* font.c - see font.h. The fonts that can be drawn at all are put in order of name before
 * fontconfig ranks them: its sort keeps the order of equals, which otherwise is that of a directory
 * on disk. Which languages the locale names is kept from it. */
#include "render/text/font_list.h"

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_TRUETYPE_TABLES_H
#include FT_TRUETYPE_TAGS_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/array.h"

enum {
    FONTS_MOST = 4096,
    GLYPHS_MOST = 65535, /* of a font file */
    GRINNING_FACE = 0x1F600,
};

/* While the list is made. */
struct search {
    FcConfig *config;
    FcFontSet *candidates, *order, *han_order, *emoji_order;
    FcCharSet *covered[FONT_KINDS];
    FT_Library library;
};

/* ---- Candidates ---------------------------------------------------------------------- */

/* NULL when there is none. */
static const char *text_of(const FcPattern *p, const char *object) {
    FcChar8 *text = NULL;
    return FcPatternGetString(p, object, 0, &text) == FcResultMatch ? (const char *)text : NULL;
}

static bool flag_of(const FcPattern *p, const char *object) {
    FcBool value = FcFalse;
    return FcPatternGetBool(p, object, 0, &value) == FcResultMatch && value == FcTrue;
}

static int number_of(const FcPattern *p, const char *object, int otherwise) {
    int value = 0;
    return FcPatternGetInteger(p, object, 0, &value) == FcResultMatch ? value : otherwise;
}

static FcCharSet *charset_of(const FcPattern *p) {
    FcCharSet *charset = NULL;
    return FcPatternGetCharSet(p, FC_CHARSET, 0, &charset) == FcResultMatch ? charset : NULL;
}

/* Fonts that have one picture for everything: to us a character that they have is missing. */
static bool is_placeholder(const char *family, const FcCharSet *charset) {
    static const char *const names[] = {"LastResort",  ".LastResort",  "Last Resort",
                                        "Adobe Blank", "Adobe NotDef", "Unicode BMP Fallback"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = strlen(names[i]);
        if (strlen(family) >= size && strncmp(family, names[i], size) == 0) {
            return true;
        }
    }
    return FcCharSetCount(charset) > GLYPHS_MOST;
}

/* Regular, upright, of a format that HarfBuzz reads, with outlines or colours. Of variable fonts
 * the named instances are what is listed beside the font itself. */
static bool is_candidate(const FcPattern *p) {
    const char *family = text_of(p, FC_FAMILY), *format = text_of(p, FC_FONTFORMAT);
    const FcCharSet *charset = charset_of(p);
    double weight = FC_WEIGHT_REGULAR;
    FcResult found = FcPatternGetDouble(p, FC_WEIGHT, 0, &weight);
    return family != NULL && text_of(p, FC_FILE) != NULL && charset != NULL && format != NULL &&
           (strcmp(format, "TrueType") == 0 || strcmp(format, "CFF") == 0) &&
           (found == FcResultMatch || found == FcResultNoMatch) && weight >= FC_WEIGHT_BOOK &&
           weight <= FC_WEIGHT_MEDIUM && number_of(p, FC_SLANT, 0) == FC_SLANT_ROMAN &&
           number_of(p, FC_INDEX, -1) >= 0 && !flag_of(p, FC_VARIABLE) && !flag_of(p, FC_SYMBOL) &&
           (flag_of(p, FC_OUTLINE) || flag_of(p, FC_COLOR)) && !is_placeholder(family, charset);
}

/* Fontconfig knows nothing about the style of most fonts for one script. Those without serifs go
 * before the calligraphic, looped and display ones (Noto Sans Thai, Noto Looped Thai). */
static int compare_patterns(const void *a, const void *b) {
    const FcPattern *x = *(FcPattern *const *)a, *y = *(FcPattern *const *)b;
    const char *family = text_of(x, FC_FAMILY), *other = text_of(y, FC_FAMILY);
    int order = (strstr(family, "Sans") == NULL) - (strstr(other, "Sans") == NULL);
    order = order ? order : strcmp(family, other);
    order = order ? order : strcmp(text_of(x, FC_FILE), text_of(y, FC_FILE));
    int i = number_of(x, FC_INDEX, 0), j = number_of(y, FC_INDEX, 0);
    return order ? order : (i > j) - (i < j);
}

static int find_candidates(struct search *s, struct error *e) {
    const FcFontSet *all = FcConfigGetFonts(s->config, FcSetSystem);
    s->candidates = FcFontSetCreate();
    if (s->candidates == NULL) {
        return error_memory(e, "the list of fonts");
    }
    for (int i = 0; all != NULL && i < all->nfont; i++) {
        if (is_candidate(all->fonts[i])) {
            FcPatternReference(all->fonts[i]);
            if (!FcFontSetAdd(s->candidates, all->fonts[i])) {
                FcPatternDestroy(all->fonts[i]);
                return error_memory(e, "the list of fonts");
            }
        }
    }
    if (s->candidates->nfont > 0) {
        qsort(s->candidates->fonts, (size_t)s->candidates->nfont, sizeof *s->candidates->fonts,
              compare_patterns);
    }
    return 0;
}

static bool add_text(FcPattern *p, const char *object, const char *text) {
    return FcPatternAddString(p, object, (const FcChar8 *)text);
}

/* "und" keeps FcConfigSubstitute from adding the languages of the locale, by which rules would put
 * other fonts in front: pages must not depend on the locale. The defaults of FcDefaultSubstitute
 * are left out, because they do too. */
static FcPattern *make_pattern(FcConfig *config, const char *family, const char *language) {
    FcPattern *p = FcPatternCreate();
    if (p != NULL && add_text(p, FC_FAMILY, family) && add_text(p, FC_LANG, language) &&
        add_text(p, FC_LANG, "und") && FcPatternAddInteger(p, FC_WEIGHT, FC_WEIGHT_REGULAR) &&
        FcPatternAddInteger(p, FC_SLANT, FC_SLANT_ROMAN) &&
        FcPatternAddInteger(p, FC_WIDTH, FC_WIDTH_NORMAL) &&
        FcConfigSubstitute(config, p, FcMatchPattern)) {
        FcPatternDel(p, FC_LANG);
        if (add_text(p, FC_LANG, language)) {
            return p;
        }
    }
    if (p != NULL) {
        FcPatternDestroy(p);
    }
    return NULL;
}

/* All candidates, the best for `family` and `language` first. */
static int rank(struct search *s, const char *family, const char *language, FcFontSet **order,
                struct error *e) {
    FcPattern *p = make_pattern(s->config, family, language);
    FcResult result = FcResultMatch;
    *order =
        p != NULL ? FcFontSetSort(s->config, &s->candidates, 1, p, FcFalse, NULL, &result) : NULL;
    if (p != NULL) {
        FcPatternDestroy(p);
    }
    return *order != NULL ? 0 : error_memory(e, "the list of fonts");
}

/* ---- What a file holds --------------------------------------------------------------- */

/* Neither WOFF nor a bare CFF, which fontconfig reports alike. */
static bool is_sfnt(const char *path) {
    static const char tags[][5] = {{0, 1, 0, 0}, "OTTO", "true", "ttcf"};
    char tag[4] = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    bool is = false;
    if (fread(tag, 1, sizeof tag, file) == sizeof tag) {
        for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
            is = is || memcmp(tag, tags[i], sizeof tag) == 0;
        }
    }
    return fclose(file) == 0 && is;
}

/* Fonts of layered or vector colours (COLR, sbix, SVG) may come without plain outlines. */
static bool has_outlines(FT_Face face, const FcCharSet *charset) {
    FcChar32 map[FC_CHARSET_MAP_SIZE], next = 0, c = GRINNING_FACE;
    if (!FcCharSetHasChar(charset, c)) {
        c = FcCharSetFirstPage(charset, map, &next);
        for (int i = 0; c != FC_CHARSET_DONE && i < FONT_BLOCK; i++) {
            if (map[i / 32] >> i % 32 & 1) { /* the last of a block: the first are spaces */
                c = c / FONT_BLOCK * FONT_BLOCK + (FcChar32)i;
            }
        }
    }
    return FT_Load_Char(face, c, FT_LOAD_NO_SCALE | FT_LOAD_NO_BITMAP) == 0 &&
           face->glyph->format == FT_GLYPH_FORMAT_OUTLINE && face->glyph->outline.n_points > 0;
}

/* Whether a font can be drawn; *color: as bitmaps in colour. */
static bool is_drawable(const struct search *s, const FcPattern *p, bool *color) {
    const char *path = text_of(p, FC_FILE);
    *color = false;
    if (!is_sfnt(path)) {
        return false;
    }
    if (!flag_of(p, FC_COLOR)) {
        return true;
    }
    FT_Face face = NULL;
    if (FT_New_Face(s->library, path, number_of(p, FC_INDEX, 0), &face) != 0) {
        return false;
    }
    FT_ULong size = 0;
    *color = FT_Load_Sfnt_Table(face, TTAG_CBDT, 0, NULL, &size) == 0 && size > 0 &&
             face->num_fixed_sizes > 0;
    bool is = *color || (FT_IS_SCALABLE(face) && has_outlines(face, charset_of(p)));
    return FT_Done_Face(face) == 0 && is;
}

/* ---- The list ------------------------------------------------------------------------ */

static bool has_han(const FcCharSet *charset) {
    /* one, man, day: everywhere from Japan to Hong Kong */
    return FcCharSetHasChar(charset, 0x4E00) && FcCharSetHasChar(charset, 0x4EBA) &&
           FcCharSetHasChar(charset, 0x65E5);
}

/* Enters a font's code points into the table, except where a font before it has them. */
static int index_entry(struct fonts *f, int index, struct error *e) {
    const struct font_entry *entry = &f->entries[index];
    uint16_t **blocks = f->first[entry->font.color ? FONT_COLOR : FONT_TEXT];
    FcChar32 map[FC_CHARSET_MAP_SIZE], next = 0;
    FcChar32 base = FcCharSetFirstPage(entry->charset, map, &next);
    for (; base != FC_CHARSET_DONE; base = FcCharSetNextPage(entry->charset, map, &next)) {
        if (base >= FONT_CODE_POINTS) {
            continue;
        }
        uint16_t **block = &blocks[base / FONT_BLOCK];
        *block = *block != NULL ? *block : calloc(FONT_BLOCK, sizeof **block);
        if (*block == NULL) {
            return error_memory(e, "the list of fonts");
        }
        for (int i = 0; i < FONT_BLOCK; i++) {
            if ((map[i / 32] >> i % 32 & 1) && (*block)[i] == 0) {
                (*block)[i] = (uint16_t)(index + 1);
            }
        }
    }
    return 0;
}

static int append_font(struct fonts *f, const FcPattern *p, bool color, struct error *e) {
    struct font_entry *entries =
        array_grow(f->entries, &f->capacity, (size_t)f->count + 1, sizeof *entries, e);
    if (entries == NULL) {
        return ERR_MEMORY;
    }
    f->entries = entries;
    FcCharSet *charset = charset_of(p);
    struct font_entry *entry = &f->entries[f->count];
    *entry = (struct font_entry){.family = strdup(text_of(p, FC_FAMILY)),
                                 .path = strdup(text_of(p, FC_FILE)),
                                 .charset = FcCharSetCopy(charset)};
    f->count++; /* from here on fonts_close releases it */
    if (entry->family == NULL || entry->path == NULL || entry->charset == NULL) {
        return error_memory(e, "the list of fonts");
    }
    entry->font = (struct font){.family = entry->family,
                                .path = entry->path,
                                .index = number_of(p, FC_INDEX, 0),
                                .color = color,
                                .han = has_han(charset)};
    return index_entry(f, f->count - 1, e);
}

/* Appends a font that can be drawn and has something that the fonts of its kind before it lack. */
static int add_font(struct fonts *f, struct search *s, const FcPattern *p, struct error *e) {
    const FcCharSet *charset = charset_of(p);
    FcCharSet *covered = s->covered[flag_of(p, FC_OUTLINE) ? FONT_TEXT : FONT_COLOR];
    bool color = false;
    if (f->count == FONTS_MOST || FcCharSetIsSubset(charset, covered) ||
        !is_drawable(s, p, &color)) {
        return 0;
    }
    if (!FcCharSetMerge(s->covered[color ? FONT_COLOR : FONT_TEXT], charset, NULL)) {
        return error_memory(e, "the list of fonts");
    }
    return append_font(f, p, color, e);
}

static bool has_family(const FcPattern *p, const char *family) {
    FcChar8 *name = NULL;
    for (int i = 0; FcPatternGetString(p, FC_FAMILY, i, &name) == FcResultMatch; i++) {
        if (FcStrCmpIgnoreCase(name, (const FcChar8 *)family) == 0) {
            return true;
        }
    }
    return false;
}

static int add_primary(struct fonts *f, struct search *s, const char *family, struct error *e) {
    for (int i = 0; i < s->order->nfont; i++) {
        if (has_family(s->order->fonts[i], family)) {
            int rc = add_font(f, s, s->order->fonts[i], e);
            if (rc < 0 || f->count > 0) {
                return rc;
            }
        }
    }
    bool is_dejavu = strncmp(family, "DejaVu S", strlen("DejaVu S")) == 0;
    return error_set(e, ERR_UNSUPPORTED, "the font %s is not installed%s", family,
                     is_dejavu ? "; Debian's package is fonts-dejavu-core" : "");
}

static int add_emoji(struct fonts *f, struct search *s, struct error *e) {
    int rc = 0;
    for (int i = 0; i < s->emoji_order->nfont && f->count == 1 && rc == 0; i++) {
        const FcPattern *p = s->emoji_order->fonts[i];
        if (flag_of(p, FC_COLOR) && !flag_of(p, FC_OUTLINE) &&
            FcCharSetHasChar(charset_of(p), GRINNING_FACE)) {
            rc = add_font(f, s, p, e);
        }
    }
    return rc;
}

/* The faces of a collection of Chinese characters differ in shapes, not in characters, so the
 * first would win, which is the Japanese one. The one for simplified Chinese has most readers. */
static int add_han(struct fonts *f, struct search *s, struct error *e) {
    for (int i = 0; i < s->han_order->nfont; i++) {
        const FcPattern *p = s->han_order->fonts[i];
        if (flag_of(p, FC_OUTLINE) && has_han(charset_of(p))) {
            return add_font(f, s, p, e);
        }
    }
    return 0;
}

static int add_all(struct fonts *f, struct search *s, const char *family, struct error *e) {
    int rc = add_primary(f, s, family, e);
    if (rc == 0) {
        rc = add_emoji(f, s, e);
    }
    bool han = false;
    for (int i = 0; i < s->order->nfont && rc == 0; i++) {
        const FcPattern *p = s->order->fonts[i];
        if (!han && flag_of(p, FC_OUTLINE) && has_han(charset_of(p))) {
            han = true;
            rc = add_han(f, s, e);
        }
        if (rc == 0) {
            rc = add_font(f, s, p, e);
        }
    }
    return rc;
}

/* ---- Opening and closing ------------------------------------------------------------- */

static int open_search(struct search *s, const char *family, struct error *e) {
    s->config = FcInitLoadConfigAndFonts();
    if (s->config == NULL) {
        return error_set(e, ERR_IO, "fontconfig cannot load its configuration");
    }
    for (int i = 0; i < FONT_KINDS; i++) {
        s->covered[i] = FcCharSetCreate();
    }
    if (s->covered[FONT_TEXT] == NULL || s->covered[FONT_COLOR] == NULL ||
        FT_Init_FreeType(&s->library) != 0) {
        return error_memory(e, "the list of fonts");
    }
    int rc = find_candidates(s, e);
    if (rc == 0) {
        rc = rank(s, family, "en", &s->order, e);
    }
    if (rc == 0) {
        rc = rank(s, family, "zh-cn", &s->han_order, e);
    }
    return rc == 0 ? rank(s, "emoji", "und-zsye", &s->emoji_order, e) : rc;
}

static void close_search(struct search *s) {
    FcFontSet *sets[] = {s->emoji_order, s->han_order, s->order, s->candidates};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (sets[i] != NULL) {
            FcFontSetDestroy(sets[i]);
        }
    }
    for (int i = 0; i < FONT_KINDS; i++) {
        if (s->covered[i] != NULL) {
            FcCharSetDestroy(s->covered[i]);
        }
    }
    if (s->library != NULL) {
        FT_Done_FreeType(s->library);
    }
    if (s->config != NULL) {
        FcConfigDestroy(s->config);
    }
}

int fonts_open(struct fonts **out, const char *family, struct error *e) {
    *out = NULL;
    struct fonts *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return error_memory(e, "the list of fonts");
    }
    struct search s = {0};
    int rc = open_search(&s, family, e);
    if (rc == 0) {
        rc = add_all(f, &s, family, e);
    }
    if (rc == 0) {
        rc = fonts_find_main(f, e);
    }
    close_search(&s);
    if (rc < 0) {
        fonts_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

void fonts_close(struct fonts *f) {
    if (f == NULL) {
        return;
    }
    for (int i = 0; i < f->count; i++) {
        struct font_entry *entry = &f->entries[i];
        free(entry->family);
        free(entry->path);
        if (entry->charset != NULL) {
            FcCharSetDestroy(entry->charset);
        }
    }
    for (int i = 0; i < FONT_BLOCKS; i++) {
        free(f->first[FONT_TEXT][i]);
        free(f->first[FONT_COLOR][i]);
    }
    free(f->entries);
    free(f);
}

int fonts_count(const struct fonts *f) {
    return f->count;
}

const struct font *fonts_get(const struct fonts *f, int index) {
    return &f->entries[index].font;
}
