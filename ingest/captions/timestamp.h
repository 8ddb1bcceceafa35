/* timestamp.h - the times of caption files, as people and programs write them.
 *
 *   00:01.500   1:02:03,5   100:00:00.000000   0: 0: 1, 20   -00:00:00.250
 *
 * Two or three numbers of any length and a fraction of a second of any length: "1,5" is 1500 ms. A
 * fraction padded with blanks is padded with zeros; one of exactly "1000" is a whole second, which
 * programs that round milliseconds write. A minus sign anywhere makes the time negative. */
#ifndef OCC_INGEST_CAPTIONS_TIMESTAMP_H
#define OCC_INGEST_CAPTIONS_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

/* How times are written. */
enum timestamp_style {
    TIMESTAMP_ANY,        /* all of these ways; "00:05" too */
    TIMESTAMP_LONG,       /* with hours or a fraction: "at 12:30" is not a time */
    TIMESTAMP_HUNDREDTHS, /* as in ASS: the number after the point counts hundredths */
};

/* Reads one time at *p < `end` and moves *p past it; false (and *p where it was) for none. Times
 * too long for an int64_t are some 31,000 years. */
bool timestamp_read(const char **p, const char *end, enum timestamp_style kind, int64_t *ms);

/* Is the line from `p` to `end` "TIME --> TIME", blanks before it and anything after it allowed? */
bool timestamp_read_line(const char *p, const char *end, enum timestamp_style kind,
                         int64_t *start_ms, int64_t *end_ms);

#endif
