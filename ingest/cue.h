/* cue.h - timed text: what captions of every kind become. */
#ifndef OCC_INGEST_CUE_H
#define OCC_INGEST_CUE_H

#include <stdint.h>

#include "store/arena.h"
#include "store/error.h"

#define CUE_SPEAKER_BYTES 200 /* longest name of a speaker */

struct cue {
    int64_t start_ms, end_ms; /* presentation time from the start of the clip; start <= end */
    const char *text;         /* plain UTF-8, lines separated by '\n'; in the list's arena */
    const char *speaker;      /* who says it: one such line; NULL: unknown; in the list's arena */
};

struct cue_list {
    struct arena *arena; /* owns items and texts; not owned by the list */
    struct cue *items;
    size_t count, capacity;
};

/* Appends a copy of `size` bytes of text without a speaker. Blank text is ignored (returns 0, adds
 * nothing). */
int cue_add(struct cue_list *list, int64_t start_ms, int64_t end_ms, const char *text, size_t size,
            struct error *e);

#endif
