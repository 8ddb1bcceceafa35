/* reach.c - see reach.h. */
#include "ingest/media/reach.h"

void video_reach_add(struct video_reach *r, int64_t key_ms) {
    bool after = r->count == 0 || key_ms > r->from_ms[r->count - 1];
    if (after && r->count < VIDEO_REACH_GROUPS) {
        r->from_ms[r->count] = key_ms;
        r->pictures[r->count] = 0;
        r->count++;
    } else if (after) {
        r->overflowed = true;
    }
}

void video_reach_count(struct video_reach *r) {
    if (r->count > 0 && !r->overflowed) {
        r->pictures[r->count - 1]++;
    }
}

static int64_t length_of(const struct video_reach *r, int group, int64_t end_ms) {
    int64_t next = group + 1 < r->count ? r->from_ms[group + 1] : end_ms;
    return next > r->from_ms[group] ? next - r->from_ms[group] : 0;
}

/* The group that gets the next picture, -1: none has more. */
static int next_group(const struct video_reach *r, const int *parts, int64_t end_ms) {
    int longest = -1;
    for (int i = 0; i < r->count; i++) {
        bool has_more = r->pictures[i] == 0 || parts[i] < r->pictures[i];
        if (has_more && (longest < 0 || length_of(r, i, end_ms) / parts[i] >
                                            length_of(r, longest, end_ms) / parts[longest])) {
            longest = i;
        }
    }
    return longest;
}

void video_reach_plan(struct video_reach *r, int pictures, int64_t end_ms) {
    int parts[VIDEO_REACH_GROUPS] = {0};
    for (int i = 0; i < r->count; i++) {
        parts[i] = 1;
    }
    int next = r->count < pictures ? next_group(r, parts, end_ms) : -1;
    for (int have = r->count; next >= 0 && have < pictures; have++) {
        parts[next]++;
        next = next_group(r, parts, end_ms);
    }
    for (int i = 0; i < r->count; i++) {
        r->until_ms[i] = r->from_ms[i] + length_of(r, i, end_ms) / parts[i] * (parts[i] - 1);
        r->until_picture[i] = r->pictures[i] * (parts[i] - 1) / parts[i];
    }
}

/* The group that is decoded at that time, -1: what is before the first. */
static int group_at(const struct video_reach *r, int64_t time_ms) {
    int group = r->count;
    while (group > 0 && r->from_ms[group - 1] > time_ms) {
        group--;
    }
    return group - 1;
}

bool video_reach_covers(const struct video_reach *r, int64_t time_ms) {
    int group = group_at(r, time_ms);
    return group < 0 || time_ms <= r->until_ms[group];
}

bool video_reach_includes(const struct video_reach *r, int64_t time_ms, int64_t number) {
    int group = group_at(r, time_ms);
    return group < 0 || time_ms <= r->until_ms[group] || number <= r->until_picture[group];
}
