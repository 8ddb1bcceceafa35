/* cea_fuzz.c - hostile bytes as video packets, as caption triplets and as CEA-708 codes.
 *
 *   byte 0       what the rest is (enum shape, modulo its count)
 *   byte 1       time of packet i: (i * step) % turn, so that times also repeat and run back
 *   the rest     packets: cut at each byte 0xA7, which is as good as any other */
#include <libavcodec/avcodec.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/captions/cea.h"
#include "store/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum shape {
    SHAPE_H264_ANNEX_B,
    SHAPE_H264_AVCC,
    SHAPE_HEVC_ANNEX_B,
    SHAPE_HEVC_HVCC,
    SHAPE_MPEG2,
    SHAPE_TRIPLETS, /* each three bytes are one */
    SHAPE_608,      /* each two bytes are a pair, parity put right */
    SHAPE_708,      /* the codes of service 1 */
    SHAPES,
};

enum { CUT = 0xA7, HEADER = 2, BLOCK = 31 };

static void require(int condition) {
    if (!condition) {
        abort();
    }
}

struct input {
    struct cea *cea;
    AVPacket *packet;
    unsigned step, turn;
    unsigned packets;
};

static void feed(struct input *in, const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1); /* exactly as large, so that ASan sees each overrun */
    require(copy != NULL);
    if (size) {
        memcpy(copy, data, size);
    }
    in->packet->data = copy;
    in->packet->size = (int)size;
    in->packet->pts = in->packets % 7 == 6 ? AV_NOPTS_VALUE : in->packets * in->step % in->turn;
    in->packet->dts = in->packets % 14 == 6 ? in->packets : AV_NOPTS_VALUE;
    in->packets++;
    require(cea_feed(in->cea, in->packet, NULL) == 0);
    in->packet->data = NULL;
    in->packet->size = 0;
    free(copy);
}

static void feed_packets(struct input *in, const uint8_t *data, size_t size) {
    while (size > 0) {
        const uint8_t *cut = memchr(data, CUT, size);
        size_t length = cut ? (size_t)(cut - data) : size;
        feed(in, data, length);
        length += cut ? 1 : 0;
        data += length;
        size -= length;
    }
}

/* One picture's MPEG-2 user data with up to 31 triplets. */
static void feed_triplets(struct input *in, const uint8_t *triplets, size_t count) {
    uint8_t data[12 + 3 * 31] = "\0\0\1\xB2GA94\x03?\xFF";
    data[9] = (uint8_t)(0x40 | count);
    memcpy(data + 11, triplets, 3 * count);
    feed(in, data, 11 + 3 * count);
}

static uint8_t with_parity(uint8_t byte) {
    unsigned folded = byte & 0x7F;
    folded ^= folded >> 4;
    folded ^= folded >> 2;
    folded ^= folded >> 1;
    return (uint8_t)((byte & 0x7F) | (folded & 1 ? 0 : 0x80));
}

static void feed_pairs(struct input *in, const uint8_t *data, size_t size) {
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint8_t triplet[3] = {0xFC, with_parity(data[i]), with_parity(data[i + 1])};
        feed_triplets(in, triplet, 1);
    }
}

static void feed_codes(struct input *in, const uint8_t *data, size_t size) {
    for (unsigned sequence = 0; size > 0; sequence++) {
        uint8_t packet[BLOCK + 3] = {0}, triplets[3 * 17];
        size_t block = size < BLOCK ? size : BLOCK;
        size_t pairs = (block + 3) / 2;
        packet[0] = (uint8_t)(sequence % 4 << 6 | pairs);
        packet[1] = (uint8_t)(1 << 5 | block);
        memcpy(packet + 2, data, block);
        for (size_t i = 0; i < pairs; i++) {
            triplets[3 * i] = i ? 0xFE : 0xFF;
            memcpy(triplets + 3 * i + 1, packet + 2 * i, 2);
        }
        feed_triplets(in, triplets, pairs);
        data += block;
        size -= block;
    }
}

static void feed_shape(struct input *in, enum shape shape, const uint8_t *data, size_t size) {
    if (shape == SHAPE_TRIPLETS) {
        for (size_t at = 0; at + 3 <= size; at += 3 * 4) {
            size_t count = (size - at) / 3;
            feed_triplets(in, data + at, count < 4 ? count : 4);
        }
    } else if (shape == SHAPE_608) {
        feed_pairs(in, data, size);
    } else if (shape == SHAPE_708) {
        feed_codes(in, data, size);
    } else {
        feed_packets(in, data, size);
    }
}

static struct cea *open_shape(enum shape shape, uint8_t length_bytes) {
    struct cea *c = NULL;
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    require(parameters != NULL);
    bool hevc = shape == SHAPE_HEVC_ANNEX_B || shape == SHAPE_HEVC_HVCC;
    bool h264 = shape == SHAPE_H264_ANNEX_B || shape == SHAPE_H264_AVCC;
    parameters->codec_id = hevc   ? AV_CODEC_ID_HEVC
                           : h264 ? AV_CODEC_ID_H264
                                  : AV_CODEC_ID_MPEG2VIDEO;
    if (shape == SHAPE_H264_AVCC || shape == SHAPE_HEVC_HVCC) {
        parameters->extradata = av_mallocz(23 + AV_INPUT_BUFFER_PADDING_SIZE);
        require(parameters->extradata != NULL);
        parameters->extradata_size = hevc ? 23 : 7;
        parameters->extradata[0] = 1;
        parameters->extradata[hevc ? 21 : 4] = length_bytes;
    }
    require(cea_open(&c, parameters, 1, 1000, NULL) == 0 && c != NULL);
    avcodec_parameters_free(&parameters);
    return c;
}

static void check_cues(const struct cue_list *cues, enum cea_kind kind) {
    require((kind == CEA_NONE) == (cues->count == 0));
    for (size_t i = 0; i < cues->count; i++) {
        const struct cue *cue = &cues->items[i];
        size_t size = strlen(cue->text);
        require(cue->start_ms >= 0 && cue->start_ms <= cue->end_ms);
        require(i == 0 || cues->items[i - 1].end_ms <= cue->start_ms);
        require(size > 0 && utf8_is_valid(cue->text, size));
        require(!strstr(cue->text, "\n\n") && !strstr(cue->text, "  "));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEADER) {
        return 0;
    }
    struct cue_list cues = {0};
    enum cea_kind kind;
    av_log_set_level(AV_LOG_QUIET);
    enum shape shape = data[0] % SHAPES;
    struct input in = {.step = 1 + data[1] % 16u * 25, .turn = 500u << (data[1] >> 6)};
    in.cea = open_shape(shape, data[1]);
    in.packet = av_packet_alloc();
    require(in.packet != NULL && arena_open(&cues.arena, 256 << 20, NULL) == 0);
    feed_shape(&in, shape, data + HEADER, size - HEADER);
    require(cea_finish(in.cea, data[1] % 4 * 10, &cues, &kind, NULL) == 0);
    check_cues(&cues, kind);
    av_packet_free(&in.packet);
    cea_close(in.cea);
    arena_close(cues.arena);
    return 0;
}
