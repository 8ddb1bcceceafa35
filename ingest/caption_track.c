/* caption_track.c - captions out of files and tracks, with libavformat and libavcodec.
 *
 * A caption file is handed to the demuxer of its kind from memory, as clean UTF-8; its packets then
 * go the way of a track inside a container: the decoder of the codec gives ASS events, whose text
 * and name fields are taken. The time of a cue is that of the packet. See caption.h. */
#include "ingest/caption.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ingest/caption_voice.h"
#include "store/utf16.h"
#include "store/utf8.h"

enum {
    FILE_BYTES = 16 * 1024 * 1024,
    PACKET_BYTES = 128 * 1024, /* of one event: mov_text with styles needs at most about 64 KiB */
    IO_BUFFER_BYTES = 32 * 1024,
    CLOCK_DIGITS = 9, /* of one number, so that it fits an int */
    NAME_FIELD = 3,   /* commas before the name of an ASS event */
    TEXT_FIELD = 8,   /* and before its text */
};

/* ---- one track --------------------------------------------------------- */

struct caption_decoder {
    AVCodecContext *context;
    AVPacket *packet;
    AVRational time_base;
    struct bytes text;
    size_t untimed; /* 1 + index of the first cue whose end is only guessed so far, else 0 */
};

static bool is_text_codec(enum AVCodecID id) {
    return id == AV_CODEC_ID_MOV_TEXT || id == AV_CODEC_ID_SUBRIP || id == AV_CODEC_ID_ASS ||
           id == AV_CODEC_ID_SSA || id == AV_CODEC_ID_WEBVTT || id == AV_CODEC_ID_TEXT;
}

static int open_codec(struct caption_decoder *d, const AVCodec *codec,
                      const struct AVCodecParameters *parameters, struct error *e) {
    d->packet = av_packet_alloc();
    d->context = avcodec_alloc_context3(codec);
    if (!d->packet || !d->context) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    int rc = avcodec_parameters_to_context(d->context, parameters);
    if (rc >= 0) {
        d->context->pkt_timebase = d->time_base;
        /* Without this, events that are not valid UTF-8 are dropped; here they are repaired. */
        d->context->sub_charenc_mode = FF_SUB_CHARENC_MODE_IGNORE;
        rc = avcodec_open2(d->context, codec, NULL);
    }
    if (rc == AVERROR(ENOMEM)) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    return rc < 0 ? error_set(e, ERR_FORMAT, "malformed %s track", codec->name) : 0;
}

int caption_decoder_open(struct caption_decoder **out, const struct AVCodecParameters *parameters,
                         int time_base_num, int time_base_den, struct error *e) {
    *out = NULL;
    const AVCodec *codec = NULL;
    if (is_text_codec(parameters->codec_id)) {
        codec = avcodec_find_decoder(parameters->codec_id);
    }
    if (!codec) {
        return error_set(e, ERR_UNSUPPORTED, "%s is no caption codec that is read as text",
                         avcodec_get_name(parameters->codec_id));
    }
    if (time_base_num <= 0 || time_base_den <= 0) {
        return error_set(e, ERR_FORMAT, "caption track with time base %d/%d", time_base_num,
                         time_base_den);
    }
    struct caption_decoder *d = calloc(1, sizeof *d);
    if (!d) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    bytes_init(&d->text, (size_t)4 * PACKET_BYTES); /* a replaced byte becomes three */
    d->time_base = (AVRational){time_base_num, time_base_den};
    int rc = open_codec(d, codec, parameters, e);
    if (rc < 0) {
        caption_decoder_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

void caption_decoder_close(struct caption_decoder *d) {
    if (!d) {
        return;
    }
    bytes_close(&d->text);
    avcodec_free_context(&d->context);
    av_packet_free(&d->packet);
    free(d);
}

/* "ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text" from one of its fields on. */
static const char *event_field(const char *event, int field) {
    for (int commas = 0; event && commas < field; commas++) {
        const char *comma = strchr(event, ',');
        event = comma ? comma + 1 : NULL;
    }
    return event;
}

/* "NTP" is nobody: converters write it where SubStation's format wants a name. */
static struct caption_voice event_voice(const char *event) {
    const char *name = event_field(event, NAME_FIELD);
    size_t size = name && strncmp(name, "NTP,", 4) != 0 ? strcspn(name, ",") : 0;
    return (struct caption_voice){name, size};
}

/* A time in the track's units as milliseconds; false for none and for nonsense. */
static bool to_ms(const struct caption_decoder *d, int64_t time, int64_t *ms) {
    if (time == AV_NOPTS_VALUE) {
        return false;
    }
    *ms = av_rescale_q(time, d->time_base, (AVRational){1, 1000});
    return *ms >= -CAPTION_LATEST_MS && *ms <= CAPTION_LATEST_MS;
}

static int add_cue(struct caption_decoder *d, struct cue_list *cues, int64_t start, int64_t end,
                   const char *text, const struct caption_voice *voice, struct error *e) {
    size_t before = cues->count;
    bytes_clear(&d->text);
    int rc = caption_strip_ass(&d->text, text, strlen(text), e);
    if (rc == 0) {
        rc = cue_add(cues, start, end, bytes_text(&d->text), d->text.size, e);
    }
    bool added = cues->count > before;
    return added ? caption_voice_name(&cues->items[before].speaker, cues->arena, voice, e) : rc;
}

/* `voice` is who says all of a WebVTT event, NULL for other codecs. */
static int add_event(struct caption_decoder *d, const AVSubtitle *event, int64_t time,
                     const struct caption_voice *voice, struct cue_list *cues, struct error *e) {
    int64_t duration = 0;
    if (d->packet->duration <= 0 || !to_ms(d, d->packet->duration, &duration)) {
        bool known = event->end_display_time != UINT32_MAX;
        duration = known ? (int64_t)event->end_display_time : 0;
    }
    bool timed = duration > 0;
    int64_t end = time + (timed ? duration : CAPTION_UNTIMED_MS);
    size_t before = cues->count;
    int rc = 0;
    for (unsigned i = 0; i < event->num_rects && rc == 0; i++) {
        const AVSubtitleRect *rect = event->rects[i];
        const char *text = rect->ass ? event_field(rect->ass, TEXT_FIELD) : rect->text;
        if (text) {
            struct caption_voice named = voice ? *voice : event_voice(rect->ass);
            rc = add_cue(d, cues, time + event->start_display_time, end, text, &named, e);
        }
    }
    if (rc == 0 && !timed && cues->count > before && d->untimed == 0) {
        d->untimed = before + 1;
    }
    return rc;
}

/* The packet at `time`, be it one without text, ends cues that had no end of their own. */
static void end_untimed(struct caption_decoder *d, struct cue_list *cues, int64_t time) {
    for (size_t i = d->untimed; i > 0 && i <= cues->count; i++) {
        struct cue *cue = &cues->items[i - 1];
        if (time > cue->start_ms && time < cue->end_ms) {
            cue->end_ms = time;
        }
    }
    d->untimed = 0;
}

static int decode(struct caption_decoder *d, int64_t time, const struct caption_voice *voice,
                  struct cue_list *cues, struct error *e) {
    AVSubtitle event = {0};
    int found = 0;
    if (voice) {
        caption_voice_hide((char *)d->packet->data, (size_t)d->packet->size);
    }
    int rc = avcodec_decode_subtitle2(d->context, &event, &found, d->packet);
    if (rc == AVERROR(ENOMEM)) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    } else if (rc < 0 || !found) {
        rc = 0; /* one malformed event costs itself only */
    } else {
        rc = add_event(d, &event, time, voice, cues, e);
    }
    if (found) {
        avsubtitle_free(&event);
    }
    return rc;
}

/* d->packet becomes a part of `packet`, copied because the decoders read up to a zero byte. */
static int copy_part(struct caption_decoder *d, const char *text, size_t size,
                     const AVPacket *packet, struct error *e) {
    if (av_new_packet(d->packet, (int)size) < 0 || av_packet_copy_props(d->packet, packet) < 0) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    memcpy(d->packet->data, text, size);
    return 0;
}

int caption_decoder_feed(struct caption_decoder *d, const struct AVPacket *packet,
                         struct cue_list *cues, struct error *e) {
    int64_t time = 0;
    if (!to_ms(d, packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts, &time)) {
        return 0;
    }
    end_untimed(d, cues, time);
    if (packet->size <= 0 || packet->size > PACKET_BYTES) {
        return 0;
    }
    bool has_voices = d->context->codec_id == AV_CODEC_ID_WEBVTT;
    const char *text = (const char *)packet->data;
    size_t size = 0, total = (size_t)packet->size;
    int rc = 0;
    for (size_t at = 0; at < total && rc == 0; at += size) {
        struct caption_voice voice = {NULL, 0};
        size = has_voices ? caption_voice_part(text + at, total - at, &voice) : total;
        rc = copy_part(d, text + at, size, packet, e);
        if (rc == 0) {
            rc = decode(d, time, has_voices ? &voice : NULL, cues, e);
        }
        av_packet_unref(d->packet);
    }
    return rc;
}

/* ---- a file as text ---------------------------------------------------- */

/* Clean UTF-8 without byte order mark and without zero bytes, at which libavformat's line reader
 * would stop for good. */
static int clean_text(struct bytes *out, const unsigned char *data, size_t size, size_t *repaired,
                      struct error *e) {
    int rc;
    enum utf16_order order = utf16_detect(data, size);
    if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
        data += 3;
        size -= 3;
    }
    if (order != UTF16_NONE) {
        rc = utf16_to_utf8(out, data, size, order, repaired, e);
    } else {
        rc = utf8_repair(out, (const char *)data, size, repaired, e);
    }
    for (size_t i = 0; rc == 0 && i < out->size; i++) {
        if (out->data[i] == 0) {
            out->data[i] = ' ';
            *repaired += 1;
        }
    }
    return rc;
}

/* The size of "1:02:03.456" or "02:03.456" at `p`; 0 where there is none. */
static size_t clock_size(const char *p, const char *end) {
    size_t size = 0, left = (size_t)(end - p);
    bool fraction = false;
    for (int numbers = 1; numbers <= 4; numbers++) {
        size_t first = size;
        while (size < left && p[size] >= '0' && p[size] <= '9') {
            size++;
        }
        if (size == first || size - first > CLOCK_DIGITS) {
            return 0;
        }
        if (fraction) {
            return size;
        }
        char separator = size < left ? p[size] : 0;
        fraction = separator == '.' && numbers >= 2;
        if (!fraction && separator != ':') {
            return 0;
        }
        size++;
    }
    return 0;
}

static const char *skip_blanks(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    return p;
}

static bool is_timing_line(const char *p, const char *end) {
    size_t start = clock_size(p, end);
    p = skip_blanks(p + start, end);
    if (start == 0 || end - p < 3 || memcmp(p, "-->", 3) != 0) {
        return false;
    }
    p = skip_blanks(p + 3, end);
    return clock_size(p, end) > 0;
}

/* Leaves only the cues of a WebVTT file, each from the line with its times on. The standard wants
 * blocks of other kinds skipped; libavformat's reader knows NOTE and ends at anything else. */
static void keep_vtt_cues(struct bytes *text) {
    size_t kept = 0;
    bool in_cue = false;
    for (size_t at = 0, next; at < text->size; at = next) {
        const char *line = (const char *)text->data + at;
        next = at;
        while (next < text->size && text->data[next] != '\n' && text->data[next] != '\r') {
            next++;
        }
        size_t size = next - at;
        next += next + 1 < text->size && memcmp(text->data + next, "\r\n", 2) == 0;
        next += next < text->size;
        in_cue = in_cue ? size > 0 : is_timing_line(line, line + size);
        if (in_cue || size == 0) { /* the empty lines keep cues apart */
            memmove(text->data + kept, line, next - at);
            kept += next - at;
        }
    }
    text->size = kept;
}

/* ---- a file as packets ------------------------------------------------- */

struct memory {
    const unsigned char *data;
    int64_t size, at;
};

static int memory_read(void *opaque, uint8_t *buffer, int size) {
    struct memory *m = opaque;
    int64_t left = m->size - m->at;
    int count = left < size ? (int)left : size;
    if (count <= 0) {
        return AVERROR_EOF;
    }
    memcpy(buffer, m->data + m->at, (size_t)count);
    m->at += count;
    return count;
}

static int64_t memory_seek(void *opaque, int64_t offset, int whence) {
    struct memory *m = opaque;
    if (whence & AVSEEK_SIZE) {
        return m->size;
    }
    if ((whence & ~AVSEEK_FORCE) != SEEK_SET || offset < 0 || offset > m->size) {
        return AVERROR(EINVAL); /* libavformat turns the other kinds into SEEK_SET itself */
    }
    m->at = offset;
    return offset;
}

/* A caption file has no business opening another one. */
static int refuse_open(struct AVFormatContext *s, AVIOContext **pb, const char *url, int flags,
                       AVDictionary **options) {
    (void)s;
    (void)pb;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

static int read_packets(struct cue_list *cues, AVFormatContext *format, struct error *e) {
    if (format->nb_streams < 1) {
        return 0;
    }
    const AVStream *stream = format->streams[0];
    struct caption_decoder *decoder = NULL;
    int rc = caption_decoder_open(&decoder, stream->codecpar, stream->time_base.num,
                                  stream->time_base.den, e);
    if (!decoder) {
        return rc;
    }
    AVPacket *packet = av_packet_alloc();
    if (!packet) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
        goto done;
    }
    while (rc == 0) {
        int read = av_read_frame(format, packet);
        if (read == AVERROR(ENOMEM)) {
            rc = error_set(e, ERR_MEMORY, "out of memory");
        }
        if (read < 0) {
            break;
        }
        rc = caption_decoder_feed(decoder, packet, cues, e);
        av_packet_unref(packet);
    }
done:
    av_packet_free(&packet);
    caption_decoder_close(decoder);
    return rc;
}

static int read_text(struct cue_list *cues, const struct bytes *text, const AVInputFormat *demuxer,
                     struct error *e) {
    struct memory memory = {.data = text->data, .size = (int64_t)text->size};
    int rc = ERR_MEMORY;
    AVIOContext *io = NULL;
    AVFormatContext *format = avformat_alloc_context();
    unsigned char *buffer = av_malloc(IO_BUFFER_BYTES);
    if (format && buffer) {
        io =
            avio_alloc_context(buffer, IO_BUFFER_BYTES, 0, &memory, memory_read, NULL, memory_seek);
    }
    if (!io) {
        av_free(buffer);
        avformat_free_context(format);
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    format->pb = io;
    format->io_open = refuse_open;
    int opened = avformat_open_input(&format, "", demuxer, NULL); /* frees `format` on failure */
    if (opened == AVERROR(ENOMEM)) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    } else {
        rc = opened < 0 ? 0 : read_packets(cues, format, e);
    }
    if (opened >= 0) {
        avformat_close_input(&format);
    }
    av_freep(&io->buffer);
    avio_context_free(&io);
    return rc;
}

static const AVInputFormat *find_demuxer(const char *extension) {
    static const char *const names[][2] = {
        {"srt", "srt"}, {"vtt", "webvtt"}, {"ass", "ass"}, {"ssa", "ass"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(extension, names[i][0]) == 0) {
            return av_find_input_format(names[i][1]);
        }
    }
    return NULL;
}

int caption_read_file(struct cue_list *cues, const void *data, size_t size, const char *format,
                      size_t *repaired, struct error *e) {
    const AVInputFormat *demuxer = find_demuxer(format);
    if (!demuxer) {
        return error_set(e, ERR_UNSUPPORTED, "captions of kind \"%.16s\" are not read", format);
    }
    if (size > FILE_BYTES) {
        return error_set(e, ERR_LIMIT, "caption file of %zu bytes; at most %d are read", size,
                         FILE_BYTES);
    }
    size_t before = cues->count, mended = 0;
    struct bytes text;
    bytes_init(&text, (size_t)3 * FILE_BYTES); /* a replaced byte becomes three */
    int rc = clean_text(&text, data, size, &mended, e);
    if (strcasecmp(format, "vtt") == 0) {
        keep_vtt_cues(&text);
    }
    if (rc == 0 && text.size > 0) {
        rc = read_text(cues, &text, demuxer, e);
    }
    bytes_close(&text);
    if (rc == 0 && cues->count == before) {
        rc = error_set(e, ERR_FORMAT, "no caption found in a file of kind \"%.16s\"", format);
    }
    if (rc < 0) {
        cues->count = before;
        return rc;
    }
    if (repaired) {
        *repaired += mended;
    }
    return 0;
}
