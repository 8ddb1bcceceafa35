/* face_glyph.h - draws single glyphs; between face.c and face_glyph.c only.
 *
 * All glyphs are drawn for the same row: what lies above or below it is left out, and so is what
 * is further than `reach` from the pen, so that no font can make a large bitmap. */
#ifndef OCC_RENDER_FACE_GLYPH_H
#define OCC_RENDER_FACE_GLYPH_H

#include <ft2build.h>
#include FT_FREETYPE_H

#include "render/face.h"
#include "store/arena.h"

struct easel {
    FT_Library library;
    struct arena *arena;  /* where the glyphs are kept */
    size_t used;          /* bytes of it */
    int above, below;     /* pixels of the row over and under the baseline */
    int reach;            /* pixels to the left of the pen, and columns of a glyph, at most */
    unsigned char *draft; /* (above + below, reach, 4) */
};

/* For spaces, and for glyphs that cannot be drawn. */
extern const struct glyph GLYPH_EMPTY;

int easel_open(struct easel *easel, FT_Library library, int above, int below, int reach,
               struct error *e);
void easel_close(struct easel *easel);

/* `flags` of FT_Load_Glyph. ERR_FORMAT when FreeType cannot load it; ERR_MEMORY. */
int easel_outline(struct easel *easel, FT_Face face, uint32_t id, FT_Int32 flags, unsigned phase,
                  const struct glyph **glyph, struct error *e);

/* A colour bitmap of the selected strike, made for `strike` pixels per em, at `size`: both 26.6. */
int easel_color(struct easel *easel, FT_Face face, uint32_t id, int strike, int size,
                const struct glyph **glyph, struct error *e);

/* A hollow box standing on the baseline, one pixel from the pen. */
int easel_box(struct easel *easel, int width, int height, const struct glyph **glyph,
              struct error *e);

#endif
