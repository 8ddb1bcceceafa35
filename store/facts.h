/* facts.h - what a reader would look up in a text, and what fades first when its page is forgotten:
 * numbers, prices, dates, times, handles, hashtags, links. They are found here, and kept as exact
 * strings beside the page's tokens (store.h).
 *
 * A fact begins where no letter, digit or underscore stands before it; of those that begin at a
 * place the first of this list is taken, as long as it goes. A letter is one of any script, a digit
 * also one of the other decimal digits in use.
 *
 *     link     http://... https://... www....; or NAME.xx/..., with at least two letters before the
 *              slash
 *     handle   @ and letters, digits, _ . -
 *     hashtag  # and letters, digits, _
 *     mail     letters, digits, . _ - + on both sides of @, with a dot on the right
 *     date     12 March 2024, March 12th, 2024, March 2024, 12. Mai, 3 de marzo de 2024: names of
 *              months in ten languages (facts_date.c), with or without a year
 *     number   a word that has a digit in it: letters, digits and _, and between two of them one of
 *              . - / + ' and, between digits, , : and a space that does not break before three
 *              digits. So also versions, times, days (2024-03-12), identifiers, units (5kg), counts
 *              (1.2K), ordinals. Before it + - or a currency's sign or code, behind it % or such a
 *              sign, code or unit, are part of it, also with a space between. A digit alone is not
 *              one.
 *
 * Punctuation at the end is no part of a link or handle. A line end within a date is a space. */
#ifndef OCC_STORE_FACTS_H
#define OCC_STORE_FACTS_H

#include <jansson.h>
#include <stdint.h>

#include "store/bytes.h"

enum {
    FACTS_SHARE = 10,    /* a page's facts take a tenth of its text at most, in bytes, */
    FACTS_LEAST = 256,   /* or this, if that is more */
    FACTS_MOST = 65535,  /* but never more than this */
    FACTS_LONGEST = 512, /* bytes of one */
};
size_t facts_limit(size_t text_size);

struct facts_found {
    size_t facts, bytes; /* that were kept */
    size_t left_out;     /* that did not fit, or were too long */
};

/* Appends the facts of a text, each once, in order of their first place, each with a newline, as
 * long as there are no more than `limit` bytes of them; one that does not fit is left out, and
 * shorter ones may follow. What is appended is valid UTF-8, whatever the text is. */
int facts_find(struct bytes *out, const char *text, size_t size, size_t limit,
               struct facts_found *found, struct error *e);
/* Such lines as an array of texts, a new reference; NULL: out of memory. */
json_t *facts_json(const char *facts, size_t size);

#endif
