/* field.h - members of other people's JSON objects, read under any of the names that tools give
 * them. Names are tried in order; a member of the wrong type, or without a usable value, is as good
 * as absent. Nothing here fails on its own: where the arena runs out, `exhausted` is set, and the
 * caller looks at it once, after the last field. */
#ifndef OCC_INGEST_SIDECARS_FIELD_H
#define OCC_INGEST_SIDECARS_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/date.h"

#define FIELD_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

struct fields {
    struct arena *arena; /* owns the texts */
    bool exhausted;
};

/* A string without the blanks around it; NULL where there is none. */
const char *field_text(struct fields *f, const json_t *object, const char *const *names);

/* A string as field_text, or an integer as its exact digits. */
const char *field_id(struct fields *f, const json_t *object, const char *const *names);

/* A number of things; -1 where absent, negative or beyond belief (above 10^12). */
int64_t field_count(const json_t *object, const char *const *names);

/* Seconds since 1970 UTC from seconds, milliseconds (above 10^11) or a text as in time_from_text;
 * -1 where absent. Zero is what tools write for "unknown". */
int64_t field_time(const json_t *object, const char *const *names);

/* True when any of the members is true. */
bool field_flag(const json_t *object, const char *const *names);

/* Whether two names of accounts are the same: ASCII letters of either case, leading '@' ignored.
 * Two empty names are not. */
bool name_equal(const char *a, const char *b);

/* Finds the part of `text` without ASCII blanks around it; its size, 0 when nothing is left. */
size_t text_trim(const char **text);

#endif
