/* told_length.c - see told_length.h. */
#include "ingest/told_length.h"

#include <stdio.h>
#include <string.h>

#include "store/json.h"

/* Sites round to seconds, and tracks end a little apart. */
enum { TOLERANCE_MS = 2000, TOLERANCE_SHARE = 50 };

static bool is_on_air(const json_t *root) {
    const char *status = json_get_text(root, "live_status");
    return json_get_flag(root, "is_live") ||
           (status && (strcmp(status, "is_live") == 0 || strcmp(status, "is_upcoming") == 0));
}

int64_t told_length_ms(const json_t *root, int64_t duration_ms) {
    if (is_on_air(root)) {
        return -1;
    }
    double start = json_get_real(root, "section_start", 0);
    double end = json_get_real(root, "section_end", (double)duration_ms / 1000);
    double length = end - start;
    const json_t *chapters = json_object_get(root, "sponsorblock_chapters"), *chapter;
    size_t i;
    json_array_foreach(chapters, i, chapter) {
        double from = json_get_real(chapter, "start_time", 0);
        double until = json_get_real(chapter, "end_time", from);
        length -= until > from ? until - from : 0;
    }
    return length > 0 && length * 1000 <= (double)INT32_MAX ? (int64_t)(length * 1000) : -1;
}

static bool is_much_shorter(int64_t length_ms, int64_t than_ms) {
    return length_ms < than_ms - than_ms / TOLERANCE_SHARE - TOLERANCE_MS;
}

void told_length_compare(struct sidecars *s, const struct media *m) {
    char text[160];
    int64_t told = s->metadata.whole_ms;
    if (m->reason && strcmp(m->reason, "truncated") == 0) {
        return;
    }
    if (m->duration_ms > 0 && is_much_shorter(m->duration_ms, told)) {
        snprintf(text, sizeof text, "the file lasts %.1f s, its metadata say %.1f s",
                 (double)m->duration_ms / 1000, (double)told / 1000);
        sidecars_note(s, text);
    }
    bool film = m->frames_read > 1 && m->sound_end_ms >= 0;
    if (film && is_much_shorter(m->sound_end_ms, m->video_end_ms)) {
        snprintf(text, sizeof text, "the sound ends at %.1f s, the pictures at %.1f s",
                 (double)m->sound_end_ms / 1000, (double)m->video_end_ms / 1000);
        sidecars_note(s, text);
    }
}
