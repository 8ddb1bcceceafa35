/* ascii.h - ASCII text shaped without HarfBuzz, to HarfBuzz's results.
 *
 * Most words of most texts are ASCII, and in most fonts their shape is the glyph of each character
 * and a change of its advance by the next one (kerning). These are learned from HarfBuzz, pair
 * by pair as they come, and the font is put to the test first: random strings must come out as
 * HarfBuzz shapes them, else the font is left to it (contextual alternates, lasting ligatures). */
#ifndef OCC_RENDER_TEXT_ASCII_H
#define OCC_RENDER_TEXT_ASCII_H

#include "render/text/face.h"

enum { ASCII_FIRST = 0x20, ASCII_COUNT = 0x7F - ASCII_FIRST };

/* HarfBuzz as the caller wants ASCII shaped: one glyph of `font` for each character, or fewer. */
struct ascii_oracle {
    void *context;
    /* ids and advances (26.6) of up to `size` glyphs; *count: how many; false when a glyph has an
     * offset. ERR_MEMORY. */
    int (*shape)(void *context, const char *text, size_t size, uint32_t *ids, int32_t *advances,
                 size_t *count, bool *plain, struct error *e);
};

struct ascii {
    bool usable;
    struct glyph_slot *slots[ASCII_COUNT];
    int32_t advances[ASCII_COUNT];
    int16_t kerning[ASCII_COUNT][ASCII_COUNT]; /* ASCII_UNKNOWN: not asked yet */
};
enum { ASCII_UNKNOWN = INT16_MIN };

int ascii_init(struct ascii *a, struct faces *faces, const struct ascii_oracle *oracle,
               struct error *e);

/* How much the advance of `left` changes before `right`. */
int ascii_kerning(struct ascii *a, const struct ascii_oracle *oracle, char left, char right,
                  int32_t *change, struct error *e);

/* Printable ASCII only. */
bool ascii_is(const char *text, size_t size);

/* Whether UAX #14 has no place inside where a line may end: letters and digits, with quotes around
 * them, an opening bracket before and closing punctuation after. False says nothing. */
bool ascii_is_solid(const char *text, size_t size);

#endif
