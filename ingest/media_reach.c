/* media_reach.c - how far decoding goes in each group of pictures. See media_file.h. */
#include "ingest/media_file.h"

void video_reach_add(struct video_reach *r, int64_t key_ms) {
    bool after = r->count == 0 || key_ms > r->from_ms[r->count - 1];
    if (after && r->count < VIDEO_REACH_GROUPS) {
        r->from_ms[r->count] = key_ms;
        r->count++;
    } else if (after) {
        r->overflowed = true;
    }
}

static int64_t length_of(const struct video_reach *r, int group, int64_t end_ms) {
    int64_t next = group + 1 < r->count ? r->from_ms[group + 1] : end_ms;
    return next > r->from_ms[group] ? next - r->from_ms[group] : 0;
}

void video_reach_plan(struct video_reach *r, int pictures, int64_t end_ms) {
    int parts[VIDEO_REACH_GROUPS];
    for (int i = 0; i < r->count; i++) {
        parts[i] = 1;
    }
    for (int have = r->count; r->count > 0 && have < pictures; have++) {
        int longest = 0;
        for (int i = 1; i < r->count; i++) {
            if (length_of(r, i, end_ms) / parts[i] >
                length_of(r, longest, end_ms) / parts[longest]) {
                longest = i;
            }
        }
        parts[longest]++;
    }
    for (int i = 0; i < r->count; i++) {
        r->until_ms[i] = r->from_ms[i] + length_of(r, i, end_ms) / parts[i] * (parts[i] - 1);
    }
}

bool video_reach_covers(const struct video_reach *r, int64_t time_ms) {
    int group = r->count;
    while (group > 0 && r->from_ms[group - 1] > time_ms) {
        group--;
    }
    return group == 0 || time_ms <= r->until_ms[group - 1];
}
