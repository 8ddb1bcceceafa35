/* alphabet_emoji.h - the emoji of the alphabet that we train. */
#ifndef OCC_COMPRESS_ALPHABET_EMOJI_H
#define OCC_COMPRESS_ALPHABET_EMOJI_H

/* Texts of emoji with a space between, ended by NULL: the most used first, about as Unicode's
 * frequency lists of 2021 have them and with what newer ones have gained since. Each stands for its
 * variants too (fold.h). U+FE0F is there where only that gives the coloured picture. */
extern const char *const ALPHABET_EMOJI_ROWS[];

#endif
