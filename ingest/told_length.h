/* told_length.h - how long the site says a clip is, beside how long the file is. A download that
 * broke off and was merged all the same is a valid file: nothing else tells that it is not whole.
 */
#ifndef OCC_INGEST_TOLD_LENGTH_H
#define OCC_INGEST_TOLD_LENGTH_H

#include <jansson.h>

#include "ingest/media/media.h"
#include "ingest/sidecars/sidecars.h"

/* The least that a whole file lasts after yt-dlp's info.json, -1 when it cannot be said: the
 * duration (-1: unknown), or the section that was asked for (--download-sections), without what
 * SponsorBlock lists and may have been cut out. Streams that were on air have no length yet. */
int64_t told_length_ms(const json_t *root, int64_t duration_ms);

/* Warns of media that are much shorter than told, and of sound that ends long before the pictures.
 */
void told_length_compare(struct sidecars *s, const struct media *m);

#endif
