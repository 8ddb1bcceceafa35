/* face_code.c - what no font draws: signs, and the box of a character that no font has: the
 * hexadecimal digits of its code point in two lines, as the charts of Unicode and editors show it.
 * Digits are of 3 x 5 pixels, the least in which all sixteen look different. */
#include <string.h>

#include "render/text/face_glyph.h"

enum { DIGIT_WIDTH = 3, DIGIT_HEIGHT = 5, LINES = 2, SIDE = 2 /* frame and white */ };

/* A row an octal digit, the uppermost first; its highest bit is the left pixel. */
static const unsigned short DIGITS[16] = {025552, 026227, 061247, 061216, 055711, 074616,
                                          034757, 071222, 075757, 075716, 025755, 065656,
                                          034443, 065556, 074647, 074644};

/* Digits of a line. */
static int digits_of(uint32_t code_point) {
    return code_point > 0xFFFF ? 3 : 2;
}

static int width_of(uint32_t code_point) {
    return 2 * SIDE + digits_of(code_point) * (DIGIT_WIDTH + 1) - 1;
}

int code_advance(uint32_t code_point) {
    return width_of(code_point) + 2;
}

static void draw_digit(unsigned char *to, int stride, unsigned digit) {
    for (int row = 0; row < DIGIT_HEIGHT; row++) {
        for (int column = 0; column < DIGIT_WIDTH; column++) {
            int bit = (DIGIT_HEIGHT - 1 - row) * DIGIT_WIDTH + DIGIT_WIDTH - 1 - column;
            to[row * stride + column] = DIGITS[digit] >> bit & 1 ? 255 : 0;
        }
    }
}

int rasterizer_code(struct rasterizer *rasterizer, uint32_t code_point, const struct glyph **glyph,
                    struct error *e) {
    int digits = digits_of(code_point), width = width_of(code_point);
    unsigned char *box = rasterizer->pixels; /* wide enough: eight times the size of the type */
    memset(box, 255, (size_t)width * CODE_HEIGHT);
    for (int row = 1; row < CODE_HEIGHT - 1; row++) {
        memset(box + row * width + 1, 0, (size_t)width - 2);
    }
    for (int i = 0; i < LINES * digits; i++) {
        int x = SIDE + i % digits * (DIGIT_WIDTH + 1), y = SIDE + i / digits * (DIGIT_HEIGHT + 1);
        unsigned digit = code_point >> 4 * (LINES * digits - 1 - i) & 15;
        draw_digit(box + y * width + x, width, digit);
    }
    return rasterizer_keep(rasterizer, 1, rasterizer->above, width, CODE_HEIGHT, false, glyph, e);
}

int rasterizer_sign(struct rasterizer *rasterizer, const struct sign *sign,
                    const struct glyph **glyph, struct error *e) {
    unsigned char *pixels = rasterizer->pixels; /* wide enough, as above */
    for (int row = 0; row < sign->height; row++) {
        for (int column = 0; column < sign->width; column++) {
            bool black = sign->rows[row][column] == '#';
            pixels[row * sign->width + column] = black ? 255 : 0;
        }
    }
    return rasterizer_keep(rasterizer, 1, sign->height - 1, sign->width, sign->height, false, glyph,
                           e);
}
