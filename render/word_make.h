/* word_make.h - how a word gets its shape, before it is kept; for render/word*.c only. */
#ifndef OCC_RENDER_WORD_MAKE_H
#define OCC_RENDER_WORD_MAKE_H

#include <unicode/uscript.h>

#include "render/ascii.h"
#include "render/word.h"

/* A stretch of a word in one font and script. */
struct stretch {
    uint32_t start, end;
    int font;
    UScriptCode script;
};

/* A word being made: WORD_BYTES bytes give at most as many clusters; HarfBuzz may give more glyphs.
 */
enum { DRAFT_GLYPHS = 4 * WORD_BYTES };
struct draft {
    struct word_glyph glyphs[DRAFT_GLYPHS];
    uint16_t glyph_cluster[DRAFT_GLYPHS]; /* byte where the glyph's cluster begins */
    int32_t glyph_advance[DRAFT_GLYPHS];
    struct word_cluster clusters[WORD_BYTES + 1];
    struct word_piece pieces[WORD_BYTES + 1];
    struct word_missing missing[WORD_BYTES];
    struct stretch stretches[WORD_BYTES];
    size_t stretch_count;
    struct word word;
};

struct word_maker {
    const struct fonts *fonts;
    struct faces *faces;
    struct breaker *breaker;
    hb_buffer_t *buffer;
    hb_language_t language;
    struct ascii ascii;
    bool default_language; /* the primary font shapes Latin text of this language like any */
    struct draft draft;
};

/* `fonts` and `profile` must outlive it. */
int maker_open(struct word_maker *m, const struct fonts *fonts, const struct profile *profile,
               struct error *e);
void maker_close(struct word_maker *m);
void maker_language(struct word_maker *m, hb_language_t language);

/* Fills the draft. */
int maker_make(struct word_maker *m, const char *text, size_t size, bool rtl, bool piece,
               struct error *e);

#endif
