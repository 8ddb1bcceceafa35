/* word_make.h - how a word gets its shape, before it is kept; for render/text/word*.c only. */
#ifndef OCC_RENDER_TEXT_WORD_MAKE_H
#define OCC_RENDER_TEXT_WORD_MAKE_H

#include <unicode/uscript.h>

#include "render/text/ascii.h"
#include "render/text/word.h"

/* A stretch of a word in one font and script. */
struct word_stretch {
    uint32_t start, end;
    int font;
    UScriptCode script;
};

/* A mark that is drawn apart from its base, over it: in a font of its own, or as the box of a
 * missing character. The text is shaped as if it were not there. */
struct borrowed_mark {
    /* Bytes of the word: where it is; where its grapheme cluster begins, or the part of one. */
    uint16_t at, base;
    uint8_t size; /* bytes */
    int font;
    uint32_t code_point;
};

/* A word being made: WORD_BYTES bytes give at most as many clusters; glyphs may be more. */
enum { SHAPED_GLYPHS = 4 * WORD_BYTES };
struct shaped_word {
    struct word_glyph glyphs[SHAPED_GLYPHS];
    uint16_t glyph_cluster[SHAPED_GLYPHS]; /* byte where the glyph's cluster begins */
    int32_t glyph_advance[SHAPED_GLYPHS];
    struct word_cluster clusters[WORD_BYTES + 1];
    struct word_piece pieces[WORD_BYTES + 1];
    struct word_missing missing[WORD_BYTES];
    struct word_stretch stretches[WORD_BYTES];
    struct borrowed_mark borrowed[WORD_BYTES]; /* in the order of the text */
    size_t stretch_count, borrowed_count;
    struct word word;
};

struct word_maker {
    const struct fonts *fonts;
    const struct profile *profile;
    struct faces *faces;
    struct breaker *breaker;
    hb_buffer_t *buffer;
    hb_language_t language;
    struct ascii ascii;
    bool default_language; /* the primary font shapes Latin text of this language like any */
    struct shaped_word shaped;
};

/* `fonts` and `profile` must outlive it. */
int maker_open(struct word_maker *m, const struct fonts *fonts, const struct profile *profile,
               struct error *e);
void maker_close(struct word_maker *m);
void maker_language(struct word_maker *m, hb_language_t language);

/* Fills the shaped. */
int maker_make(struct word_maker *m, const char *text, size_t size, bool rtl, bool piece,
               struct error *e);

/* ---- Its steps ---- */

/* word_font.c: the stretches of a word and the marks that are borrowed. */
int maker_stretches(struct word_maker *m, const char *text, size_t size, struct error *e);

/* word_shape.c: adds the glyphs of a stretch, those of borrowed marks included. */
int maker_shape(struct word_maker *m, const char *text, size_t size, const struct word_stretch *r,
                bool rtl, struct error *e);
/* The glyphs that HarfBuzz gives for a stretch are in m->buffer then. */
int maker_ask(struct word_maker *m, const struct face *face, const char *text, size_t size,
              const struct word_stretch *r, bool rtl, struct error *e);
/* Adds a glyph at the pen and moves the pen. */
struct glyph_place {
    int32_t x, y, advance;
};
int maker_add(struct word_maker *m, int font, uint32_t id, uint32_t cluster, struct glyph_place at,
              struct error *e);
/* Counts a missing character, and shows its code point. */
int maker_add_missing(struct word_maker *m, uint32_t at, uint32_t cluster, uint32_t code_point,
                      struct error *e);

/* word_mark.c: puts the borrowed marks whose base is within bytes [start, end) over the glyphs from
 * `first` on, which are those of `cluster`. */
int maker_marks(struct word_maker *m, uint32_t start, uint32_t end, uint32_t cluster, size_t first,
                struct error *e);

/* word_fit.c: moves the glyphs of clusters that reach out of the row into it. */
int maker_fit(struct word_maker *m, struct error *e);

#endif
