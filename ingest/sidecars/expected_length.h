/* expected_length.h - how long a whole file of a clip must be, as yt-dlp's info.json says. */
#ifndef OCC_INGEST_SIDECARS_EXPECTED_LENGTH_H
#define OCC_INGEST_SIDECARS_EXPECTED_LENGTH_H

#include <jansson.h>
#include <stdint.h>

/* The shortest that a whole file can be, in milliseconds, -1 when the info.json does not say: the
 * duration (-1: unknown), or the section that was downloaded (--download-sections), without what
 * SponsorBlock lists and may have been cut out. Streams that are on air have no length yet. */
int64_t expected_length_ms(const json_t *root, int64_t duration_ms);

#endif
