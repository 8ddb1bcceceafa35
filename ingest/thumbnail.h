/* thumbnail.h - chooses the few pictures that show a clip.
 *
 * Candidates are offered in presentation order with their measures; the choice covers the clip's
 * scenes and rejects black, flat and blurred pictures as long as others are left. Memory is
 * bounded: when the list is full, every second candidate goes and the spacing of further ones
 * doubles. The choice depends on the candidates alone, so a rerun chooses the same. */
#ifndef OCC_INGEST_THUMBNAIL_H
#define OCC_INGEST_THUMBNAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/picture.h"

struct thumbnails;

enum thumbnail_flaw { THUMBNAIL_GOOD, THUMBNAIL_BLACK, THUMBNAIL_FLAT, THUMBNAIL_BLURRED };

struct thumbnail {
    int64_t pts_ms;
    int scene; /* number of the scene it stands for, from 0 in time order */
    enum thumbnail_flaw flaw;
    struct picture picture;
};

/* `duration_ms`: the clip's length where known (else -1); sets the first spacing of candidates. */
int thumbnails_open(struct thumbnails **out, int wanted, int64_t duration_ms, struct error *e);
void thumbnails_close(struct thumbnails *t); /* NULL is allowed */

/* Whether a picture at this time would be taken as a candidate: ask before scaling one. */
bool thumbnails_wants(const struct thumbnails *t, int64_t pts_ms);

/* Takes ownership of *picture's planes (also on failure) and measures its flaws. Times may repeat
 * or run backwards in broken files: such candidates are kept in time order. */
int thumbnails_offer(struct thumbnails *t, int64_t pts_ms, struct picture *picture,
                     struct error *e);

/* Good candidates held so far. */
int thumbnails_good(const struct thumbnails *t);

/* The choice, at most `wanted`, in time order; *items and the pictures belong to `t`. At least one
 * whenever a candidate was offered. No offers after this. */
int thumbnails_choose(struct thumbnails *t, const struct thumbnail **items, int *count,
                      struct error *e);

const char *thumbnail_flaw_name(enum thumbnail_flaw flaw);

#endif
