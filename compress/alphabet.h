/* alphabet.h - the characters that a reading head tells apart.
 *
 * A class is a text: a character, or the several code points of one emoji. Its variants (fold.h)
 * are of the same class, unless they have one of their own: U+2665, a letter of the font, and
 * U+2665 U+FE0F, a coloured picture, look different and are two. Class 0 stands for everything else
 * and reads as U+FFFD. The list travels in the model's file. */
#ifndef OCC_COMPRESS_ALPHABET_H
#define OCC_COMPRESS_ALPHABET_H

#include <jansson.h>
#include <stddef.h>

#include "store/error.h"

enum {
    ALPHABET_NOTHING = -1, /* draws nothing, so it has no class and is not missed */
    ALPHABET_OTHER = 0,
    ALPHABET_CLASSES = 65536, /* at most */
    ALPHABET_TEXT = 64,       /* bytes of a class, at most */
    ALPHABET_LONGEST = 128    /* bytes of a text that may be found as a class, at most */
};

struct alphabet; /* opaque; read-only */

/* Where the parts of the alphabet that we train begin and end, for random strings: all of a part
 * are of one script. */
enum alphabet_part {
    ALPHABET_ASCII,
    ALPHABET_LATIN,      /* Latin-1, Latin Extended-A, and the schwa */
    ALPHABET_VIETNAMESE, /* its letters beyond those of ALPHABET_LATIN */
    ALPHABET_GREEK,
    ALPHABET_CYRILLIC,
    ALPHABET_SIGNS,  /* punctuation, currency, arrows, mathematics, lines, stars */
    ALPHABET_PLACED, /* what pages set (the newline, U+25A3 to U+25A7 before the parts of a sample)
                      * and the stroke through letters, U+0336: no letters to make words of */
    ALPHABET_EMOJI,  /* the most used first */
    ALPHABET_PARTS
};

/* The alphabet that we train: printable ASCII, Latin-1, Latin Extended-A, Vietnamese, Greek,
 * Cyrillic, punctuation, currency, arrows, signs, the signs that pages set, and the emoji that are
 * used most. Characters that DejaVu Sans draws alike within a script are one class only. */
int alphabet_open(struct alphabet **out, struct error *e);
/* A list of texts as alphabet_json makes it; ERR_FORMAT, ERR_LIMIT. */
int alphabet_parse(struct alphabet **out, const json_t *list, struct error *e);
void alphabet_close(struct alphabet *a);         /* NULL is allowed */
json_t *alphabet_json(const struct alphabet *a); /* NULL: out of memory */

int alphabet_count(const struct alphabet *a);
const char *alphabet_text(const struct alphabet *a, int class_index);
/* The class of a text of `size` bytes, of a grapheme cluster say, as it is or folded (fold.h);
 * ALPHABET_OTHER when there is none. */
int alphabet_find(const struct alphabet *a, const char *text, size_t size);
/* The class of the character at the start of `text` (size > 0), with all that is folded into it:
 * *used bytes. ALPHABET_OTHER: of one code point that has none; ALPHABET_NOTHING. */
int alphabet_next(const struct alphabet *a, const char *text, size_t size, size_t *used);
/* Classes [*first, *end) of a part of the alphabet of alphabet_open. */
void alphabet_range(enum alphabet_part part, int *first, int *end);

#endif
