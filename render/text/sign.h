/* sign.h - small pictures of our own, the same in every font, for what profiles with cells draw
 * though no font has a shape for it that a reader could count on: the newline, a space that would
 * not be seen, and the signs with which the parts of a sample begin.
 *
 * In the text of a page a sign is one character: U+000A, a space, or one of U+25A3 to U+25A7. */
#ifndef OCC_RENDER_TEXT_SIGN_H
#define OCC_RENDER_TEXT_SIGN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SIGN_NEWLINE = '\n',
    SIGN_SPACE = 0x1F, /* the picture of a space; no text has this character (clean.h) */
    SIGN_HEADER = 0x25A3,
    SIGN_DESCRIPTION,
    SIGN_SCRIPT,
    SIGN_HASHTAGS,
    SIGN_COMMENTS,
};

enum { SIGN_HEIGHT = 7 }; /* pixels at most */

struct sign {
    uint32_t code_point;
    uint8_t width, height;         /* pixels, the columns of white on its left aside */
    uint8_t advance;               /* pixels from the pen to the next one */
    const char *rows[SIGN_HEIGHT]; /* '#' is black; the lowest lies right below the baseline */
};

/* NULL: the character has none. */
const struct sign *sign_find(uint32_t code_point);

#endif
