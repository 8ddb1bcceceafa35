/* video.h - finds pictures in the video track of a file. */
#ifndef OCC_INGEST_MEDIA_VIDEO_H
#define OCC_INGEST_MEDIA_VIDEO_H

#include "ingest/media/file.h"
#include "ingest/media/reach.h"

/* How pictures are found, from the cheapest way to the dearest. Keyframes are enough when there are
 * as many as thumbnails; each is decoded by itself, so open GOPs and joins do no harm. Otherwise
 * the pictures that others refer to are decoded: of each group (a keyframe and what follows it)
 * only the beginning, as far as the last picture wanted, or everything. Where there are no more
 * pictures than candidates fit, each may be a scene of its own: all are decoded and looked at. */
enum video_plan { VIDEO_KEYFRAMES, VIDEO_GROUPS, VIDEO_EVERYTHING };

struct video_track {
    struct media *media;
    struct media_file *file;
    AVStream *stream;
    AVCodecContext *decoder;
    AVFrame *frame, *spare; /* spare: a damaged picture, used when there is no other */
    enum video_plan plan;
    struct video_reach reach;
    bool indexed;  /* `reach` is from the container's index, not from the packets */
    int64_t total; /* pictures in the clip, -1: not known yet */
    int thumbs;
    int64_t keyframes;     /* decoded by themselves */
    int64_t number;        /* of the packet in its group */
    bool skipping;         /* to the next keyframe */
    int64_t first_ms;      /* earlier pictures lack what they refer to */
    int64_t spacing_ms;    /* of the pictures of a group that are looked at */
    int64_t offered_ms;    /* time of the last picture offered */
    int64_t passed_over;   /* pictures decoded since */
    const int32_t *matrix; /* display matrix, or NULL */
    int errors_in_a_row;
    bool given_up;
    int64_t offered; /* pictures given to the thumbnails */
};

int video_track_open(struct video_track *v, struct media *m, struct media_file *f, AVStream *stream,
                     const struct media_options *options, struct error *e);
void video_track_close(struct video_track *v);
int video_track_feed(struct video_track *v, const AVPacket *packet, struct error *e);
/* Takes out the pictures that the decoder still holds. */
int video_track_finish(struct video_track *v, struct error *e);
/* After the last pass: offers the damaged spare when no undamaged picture was found. */
int video_track_offer_spare(struct video_track *v, struct error *e);
/* The plan for another pass when the pictures found are not good enough; the same plan: no other
 * pass. */
enum video_plan video_track_next_plan(const struct video_track *v);
/* Goes back to the start for a pass with another plan. */
int video_track_restart(struct video_track *v, enum video_plan plan, struct error *e);

#endif
