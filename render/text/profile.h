/* profile.h - the geometry of a page and the type it is set in.
 *
 * A mode is the size of the page: side x side pixels, seen by the encoder as tokens. A profile is
 * how the text is set: font, size, rows. Pages are typeset for an encoder that cuts them into
 * patches of PATCH x PATCH pixels: rows sit on that grid (pitch PATCH, or half of it), so that no
 * row of glyphs straddles two patches, and margins are whole patches. */
#ifndef OCC_RENDER_TEXT_PROFILE_H
#define OCC_RENDER_TEXT_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

enum { PATCH = 16, CELL = 64 }; /* pixels: side of a patch, and of the area of one visual token */

enum page_mode { MODE_TINY, MODE_BASE, MODE_HIFI, MODE_COUNT };

struct page_size {
    const char *name;
    int side;   /* pixels, width and height */
    int tokens; /* visual tokens that the encoder makes of it */
    bool may_have_columns;
};
extern const struct page_size PAGE_SIZES[MODE_COUNT];
extern const char *const MODE_NAMES[MODE_COUNT + 1]; /* ends in NULL */

struct profile {
    const char *name;
    const char *family; /* of the primary font, as fontconfig knows it */
    int size;           /* pixels per em, 26.6 fixed point (10 px = 640) */
    int pitch;          /* pixels from row to row: divides PATCH */
    int margin, gutter; /* patches: around the text, between two columns */
    int inset;          /* pixels kept free at both ends of a row */
    bool hinted;        /* outlines fitted to whole pixel rows (FreeType's light hinting) */
};
enum { PROFILE_READ10, PROFILE_CLEAR, PROFILE_DENSE, PROFILE_COUNT };
extern const struct profile PROFILES[PROFILE_COUNT];
extern const char *const PROFILE_NAMES[PROFILE_COUNT + 1]; /* ends in NULL */

#endif
