/* length_check.c - see length_check.h. */
#include "ingest/length_check.h"

#include <stdio.h>
#include <string.h>

/* Sites round to seconds, and tracks end a little apart. */
enum { TOLERANCE_MS = 2000, TOLERANCE_SHARE = 50 };

static bool is_much_shorter(int64_t length_ms, int64_t than_ms) {
    return length_ms < than_ms - than_ms / TOLERANCE_SHARE - TOLERANCE_MS;
}

void length_check(struct sidecars *s, const struct media *m) {
    char text[160];
    int64_t expected = s->metadata.whole_ms;
    if (m->reason != NULL && strcmp(m->reason, "truncated") == 0) {
        return;
    }
    if (m->duration_ms > 0 && is_much_shorter(m->duration_ms, expected)) {
        snprintf(text, sizeof text, "the file lasts %.1f s, its metadata say %.1f s",
                 (double)m->duration_ms / 1000, (double)expected / 1000);
        sidecars_note(s, text);
    }
    bool film = m->frames_read > 1 && m->sound_end_ms >= 0;
    if (film && is_much_shorter(m->sound_end_ms, m->video_end_ms)) {
        snprintf(text, sizeof text, "the sound ends at %.1f s, the pictures at %.1f s",
                 (double)m->sound_end_ms / 1000, (double)m->video_end_ms / 1000);
        sidecars_note(s, text);
    }
}
