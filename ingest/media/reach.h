/* reach.h - how far decoding goes in each group of pictures of a video track: a keyframe and what
 * follows it. */
#ifndef OCC_INGEST_MEDIA_REACH_H
#define OCC_INGEST_MEDIA_REACH_H

#include <stdbool.h>
#include <stdint.h>

enum { VIDEO_REACH_GROUPS = 64 };

/* Where the groups begin and how far into each decoding goes, by decoding time and by the number of
 * the picture in its group, whichever is farther: pictures may come at an uneven pace. */
struct video_reach {
    int count;
    bool overflowed; /* there are more groups than fit */
    int64_t from_ms[VIDEO_REACH_GROUPS], until_ms[VIDEO_REACH_GROUPS];
    int64_t pictures[VIDEO_REACH_GROUPS]; /* counted in each; 0: they were not */
    int64_t until_picture[VIDEO_REACH_GROUPS];
};

/* Notes a keyframe; those that do not come later than the last are left out. */
void video_reach_add(struct video_reach *r, int64_t key_ms);
/* Counts a picture, keyframe or not, of the last group. */
void video_reach_count(struct video_reach *r);
/* Spreads `pictures`, of which every group has its keyframe, over the clip: whichever group has its
 * pictures farthest apart gets the next, as long as it has more. A group of which n are wanted is
 * decoded to (n - 1) / n. */
void video_reach_plan(struct video_reach *r, int pictures, int64_t end_ms);
/* Whether a picture that is decoded at that time is in reach, by its time alone. */
bool video_reach_covers(const struct video_reach *r, int64_t time_ms);
/* By either; `number` is that of the picture in its group, from 0. */
bool video_reach_includes(const struct video_reach *r, int64_t time_ms, int64_t number);

#endif
