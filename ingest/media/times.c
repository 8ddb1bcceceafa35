/* times.c - see times.h. */
#include "ingest/media/times.h"

#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

enum {
    REORDER_MOST = 16, /* pictures that may be decoded before one that is shown earlier */
    DELAY_MOST = 16,   /* both are H.264's limit */
    HELD_MOST = REORDER_MOST + 1 + REORDER_MOST + DELAY_MOST,
    SEQUENCE_GAP = 1024, /* pictures before the first of a sequence have lower numbers than it */
};

#define STEP_MOST (INT64_C(1) << 32)

struct held_packet {
    AVPacket *packet; /* NULL once it was given out */
    int64_t order;    /* rises in the order of presentation */
    int64_t decoded;  /* decoding time, from the container or from the frame rate */
};

struct media_times {
    const AVStream *stream;
    AVCodecContext *context;      /* of the parser, not opened */
    AVCodecParserContext *parser; /* NULL: none for this codec, which then has no B-pictures */
    bool counts;                  /* the parser gives the order count, not just the type */
    int delay;                    /* packets after that of a picture when it comes out */
    int64_t step;                 /* of one picture, in the stream's time base */
    bool started, ended;
    int64_t base, highest; /* of the order: where this sequence begins, the latest so far */
    int64_t last_decoded;  /* AV_NOPTS_VALUE before the first packet */
    struct held_packet held[HELD_MOST];
    int count, next; /* held[next] is given out next; those before it are looked at still */
};

int media_times_open(struct media_times **out, const AVStream *stream, struct error *e) {
    enum AVCodecID id = stream->codecpar->codec_id;
    struct media_times *t = calloc(1, sizeof *t);
    *out = t;
    if (t == NULL) {
        return error_memory(e, NULL);
    }
    t->stream = stream;
    t->counts = id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC;
    int delay = stream->codecpar->video_delay;
    t->delay = delay < 0 ? 0 : delay < DELAY_MOST ? delay : DELAY_MOST;
    AVRational rate = stream->avg_frame_rate;
    rate = rate.num > 0 && rate.den > 0 ? rate : (AVRational){25, 1}; /* libavformat's, raw */
    t->step = av_rescale_q(1, av_inv_q(rate), stream->time_base);
    t->step = t->step > 0 && t->step < STEP_MOST ? t->step : 0;
    t->context = avcodec_alloc_context3(NULL);
    if (t->context == NULL || avcodec_parameters_to_context(t->context, stream->codecpar) < 0) {
        return error_memory(e, NULL);
    }
    media_times_restart(t);
    return 0;
}

void media_times_close(struct media_times *t) {
    if (t != NULL) {
        for (int i = 0; i < t->count; i++) {
            av_packet_free(&t->held[i].packet);
        }
        av_parser_close(t->parser);
        avcodec_free_context(&t->context);
        free(t);
    }
}

void media_times_restart(struct media_times *t) {
    for (int i = 0; i < t->count; i++) {
        av_packet_free(&t->held[i].packet);
    }
    av_parser_close(t->parser);
    t->parser = av_parser_init(t->stream->codecpar->codec_id);
    if (t->parser != NULL) {
        t->parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    }
    t->started = t->ended = false;
    t->count = t->next = 0;
    t->base = t->highest = 0;
    t->last_decoded = AV_NOPTS_VALUE;
}

bool media_times_wants(const struct media_times *t, const AVPacket *packet) {
    return t->started || packet->pts == AV_NOPTS_VALUE;
}

/* Counts begin anew with each closed sequence; a keyframe within one is later than all before it.
 * Pictures of type B are shown at once, each other one when the next of these is decoded. */
static int64_t order_of(struct media_times *t, const AVPacket *packet) {
    uint8_t *data = NULL;
    int size = 0;
    if (t->parser != NULL) {
        av_parser_parse2(t->parser, t->context, &data, &size, packet->data, packet->size,
                         AV_NOPTS_VALUE, AV_NOPTS_VALUE, -1);
    }
    if (t->parser != NULL && t->counts) {
        int64_t order = t->base + t->parser->output_picture_number;
        if ((packet->flags & AV_PKT_FLAG_KEY) && order <= t->highest) {
            t->base = t->highest + SEQUENCE_GAP - t->parser->output_picture_number;
            order = t->highest + SEQUENCE_GAP;
        }
        t->highest = order > t->highest ? order : t->highest;
        return order;
    }
    bool between = t->parser != NULL && (t->parser->pict_type == AV_PICTURE_TYPE_B ||
                                         t->parser->pict_type == AV_PICTURE_TYPE_BI);
    t->highest += between ? 0 : 2;
    return between ? t->highest - 1 : t->highest;
}

/* `count` pictures later; no time where that is none. */
static int64_t later(const struct media_times *t, int64_t time, int count) {
    return time > -INT64_MAX / 2 && time < INT64_MAX / 2 ? time + count * t->step : AV_NOPTS_VALUE;
}

int media_times_send(struct media_times *t, const AVPacket *packet, struct error *e) {
    if (packet == NULL) {
        t->ended = true;
        return 0;
    }
    AVPacket *copy = av_packet_clone(packet);
    if (copy == NULL) {
        return error_memory(e, NULL);
    }
    int64_t decoded = packet->dts;
    if (decoded == AV_NOPTS_VALUE) {
        bool first = t->last_decoded == AV_NOPTS_VALUE;
        decoded = first ? later(t, 0, -t->delay) : later(t, t->last_decoded, 1);
    }
    if (t->count == HELD_MOST) { /* then the first was given out long ago */
        t->count--;
        t->next--;
        memmove(t->held, t->held + 1, (size_t)t->count * sizeof *t->held);
    }
    t->held[t->count] = (struct held_packet){copy, order_of(t, packet), decoded};
    t->count++;
    t->last_decoded = decoded;
    t->started = true;
    return 0;
}

/* The place in `held` of the packet after which the picture of held[at] comes out. */
static int place_of(const struct media_times *t, int at) {
    int place = at + t->delay;
    for (int i = 0; i < t->count; i++) {
        place += i > at && i <= at + REORDER_MOST && t->held[i].order < t->held[at].order;
        place -= i < at && i >= at - REORDER_MOST && t->held[i].order > t->held[at].order;
    }
    return place;
}

bool media_times_receive(struct media_times *t, AVPacket *packet) {
    int at = t->next;
    if (at >= t->count || (!t->ended && t->count - at <= REORDER_MOST + t->delay)) {
        return false;
    }
    av_packet_move_ref(packet, t->held[at].packet);
    av_packet_free(&t->held[at].packet);
    t->next++;
    if (packet->pts == AV_NOPTS_VALUE) {
        int place = place_of(t, at), last = t->count - 1;
        int beyond = place > last ? place - last : place < 0 ? place : 0;
        packet->pts = later(t, t->held[place - beyond].decoded, beyond);
    }
    return true;
}
