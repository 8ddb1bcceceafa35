/* face.h - the fonts opened at the size of a profile, and their glyphs as pixels.
 *
 * One `struct faces` belongs to one thread. A font is opened when it is first used: its file
 * mapped, hashed, given to FreeType and HarfBuzz. The primary font has exactly the size that the
 * profile says. A fallback font whose line box (ascent and descent as HarfBuzz reads them: hhea, or
 * OS/2 where the font says so; the em box 0.88/0.12 for a font of Chinese characters) would not fit
 * into the row is used smaller, so that its marks stay in the row, but not below three quarters of
 * the size: then they are cut off. No glyph reaches out of its row. All rows have the same
 * baseline.
 *
 * Outlines are rasterised at four horizontal positions (quarter pixels), in 256 greys, by
 * FreeType's smooth rasteriser; vertically the baseline is on a whole pixel. Colour bitmaps are
 * scaled by area averaging in integers. No floating point that could differ between CPUs. */
#ifndef OCC_RENDER_FACE_H
#define OCC_RENDER_FACE_H

#include <hb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "render/font.h"
#include "render/profile.h"
#include "store/error.h"

enum { GLYPH_PHASES = 4, GLYPH_STRIDE = 8, GLYPH_ROWS = 12 };

/* The pixels of a glyph relative to the pen: the pixel at row r, column c lies at
 * (pen_x + left + c, baseline - top + r). Rows are padded with zeros to a multiple of
 * GLYPH_STRIDE bytes (grey) or pixels (colour); at least GLYPH_ROWS rows are there, those from
 * `height` on are zero: who draws can do so without looking how many there are. */
struct glyph {
    int16_t left, top;
    uint16_t width, height, stride; /* stride: pixels from row to row */
    bool color;
    uint32_t ink; /* sum of the coverage (grey) or of alpha times darkness (colour), 0..255 each */
    const uint8_t *pixels; /* grey: coverage, one byte; colour: R, G, B, alpha, not premultiplied */
};

/* Where a shaped text keeps its glyphs: the address stays valid until faces_close, the bitmaps
 * behind it until faces_trim. */
struct glyph_slot {
    const struct glyph *phase[GLYPH_PHASES]; /* NULL until drawn for the first time */
    uint32_t id;
    uint16_t font;
};

struct face {
    hb_font_t *hb;       /* scaled so that HarfBuzz's positions are 26.6 pixels */
    uint64_t hash;       /* XXH3 of the font file */
    int size;            /* 26.6: the profile's, or less where the line box would not fit */
    int missing_advance; /* 26.6: width of the box drawn for a character that no font has */
};

struct faces; /* opaque */

int faces_open(struct faces **out, const struct fonts *fonts, const struct profile *profile,
               struct error *e);
void faces_close(struct faces *f); /* NULL is allowed */

/* Pixels from the top of a row to its baseline. */
int faces_baseline(const struct faces *f);

/* The opened face of a font; NULL with `e` filled when the file cannot be read or is no font.
 * ERR_FORMAT and ERR_IO are remembered: the second call fails at once. */
const struct face *faces_get(struct faces *f, int font, struct error *e);

/* Whether the font was opened, without opening it: for the record of fonts on a page. */
const struct face *faces_opened(const struct faces *f, int font);

/* The slot of a glyph of an opened font; with font FONT_NONE the box of a missing character. */
struct glyph_slot *faces_slot(struct faces *f, int font, uint32_t id, struct error *e);

/* Draws slot->phase[phase] if it is NULL. 0, or ERR_MEMORY; a glyph that FreeType cannot draw
 * becomes an empty one (counted by faces_broken). Colour glyphs have one picture for all phases. */
int faces_draw(struct faces *f, struct glyph_slot *slot, unsigned phase, struct error *e);
int64_t faces_broken(const struct faces *f);

/* Gives up all bitmaps when they take more than `limit` bytes: sets every slot's phases to NULL.
 * To be called between pages. */
void faces_trim(struct faces *f, size_t limit);

#endif
