/* canvas.h - the pixels of a page: black on white in grey, and the areas that have colour.
 *
 * Text is drawn on the grey plane alone, by saturating subtraction of coverage. Coloured things
 * (emoji, pictures) are drawn on it as their luma, and kept aside in colour, so that a page without
 * any costs nothing more. */
#ifndef OCC_RENDER_PAGE_CANVAS_H
#define OCC_RENDER_PAGE_CANVAS_H

#include "render/page/picture.h"
#include "render/text/face.h"
#include "store/bytes.h"

struct canvas {
    int side;
    uint8_t *grey;       /* side x side, and room for what GLYPH_ROWS and GLYPH_STRIDE add */
    uint8_t *rgb;        /* NULL until first needed */
    struct bytes colors; /* areas in colour: struct color_area and its pixels, repeated */
    uint64_t clipped;    /* ink of glyphs that was left out, 0..255 a pixel */
    bool keep_color;
};

int canvas_open(struct canvas *c, int side, bool keep_color, struct error *e);
void canvas_close(struct canvas *c);
void canvas_clear(struct canvas *c);

/* A glyph with the pen at (x, y), y being the baseline. */
struct canvas_glyph {
    const struct glyph *glyph;
    int x, y;
};

/* Pixels [left, right) of rows [top, bottom), all of them on the canvas. */
struct canvas_area {
    int left, top, right, bottom;
};

/* Draws glyphs, neighbours of a row one after another; what lies outside `area` is left out. */
int canvas_glyphs(struct canvas *c, const struct canvas_glyph *glyphs, size_t count,
                  const struct canvas_area *area, struct error *e);

/* The picture's upper left corner is put at (x, y); it lies on the canvas as a whole. */
int canvas_picture(struct canvas *c, const struct picture *p, int x, int y, struct error *e);

/* *rgb: the page in colour (side, side, 3), valid until the next change; NULL when nothing on it
 * has any. */
int canvas_rgb(struct canvas *c, const uint8_t **rgb, struct error *e);

#endif
