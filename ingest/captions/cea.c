/* cea.c - see cea.h. Takes the caption bytes out of the packets and brings them into order. */
#include "ingest/captions/cea.h"

#include <libavcodec/avcodec.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/captions/cea608.h"
#include "ingest/captions/cea708.h"
#include "store/array.h"

/* The three bytes of cc_data (ATSC A/53 part 4, 6.2.3): marker:5 cc_valid:1 cc_type:2, two bytes of
 * caption data. cc_type 0 and 1 are CEA-608 field 1 and 2; 2 and 3 go on with and begin a DTVCC
 * packet. */
struct triplet {
    int64_t us;
    uint32_t order; /* of arrival */
    unsigned char bytes[3];
};

enum {
    TRIPLET_BYTES = 3,
    TRIPLETS_MAX = (16 << 20) / sizeof(struct triplet),
    SEI_T35 = 4, /* user_data_registered_itu_t_t35 */
    H264_SEI = 6,
    HEVC_PREFIX_SEI = 39,
    HEVC_SUFFIX_SEI = 40,
    MPEG2_USER_DATA = 0xB2,
};

/* Times beyond this (146,000 years) are broken; below it sums and differences cannot overflow. */
static const int64_t time_limit = INT64_MAX / 4;

struct cea {
    enum AVCodecID codec;
    int length_bytes; /* of the size in front of each NAL unit; 0: start codes instead (Annex B) */
    AVRational time_base;
    struct triplet *triplets;
    size_t count, capacity;
    int64_t latest_us, end_us; /* time of the last packet; end of the latest picture */
    struct bytes unit;         /* one SEI NAL unit without its emulation prevention bytes */
};

/* ISO/IEC 14496-15: lengthSizeMinusOne in the avcC and hvcC boxes; both begin with version 1, which
 * a start code does not. */
static int nal_length_bytes(const AVCodecParameters *p) {
    int at = p->codec_id == AV_CODEC_ID_HEVC ? 21 : 4;
    if (p->extradata == NULL || p->extradata_size <= at || p->extradata[0] != 1) {
        return 0;
    }
    return (p->extradata[at] & 3) + 1;
}

int cea_open(struct cea **out, const struct AVCodecParameters *parameters, int time_base_num,
             int time_base_den, struct error *e) {
    enum AVCodecID codec = parameters->codec_id;
    *out = NULL;
    if (codec != AV_CODEC_ID_H264 && codec != AV_CODEC_ID_HEVC && codec != AV_CODEC_ID_MPEG2VIDEO) {
        return 0;
    }
    if (time_base_num <= 0 || time_base_den <= 0) {
        return error_set(e, ERR_USAGE, "time base %d/%d", time_base_num, time_base_den);
    }
    struct cea *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_memory(e, NULL);
    }
    c->codec = codec;
    c->length_bytes = codec == AV_CODEC_ID_MPEG2VIDEO ? 0 : nal_length_bytes(parameters);
    c->time_base = (AVRational){time_base_num, time_base_den};
    c->end_us = -time_limit;
    bytes_init(&c->unit, INT_MAX);
    *out = c;
    return 0;
}

void cea_close(struct cea *c) {
    if (c != NULL) {
        free(c->triplets);
        bytes_close(&c->unit);
        free(c);
    }
}

/* ---- triplets out of packets ------------------------------------------- */

static int keep(struct cea *c, int64_t us, const unsigned char *triplet, struct error *e) {
    if (c->count == TRIPLETS_MAX) {
        return 0;
    }
    struct triplet *triplets =
        array_grow(c->triplets, &c->capacity, c->count + 1, sizeof *triplets, e);
    if (triplets == NULL) {
        return ERR_MEMORY;
    }
    c->triplets = triplets;
    struct triplet *t = &c->triplets[c->count];
    *t = (struct triplet){.us = us, .order = (uint32_t)c->count};
    memcpy(t->bytes, triplet, TRIPLET_BYTES);
    c->count++;
    return 0;
}

/* Only what is of use later is kept, not padding, CEA-608's field 2 (channels 3 and 4, programme
 * data), and the null pairs that fill field 1 in silence. */
static bool is_wanted(const unsigned char *triplet) {
    bool valid = triplet[0] & 4;
    int type = triplet[0] & 3;
    return valid && (type >= 2 || (type == 0 && ((triplet[1] | triplet[2]) & 0x7F) != 0));
}

/* The structure that begins with "GA94", the same in every codec (A/53 part 4, 6.2.3 and table
 * 6.9): user_data_type_code 3, then reserved:1 process_cc_data_flag:1 reserved:1 cc_count:5, a
 * reserved byte, the triplets. */
static int read_user_data(struct cea *c, int64_t us, const unsigned char *data, size_t size,
                          struct error *e) {
    if (size < 7 || memcmp(data, "GA94\x03", 5) != 0 || !(data[5] & 0x40)) {
        return 0;
    }
    size_t count = data[5] & 0x1F, there = (size - 7) / TRIPLET_BYTES;
    count = count < there ? count : there;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const unsigned char *triplet = data + 7 + i * TRIPLET_BYTES;
        rc = is_wanted(triplet) ? keep(c, us, triplet, e) : 0;
    }
    return rc;
}

/* SEI messages: type and size are sums of bytes up to the first that is not 255 (H.264
 * 7.3.2.3.1). */
static bool read_sei_number(const struct bytes *unit, size_t *at, size_t *number) {
    *number = 0;
    while (*at < unit->size) {
        unsigned char byte = unit->data[(*at)++];
        *number += byte;
        if (byte != 255) {
            return true;
        }
    }
    return false;
}

static int read_sei(struct cea *c, int64_t us, struct error *e) {
    static const unsigned char atsc[3] = {0xB5, 0x00, 0x31}; /* United States, provider ATSC */
    const struct bytes *unit = &c->unit;
    size_t at = 0, type, size;
    int rc = 0;
    while (rc == 0 && read_sei_number(unit, &at, &type) && read_sei_number(unit, &at, &size) &&
           size <= unit->size - at) {
        const unsigned char *payload = unit->data + at;
        if (type == SEI_T35 && size > sizeof atsc && memcmp(payload, atsc, sizeof atsc) == 0) {
            rc = read_user_data(c, us, payload + sizeof atsc, size - sizeof atsc, e);
        }
        at += size;
    }
    return rc;
}

/* Fills c->unit with the payload of a NAL unit: 00 00 03 stands for 00 00 (H.264 7.4.1). */
static int unescape(struct cea *c, const unsigned char *data, size_t size, struct error *e) {
    struct bytes *unit = &c->unit;
    bytes_clear(unit);
    int rc = bytes_reserve(unit, size, e);
    if (rc < 0) {
        return rc;
    }
    int zeros = 0;
    for (size_t i = 0; i < size; i++) {
        if (zeros >= 2 && data[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = data[i] ? 0 : zeros + 1;
        unit->data[unit->size++] = data[i];
    }
    unit->data[unit->size] = 0;
    return 0;
}

static int read_nal_unit(struct cea *c, int64_t us, const unsigned char *data, size_t size,
                         struct error *e) {
    bool hevc = c->codec == AV_CODEC_ID_HEVC;
    size_t header = hevc ? 2 : 1;
    if (size <= header) {
        return 0;
    }
    int type = hevc ? data[0] >> 1 & 0x3F : data[0] & 0x1F;
    if (hevc ? type != HEVC_PREFIX_SEI && type != HEVC_SUFFIX_SEI : type != H264_SEI) {
        return 0;
    }
    int rc = unescape(c, data + header, size - header, e);
    return rc == 0 ? read_sei(c, us, e) : rc;
}

static int read_prefixed(struct cea *c, int64_t us, const unsigned char *data, size_t size,
                         struct error *e) {
    size_t prefix = (size_t)c->length_bytes;
    int rc = 0;
    while (rc == 0 && size > prefix) {
        size_t length = 0;
        for (size_t i = 0; i < prefix; i++) {
            length = length << 8 | data[i];
        }
        data += prefix;
        size -= prefix;
        if (length > size) {
            break;
        }
        rc = read_nal_unit(c, us, data, length, e);
        data += length;
        size -= length;
    }
    return rc;
}

/* The offset of the next start code prefix 00 00 01, or `size`. */
static size_t find_start(const unsigned char *data, size_t size, size_t at) {
    while (size - at >= 3) {
        if (data[at + 2] > 1) {
            at += 3;
        } else if (data[at] == 0 && data[at + 1] == 0 && data[at + 2] == 1) {
            return at;
        } else {
            at++;
        }
    }
    return size;
}

/* Units between start codes: NAL units, or MPEG-2 sections (ISO/IEC 13818-2, 6.2.2.2.2). */
static int read_delimited(struct cea *c, int64_t us, const unsigned char *data, size_t size,
                          struct error *e) {
    size_t start = find_start(data, size, 0);
    int rc = 0;
    while (rc == 0 && start < size) {
        size_t begin = start + 3;
        start = find_start(data, size, begin);
        if (c->codec != AV_CODEC_ID_MPEG2VIDEO) {
            rc = read_nal_unit(c, us, data + begin, start - begin, e);
        } else if (start > begin && data[begin] == MPEG2_USER_DATA) {
            rc = read_user_data(c, us, data + begin + 1, start - begin - 1, e);
        }
    }
    return rc;
}

static int64_t to_us(const struct cea *c, int64_t time) {
    return av_rescale_q(time, c->time_base, (AVRational){1, 1000000});
}

/* A packet without a usable time is taken to follow the one before. */
static int64_t packet_time(const struct cea *c, const AVPacket *packet) {
    int64_t time = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    int64_t us = time != AV_NOPTS_VALUE ? to_us(c, time) : c->latest_us;
    return us > -time_limit && us < time_limit ? us : c->latest_us;
}

int cea_feed(struct cea *c, const struct AVPacket *packet, struct error *e) {
    if (c == NULL || packet->data == NULL || packet->size <= 0) {
        return 0;
    }
    int64_t us = packet_time(c, packet);
    int64_t duration = packet->duration > 0 ? to_us(c, packet->duration) : 0;
    int64_t end = duration > 0 && duration < time_limit ? us + duration : us;
    c->latest_us = us;
    c->end_us = end > c->end_us ? end : c->end_us;
    if (c->length_bytes) {
        return read_prefixed(c, us, packet->data, (size_t)packet->size, e);
    }
    return read_delimited(c, us, packet->data, (size_t)packet->size, e);
}

/* ---- order and choice -------------------------------------------------- */

static int compare_triplets(const void *left, const void *right) {
    const struct triplet *a = left, *b = right;
    if (a->us != b->us) {
        return a->us < b->us ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool is_dtvcc(const struct triplet *t) {
    return t->bytes[0] & 2;
}

static int decode_708(const struct cea *c, struct cea_screen *screen, struct error *e) {
    struct cea708 *decoder;
    int rc = cea708_open(&decoder, screen, e);
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        const struct triplet *t = &c->triplets[i];
        rc = is_dtvcc(t) ? cea708_feed(decoder, t->us, t->bytes, e) : 0;
    }
    if (rc == 0) {
        rc = cea708_finish(decoder, c->end_us, e);
    }
    cea708_close(decoder);
    return rc;
}

static int decode_608(const struct cea *c, struct cea_screen *screen, struct error *e) {
    struct cea608 *decoder;
    int rc = cea608_open(&decoder, screen, e);
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        const struct triplet *t = &c->triplets[i];
        rc = is_dtvcc(t) ? 0 : cea608_feed(decoder, t->us, t->bytes, e);
    }
    if (rc == 0) {
        rc = cea608_finish(decoder, c->end_us, e);
    }
    cea608_close(decoder);
    return rc;
}

int cea_finish(struct cea *c, int64_t start_ms, struct cue_list *cues, enum cea_kind *kind,
               struct error *e) {
    struct cea_screen screen;
    size_t before = cues->count;
    *kind = CEA_NONE;
    if (c == NULL || !c->count) {
        return 0;
    }
    qsort(c->triplets, c->count, sizeof *c->triplets, compare_triplets);
    bool sane = start_ms > -time_limit / 1000 && start_ms < time_limit / 1000;
    cea_screen_init(&screen, cues, sane ? start_ms * 1000 : 0);
    int rc = decode_708(c, &screen, e);
    if (rc == 0 && cues->count > before) {
        *kind = CEA_708;
    } else if (rc == 0) {
        rc = decode_608(c, &screen, e);
        *kind = cues->count > before ? CEA_608 : CEA_NONE;
    }
    cea_screen_close(&screen);
    return rc;
}
