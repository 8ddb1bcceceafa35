/* canvas.c - see canvas.h. Glyphs are most of the work: they are drawn in blocks of constant size,
 * so that compilers make vector instructions of the loops. */
#include "render/page/canvas.h"

#include <stdlib.h>
#include <string.h>

struct color_area {
    int x, y, width, height; /* followed by width * height * 3 bytes */
};

enum { WHITE = 255, COLOR_LIMIT = 256 << 20 };

static size_t grey_size(int side) {
    return (size_t)side * (side + GLYPH_ROWS) + GLYPH_STRIDE;
}

int canvas_open(struct canvas *c, int side, bool keep_color, struct error *e) {
    *c = (struct canvas){.side = side, .keep_color = keep_color};
    bytes_init(&c->colors, COLOR_LIMIT);
    c->grey = malloc(grey_size(side));
    if (c->grey == NULL) {
        return error_memory(e, NULL);
    }
    canvas_clear(c);
    return 0;
}

void canvas_close(struct canvas *c) {
    free(c->grey);
    free(c->rgb);
    bytes_close(&c->colors);
    *c = (struct canvas){0};
}

void canvas_clear(struct canvas *c) {
    memset(c->grey, WHITE, grey_size(c->side));
    bytes_clear(&c->colors);
    c->clipped = 0;
}

/* Weights of ITU-R BT.601 in 1/256. */
static uint8_t luma(const uint8_t *rgb) {
    return (uint8_t)((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8);
}

static uint8_t over_white(uint8_t value, uint8_t alpha) {
    return (uint8_t)((value * alpha + WHITE * (WHITE - alpha) + 127) / 255);
}

/* A coloured area to be filled in; NULL when colour is not kept or memory has run out (*rc). */
static uint8_t *add_area(struct canvas *c, int x, int y, int width, int height, int *rc,
                         struct error *e) {
    if (!c->keep_color) {
        return NULL;
    }
    struct color_area area = {.x = x, .y = y, .width = width, .height = height};
    size_t size = (size_t)width * height * 3;
    *rc = bytes_append(&c->colors, &area, sizeof area, e);
    *rc = *rc == 0 ? bytes_reserve(&c->colors, size, e) : *rc;
    if (*rc < 0) {
        return NULL;
    }
    uint8_t *pixels = c->colors.data + c->colors.size;
    c->colors.size += size;
    return pixels;
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* The part of a glyph at (x, y) that is in the area: columns and rows of the glyph. */
static struct canvas_area clip(const struct glyph *g, int x, int y,
                               const struct canvas_area *area) {
    return (struct canvas_area){.left = larger(0, area->left - x),
                                .right = smaller(g->width, area->right - x),
                                .top = larger(0, area->top - y),
                                .bottom = smaller(g->height, area->bottom - y)};
}

static int draw_color(struct canvas *c, const struct glyph *g, int x, int y,
                      const struct canvas_area *v, struct error *e) {
    int rc = 0;
    uint8_t *area =
        add_area(c, x + v->left, y + v->top, v->right - v->left, v->bottom - v->top, &rc, e);
    for (int row = v->top; row < v->bottom && rc == 0; row++) {
        for (int column = v->left; column < v->right; column++) {
            const uint8_t *from = g->pixels + 4 * ((size_t)row * g->stride + column);
            uint8_t *grey = c->grey + (size_t)(y + row) * c->side + x + column;
            uint8_t rgb[3];
            for (int i = 0; i < 3; i++) {
                rgb[i] = over_white(from[i], from[3]);
            }
            *grey = (uint8_t)smaller(*grey, luma(rgb));
            if (area != NULL) {
                memcpy(area, rgb, 3);
                area += 3;
            }
        }
    }
    return rc;
}

/* Saturating. Constant lengths and this form, so that compilers make vector instructions of it. */
static inline void subtract(uint8_t *restrict to, const uint8_t *restrict coverage, int length) {
    for (int i = 0; i < length; i++) {
        uint8_t larger_one = to[i] > coverage[i] ? to[i] : coverage[i];
        to[i] = (uint8_t)(larger_one - coverage[i]);
    }
}

static inline void draw_block(const struct glyph *g, uint8_t *to, size_t side, int stride) {
    const uint8_t *from = g->pixels;
    for (int row = 0; row < GLYPH_ROWS; row++, from += stride, to += side) {
        subtract(to, from, stride);
    }
}

static void draw_part(struct canvas *c, const struct glyph *g, int x, int y,
                      const struct canvas_area *v) {
    for (int row = v->top; row < v->bottom; row++) {
        const uint8_t *from = g->pixels + (size_t)row * g->stride;
        uint8_t *to = c->grey + (size_t)(y + row) * c->side + x;
        for (int column = v->left; column < v->right; column++) {
            to[column] = to[column] > from[column] ? (uint8_t)(to[column] - from[column]) : 0;
        }
    }
}

/* Ink of a glyph that is not drawn. */
static uint64_t hidden_ink(const struct glyph *g, const struct canvas_area *v) {
    uint64_t ink = 0;
    for (int row = 0; row < g->height; row++) {
        for (int column = 0; column < g->width; column++) {
            bool visible =
                row >= v->top && row < v->bottom && column >= v->left && column < v->right;
            ink += visible ? 0 : glyph_ink(g, row, column);
        }
    }
    return ink;
}

/* Rare, and kept out of the loop over glyphs, which is to stay small. */
__attribute__((noinline)) static int draw_clipped(struct canvas *c, const struct glyph *g, int x,
                                                  int y, const struct canvas_area *area,
                                                  struct error *e) {
    struct canvas_area v = clip(g, x, y, area);
    bool whole = v.left == 0 && v.top == 0 && v.right == g->width && v.bottom == g->height;
    c->clipped += whole ? 0 : hidden_ink(g, &v);
    if (v.left >= v.right || v.top >= v.bottom) {
        return 0;
    }
    if (g->color) {
        return draw_color(c, g, x, y, &v, e);
    }
    draw_part(c, g, x, y, &v);
    return 0;
}

/* A glyph that lies in its row and on the canvas. Nearly all are of the first two kinds, for which
 * there is no loop whose length has to be guessed. */
static void draw_whole(const struct glyph *g, uint8_t *to, size_t side) {
    if (g->height <= GLYPH_ROWS && g->stride == GLYPH_STRIDE) {
        draw_block(g, to, side, GLYPH_STRIDE);
    } else if (g->height <= GLYPH_ROWS && g->stride == 2 * GLYPH_STRIDE) {
        draw_block(g, to, side, 2 * GLYPH_STRIDE);
    } else {
        const uint8_t *from = g->pixels;
        for (int row = 0; row < g->height; row++, from += g->stride, to += side) {
            subtract(to, from, g->stride);
        }
    }
}

static int draw_glyph(struct canvas *c, const struct canvas_glyph *at,
                      const struct canvas_area *area, struct error *e) {
    const struct glyph *g = at->glyph;
    int x = at->x + g->left, y = at->y - g->top;
    bool whole = x >= area->left && x + g->width <= area->right && y >= area->top &&
                 y + g->height <= area->bottom;
    if (!whole || g->color) {
        return draw_clipped(c, g, x, y, area, e);
    }
    draw_whole(g, c->grey + (size_t)y * c->side + x, (size_t)c->side);
    return 0;
}

/* Every fourth glyph at a time: the vectors of neighbours overlap, and a load that overlaps a store
 * still under way waits for it. The order does not matter to the result: a pixel is white less the
 * sum of what covers it. */
int canvas_glyphs(struct canvas *c, const struct canvas_glyph *glyphs, size_t count,
                  const struct canvas_area *area, struct error *e) {
    enum { APART = 4 };
    int rc = 0;
    for (size_t first = 0; first < APART; first++) {
        for (size_t i = first; i < count && rc == 0; i += APART) {
            rc = draw_glyph(c, &glyphs[i], area, e);
        }
    }
    return rc;
}

int canvas_picture(struct canvas *c, const struct picture *p, int x, int y, struct error *e) {
    int rc = 0;
    uint8_t *area = p->color ? add_area(c, x, y, p->width, p->height, &rc, e) : NULL;
    if (rc < 0) {
        return rc;
    }
    size_t row_size = (size_t)p->width * (p->color ? 3 : 1);
    for (int row = 0; row < p->height; row++) {
        const uint8_t *from = p->pixels + row * row_size;
        uint8_t *to = c->grey + (size_t)(y + row) * c->side + x;
        if (!p->color) {
            memcpy(to, from, row_size);
            continue;
        }
        for (int column = 0; column < p->width; column++) {
            to[column] = luma(from + 3 * column);
        }
        if (area != NULL) {
            memcpy(area + row * row_size, from, row_size);
        }
    }
    return 0;
}

/* Text over a coloured area has made the grey plane darker than the area is. */
static void put_color(uint8_t *to, const uint8_t *rgb, uint8_t grey) {
    uint8_t light = luma(rgb);
    for (int i = 0; i < 3; i++) {
        to[i] = (uint8_t)(grey < light ? rgb[i] * grey / light : rgb[i]);
    }
}

int canvas_rgb(struct canvas *c, const uint8_t **rgb, struct error *e) {
    *rgb = NULL;
    if (c->colors.size == 0) {
        return 0;
    }
    size_t pixels = (size_t)c->side * c->side;
    c->rgb = c->rgb != NULL ? c->rgb : malloc(3 * pixels);
    if (c->rgb == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < pixels; i++) {
        memset(c->rgb + 3 * i, c->grey[i], 3);
    }
    for (size_t at = 0; at < c->colors.size;) {
        struct color_area area;
        memcpy(&area, c->colors.data + at, sizeof area);
        at += sizeof area;
        for (int row = 0; row < area.height; row++) {
            size_t first = (size_t)(area.y + row) * c->side + area.x;
            for (int column = 0; column < area.width; column++, at += 3) {
                put_color(c->rgb + 3 * (first + column), c->colors.data + at,
                          c->grey[first + column]);
            }
        }
    }
    *rgb = c->rgb;
    return 0;
}
