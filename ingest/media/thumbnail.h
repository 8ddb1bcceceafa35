/* thumbnail.h - chooses the few pictures that show a clip.
 *
 * Candidates are offered in presentation order with their measures; the choice covers the clip's
 * scenes and rejects black, flat and blurred pictures as long as others are left. Memory is
 * bounded: when the list is full, every second candidate goes and the spacing of further ones
 * doubles. The choice depends on the candidates alone, so a rerun chooses the same.
 *
 * Scenes are separated by the distance of consecutive candidates. With more scenes than thumbnails
 * the longest comes first, then whichever differs most from those chosen; with fewer, the longest
 * scenes give several, spread in time. Each is the sharpest of its part. A picture that repeats one
 * already chosen is left out even if the count is then not reached: a still clip gives one
 * thumbnail. */
#ifndef OCC_INGEST_MEDIA_THUMBNAIL_H
#define OCC_INGEST_MEDIA_THUMBNAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/media/still.h"

struct thumbnails;

enum thumbnail_flaw { THUMBNAIL_GOOD, THUMBNAIL_BLACK, THUMBNAIL_FLAT, THUMBNAIL_BLURRED };

struct thumbnail {
    int64_t pts_ms;
    int scene; /* number of the scene it stands for, from 0 in time order; flawed ones left out */
    enum thumbnail_flaw flaw;
    struct still picture;
};

/* `wanted`: 1 to 64; at most max(48, 4 * wanted) candidates are held. `duration_ms`: the clip's
 * length where known (else -1); sets the first spacing of candidates. ERR_USAGE, ERR_MEMORY. */
int thumbnails_open(struct thumbnails **out, int wanted, int64_t duration_ms, struct error *e);
void thumbnails_close(struct thumbnails *t); /* NULL is allowed */

/* Whether a picture at this time is far enough from all candidates held to be worth offering: ask
 * before scaling one. */
bool thumbnails_wants(const struct thumbnails *t, int64_t pts_ms);

/* Whether one of exactly this time is held. */
bool thumbnails_have(const struct thumbnails *t, int64_t pts_ms);

/* How many candidates are held at most. */
int thumbnails_room(const struct thumbnails *t);

/* Takes ownership of *picture's planes (also on failure) and notes its flaws. Times may repeat or
 * run backwards in broken files: such candidates are kept in time order. ERR_USAGE after the choice
 * or for a picture without planes. */
int thumbnails_offer(struct thumbnails *t, int64_t pts_ms, struct still *picture, struct error *e);

/* Good candidates held so far; may fall, because whether one is blurred depends on the others. */
int thumbnails_good(const struct thumbnails *t);

/* The choice, at most `wanted`, in time order; *items and the pictures belong to `t`. At least one
 * whenever a candidate was offered: the least flawed when there is no good one. No offers after
 * this; a second call gives the same. */
int thumbnails_choose(struct thumbnails *t, const struct thumbnail **items, int *count,
                      struct error *e);

const char *thumbnail_flaw_name(enum thumbnail_flaw flaw);

#endif
