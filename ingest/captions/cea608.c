/* cea608.c - see cea608.h. Sections are those of CEA-608-E. */
#include "ingest/captions/cea608.h"

#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/captions/caption.h"

enum {
    TRIPLET_BYTES = 3,
    PAIRS_MAX = 1 << 18, /* 2.4 hours without a pause; a hostile one costs libavcodec 0.1 ms */
    ASS_LIMIT = 1 << 20, /* far above 15 rows of 32 characters with their markup */
    ASS_FIELDS_BEFORE_TEXT = 8,
    SOLID_BLOCK = 0x7F,
};

/* Miscellaneous control codes: the second byte, after 0x14 (channel 1, field 1). */
enum control {
    CONTROL = 0x14,
    CONTROL_RCL = 0x20, /* resume caption loading: pop-on */
    CONTROL_RU2 = 0x25, /* roll-up of 2, 3, 4 rows */
    CONTROL_RU4 = 0x27,
    CONTROL_RDC = 0x29, /* resume direct captioning: paint-on */
    CONTROL_TR = 0x2A,  /* text restart */
    CONTROL_RTD = 0x2B, /* resume text display */
    CONTROL_EDM = 0x2C, /* erase displayed memory */
    CONTROL_ENM = 0x2E, /* erase non-displayed memory */
    CONTROL_EOC = 0x2F, /* end of caption: the memories change places */
};

struct cea608 {
    AVCodecContext *codec;
    AVPacket *packet;
    struct cea_screen *screen;
    struct bytes text;
    int64_t pairs;         /* sent so far */
    int channel;           /* that the last control code chose; 0 while none did */
    bool captions;         /* channel 1 is in a caption mode: neither in text mode nor in none */
    unsigned char last[2]; /* the last pair where it was a control code, else 0 */
};

/* In its real-time mode the decoder gives each change of the screen at once. Its ordinary mode
 * gives a caption only when it disappears, timed from the change before: that is wrong for
 * paint-on, where the change may be long ago, and loses a caption that stands when the stream
 * ends. */
static int open_codec(struct cea608 *d, const AVCodec *codec) {
    AVDictionary *options = NULL;
    int rc = av_dict_set(&options, "real_time", "1", 0);
    if (rc >= 0) {
        rc = av_dict_set(&options, "real_time_latency_msec", "0", 0);
    }
    if (rc >= 0) {
        rc = av_dict_set(&options, "data_field", "first", 0);
    }
    d->codec = avcodec_alloc_context3(codec);
    d->packet = av_packet_alloc();
    if (d->codec == NULL || d->packet == NULL) {
        rc = AVERROR(ENOMEM);
    }
    if (rc >= 0) {
        d->codec->pkt_timebase = (AVRational){1, 1000000};
        rc = avcodec_open2(d->codec, codec, &options);
    }
    av_dict_free(&options);
    return rc;
}

int cea608_open(struct cea608 **out, struct cea_screen *screen, struct error *e) {
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_EIA_608);
    *out = NULL;
    if (codec == NULL) {
        return 0;
    }
    struct cea608 *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return error_memory(e, NULL);
    }
    d->screen = screen;
    bytes_init(&d->text, ASS_LIMIT);
    if (open_codec(d, codec) < 0) { /* it takes no input that could be wrong */
        cea608_close(d);
        return error_memory(e, NULL);
    }
    *out = d;
    return 0;
}

void cea608_close(struct cea608 *d) {
    if (d != NULL) {
        avcodec_free_context(&d->codec);
        av_packet_free(&d->packet);
        bytes_close(&d->text);
        free(d);
    }
}

/* The last field of "ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text". */
static const char *ass_text(const char *event) {
    for (int field = 0; field < ASS_FIELDS_BEFORE_TEXT && event != NULL; field++) {
        event = strchr(event, ',');
        event = event != NULL ? event + 1 : NULL;
    }
    return event != NULL ? event : "";
}

/* Sends one pair. The decoder's clock only has to go on, so it counts pairs; the time is ours. */
static int send_pair(struct cea608 *d, int64_t us, const unsigned char *triplet, bool painted,
                     struct error *e) {
    unsigned char data[TRIPLET_BYTES + AV_INPUT_BUFFER_PADDING_SIZE] = {0};
    AVSubtitle event = {0};
    int got = 0, rc = 0;
    memcpy(data, triplet, TRIPLET_BYTES);
    d->packet->data = data;
    d->packet->size = TRIPLET_BYTES;
    d->packet->pts = ++d->pairs;
    int decoded = avcodec_decode_subtitle2(d->codec, &event, &got, d->packet);
    d->packet->data = NULL;
    d->packet->size = 0;
    if (decoded == AVERROR(ENOMEM)) {
        rc = error_memory(e, NULL);
    } else if (decoded >= 0 && got && event.num_rects > 0 && event.rects[0]->ass != NULL) {
        const char *text = ass_text(event.rects[0]->ass);
        bytes_clear(&d->text);
        rc = caption_strip_ass(&d->text, text, strlen(text), e);
        if (rc == 0) {
            rc = cea_screen_show(d->screen, us, bytes_text(&d->text), d->text.size, painted, e);
        }
    }
    avsubtitle_free(&event);
    return rc;
}

static bool has_odd_parity(unsigned char byte) {
    unsigned folded = byte ^ byte >> 4;
    folded ^= folded >> 2;
    folded ^= folded >> 1;
    return folded & 1;
}

/* Follows channel and mode; whether the pair is for the caption decoder. First bytes 0x01 to 0x0F
 * belong to programme data, 0x10 to 0x17 are control codes of channel 1, 0x18 to 0x1F of channel 2;
 * what follows a code belongs to its channel. */
static bool accepts(struct cea608 *d, unsigned char high, unsigned char low) {
    bool control = high >= 0x10 && high < 0x20;
    if (control && high == d->last[0] && low == d->last[1]) {
        return false; /* control codes are sent twice and count once */
    }
    d->last[0] = control ? high : 0;
    d->last[1] = control ? low : 0;
    if (high > 0 && high < 0x20) {
        d->channel = !control ? 0 : high & 8 ? 2 : 1;
    }
    if (d->channel != 1 || high != CONTROL) {
        return d->channel == 1 && d->captions;
    }
    if (low == CONTROL_RCL || (low >= CONTROL_RU2 && low <= CONTROL_RU4) || low == CONTROL_RDC ||
        low == CONTROL_EOC) {
        d->captions = true;
    } else if (low == CONTROL_TR || low == CONTROL_RTD) {
        d->captions = false;
    }
    return d->captions || low == CONTROL_EDM || low == CONTROL_ENM;
}

int cea608_feed(struct cea608 *d, int64_t us, const unsigned char triplet[3], struct error *e) {
    static const unsigned char erase_hidden[TRIPLET_BYTES] = {0xFC, 0x94, 0xAE};
    if (d == NULL || d->pairs >= PAIRS_MAX || !has_odd_parity(triplet[2])) {
        return 0;
    }
    unsigned char high = has_odd_parity(triplet[1]) ? triplet[1] & 0x7F : SOLID_BLOCK;
    unsigned char low = triplet[2] & 0x7F;
    if (!accepts(d, high, low)) {
        return 0;
    }
    bool flip = high == CONTROL && low == CONTROL_EOC;
    bool erase = high == CONTROL && low == CONTROL_EDM;
    int rc = send_pair(d, us, triplet, !flip && !erase, e);
    if (rc == 0 && flip) {
        /* The caption that went is in the hidden memory now, where encoders that forget to erase it
         * would write the next one over it. */
        rc = send_pair(d, us, erase_hidden, false, e);
    }
    return rc;
}

int cea608_finish(struct cea608 *d, int64_t us, struct error *e) {
    return d != NULL ? cea_screen_show(d->screen, us, "", 0, false, e) : 0;
}
