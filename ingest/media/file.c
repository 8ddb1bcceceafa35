/* file.c - opening media files safely. See file.h. */
#include "ingest/media/file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/file.h"

enum { IO_BUFFER = 64 * 1024, PROBE_BYTES = 5 * 1000 * 1000, STREAMS_LIMIT = 256 };

/* The containers that people's clips come in; all others are refused before a line of their
 * demuxers runs. Those that describe other files (hls, dash, concat, imf, sdp) are left out on
 * purpose: with opens refused, some of those demuxers crash. */
static const char CONTAINERS[] = "mov,matroska,avi,flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,"
                                 "ivf,asf,ogg,nut,mxf,rm,dv,wtv,"
                                 "mjpeg,mp3,aac,ac3,eac3,flac,wav,w64,aiff,caf,amr,gif,apng,jpeg_"
                                 "pipe,png_pipe,webp_pipe,bmp_pipe,"
                                 "tiff_pipe,jpegxl_pipe";

void media_silence(void) {
    av_log_set_level(AV_LOG_QUIET);
}

void media_version(char text[MEDIA_VERSION_BYTES]) {
    unsigned version = avcodec_version();
    snprintf(text, MEDIA_VERSION_BYTES, "%u.%u.%u", version >> 16, version >> 8 & 255,
             version & 255);
}

static int io_read(void *context, uint8_t *buffer, int size) {
    struct media_file *f = context;
    heartbeat_step(f->heartbeat, f->stage);
    for (;;) {
        ssize_t got = read(f->fd, buffer, (size_t)size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        return got < 0 ? AVERROR(errno) : got == 0 ? AVERROR_EOF : (int)got;
    }
}

static int64_t io_seek(void *context, int64_t offset, int whence) {
    struct media_file *f = context;
    heartbeat_step(f->heartbeat, f->stage);
    off_t here = 0, result;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) {
        here = lseek(f->fd, 0, SEEK_CUR);
        result = lseek(f->fd, 0, SEEK_END);
        if (here < 0 || lseek(f->fd, here, SEEK_SET) < 0) {
            return AVERROR(errno);
        }
    } else {
        result = lseek(f->fd, (off_t)offset, whence);
    }
    return result < 0 ? AVERROR(errno) : (int64_t)result;
}

/* A playlist or a reference movie may name other files: none is ever opened. */
static int refuse_open(struct AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options) {
    (void)format, (void)io, (void)url, (void)flags, (void)options;
    return AVERROR(EPERM);
}

static int code_of(int av_error) {
    if (av_error == AVERROR(ENOMEM)) {
        return ERR_MEMORY;
    }
    return av_error == AVERROR(EIO) ? ERR_IO : ERR_FORMAT;
}

static int av_failure(int av_error, const char *what, struct error *e) {
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(av_error, reason, sizeof reason);
    return error_set(e, code_of(av_error), "%s: %s", what, reason);
}

static int probe(struct media_file *f, struct error *e) {
    int result = avformat_open_input(&f->format, NULL, NULL, NULL);
    if (result < 0) {
        return av_failure(result, "not a media file", e);
    }
    if (f->format->nb_streams > STREAMS_LIMIT) {
        return error_set(e, ERR_LIMIT, "more than %d tracks", STREAMS_LIMIT);
    }
    result = avformat_find_stream_info(f->format, NULL);
    if (result < 0) {
        return av_failure(result, "cannot read the tracks", e);
    }
    return 0;
}

int media_file_open(struct media_file *f, const char *path, struct heartbeat *heartbeat,
                    struct error *e) {
    *f = (struct media_file){.fd = -1, .heartbeat = heartbeat, .stage = STAGE_OPEN};
    int rc = file_open_regular(path, &f->fd, e);
    if (rc < 0) {
        return rc;
    }
    unsigned char *buffer = av_malloc(IO_BUFFER);
    f->io =
        buffer != NULL ? avio_alloc_context(buffer, IO_BUFFER, 0, f, io_read, NULL, io_seek) : NULL;
    if (f->io == NULL) {
        av_free(buffer);
    }
    f->format = f->io != NULL ? avformat_alloc_context() : NULL;
    if (f->format == NULL) {
        rc = error_memory(e, NULL);
    } else {
        f->format->pb = f->io;
        f->format->io_open = refuse_open;
        f->format->flags |= AVFMT_FLAG_CUSTOM_IO;
        f->format->probesize = PROBE_BYTES;
        f->format->max_streams = STREAMS_LIMIT;
        f->format->format_whitelist = av_strdup(CONTAINERS);
        rc = f->format->format_whitelist != NULL ? probe(f, e) : error_memory(e, NULL);
    }
    if (rc < 0) {
        media_file_close(f);
    }
    return rc;
}

void media_file_close(struct media_file *f) {
    avformat_close_input(&f->format);
    if (f->io != NULL) {
        av_freep(&f->io->buffer);
    }
    avio_context_free(&f->io);
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = -1;
}

bool media_is_cover(const AVStream *stream) {
    return stream->disposition & AV_DISPOSITION_ATTACHED_PIC;
}

bool media_is_still(const AVStream *stream) {
    enum AVCodecID codec = stream->codecpar->codec_id;
    bool still = codec == AV_CODEC_ID_MJPEG || codec == AV_CODEC_ID_PNG;
    return media_is_cover(stream) || (still && stream->nb_frames == 1);
}

AVStream *media_choose_video(AVFormatContext *format) {
    AVStream *cover = NULL;
    int64_t best_pixels = -1;
    AVStream *best = NULL;
    for (unsigned i = 0; i < format->nb_streams; i++) {
        AVStream *stream = format->streams[i];
        if (stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) {
            continue;
        }
        int64_t pixels = (int64_t)stream->codecpar->width * stream->codecpar->height;
        if (media_is_cover(stream)) {
            cover = cover != NULL ? cover : stream;
        } else if (pixels > best_pixels) {
            best = stream;
            best_pixels = pixels;
        }
    }
    return best != NULL ? best : cover;
}

int media_open_thumbnails(struct media *m, const struct media_options *options, struct error *e) {
    if (m->thumbnails != NULL || options->thumbs == 0) {
        return 0;
    }
    int rc = still_scaler_open(&m->scaler, options->thumb_size, e);
    return rc < 0 ? rc : thumbnails_open(&m->thumbnails, options->thumbs, m->duration_ms, e);
}

const char *media_codec_name(const AVStream *stream, char text[AV_FOURCC_MAX_STRING_SIZE]) {
    const AVCodecParameters *about = stream->codecpar;
    bool unknown = about->codec_id == AV_CODEC_ID_NONE && about->codec_tag != 0;
    return unknown ? av_fourcc_make_string(text, about->codec_tag)
                   : avcodec_get_name(about->codec_id);
}

int media_decoder_open(AVCodecContext **out, const AVStream *stream, struct error *e) {
    *out = NULL;
    enum AVCodecID id = stream->codecpar->codec_id;
    const AVCodec *codec = avcodec_find_decoder(id);
    if (codec == NULL) {
        char text[AV_FOURCC_MAX_STRING_SIZE];
        const char *name = media_codec_name(stream, text);
        return error_set(e, ERR_UNSUPPORTED, "no decoder for %s", name);
    }
    if (av_dict_get(stream->metadata, "enc_key_id", NULL, 0) != NULL) { /* of WebM */
        return error_set(e, ERR_UNSUPPORTED, "encrypted");
    }
    AVCodecContext *decoder = avcodec_alloc_context3(codec);
    if (decoder == NULL) {
        return error_memory(e, NULL);
    }
    int result = avcodec_parameters_to_context(decoder, stream->codecpar);
    decoder->thread_count = 1;
    decoder->pkt_timebase = stream->time_base;
    decoder->flags |= AV_CODEC_FLAG_BITEXACT;
    decoder->max_pixels = MEDIA_MAX_PIXELS;
    if (result >= 0) {
        result = avcodec_open2(decoder, codec, NULL);
    }
    if (result < 0) {
        avcodec_free_context(&decoder);
        return av_failure(result, codec->name, e);
    }
    *out = decoder;
    return 0;
}

int64_t media_time_ms(const struct media_file *f, const AVStream *stream, int64_t timestamp) {
    const int64_t latest = INT64_C(1) << 50; /* far from where sums overflow: 35,000 years */
    if (timestamp == AV_NOPTS_VALUE) {
        return -1;
    }
    int64_t start = f->format->start_time == AV_NOPTS_VALUE ? 0 : f->format->start_time / 1000;
    int64_t time = av_rescale_q(timestamp, stream->time_base, (AVRational){1, 1000});
    if (time < -latest || time > latest || start < -latest || start > latest) {
        return -1;
    }
    return time > start ? time - start : 0;
}

void media_problem(struct media *m, const char *reason, const char *format, ...) {
    if (m->reason != NULL) {
        return;
    }
    m->reason = reason;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(m->message, sizeof m->message, format, arguments);
    va_end(arguments);
}
