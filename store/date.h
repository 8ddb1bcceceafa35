/* date.h - when something was made, as other people's tools write it. */
#ifndef OCC_STORE_DATE_H
#define OCC_STORE_DATE_H

#include <jansson.h>
#include <stdint.h>

/* Seconds since 1970 UTC of YYYYMMDD or YYYY-MM-DD, with an optional time HH:MM[:SS[.fraction]]
 * after 'T' or a space and an optional zone (Z, +HH:MM, -HHMM); -1 for everything else. */
int64_t time_from_text(const char *text);

enum date_kind {
    DATE_GIVEN,
    DATE_SCALED,   /* from milliseconds, or still smaller parts of a second */
    DATE_NONE,     /* there is none, or none that can be */
    DATE_LEFT_OUT, /* it was not asked for */
};
/* `created` of a sample's JSON (NULL is allowed): Unix seconds, as a number or a text, or what
 * time_from_text reads. 0 and DATE_NONE for what is not a date: nothing on the web is older
 * than 1990. */
int64_t date_created(const json_t *sample, enum date_kind *kind);

#endif
