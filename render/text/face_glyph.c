/* face_glyph.c - see face_glyph.h. A glyph is drawn into the rasterizer's pixels, which have
 * room for the largest there can be; the part with ink is copied to the arena. */
#include "render/text/face_glyph.h"

#include FT_OUTLINE_H
#include <stdlib.h>
#include <string.h>

enum {
    PIXEL = 64, /* 26.6 */
    PHASE_STEP = PIXEL / GLYPH_PHASES,
    STRIKE_MOST = 1024, /* pixels a side of a colour bitmap */
    MARGIN_ROWS = 2,
    ONE = 0x10000, /* 16.16 */
    ARENA_LIMIT = 512 << 20,
};

const struct glyph GLYPH_EMPTY = {0};

/* Columns and rows of what was drawn, relative to the pen, rows downwards from the baseline. */
struct window {
    int left, top, width, height;
};

int rasterizer_open(struct rasterizer *rasterizer, FT_Library library, int above, int below,
                    int reach, struct error *e) {
    int margin = MARGIN_ROWS * (above + below);
    *rasterizer = (struct rasterizer){
        .library = library, .above = above, .below = below, .margin = margin, .reach = reach};
    rasterizer->pixels = malloc((size_t)(above + below + 2 * margin) * reach * 4);
    if (rasterizer->pixels == NULL) {
        return error_memory(e, "glyphs");
    }
    return arena_open(&rasterizer->arena, ARENA_LIMIT, e);
}

void rasterizer_close(struct rasterizer *rasterizer) {
    free(rasterizer->pixels);
    arena_close(rasterizer->arena);
    *rasterizer = (struct rasterizer){0};
}

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
    return value < least ? least : value > most ? most : value;
}

/* The part of an area that is drawn. False: none. */
static bool make_window(const struct rasterizer *rasterizer, unsigned fit, int64_t left,
                        int64_t top, int64_t right, int64_t bottom, struct window *w) {
    int margin = fit == FIT_ROW ? 0 : rasterizer->margin;
    left = clamp(left, -rasterizer->reach, rasterizer->reach);
    right = clamp(right, left, left + rasterizer->reach);
    top = clamp(top, -rasterizer->above - margin, rasterizer->below + margin);
    bottom = clamp(bottom, top, rasterizer->below + margin);
    *w = (struct window){(int)left, (int)top, (int)(right - left), (int)(bottom - top)};
    return w->width > 0 && w->height > 0;
}

/* Darkness of a drawn pixel: coverage, or alpha times what lacks to white. */
static uint32_t ink_of(const uint8_t *pixel, bool color) {
    if (!color) {
        return pixel[0];
    }
    uint32_t luma = (77U * pixel[0] + 150U * pixel[1] + 29U * pixel[2] + 128) >> 8;
    return (pixel[3] * (255 - luma) + 127) / 255;
}

uint32_t glyph_ink(const struct glyph *g, int row, int column) {
    return ink_of(g->pixels + ((size_t)row * g->stride + column) * (g->color ? 4 : 1), g->color);
}

/* The smallest part of the window that holds all that is not fully transparent. */
static bool crop(const uint8_t *pixels, const struct window *w, bool color, struct window *ink) {
    int left = w->width, right = 0, top = w->height, bottom = 0;
    size_t bytes = color ? 4 : 1;
    for (int row = 0; row < w->height; row++) {
        for (int column = 0; column < w->width; column++) {
            if (pixels[((size_t)row * w->width + column) * bytes + bytes - 1]) {
                left = column < left ? column : left;
                right = column >= right ? column + 1 : right;
                top = row < top ? row : top;
                bottom = row + 1;
            }
        }
    }
    *ink = (struct window){left, top, right - left, bottom - top};
    return bottom > 0;
}

int rasterizer_keep(struct rasterizer *rasterizer, int left, int top, int width, int height,
                    bool color, const struct glyph **glyph, struct error *e) {
    const struct window *w = &(struct window){left, -top, width, height};
    struct window ink;
    *glyph = &GLYPH_EMPTY;
    if (!crop(rasterizer->pixels, w, color, &ink)) {
        return 0;
    }
    size_t bytes = color ? 4 : 1;
    size_t stride = (size_t)(ink.width + GLYPH_STRIDE - 1) / GLYPH_STRIDE * GLYPH_STRIDE;
    struct glyph *kept = arena_alloc(rasterizer->arena, 1, sizeof *kept);
    size_t rows = ink.height > GLYPH_ROWS ? (size_t)ink.height : GLYPH_ROWS;
    uint8_t *pixels = arena_alloc(rasterizer->arena, rows, stride * bytes);
    if (kept == NULL || pixels == NULL) {
        return error_memory(e, "glyphs");
    }
    rasterizer->used += sizeof *kept + rows * stride * bytes;
    *kept = (struct glyph){.left = (int16_t)(w->left + ink.left),
                           .top = (int16_t)(-w->top - ink.top),
                           .width = (uint16_t)ink.width,
                           .height = (uint16_t)ink.height,
                           .stride = (uint16_t)stride,
                           .color = color,
                           .pixels = pixels};
    for (int row = 0; row < ink.height; row++) {
        const uint8_t *from =
            rasterizer->pixels + ((size_t)(ink.top + row) * w->width + ink.left) * bytes;
        memcpy(pixels + row * stride * bytes, from, ink.width * bytes);
        for (int column = 0; column < ink.width; column++) {
            kept->ink += ink_of(from + column * bytes, color);
        }
    }
    *glyph = kept;
    return 0;
}

static int load(FT_Face face, uint32_t id, FT_Int32 flags, struct error *e) {
    FT_Error code = FT_Load_Glyph(face, id, flags);
    if (code == FT_Err_Out_Of_Memory) {
        return error_memory(e, "a glyph");
    }
    return code
               ? error_set(e, ERR_FORMAT, "glyph %u cannot be loaded (FreeType error %d)", id, code)
               : 0;
}

/* In FIT_STEPS. */
static int width_of(unsigned fit) {
    return fit > FIT_SMALL ? FIT_STEPS - (int)(fit - FIT_SMALL) : FIT_STEPS;
}

static int height_of(unsigned fit) {
    return fit > FIT_SMALL   ? width_of(fit)
           : fit > FIT_WHOLE ? FIT_STEPS - (int)(fit - FIT_WHOLE)
                             : FIT_STEPS;
}

static int64_t floor_pixel(FT_Pos position) {
    return (position & -PIXEL) / PIXEL;
}

int rasterizer_outline(struct rasterizer *rasterizer, FT_Face face, uint32_t id, FT_Int32 flags,
                       unsigned fit, unsigned phase, const struct glyph **glyph, struct error *e) {
    *glyph = &GLYPH_EMPTY;
    int rc = load(face, id, flags, e);
    if (rc < 0) {
        return rc;
    }
    if (face->glyph->format != FT_GLYPH_FORMAT_OUTLINE) {
        return error_set(e, ERR_FORMAT, "glyph %u is not an outline", id);
    }
    FT_Outline *outline = &face->glyph->outline;
    if (fit > FIT_WHOLE) {
        const FT_Matrix smaller = {.xx = ONE / FIT_STEPS * width_of(fit),
                                   .yy = ONE / FIT_STEPS * height_of(fit)};
        FT_Outline_Transform(outline, &smaller);
    }
    FT_Outline_Translate(outline, (FT_Pos)phase * PHASE_STEP, 0);
    FT_BBox box;
    FT_Outline_Get_CBox(outline, &box);
    struct window w;
    if (!make_window(rasterizer, fit, floor_pixel(box.xMin), -floor_pixel(box.yMax + PIXEL - 1),
                     floor_pixel(box.xMax + PIXEL - 1), -floor_pixel(box.yMin), &w)) {
        return 0;
    }
    /* Into a bitmap of our own, which FreeType clips to, instead of FT_Render_Glyph: that would
     * make one as large as a broken outline asks for. */
    FT_Outline_Translate(outline, (FT_Pos)-w.left * PIXEL, (FT_Pos)(w.top + w.height) * PIXEL);
    memset(rasterizer->pixels, 0, (size_t)w.width * w.height);
    FT_Bitmap bitmap = {.rows = (unsigned)w.height,
                        .width = (unsigned)w.width,
                        .pitch = w.width,
                        .buffer = rasterizer->pixels,
                        .num_grays = 256,
                        .pixel_mode = FT_PIXEL_MODE_GRAY};
    FT_Error code = FT_Outline_Get_Bitmap(rasterizer->library, outline, &bitmap);
    if (code) {
        return error_set(e, code == FT_Err_Out_Of_Memory ? ERR_MEMORY : ERR_FORMAT,
                         "glyph %u cannot be drawn (FreeType error %d)", id, code);
    }
    return rasterizer_keep(rasterizer, w.left, -w.top, w.width, w.height, false, glyph, e);
}

/* ---- Colour -------------------------------------------------------------------------- */

/* Numbers the columns (or rows) of the bitmap and of the page on one scale: a column of the bitmap
 * is `size` units wide, one of the page `strike` units, and the pen is at 0. */
struct scale {
    int64_t size, strike;
};

static int64_t floor_divide(int64_t a, int64_t b) {
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* Which columns of the bitmap (`first` is the place of column 0, in columns of the bitmap) are
 * under column `to` of the page: from *begin to before *end. */
static void find_under(const struct scale *s, int first, int count, int to, int *begin, int *end) {
    int64_t from = floor_divide(to * s->strike, s->size) - first;
    int64_t until = floor_divide((to + 1) * s->strike - 1, s->size) + 1 - first;
    *begin = (int)clamp(from, 0, count);
    *end = (int)clamp(until, 0, count);
}

/* How many units of a column of the bitmap at `place` are under column `to` of the page. */
static int64_t overlap(const struct scale *s, int64_t place, int64_t to) {
    int64_t begin = place * s->size, end = begin + s->size;
    begin = begin > to * s->strike ? begin : to * s->strike;
    end = end < (to + 1) * s->strike ? end : (to + 1) * s->strike;
    return end - begin;
}

/* The mean of the bitmap's pixels under one of the page's. They are premultiplied, so that the sum
 * of colours divided by the sum of alpha is the mean weighted with alpha. */
static void average(const FT_GlyphSlot slot, const struct scale *across, const struct scale *down,
                    int x, int y, uint8_t *rgba) {
    int left, right, top, bottom;
    find_under(across, slot->bitmap_left, (int)slot->bitmap.width, x, &left, &right);
    find_under(down, -slot->bitmap_top, (int)slot->bitmap.rows, y, &top, &bottom);
    uint64_t sum[4] = {0};
    for (int row = top; row < bottom; row++) {
        const uint8_t *pixel = slot->bitmap.buffer + (ptrdiff_t)row * slot->bitmap.pitch + 4 * left;
        int64_t height = overlap(down, row - (int64_t)slot->bitmap_top, y);
        for (int column = left; column < right; column++, pixel += 4) {
            int64_t area = height * overlap(across, column + (int64_t)slot->bitmap_left, x);
            for (int i = 0; i < 4; i++) {
                sum[i] += (uint64_t)area * pixel[i];
            }
        }
    }
    uint64_t whole = (uint64_t)(across->strike * down->strike);
    rgba[3] = (uint8_t)((sum[3] + whole / 2) / whole);
    for (int i = 0; i < 3; i++) { /* FreeType has blue first */
        uint64_t value = sum[3] ? (255 * sum[2 - i] + sum[3] / 2) / sum[3] : 0;
        rgba[i] = (uint8_t)(rgba[3] ? clamp((int64_t)value, 0, 255) : 0);
    }
}

int rasterizer_color(struct rasterizer *rasterizer, FT_Face face, uint32_t id, unsigned fit,
                     int strike, int size, const struct glyph **glyph, struct error *e) {
    *glyph = &GLYPH_EMPTY;
    int rc = load(face, id, FT_LOAD_COLOR, e);
    if (rc < 0) {
        return rc;
    }
    const FT_GlyphSlot slot = face->glyph;
    if (slot->bitmap.width == 0 || slot->bitmap.rows == 0) {
        return 0; /* spaces and joiners */
    }
    if (slot->format != FT_GLYPH_FORMAT_BITMAP || slot->bitmap.pixel_mode != FT_PIXEL_MODE_BGRA ||
        slot->bitmap.width > STRIKE_MOST || slot->bitmap.rows > STRIKE_MOST ||
        slot->bitmap.pitch < 0) {
        return error_set(e, ERR_FORMAT, "glyph %u is not a colour bitmap", id);
    }
    const struct scale across = {.size = (int64_t)size * width_of(fit) / FIT_STEPS,
                                 .strike = strike};
    const struct scale down = {.size = (int64_t)size * height_of(fit) / FIT_STEPS,
                               .strike = strike};
    int64_t left = slot->bitmap_left, top = -(int64_t)slot->bitmap_top;
    int64_t right = left + slot->bitmap.width, bottom = top + slot->bitmap.rows;
    struct window w;
    if (!make_window(rasterizer, fit, floor_divide(left * across.size, strike),
                     floor_divide(top * down.size, strike),
                     floor_divide(right * across.size - 1, strike) + 1,
                     floor_divide(bottom * down.size - 1, strike) + 1, &w)) {
        return 0;
    }
    uint8_t *to = rasterizer->pixels;
    for (int row = 0; row < w.height; row++) {
        for (int column = 0; column < w.width; column++, to += 4) {
            average(slot, &across, &down, w.left + column, w.top + row, to);
        }
    }
    return rasterizer_keep(rasterizer, w.left, -w.top, w.width, w.height, true, glyph, e);
}
