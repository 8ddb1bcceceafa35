/* cue.h - timed text, which captions of every kind become. */
#ifndef OCC_INGEST_CAPTIONS_CUE_H
#define OCC_INGEST_CAPTIONS_CUE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/arena.h"
#include "store/error.h"

#define CUE_SPEAKER_BYTES 200        /* longest name of a speaker */
#define CUE_UNTIMED_MS INT64_C(7000) /* what subtitle guides allow */

struct cue {
    int64_t start_ms, end_ms; /* presentation time from the start of the clip; start <= end */
    const char *text;         /* plain UTF-8, lines separated by '\n'; in the list's arena */
    const char *speaker;      /* who says it: one such line; NULL: unknown; in the list's arena */
};

struct cue_list {
    struct arena *arena; /* owns items and texts; not owned by the list */
    struct cue *items;
    size_t count, capacity;
    bool flat; /* the source says itself what is new in a rolling caption: nothing repeats */
};

/* Appends a copy of `size` bytes of text without a speaker. Blank text adds nothing, but it ends
 * the last cues if they have no end so far. */
int cue_add(struct cue_list *list, int64_t start_ms, int64_t end_ms, const char *text, size_t size,
            struct error *e);

/* The speaker of the cues from `first` on: a copy of the plain text `name`, on one line and cut at
 * a whole character to CUE_SPEAKER_BYTES; a blank one is none. */
int cue_name_speaker(struct cue_list *list, size_t first, const char *name, size_t size,
                     struct error *e);

/* Puts the cues from `first` on into the order of their starts, those that start together in the
 * order they came. A cue that does not end after its start (its file gives no end, or one before
 * the start) stays until the next one starts, CUE_UNTIMED_MS at most. */
int cue_list_settle(struct cue_list *list, size_t first, struct error *e);

#endif
