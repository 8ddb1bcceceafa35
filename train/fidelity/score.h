/* score.h - how much of a text a reading of it keeps: characters, and whole words, numbers, tags
 * and emoji.
 *
 * Both are folded first (compress/fold.h): what no reading head tells apart is left out. Characters
 * are the code points then. Text and reading are aligned (alignment.h), and
 *
 *     characters kept = 1 - edit distance / length of the text
 *
 * Items are what the patterns of score.c find in both, from left to right; where several could
 * begin at the same place, it is the first of this list:
 *
 *     tags     # or @ and letters, digits and _, in parts that full stops join
 *     emoji    one emoji or pictograph, with all that is joined to it: keycaps, flags, ZWJ
 *     numbers  letters and digits with a digit among them, in parts that one of . , : / - joins:
 *              1,234.56  2026-11-23  18:30  1.2M  48db40af-774b  7658218672219201984
 *     words    letters and their marks, in parts that an apostrophe joins
 *
 * and, on pages in cells, the single characters of headers: from their sign (U+25A3) up to that of
 * the next part.
 *
 * An item of the text is kept where all of its characters are aligned with equal ones that together
 * are one item of the same kind in the reading, neither less nor more: "12" read as "12" in "312"
 * is not kept, nor is a word that was read elsewhere. A character of a header is kept where it is
 * aligned with an equal one. */
#ifndef OCC_TRAIN_FIDELITY_SCORE_H
#define OCC_TRAIN_FIDELITY_SCORE_H

#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

enum score_kind {
    SCORE_TAGS,
    SCORE_EMOJI,
    SCORE_NUMBERS,
    SCORE_WORDS,
    SCORE_PATTERNS, /* those above, which patterns find */
    SCORE_HEADER = SCORE_PATTERNS,
    SCORE_KINDS
};
extern const char *const SCORE_NAMES[SCORE_KINDS + 1]; /* NULL at the end */

struct score {
    int64_t distance, length;                      /* code points */
    int64_t kept[SCORE_KINDS], items[SCORE_KINDS]; /* of the text */
};
void score_add(struct score *to, const struct score *from);
double score_characters(const struct score *s);                  /* 0 to 1; NAN: of no text */
double score_items(const struct score *s, enum score_kind kind); /* 0 to 1; NAN: there are none */

/* Patterns, compiled, and memory; of one thread. */
struct scorer;
int scorer_open(struct scorer **out, struct error *e);
void scorer_close(struct scorer *s); /* NULL is allowed */
/* Adds what `read` keeps of `text`, both well-formed UTF-8. */
int scorer_compare(struct scorer *s, struct score *score, const char *read, size_t read_size,
                   const char *text, size_t size, struct error *e);

#endif
