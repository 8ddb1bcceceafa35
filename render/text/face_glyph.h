/* face_glyph.h - draws single glyphs; for render/text/face*.c only.
 *
 * With FIT_ROW a glyph is drawn for its row: what lies above or below is left out. Otherwise
 * `margin` pixels more are drawn on both sides. What is further than `reach` from the pen is left
 * out, so that no font can make a large bitmap. */
#ifndef OCC_RENDER_TEXT_FACE_GLYPH_H
#define OCC_RENDER_TEXT_FACE_GLYPH_H

#include <ft2build.h>
#include FT_FREETYPE_H

#include "render/text/face.h"
#include "render/text/sign.h"
#include "store/arena.h"

struct rasterizer {
    FT_Library library;
    struct arena *arena;   /* where the glyphs are kept */
    size_t used;           /* bytes of it */
    int above, below;      /* pixels of the row over and under the baseline */
    int margin;            /* pixels beyond the row */
    int reach;             /* pixels to the left of the pen, and columns of a glyph, at most */
    unsigned char *pixels; /* (margin + above + below + margin, reach, 4) */
};

/* For spaces, and for glyphs that cannot be drawn. */
extern const struct glyph GLYPH_EMPTY;

int rasterizer_open(struct rasterizer *rasterizer, FT_Library library, int above, int below,
                    int reach, struct error *e);
void rasterizer_close(struct rasterizer *rasterizer);

/* `flags` of FT_Load_Glyph. ERR_FORMAT when FreeType cannot load it; ERR_MEMORY. */
int rasterizer_outline(struct rasterizer *rasterizer, FT_Face face, uint32_t id, FT_Int32 flags,
                       unsigned fit, unsigned phase, const struct glyph **glyph, struct error *e);

/* A colour bitmap of the selected strike, made for `strike` pixels per em, at `size`: both 26.6. */
int rasterizer_color(struct rasterizer *rasterizer, FT_Face face, uint32_t id, unsigned fit,
                     int strike, int size, const struct glyph **glyph, struct error *e);

/* A box with the hexadecimal digits of a code point, at the top of the row; pixels from the pen to
 * the next one. */
enum { CODE_HEIGHT = 15 };
int code_advance(uint32_t code_point);
int rasterizer_code(struct rasterizer *rasterizer, uint32_t code_point, const struct glyph **glyph,
                    struct error *e);

/* A sign's picture, its lowest row right below the baseline. */
int rasterizer_sign(struct rasterizer *rasterizer, const struct sign *sign,
                    const struct glyph **glyph, struct error *e);

/* Keeps the part with ink of a drawing of width x height pixels, rows without padding, whose upper
 * left corner is `left` pixels right of the pen and `top` pixels above the baseline. */
int rasterizer_keep(struct rasterizer *rasterizer, int left, int top, int width, int height,
                    bool color, const struct glyph **glyph, struct error *e);

#endif
