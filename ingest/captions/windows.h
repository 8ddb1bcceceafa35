/* windows.h - captions as YouTube's players get them: events that write into windows.
 *
 * A rolling caption is a window of lines in which each event stands for some seconds, longer than
 * until the next one; an event may also append to the one before it. Each event becomes a cue that
 * lasts until the next in its window, so that every word comes once. */
#ifndef OCC_INGEST_CAPTIONS_WINDOWS_H
#define OCC_INGEST_CAPTIONS_WINDOWS_H

#include <stdbool.h>

#include "ingest/captions/caption.h"

#define CAPTION_NO_WINDOW INT64_C(-1)
#define CAPTION_NO_START INT64_MIN

struct caption_event {
    int64_t start_ms;    /* CAPTION_NO_START: it does not say when */
    int64_t duration_ms; /* 0 or less: it does not say how long */
    int64_t window;      /* CAPTION_NO_WINDOW: it stands alone */
    bool append;         /* to the text in the window */
};

struct caption_windows {
    struct cue_list *cues;
    struct caption_losses *losses;
    struct bytes text;         /* of the event that may still grow; empty: there is none */
    struct caption_event last; /* that event */
    int64_t end_ms;            /* of it */
    bool line_ended;           /* what is appended next is a new line */
};

void caption_windows_open(struct caption_windows *w, struct cue_list *cues,
                          struct caption_losses *losses);

/* `text` as it is written: a newline ends a line. Without a time that makes sense it is a loss. */
int caption_windows_add(struct caption_windows *w, const struct caption_event *event,
                        const char *text, size_t size, struct error *e);

/* The last event becomes a cue as well, unless `rc` is a failure; releases what `w` holds. */
int caption_windows_close(struct caption_windows *w, int rc, struct error *e);

/* For formats that do not name windows: where most of the cues from `first` on, which are in order,
 * go on when the next begins, they are the lines of a rolling caption; each then ends there. */
void caption_windows_flatten(struct cue_list *cues, size_t first);

#endif
