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
enum caption_clock {
    CLOCK_ANY,        /* all of these ways; "00:05" too */
    CLOCK_LONG,       /* with hours or a fraction: "at 12:30" is no time */
    CLOCK_HUNDREDTHS, /* as in ASS the digits behind the point, be it one or three, are hundredths
                       */
};

/* Reads one time at *p < `end` and moves *p behind it; false (and *p where it was) for none. Times
 * too long for an int64_t are some 31,000 years. */
bool caption_clock_read(const char **p, const char *end, enum caption_clock kind, int64_t *ms);

/* Is the line from `p` to `end` "TIME --> TIME", blanks before it and anything behind it allowed?
 */
bool caption_timing_read(const char *p, const char *end, enum caption_clock kind, int64_t *start_ms,
                         int64_t *end_ms);

#endif
