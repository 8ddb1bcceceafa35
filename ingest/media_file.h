/* media_file.h - a media file opened for reading, shared by media.c and media_video.c. */
#ifndef OCC_INGEST_MEDIA_FILE_H
#define OCC_INGEST_MEDIA_FILE_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "ingest/media.h"

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

/* A decoder for a stream, single-threaded, reproducible; *out NULL with result ERR_UNSUPPORTED when
 * this libavcodec has none. */
int media_decoder_open(AVCodecContext **out, const AVStream *stream, struct error *e);

/* Presentation time of a time stamp in milliseconds from the start of the clip; -1: it has none. */
int64_t media_time_ms(const struct media_file *f, const AVStream *stream, int64_t timestamp);

/* The first thing that goes wrong is the one that is told. */
void media_problem(struct media *m, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- The video track (media_video.c)
 * --------------------------------------------------------------- */

/* How pictures are found. Keyframes are enough when there are as many as thumbnails; each is
 * decoded by itself, so open GOPs and joins do no harm. Otherwise everything that other pictures
 * refer to is decoded. */
enum video_plan { VIDEO_KEYFRAMES, VIDEO_EVERYTHING };

struct video_track {
    struct media *media;
    struct media_file *file;
    AVStream *stream;
    AVCodecContext *decoder;
    AVFrame *frame, *spare; /* spare: a damaged picture, used when there is no other */
    enum video_plan plan;
    const int32_t *matrix; /* display matrix, or NULL */
    int errors_in_a_row;
    bool given_up;
    int64_t untimed; /* frames without any time stamp, to give them one by the frame rate */
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
/* Goes back to the start for a second pass over every picture. */
int video_track_restart(struct video_track *v, struct error *e);

#endif
