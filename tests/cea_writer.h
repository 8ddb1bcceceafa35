/* cea_writer.h - the sending side of closed captions, for tests: writes CEA-608 pairs and CEA-708
 * packets onto the pictures of a reel, and reads a reel back with ingest/captions/cea.h. A reel has
 * ten pictures a second, so picture 7 is shown at 700 ms. */
#ifndef OCC_TESTS_CEA_WRITER_H
#define OCC_TESTS_CEA_WRITER_H

#include <libavcodec/avcodec.h>

#include "ingest/captions/cea.h"
#include "tests/test.h"

enum { REEL_PICTURES = 240, REEL_TRIPLETS = 31, REEL_STEP_MS = 100 };

struct reel {
    unsigned char triplets[REEL_PICTURES][REEL_TRIPLETS * 3];
    int counts[REEL_PICTURES];
    int sequence; /* of DTVCC packets */
};

static inline void reel_add(struct reel *r, int picture, int first, int second, int third) {
    if (CHECK(picture < REEL_PICTURES && r->counts[picture] < REEL_TRIPLETS)) {
        unsigned char *triplet = r->triplets[picture] + 3 * r->counts[picture]++;
        triplet[0] = (unsigned char)first;
        triplet[1] = (unsigned char)second;
        triplet[2] = (unsigned char)third;
    }
}

/* ---- CEA-608: one pair a picture, every byte with odd parity; each returns the next picture  */

static inline int with_parity(int byte) {
    int ones = 0;
    for (int bit = 0; bit < 7; bit++) {
        ones += byte >> bit & 1;
    }
    return ones % 2 ? byte & 0x7F : (byte & 0x7F) | 0x80;
}

static inline int reel_pair(struct reel *r, int picture, int high, int low) {
    reel_add(r, picture, 0xFC, with_parity(high), with_parity(low));
    return picture + 1;
}

/* Control codes go out twice. */
static inline int reel_control(struct reel *r, int picture, int high, int low) {
    picture = reel_pair(r, picture, high, low);
    return reel_pair(r, picture, high, low);
}

static inline int reel_text(struct reel *r, int picture, const char *text) {
    for (size_t i = 0; i < strlen(text); i += 2) {
        picture = reel_pair(r, picture, text[i], text[i + 1]);
    }
    return picture;
}

enum {
    RCL = 0x20,
    RU2 = 0x25,
    RDC = 0x29,
    TR = 0x2A,
    EDM = 0x2C,
    CR = 0x2D,
    ENM = 0x2E,
    EOC = 0x2F
};

/* Loads two rows and flips them in. The flip is in the picture before the one returned, less one
 * for its repetition. */
static inline int reel_pop_on(struct reel *r, int picture, const char *upper, const char *lower) {
    picture = reel_control(r, picture, 0x14, RCL);
    picture = reel_control(r, picture, 0x14, ENM);
    picture = reel_control(r, picture, 0x14, 0x40); /* row 14 */
    picture = reel_text(r, picture, upper);
    picture = reel_control(r, picture, 0x14, 0x60); /* row 15 */
    picture = reel_text(r, picture, lower);
    return reel_control(r, picture, 0x14, EOC);
}

/* ---- CEA-708 ---- */

/* A DTVCC packet of one service block with up to 31 bytes of codes, all in one picture. */
static inline void reel_service(struct reel *r, int picture, int service, const char *codes,
                                size_t size) {
    unsigned char packet[36] = {0};
    size_t used = 1;
    if (!CHECK(size < 32)) {
        return;
    }
    packet[used++] = (unsigned char)((service < 7 ? service : 7) << 5 | (int)size);
    if (service >= 7) {
        packet[used++] = (unsigned char)service;
    }
    memcpy(packet + used, codes, size);
    used = (used + size + 1) / 2 * 2; /* an even number, ended by a null block or not */
    packet[0] = (unsigned char)(r->sequence << 6 | (int)used / 2);
    r->sequence = (r->sequence + 1) & 3;
    for (size_t i = 0; i < used; i += 2) {
        reel_add(r, picture, i ? 0xFE : 0xFF, packet[i], packet[i + 1]);
    }
}

/* Codes written as a string literal, which may hold zeros. */
#define reel_708(r, picture, literal)                                                              \
    reel_service((r), (picture), 1, (literal), sizeof(literal) - 1)

/* DefineWindow 0, hidden or visible, of 2 rows at the bottom of the screen. */
#define DF0_HIDDEN_2 "\x98\x00\x46\x10\x71\x1F\x00"
#define DF0_VISIBLE_2 "\x98\x20\x46\x10\x71\x1F\x00"
#define CLEAR_0 "\x88\x01"
#define DISPLAY_0 "\x89\x01"
#define HIDE_0 "\x8A\x01"
#define TOGGLE_01 "\x8B\x03"
#define DELETE_ALL "\x8C\xFF"

/* ---- reading back ---- */

struct decoded {
    struct arena *arena;
    struct cue_list cues;
    enum cea_kind kind;
};

static inline void decoded_open(struct decoded *d) {
    *d = (struct decoded){0};
    CHECK(arena_open(&d->arena, 64 << 20, NULL) == 0);
    d->cues.arena = d->arena;
}

static inline void decoded_close(struct decoded *d) {
    arena_close(d->arena);
}

/* The structure "GA94" with a picture's triplets; returns its size. */
static inline size_t a53_write(unsigned char *out, const unsigned char *triplets, int count) {
    memcpy(out, "GA94\x03", 5);
    out[5] = (unsigned char)(0x40 | count);
    out[6] = 0xFF;
    memcpy(out + 7, triplets, 3 * (size_t)count);
    out[7 + 3 * count] = 0xFF;
    return 8 + 3 * (size_t)count;
}

static inline void feed_packet(struct cea *c, int64_t pts, unsigned char *data, size_t size) {
    AVPacket *packet = av_packet_alloc();
    if (CHECK(packet)) {
        packet->data = data;
        packet->size = (int)size;
        packet->pts = pts;
        packet->duration = 1;
        CHECK_NUMBER(cea_feed(c, packet, NULL), 0);
    }
    av_packet_free(&packet);
}

/* As MPEG-2 pictures, the simplest framing. */
static inline struct decoded reel_decode(const struct reel *r) {
    struct decoded d;
    struct cea *c = NULL;
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    decoded_open(&d);
    if (CHECK(parameters)) {
        parameters->codec_id = AV_CODEC_ID_MPEG2VIDEO;
        CHECK_NUMBER(cea_open(&c, parameters, REEL_STEP_MS, 1000, NULL), 0);
    }
    for (int i = 0; i < REEL_PICTURES; i++) {
        unsigned char data[4 + 8 + REEL_TRIPLETS * 3] = {0, 0, 1, 0xB2};
        size_t size = 4 + a53_write(data + 4, r->triplets[i], r->counts[i]);
        feed_packet(c, i, data, size);
    }
    CHECK_NUMBER(cea_finish(c, 0, &d.cues, &d.kind, NULL), 0);
    cea_close(c);
    avcodec_parameters_free(&parameters);
    return d;
}

static inline void check_cue(const struct decoded *d, size_t at, int64_t start_ms, int64_t end_ms,
                             const char *text) {
    if (CHECK(at < d->cues.count)) {
        CHECK_TEXT(d->cues.items[at].text, text);
        CHECK_NUMBER(d->cues.items[at].start_ms, start_ms);
        CHECK_NUMBER(d->cues.items[at].end_ms, end_ms);
    }
}

#endif
