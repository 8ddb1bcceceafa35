/* font_choose.c - which font of the list draws a cluster. */
#include <stdlib.h>
#include <unicode/uchar.h>

#include "render/text/font_list.h"

/* ---- Main fonts of scripts ----------------------------------------------------------- */

/* Index in `main`; 0 (common) where a script says nothing about the font. */
static int script_of(uint32_t c) {
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript((UChar32)c, &status);
    bool says = U_SUCCESS(status) && script > USCRIPT_INHERITED && (int)script < FONT_SCRIPTS;
    return says ? (int)script : 0;
}

static void count_scripts(const FcCharSet *charset, uint32_t counts[FONT_SCRIPTS]) {
    FcChar32 map[FC_CHARSET_MAP_SIZE], next = 0;
    FcChar32 base = FcCharSetFirstPage(charset, map, &next);
    for (; base != FC_CHARSET_DONE; base = FcCharSetNextPage(charset, map, &next)) {
        for (FcChar32 i = 0; i < FONT_BLOCK; i++) {
            if (map[i / 32] >> i % 32 & 1) {
                counts[script_of(base + i)]++;
            }
        }
    }
}

/* Many a font has some letters of other scripts than its own (Noto Sans Grantha has Tamil ones):
 * words would be set from two fonts. */
int fonts_find_main(struct fonts *f, struct error *e) {
    uint32_t(*counts)[FONT_SCRIPTS] = calloc((size_t)f->count, sizeof *counts);
    if (counts == NULL) {
        return error_memory(e, "the list of fonts");
    }
    uint32_t most[FONT_SCRIPTS] = {0};
    for (int i = 0; i < f->count; i++) {
        if (!f->entries[i].font.color) {
            count_scripts(f->entries[i].charset, counts[i]);
        }
        for (int k = 1; k < FONT_SCRIPTS; k++) {
            most[k] = counts[i][k] > most[k] ? counts[i][k] : most[k];
        }
    }
    for (int i = f->count - 1; i >= 0; i--) {
        for (int k = 1; k < FONT_SCRIPTS; k++) {
            if (counts[i][k] > 0 && 10 * counts[i][k] >= 9 * most[k]) {
                f->main[k] = (uint16_t)(i + 1);
            }
        }
    }
    free(counts);
    return 0;
}

/* ---- Choosing ------------------------------------------------------------------------ */

static bool needs_glyph(uint32_t c) {
    return !u_hasBinaryProperty((UChar32)c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT);
}

static bool is_mark(uint32_t c) {
    return (U_GET_GC_MASK((UChar32)c) & U_GC_M_MASK) != 0;
}

static int first_with(const struct fonts *f, int kind, uint32_t c) {
    const uint16_t *block = c < FONT_CODE_POINTS ? f->first[kind][c / FONT_BLOCK] : NULL;
    return block != NULL && block[c % FONT_BLOCK] ? block[c % FONT_BLOCK] - 1 : FONT_NONE;
}

bool fonts_have(const struct fonts *f, int font, uint32_t c) {
    return !needs_glyph(c) || (font != FONT_NONE && FcCharSetHasChar(f->entries[font].charset, c));
}

static bool has_all(const struct fonts *f, int font, const uint32_t *cluster, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!fonts_have(f, font, cluster[i])) {
            return false;
        }
    }
    return true;
}

/* The first of a kind that has the whole cluster, whose first code point needs a glyph. */
static int first_with_all(const struct fonts *f, int kind, const uint32_t *cluster, size_t count) {
    int first = first_with(f, kind, cluster[0]);
    if (first == FONT_NONE || count == 1) {
        return first;
    }
    for (int i = first; i < f->count; i++) {
        if (f->entries[i].font.color == (kind == FONT_COLOR) && has_all(f, i, cluster, count)) {
            return i;
        }
    }
    return FONT_NONE;
}

/* A text font that has all of a cluster. */
static int choose_text(const struct fonts *f, const uint32_t *cluster, size_t count) {
    int main = f->main[script_of(cluster[0])] - 1;
    if (main > FONT_PRIMARY && !has_all(f, FONT_PRIMARY, cluster, count) &&
        has_all(f, main, cluster, count)) {
        return main;
    }
    return first_with_all(f, FONT_TEXT, cluster, count);
}

/* A cluster without the marks that are borrowed where its font lacks them: those of no script or of
 * another one than the first character's (strokes, rings, the tone marks of kaomoji). */
static size_t leave_own(const uint32_t *cluster, size_t count, uint32_t own[FONT_CLUSTER]) {
    int script = script_of(cluster[0]);
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < FONT_CLUSTER; i++) {
        int other = script_of(cluster[i]);
        if (i == 0 || !is_mark(cluster[i]) || other == script || (script == 0 && other != 0)) {
            own[kept++] = cluster[i];
        }
    }
    return kept;
}

int fonts_choose(const struct fonts *f, const uint32_t *cluster, size_t count, bool emoji) {
    while (count > 0 && !needs_glyph(cluster[0])) {
        cluster++;
        count--;
    }
    if (count == 0) {
        return FONT_PRIMARY;
    }
    uint32_t own[FONT_CLUSTER];
    size_t kept = leave_own(cluster, count, own);
    int font = emoji ? first_with_all(f, FONT_COLOR, cluster, count) : FONT_NONE;
    if (font == FONT_NONE && emoji) {
        font = first_with(f, FONT_COLOR, cluster[0]);
    }
    if (font == FONT_NONE) {
        font = choose_text(f, own, kept);
    }
    if (font == FONT_NONE && !emoji) {
        font = first_with_all(f, FONT_COLOR, cluster, count);
    }
    if (font == FONT_NONE) {
        font = choose_text(f, cluster, 1);
    }
    return font == FONT_NONE ? first_with(f, FONT_COLOR, cluster[0]) : font;
}
