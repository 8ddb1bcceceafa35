/* file.h - a media file opened for reading, shared by the files of this room. */
#ifndef OCC_INGEST_MEDIA_FILE_H
#define OCC_INGEST_MEDIA_FILE_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "ingest/media/media.h"

struct media_file {
    int fd;
    struct pool_beat *beat;
    int stage; /* told with each beat */
    AVIOContext *io;
    AVFormatContext *format;
};

/* Opens and probes. ERR_FORMAT with libavformat's reason when it is no media. */
int media_file_open(struct media_file *f, const char *path, struct pool_beat *beat,
                    struct error *e);
void media_file_close(struct media_file *f);

bool media_is_cover(const AVStream *stream);
/* Also where the writer did not say so: a track of one still picture. */
bool media_is_still(const AVStream *stream);
/* The film itself where there is one, else a cover that is stored as a track, else NULL. */
AVStream *media_choose_video(AVFormatContext *format);
/* What candidates are collected in, unless it is there already or no pictures are wanted. */
int media_open_thumbnails(struct media *m, const struct media_wishes *wishes, struct error *e);

/* libavcodec's name of the codec; of an unknown one the four characters that stand for it in the
 * container, in `text`. */
const char *media_codec_name(const AVStream *stream, char text[AV_FOURCC_MAX_STRING_SIZE]);

/* A decoder for a stream, single-threaded, reproducible; *out NULL with result ERR_UNSUPPORTED when
 * this libavcodec has none or the stream is encrypted. */
int media_decoder_open(AVCodecContext **out, const AVStream *stream, struct error *e);

/* Presentation time of a time stamp in milliseconds from the start of the clip; -1: it has none. */
int64_t media_time_ms(const struct media_file *f, const AVStream *stream, int64_t timestamp);

/* The first thing that goes wrong is the one that is told. */
void media_problem(struct media *m, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- The video track (video.c)
 * --------------------------------------------------------------- */

/* How pictures are found, from the cheapest way to the dearest. Keyframes are enough when there are
 * as many as thumbnails; each is decoded by itself, so open GOPs and joins do no harm. Otherwise
 * what other pictures refer to is decoded: of each group (a keyframe and what follows it) only the
 * beginning, as far as the last picture wanted, or everything. Where there are no more pictures
 * than candidates fit, each may be a scene of its own: all are decoded and looked at. */
enum video_plan { VIDEO_KEYFRAMES, VIDEO_GROUPS, VIDEO_EVERYTHING };

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

/* Notes a keyframe; those that are not later than the one before are left out. */
void video_reach_add(struct video_reach *r, int64_t key_ms);
/* Counts a picture, keyframe or not, of the last group. */
void video_reach_count(struct video_reach *r);
/* Spreads `pictures`, of which every group has its keyframe, over the clip: whichever group has its
 * pictures farthest apart gets the next, as long as it has more. A group of which n are wanted is
 * decoded to (n - 1) / n. */
void video_reach_plan(struct video_reach *r, int pictures, int64_t end_ms);
/* Whether what is decoded at that time is in reach, by its time alone. */
bool video_reach_covers(const struct video_reach *r, int64_t time_ms);
/* By either; `number` is that of the picture in its group, from 0. */
bool video_reach_includes(const struct video_reach *r, int64_t time_ms, int64_t number);

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
                     const struct media_wishes *wishes, struct error *e);
void video_track_close(struct video_track *v);
int video_track_feed(struct video_track *v, const AVPacket *packet, struct error *e);
/* Takes out what the decoder still holds. */
int video_track_finish(struct video_track *v, struct error *e);
/* After the last pass: offers the damaged spare when no sound picture was found. */
int video_track_offer_spare(struct video_track *v, struct error *e);
/* The plan for another pass when what was found is not good enough; the same plan: none. */
enum video_plan video_track_next_plan(const struct video_track *v);
/* Goes back to the start for a pass with another plan. */
int video_track_restart(struct video_track *v, enum video_plan plan, struct error *e);

#endif
