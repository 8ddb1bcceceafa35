/* alphabet.h - the characters that a reading head tells apart.
 *
 * A class is a text: a character, or the several code points of one emoji. Class 0 stands for
 * everything else and reads as U+FFFD. The list travels in the model's file. */
#ifndef OCC_COMPRESS_ALPHABET_H
#define OCC_COMPRESS_ALPHABET_H

#include <jansson.h>
#include <stddef.h>

#include "store/error.h"

enum { ALPHABET_OTHER = 0, ALPHABET_CLASSES = 65536 /* at most */, ALPHABET_TEXT = 64 /* bytes */ };

struct alphabet; /* opaque; read-only */

/* Where the parts of the alphabet that we train begin and end, for random strings: all of a part
 * are of one script. */
enum alphabet_part {
    ALPHABET_ASCII,
    ALPHABET_LATIN, /* Latin-1 and Latin Extended-A */
    ALPHABET_GREEK,
    ALPHABET_CYRILLIC,
    ALPHABET_SIGNS, /* punctuation, currency, arrows, mathematics */
    ALPHABET_EMOJI,
    ALPHABET_PARTS
};

/* The alphabet that we train: printable ASCII, Latin-1, Latin Extended-A, Greek, Cyrillic,
 * punctuation, currency, arrows, signs, and the emoji that are used most (Unicode's frequency
 * lists). Characters that DejaVu Sans draws alike within a script are one class only. */
int alphabet_open(struct alphabet **out, struct error *e);
/* A list of texts as alphabet_json makes it; ERR_FORMAT, ERR_LIMIT. */
int alphabet_parse(struct alphabet **out, const json_t *list, struct error *e);
void alphabet_close(struct alphabet *a);         /* NULL is allowed */
json_t *alphabet_json(const struct alphabet *a); /* NULL: out of memory */

int alphabet_count(const struct alphabet *a);
const char *alphabet_text(const struct alphabet *a, int class_index);
/* The class of a text of `size` bytes; ALPHABET_OTHER when there is none. */
int alphabet_find(const struct alphabet *a, const char *text, size_t size);
/* Bytes of the longest class that `text` begins with; 0: it begins with something else. */
size_t alphabet_match(const struct alphabet *a, const char *text, size_t size);
/* Classes [*first, *end) of a part of the alphabet of alphabet_open. */
void alphabet_range(enum alphabet_part part, int *first, int *end);

#endif
