/* face.h - the fonts opened at the size of a profile, and their glyphs as pixels.
 *
 * One `struct faces` belongs to one thread. A font is opened when it is first used: its file
 * mapped, hashed, given to FreeType and HarfBuzz. The primary font has exactly the size that the
 * profile says. A fallback font whose line box (ascent and descent as HarfBuzz reads them: hhea, or
 * OS/2 where the font says so; the em box 0.88/0.12 for a font of Chinese characters) would not fit
 * into the row is used smaller, so that its marks stay in the row, but not below three quarters of
 * the size. All rows have the same baseline. No glyph reaches out of its row as long as it is drawn
 * FIT_ROW: what does is cut off. For those that would lose something there are other fits, for
 * which see word_fit.c.
 *
 * Outlines are rasterised at four horizontal positions (quarter pixels), in 256 greys, by
 * FreeType's smooth rasteriser; vertically the baseline is on a whole pixel. Colour bitmaps are
 * scaled by area averaging in integers. No floating point that could differ between CPUs. */
#ifndef OCC_RENDER_TEXT_FACE_H
#define OCC_RENDER_TEXT_FACE_H

#include <hb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "render/text/font.h"
#include "render/text/profile.h"
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

/* The ink of a pixel of a glyph, 0..255. */
uint32_t glyph_ink(const struct glyph *g, int row, int column);

/* How a glyph is drawn: FIT_ROW in its place in the row, cut off there; FIT_WHOLE whole, for
 * whoever puts it elsewhere; FIT_WHOLE + n likewise, (FIT_STEPS - n) / FIT_STEPS of its height, up
 * to FIT_LOWEST; FIT_SMALL + n, 0 < n < FIT_STEPS: whole, (FIT_STEPS - n) / FIT_STEPS of its height
 * and width. */
enum {
    FIT_ROW,
    FIT_WHOLE,
    FIT_STEPS = 16,
    FIT_LOWEST = FIT_WHOLE + FIT_STEPS / 2,
    FIT_SMALL,
    FIT_COUNT = FIT_SMALL + FIT_STEPS
};

/* Where a shaped text keeps its glyphs: the address stays valid until faces_close, the bitmaps
 * it points to until faces_trim. */
struct glyph_slot {
    const struct glyph *phase[GLYPH_PHASES]; /* NULL until drawn for the first time */
    uint32_t id;                             /* FONT_NONE: the code point */
    uint16_t font;                           /* FONT_NONE: FACES_NO_FONT */
    uint8_t fit;
    uint8_t measure;     /* enum measure: what is known of the following two */
    int16_t top, bottom; /* 26.6 from the baseline, upwards; equal: no ink */
};
enum measure { MEASURE_NONE, MEASURE_ROUGH, MEASURE_EXACT };
enum { FACES_NO_FONT = UINT16_MAX };

/* 26.6 from the pen, y upwards. */
struct glyph_area {
    int32_t left, right, bottom, top;
};

struct face {
    hb_font_t *hb; /* scaled so that HarfBuzz's positions are 26.6 pixels */
    uint64_t hash; /* XXH3 of the font file */
    int size;      /* 26.6: the profile's, or less where the line box would not fit */
};

struct faces; /* opaque */

int faces_open(struct faces **out, const struct fonts *fonts, const struct profile *profile,
               struct error *e);
void faces_close(struct faces *f); /* NULL is allowed */

/* Pixels from the top of a row to its baseline, and from there to its bottom. */
int faces_baseline(const struct faces *f);
int faces_below(const struct faces *f);

/* The opened face of a font; NULL with `e` filled when the file cannot be read or is not a font.
 * ERR_FORMAT and ERR_IO are remembered: the second call fails at once. */
const struct face *faces_get(struct faces *f, int font, struct error *e);

/* Whether the font was opened, without opening it: for the record of fonts on a page. */
const struct face *faces_opened(const struct faces *f, int font);

/* The slot of a glyph of an opened font; with font FONT_NONE that of the sign of a code point
 * (`id`), if it has one here, else of the box that shows it, where the rows have room for one
 * (faces_box_advance). */
struct glyph_slot *faces_slot(struct faces *f, int font, uint32_t id, unsigned fit,
                              struct error *e);

/* 26.6: the advance of the box that shows a code point; 0: rows are too low for boxes. */
int32_t faces_box_advance(const struct faces *f, uint32_t code_point);

/* 26.6: the advance of the sign (sign.h) of a code point; 0: it has none, or the profile has no
 * signs. */
int32_t faces_sign_advance(const struct faces *f, uint32_t code_point);

/* What a glyph takes, before any fit: as the font's designer has it. */
struct glyph_area faces_area(const struct faces *f, const struct glyph_slot *slot);

/* Fills slot->top and slot->bottom: of the glyph before any fit. Exact: as it is drawn. Rough:
 * found without hinting it, and what it may take at most. */
void faces_measure(const struct faces *f, struct glyph_slot *slot, enum measure how);

/* Draws slot->phase[phase] if it is NULL. 0, or ERR_MEMORY; a glyph that FreeType cannot draw
 * becomes an empty one. Colour glyphs have one picture for all phases. */
int faces_draw(struct faces *f, struct glyph_slot *slot, unsigned phase, struct error *e);

/* Gives up all bitmaps when they take more than `limit` bytes: sets every slot's phases to NULL.
 * To be called between pages. */
void faces_trim(struct faces *f, size_t limit);

#endif
