/* file.h - a media file opened for reading, shared by the files of this room. */
#ifndef OCC_INGEST_MEDIA_FILE_H
#define OCC_INGEST_MEDIA_FILE_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "ingest/media/media.h"

struct media_file {
    int fd;
    struct heartbeat *heartbeat;
    int stage; /* sent with each heartbeat */
    AVIOContext *io;
    AVFormatContext *format;
};

/* Opens and probes. ERR_FORMAT with libavformat's reason when it is not a media file. */
int media_file_open(struct media_file *f, const char *path, struct heartbeat *heartbeat,
                    struct error *e);
void media_file_close(struct media_file *f);

bool media_is_cover(const AVStream *stream);
/* Also where the writer did not say so: a track of one still picture. */
bool media_is_still(const AVStream *stream);
/* The video itself where there is one, else a cover that is stored as a track, else NULL. */
AVStream *media_choose_video(AVFormatContext *format);
/* Makes the collection of candidates, unless it is there already or no pictures are asked for. */
int media_open_thumbnails(struct media *m, const struct media_options *options, struct error *e);

/* libavcodec's name of the codec; of an unknown one the four characters that stand for it in the
 * container, in `text`. */
const char *media_codec_name(const AVStream *stream, char text[AV_FOURCC_MAX_STRING_SIZE]);

/* A decoder for a stream, single-threaded, reproducible; *out NULL with result ERR_UNSUPPORTED when
 * this libavcodec has none or the stream is encrypted. */
int media_decoder_open(AVCodecContext **out, const AVStream *stream, struct error *e);

/* Presentation time of a time stamp in milliseconds from the start of the clip; -1: it has none. */
int64_t media_time_ms(const struct media_file *f, const AVStream *stream, int64_t timestamp);

/* Only the first thing that goes wrong is reported. */
void media_problem(struct media *m, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
