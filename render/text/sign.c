/* sign.c - see sign.h. The signs of parts are blacker than any letter. All begin one pixel right of
 * the pen, so that they touch nothing. */
#include "render/text/sign.h"

#include <stddef.h>

/* clang-format off */
static const struct sign SIGNS[] = {
    {SIGN_NEWLINE, 5, 6, 7, {
        "....#",
        "....#",
        ".#..#",
        "#####",
        ".#...",
        "....."}},
    {SIGN_SPACE, 3, 3, 4, {
        "#.#",
        "#.#",
        "###"}},
    {SIGN_HEADER, 7, 7, 9, {
        "#######",
        "#.....#",
        "#.###.#",
        "#.###.#",
        "#.###.#",
        "#.....#",
        "#######"}},
    {SIGN_DESCRIPTION, 7, 7, 9, {
        "#######",
        "#.....#",
        "#######",
        "#.....#",
        "#######",
        "#.....#",
        "#######"}},
    {SIGN_SCRIPT, 7, 7, 9, {
        "#######",
        "#.#####",
        "#...###",
        "#.....#",
        "#...###",
        "#.#####",
        "#######"}},
    {SIGN_HASHTAGS, 7, 7, 9, {
        "#######",
        "##.#.##",
        "#.....#",
        "##.#.##",
        "#.....#",
        "##.#.##",
        "#######"}},
    {SIGN_COMMENTS, 7, 7, 9, {
        ".#####.",
        "#######",
        "#.#.#.#",
        "#######",
        ".#####.",
        ".##....",
        "##....."}},
};
/* clang-format on */

const struct sign *sign_find(uint32_t code_point) {
    for (size_t i = 0; i < sizeof SIGNS / sizeof *SIGNS; i++) {
        if (SIGNS[i].code_point == code_point) {
            return &SIGNS[i];
        }
    }
    return NULL;
}
