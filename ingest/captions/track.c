/* track.c - captions out of tracks inside containers: which packets are text, and at what time. See
 * caption.h. */
#include "ingest/captions/caption.h"

#include <libavcodec/avcodec.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/captions/encoding.h"
#include "ingest/captions/formats.h"
#include "ingest/captions/text.h"

enum {
    PACKET_BYTES = 128 * 1024, /* of one event: mov_text with styles needs at most about 64 KiB */
    LENGTH_BYTES = 2,          /* before the text of mov_text */
};

struct caption_decoder {
    enum AVCodecID codec;
    AVRational time_base;
    struct bytes text;
    size_t untimed; /* 1 + index of the first cue whose end is only guessed so far, else 0 */
};

static bool is_text_codec(enum AVCodecID id) {
    return id == AV_CODEC_ID_MOV_TEXT || id == AV_CODEC_ID_SUBRIP || id == AV_CODEC_ID_ASS ||
           id == AV_CODEC_ID_SSA || id == AV_CODEC_ID_WEBVTT || id == AV_CODEC_ID_TEXT;
}

int caption_decoder_open(struct caption_decoder **out, const struct AVCodecParameters *parameters,
                         int time_base_num, int time_base_den, struct error *e) {
    *out = NULL;
    if (!is_text_codec(parameters->codec_id)) {
        return error_set(e, ERR_UNSUPPORTED, "%s is not a caption codec that is read as text",
                         avcodec_get_name(parameters->codec_id));
    }
    if (time_base_num <= 0 || time_base_den <= 0) {
        return error_set(e, ERR_FORMAT, "caption track with time base %d/%d", time_base_num,
                         time_base_den);
    }
    struct caption_decoder *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    bytes_init(&d->text, (size_t)3 * PACKET_BYTES); /* a replaced byte becomes three */
    d->codec = parameters->codec_id;
    d->time_base = (AVRational){time_base_num, time_base_den};
    *out = d;
    return 0;
}

void caption_decoder_close(struct caption_decoder *d) {
    if (d == NULL) {
        return;
    }
    bytes_close(&d->text);
    free(d);
}

/* A time in the track's units as milliseconds; false for none and for nonsense. */
static bool to_ms(const struct caption_decoder *d, int64_t time, int64_t *ms) {
    if (time == AV_NOPTS_VALUE) {
        return false;
    }
    *ms = av_rescale_q(time, d->time_base, (AVRational){1, 1000});
    return *ms >= -CAPTION_LATEST_MS && *ms <= CAPTION_LATEST_MS;
}

/* Text that has no markup. */
static int add_plain(struct cue_list *cues, int64_t start_ms, int64_t end_ms, const char *text,
                     size_t size, struct error *e) {
    struct bytes plain;
    bytes_init(&plain, CAPTION_TEXT_BYTES);
    struct caption_text w = caption_text_begin(&plain, e);
    caption_text_write(&w, text, size);
    int rc = caption_text_end(&w);
    if (rc == 0) {
        rc = cue_add(cues, start_ms, end_ms, bytes_text(&plain), plain.size, e);
    }
    bytes_close(&plain);
    return rc;
}

/* The text of mov_text (3GPP TS 26.245, 5.17): its length is before it, its styles are after it. */
static void cut_mov_text(const unsigned char **data, size_t *size) {
    size_t left = *size < LENGTH_BYTES ? 0 : *size - LENGTH_BYTES;
    size_t length = left > 0 ? (size_t)(*data)[0] << 8 | (*data)[1] : 0;
    *data += left > 0 ? LENGTH_BYTES : 0;
    *size = length < left ? length : left;
}

static int add_text(struct caption_decoder *d, const struct AVPacket *packet, int64_t start_ms,
                    int64_t end_ms, struct cue_list *cues, struct error *e) {
    const unsigned char *data = packet->data;
    size_t size = (size_t)packet->size, repaired = 0;
    if (d->codec == AV_CODEC_ID_MOV_TEXT) {
        cut_mov_text(&data, &size);
    }
    int rc = caption_clean_text(&d->text, data, size, &repaired, e);
    if (rc < 0) {
        return rc;
    }
    const char *text = bytes_text(&d->text);
    switch ((int)d->codec) {
    case AV_CODEC_ID_ASS:
    case AV_CODEC_ID_SSA:
        return ass_add_event(cues, start_ms, end_ms, text, d->text.size, e);
    case AV_CODEC_ID_SUBRIP:
        return subrip_add_cue(cues, start_ms, end_ms, text, d->text.size, e);
    case AV_CODEC_ID_WEBVTT:
        return webvtt_add_cue(cues, start_ms, end_ms, text, d->text.size, e);
    default:
        return add_plain(cues, start_ms, end_ms, text, d->text.size, e);
    }
}

/* The packet at `time`, even one without text, ends cues that had no end of their own. */
static void end_untimed(struct caption_decoder *d, struct cue_list *cues, int64_t time) {
    for (size_t i = d->untimed; i > 0 && i <= cues->count; i++) {
        struct cue *cue = &cues->items[i - 1];
        if (time > cue->start_ms && time < cue->end_ms) {
            cue->end_ms = time;
        }
    }
    d->untimed = 0;
}

int caption_decoder_feed(struct caption_decoder *d, const struct AVPacket *packet,
                         struct cue_list *cues, struct error *e) {
    int64_t time = 0, duration = 0;
    if (!to_ms(d, packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts, &time)) {
        return 0;
    }
    end_untimed(d, cues, time);
    if (packet->size <= 0 || packet->size > PACKET_BYTES) {
        return 0;
    }
    bool timed = packet->duration > 0 && to_ms(d, packet->duration, &duration) && duration > 0;
    size_t before = cues->count;
    int rc = add_text(d, packet, time, time + (timed ? duration : CUE_UNTIMED_MS), cues, e);
    if (rc == 0 && !timed && cues->count > before) {
        d->untimed = before + 1;
    }
    return rc;
}
