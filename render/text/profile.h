/* profile.h - how the text of a page is set: font, size, rows.
 *
 * Pages are typeset for an encoder that cuts them into patches of PATCH x PATCH pixels: rows sit on
 * that grid (pitch PATCH, or half of it), so that no row of glyphs straddles two patches, and
 * margins are whole patches. */
#ifndef OCC_RENDER_TEXT_PROFILE_H
#define OCC_RENDER_TEXT_PROFILE_H

#include <stdbool.h>

#include "render/mode.h"

/* How outlines are fitted to whole rows of pixels; across, they are never moved. LIGHT: FreeType's
 * own light hinting. FONT: the primary font by its own program (TrueType, interpreter 40), which
 * keeps apart what light hinting makes alike (I and l); the other fonts light. */
enum hinting { HINTING_NONE, HINTING_LIGHT, HINTING_FONT };

struct profile {
    const char *family; /* of the primary font, as fontconfig knows it */
    int size;           /* pixels per em, 26.6 fixed point (10 px = 640) */
    int pitch;          /* pixels from row to row: divides PATCH */
    int margin, gutter; /* patches: around the text, between two columns */
    int inset;          /* pixels kept free at both ends of a row */
    enum hinting hinting;
    bool cells; /* text runs through one cell after another, not through rows across the page */
};
enum { PROFILE_READ10, PROFILE_CLEAR, PROFILE_DENSE, PROFILE_CELL10, PROFILE_CELL8, PROFILE_COUNT };
extern const struct profile PROFILES[PROFILE_COUNT];
extern const char *const PROFILE_NAMES[PROFILE_COUNT + 1]; /* ends in NULL */
/* The name of one of PROFILES; "custom" for any other. */
const char *profile_name(const struct profile *profile);

#endif
