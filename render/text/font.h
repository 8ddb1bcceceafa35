/* font.h - which font draws which characters.
 *
 * The fonts of this machine in order of preference, found once through fontconfig: first the
 * primary font of the profile, then a colour emoji font if there is one, then the others in the
 * order of FcFontSort for the primary's family (trimmed: each adds characters that those before it
 * lack; regular weight, upright). Fonts that fontconfig ranks alike come in order of name, those
 * with "Sans" in it first; the locale does not matter. So the same fonts and fontconfig rules give
 * the same list. Immutable after fonts_open, so all threads share it. */
#ifndef OCC_RENDER_TEXT_FONT_H
#define OCC_RENDER_TEXT_FONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

enum { FONT_PRIMARY = 0, FONT_NONE = -1 };
enum { FONT_CLUSTER = 32 }; /* code points of a cluster that are looked at */

struct font {
    const char *family, *path;
    int index;  /* of the face within the file; upper 16 bits: a variable font's named instance */
    bool color; /* its glyphs are colour bitmaps (CBDT) */
    bool han;   /* holds Chinese characters: its line box is the em box, see face.h */
};

struct fonts; /* opaque */

/* ERR_UNSUPPORTED when `family` is not installed (fontconfig would give another one); for "DejaVu
 * Sans" the text names Debian's package. */
int fonts_open(struct fonts **out, const char *family, struct error *e);
void fonts_close(struct fonts *f); /* NULL is allowed */
int fonts_count(const struct fonts *f);
const struct font *fonts_get(const struct fonts *f, int index);

/* The font for a grapheme cluster of `count` > 0 code points, as an index. It is looked for without
 * the marks of another script or of none (strokes, rings), which may be borrowed from another font:
 * the primary if it has all else, then the main font of the script (the one with most of its
 * characters), then the first that has all, then the first that has the first code point; else
 * FONT_NONE. Code points that need no glyph (default ignorable: joiners, variation selectors, bidi
 * controls) are not asked for. `emoji`: the cluster is to be shown as emoji: colour fonts are tried
 * first, even for the first code point alone; otherwise they are tried last. */
int fonts_choose(const struct fonts *f, const uint32_t *cluster, size_t count, bool emoji);

/* Whether a font has a glyph for a code point, or the code point needs none. */
bool fonts_have(const struct fonts *f, int font, uint32_t c);

#endif
