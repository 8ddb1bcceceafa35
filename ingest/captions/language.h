/* language.h - compares language names as files and containers write them: "en", "en-US", "eng". */
#ifndef OCC_INGEST_CAPTIONS_LANGUAGE_H
#define OCC_INGEST_CAPTIONS_LANGUAGE_H

#include <stdbool.h>

/* Whether two names mean the same language; region, script and the like ("-US", "-orig") do not
 * count, three-letter codes of ISO 639-2 equal their two-letter form. NULL matches nothing. */
bool language_same(const char *a, const char *b);

/* The place of `language` in a comma-separated list of preferences, from 0; -1: not in it. "*" in
 * the list matches everything. */
int language_rank(const char *list, const char *language);

/* Whether a name says that the text was translated, as YouTube's "en-de" says English from German
 * ("en-US" is not such a name). *from: the language it was translated from, of 2 letters. */
bool language_translated(const char *name, char from[3]);

#endif
