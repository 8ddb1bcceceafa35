/* text.c - see text.h. */
#include "train/read/text.h"

#include <string.h>

#include "store/random.h"
#include "store/utf8.h"

enum { OVERFLOW = 1 << 20 };

int text_stretch(struct bytes *out, const char *text, size_t text_size, size_t at, size_t size,
                 struct error *e) {
    const char *line = memchr(text + at, '\n', text_size - at);
    at = line != NULL ? (size_t)(line + 1 - text) : 0;
    int rc = 0;
    while (out->size < size && rc == 0) {
        size_t left = text_size - at, wanted = size - out->size;
        size_t part = utf8_floor(text + at, left < wanted ? left : wanted);
        if (part == 0) { /* not one character has room: rather more than less */
            part = left < OVERFLOW ? left : utf8_floor(text + at, OVERFLOW);
        }
        rc = bytes_append(out, text + at, part, e);
        at = 0;
    }
    return rc;
}

void text_join_lines(struct bytes *text) {
    for (size_t i = 0; i < text->size; i++) {
        text->data[i] = text->data[i] == '\n' ? ' ' : text->data[i];
    }
}

int text_random(struct bytes *out, const struct alphabet *alphabet, enum text_letters letters,
                size_t size, uint64_t *random, struct error *e) {
    static const double PARTS[ALPHABET_PARTS] = {
        [ALPHABET_ASCII] = 4, [ALPHABET_LATIN] = 2,    [ALPHABET_VIETNAMESE] = 1,
        [ALPHABET_GREEK] = 1, [ALPHABET_CYRILLIC] = 2, [ALPHABET_SIGNS] = 1,
        [ALPHABET_EMOJI] = 1};
    enum { LONGEST = 14 };
    int rc = 0;
    while (out->size < size && rc == 0) {
        int first, end;
        int part =
            letters == LETTERS_ALL ? random_choice(random, PARTS, ALPHABET_PARTS) : ALPHABET_ASCII;
        alphabet_range((enum alphabet_part)part, &first, &end);
        first += part == ALPHABET_ASCII; /* not the space */
        for (int64_t i = 1 + random_below(random, LONGEST); i > 0 && rc == 0; i--) {
            int index = first + (int)random_below(random, end - first);
            rc = bytes_append_text(out, alphabet_text(alphabet, index), e);
        }
        if (rc == 0) {
            rc = bytes_append(out, " ", 1, e);
        }
    }
    return rc;
}
