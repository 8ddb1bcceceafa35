/* expected_length.c - see expected_length.h. */
#include "ingest/sidecars/expected_length.h"

#include <stdbool.h>
#include <string.h>

#include "store/json.h"

static bool is_on_air(const json_t *root) {
    const char *status = json_get_text(root, "live_status");
    return json_get_flag(root, "is_live") ||
           (status != NULL &&
            (strcmp(status, "is_live") == 0 || strcmp(status, "is_upcoming") == 0));
}

int64_t expected_length_ms(const json_t *root, int64_t duration_ms) {
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
