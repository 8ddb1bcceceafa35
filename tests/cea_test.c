/* cea_test.c - captions inside the video: how the bytes lie in packets of each codec, the order of
 * pictures, CEA-608, and whole files written with libavcodec's encoders and read back. */
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <unistd.h>

#include "ingest/media/media.h"
#include "tests/cea_writer.h"

enum { END_MS = REEL_PICTURES * REEL_STEP_MS };

/* ---- packets by hand ---- */

/* The pieces of a caption: a DTVCC packet of five triplets that defines a visible window, one of
 * two that writes "Hi". */
#define GA94(count) "GA94\x03" count "\xFF"
#define DTVCC_WINDOW "\xFF\x05\x27\xFE\x98\x20\xFE\x46\x10\xFE\x71\x1F\xFE\x00\x00"
#define DTVCC_HI                                                                                   \
    "\xFF\x42\x22\xFE"                                                                             \
    "Hi"
#define T35 "\xB5\x00\x31"

/* Seven triplets: 7 + 21 + 1 bytes, 3 more for T.35. */
#define CAPTION GA94("\x47") DTVCC_WINDOW DTVCC_HI "\xFF"
#define SEI_CAPTION "\x04\x20" T35 CAPTION

static struct cea *open_codec(enum AVCodecID codec, const char *extradata, size_t size) {
    struct cea *c = NULL;
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    if (CHECK(parameters)) {
        parameters->codec_id = codec;
        parameters->extradata = size ? av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE) : NULL;
        if (parameters->extradata) {
            memcpy(parameters->extradata, extradata, size);
            parameters->extradata_size = (int)size;
        }
        CHECK_NUMBER(cea_open(&c, parameters, 1, 1000, NULL), 0);
    }
    avcodec_parameters_free(&parameters);
    return c;
}

/* The text that one packet holds, at 500 ms. */
static void check_packet(enum AVCodecID codec, const char *extradata, size_t extradata_size,
                         const char *data, size_t size, const char *want) {
    struct decoded d;
    decoded_open(&d);
    struct cea *c = open_codec(codec, extradata, extradata_size);
    unsigned char *copy = malloc(size); /* exactly as large, so that ASan sees a read beyond */
    if (CHECK(copy)) {
        memcpy(copy, data, size);
        feed_packet(c, 500, copy, size);
    }
    CHECK_NUMBER(cea_finish(c, 0, &d.cues, &d.kind, NULL), 0);
    CHECK_TEXT(d.cues.count ? d.cues.items[0].text : NULL, want);
    CHECK_NUMBER(d.kind, want ? CEA_708 : CEA_NONE);
    free(copy);
    cea_close(c);
    decoded_close(&d);
}

#define CHECK_PACKET(codec, extradata, data, want)                                                 \
    check_packet(codec, extradata, sizeof(extradata) - 1, data, sizeof(data) - 1, want)

static const char AVCC_4[] = "\x01\x64\x00\x1F\xFF\xE0\x00";
static const char AVCC_2[] = "\x01\x64\x00\x1F\xFD\xE0\x00";
#define HVCC_4                                                                                     \
    "\x01"                                                                                         \
    "12345678901234567890"                                                                         \
    "\x0F\x00"
#define SLICE "\x65\x88\x80\x10"

static void h264_annex_b(void) {
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\0\1\x09\xF0\0\0\1\x06" SEI_CAPTION "\x80\0\0\1" SLICE,
                 "Hi");
    CHECK_PACKET(AV_CODEC_ID_H264, "\0\0\0\1\x67\x64\x00\x1F", "\0\0\1\x06" SEI_CAPTION, "Hi");
}

static void h264_length_prefixed(void) {
    CHECK_PACKET(AV_CODEC_ID_H264, AVCC_4,
                 "\0\0\0\4" SLICE "\0\0\0\x24\x06" SEI_CAPTION "\x80\0\0\0\4" SLICE, "Hi");
    CHECK_PACKET(AV_CODEC_ID_H264, AVCC_2, "\0\4" SLICE "\0\x24\x06" SEI_CAPTION "\x80", "Hi");
}

static void hevc_prefix_and_suffix_sei(void) {
    CHECK_PACKET(AV_CODEC_ID_HEVC, "", "\0\0\1\x4E\x01" SEI_CAPTION "\x80", "Hi");
    CHECK_PACKET(AV_CODEC_ID_HEVC, HVCC_4, "\0\0\0\x25\x50\x01" SEI_CAPTION "\x80", "Hi");
}

static void mpeg2_user_data(void) {
    CHECK_PACKET(AV_CODEC_ID_MPEG2VIDEO, "",
                 "\0\0\1\0\0\x0F\xFF\xF8\0\0\1\xB2" CAPTION "\0\0\1\1slice", "Hi");
}

static void other_sei_messages_in_the_same_unit(void) {
    /* A message of 5 bytes 00 00 01 00 00, which take 03 bytes against emulated start codes. */
    CHECK_PACKET(AV_CODEC_ID_H264, "",
                 "\0\0\1\x06\x01\x05\0\0\3\1\0\0" SEI_CAPTION "\x80\0\0\1" SLICE, "Hi");
    /* A message of type 255 + 1 and 255 + 2 bytes. */
    char data[400] = "\0\0\1\x06\xFF\x01\xFF\x02";
    memset(data + 8, 'x', 257);
    memcpy(data + 8 + 257, SEI_CAPTION "\x80", sizeof SEI_CAPTION);
    check_packet(AV_CODEC_ID_H264, "", 0, data, 8 + 257 + sizeof SEI_CAPTION, "Hi");
}

static void emulation_prevention_inside_the_captions(void) {
    /* The window's last triplet is FE 00 00; with a marker of 00 after it (which no standard
     * allows, but nothing forbids to read) the bytes 00 00 00 need a 03. */
    CHECK_PACKET(AV_CODEC_ID_H264, "",
                 "\0\0\1\x06\x04\x23" T35 GA94("\x48") DTVCC_WINDOW "\x03\x00\x00\x03\x00" DTVCC_HI
                                                                    "\xFF\x80",
                 "Hi");
}

static void bytes_that_are_not_captions_are_passed_over(void) {
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\1\x06\x05\x20" T35 CAPTION "\x80", NULL); /* type 5 */
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\1\x07" SEI_CAPTION "\x80", NULL);         /* an SPS */
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\1\x06\x04\x20\xB4\0\x31" CAPTION "\x80", NULL);
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\1\x06\x04\x7F" T35 CAPTION "\x80",
                 NULL); /* too long */
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\1\x06\x04", NULL);
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\1\x06", NULL);
    CHECK_PACKET(AV_CODEC_ID_H264, "", "\0\0\1", NULL);
    CHECK_PACKET(AV_CODEC_ID_H264, AVCC_4, "\xFF\xFF\xFF\xFF\x06" SEI_CAPTION, NULL);
    CHECK_PACKET(AV_CODEC_ID_H264, AVCC_4, "\0\0\0", NULL);
    CHECK_PACKET(AV_CODEC_ID_MPEG2VIDEO, "", "\0\0\1\xB2GA94\x06\xFF", NULL); /* bar data */
    CHECK_PACKET(AV_CODEC_ID_MPEG2VIDEO, "", "\0\0\1\xB2GA94\x03\x07\xFF" DTVCC_WINDOW DTVCC_HI,
                 NULL); /* process_cc_data_flag not set */
    CHECK_PACKET(AV_CODEC_ID_MPEG2VIDEO, "", "\0\0\1\xB2" GA94("\x5F") DTVCC_WINDOW DTVCC_HI,
                 "Hi"); /* says 31 triplets, has 7 */
}

static void a_codec_without_captions_needs_no_reader(void) {
    struct decoded d;
    decoded_open(&d);
    struct cea *c = open_codec(AV_CODEC_ID_VP9, "", 0);
    CHECK(!c);
    unsigned char byte = 0;
    feed_packet(c, 0, &byte, 1);
    d.kind = CEA_608;
    CHECK_NUMBER(cea_finish(c, 0, &d.cues, &d.kind, NULL), 0);
    CHECK_NUMBER(d.kind, CEA_NONE);
    cea_close(c);
    decoded_close(&d);
}

static void packets_come_in_decoding_order(void) {
    /* Four pictures in the order I P B B: shown 0, 3, 1, 2. */
    static const struct {
        int64_t pts;
        const char *codes;
    } pictures[] = {{0, "AB"}, {300, "GH"}, {100, "CD"}, {200, "EF"}};
    struct decoded d;
    decoded_open(&d);
    struct cea *c = open_codec(AV_CODEC_ID_MPEG2VIDEO, "", 0);
    unsigned char window[] = "\0\0\1\xB2" GA94("\x45") DTVCC_WINDOW;
    feed_packet(c, -100, window, sizeof window - 1);
    for (int i = 0; i < 4; i++) {
        unsigned char data[] = "\0\0\1\xB2" GA94("\x42") "\xFF??\xFE??";
        data[12] = (unsigned char)((pictures[i].pts / 100 + 1) << 6 | 2);
        data[13] = 0x22;
        memcpy(data + 15, pictures[i].codes, 2);
        feed_packet(c, pictures[i].pts, data, sizeof data - 1);
    }
    CHECK_NUMBER(cea_finish(c, 0, &d.cues, &d.kind, NULL), 0);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 0, 301, "ABCDEFGH");
    cea_close(c);
    decoded_close(&d);
}

/* ---- CEA-608 ---- */

static void pop_on_608(void) {
    struct reel r = {0};
    int next = reel_pop_on(&r, 5, "Hello there", "my World");
    int64_t shown_ms = (next - 2) * REEL_STEP_MS;
    next = reel_control(&r, 60, 0x14, EDM);
    reel_pop_on(&r, next, "Good bye", "");
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.kind, CEA_608);
    CHECK_NUMBER(d.cues.count, 2);
    check_cue(&d, 0, shown_ms, 6000, "Hello there\nmy World");
    CHECK_TEXT(d.cues.count == 2 ? d.cues.items[1].text : NULL, "Good bye");
    CHECK_NUMBER(d.cues.count == 2 ? d.cues.items[1].end_ms : 0, END_MS);
    decoded_close(&d);
}

static void a_forgotten_erase_does_not_mix_captions(void) {
    struct reel r = {0};
    int next = 0;
    for (const char *const *text = (const char *const[]){"long first text", "second", "3", NULL};
         *text; text++) {
        next = reel_control(&r, next, 0x14, RCL);
        next = reel_control(&r, next, 0x14, 0x60);
        next = reel_text(&r, next, *text);
        next = reel_control(&r, next, 0x14, EOC);
    }
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 3);
    CHECK_TEXT(d.cues.count == 3 ? d.cues.items[1].text : NULL, "second");
    CHECK_TEXT(d.cues.count == 3 ? d.cues.items[2].text : NULL, "3");
    decoded_close(&d);
}

static void paint_on_608_starts_with_its_first_letter(void) {
    struct reel r = {0};
    reel_control(&r, 0, 0x14, EDM);
    int next = reel_control(&r, 100, 0x14, RDC);
    next = reel_control(&r, next, 0x14, 0x60);
    next = reel_text(&r, next, "Caf");
    reel_pair(&r, next, 'e', 0);
    reel_control(&r, next + 1, 0x12, 0x21); /* extended character: É in place of the e */
    reel_control(&r, 150, 0x14, EDM);
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 10400, 15000, "CafÉ");
    decoded_close(&d);
}

static void roll_up_608_is_a_cue_for_each_line(void) {
    struct reel r = {0};
    static const char *const lines[] = {"first line", "second line", "third line"};
    for (int i = 0; i < 3; i++) {
        int next = reel_control(&r, 50 * i, 0x14, RU2);
        next = reel_control(&r, next, 0x14, CR);
        next = reel_control(&r, next, 0x14, 0x60);
        reel_text(&r, next, lines[i]);
    }
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.cues.count, 3);
    check_cue(&d, 0, 600, 5600, "first line");
    check_cue(&d, 1, 5600, 10600, "first line\nsecond line");
    check_cue(&d, 2, 10600, END_MS, "second line\nthird line");
    decoded_close(&d);
}

static void only_captions_of_channel_1_are_taken(void) {
    struct reel r = {0};
    int next = reel_text(&r, 0, "rest of a caption before the clip");
    next = reel_control(&r, next, 0x1C, RCL); /* channel 2 */
    next = reel_text(&r, next, "two");
    next = reel_control(&r, next, 0x14, TR); /* text mode */
    next = reel_text(&r, next, "weather");
    next = reel_pop_on(&r, next, "", "caption");
    next = reel_control(&r, next, 0x1C, RDC);
    next = reel_text(&r, next, "deux");
    for (int i = 0; i < 8; i++) {
        reel_add(&r, i, 0xFD, with_parity('F'), with_parity('2')); /* field 2 */
        reel_add(&r, i, 0xF8, with_parity('N'), with_parity('o')); /* cc_valid not set */
    }
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.kind, CEA_608);
    CHECK_NUMBER(d.cues.count, 1);
    CHECK_TEXT(d.cues.count ? d.cues.items[0].text : NULL, "caption");
    decoded_close(&d);
}

static void cea_708_is_preferred_where_it_has_text(void) {
    struct reel r = {0};
    reel_pop_on(&r, 5, "SIX HUNDRED AND EIGHT", "");
    reel_708(&r, 5, DF0_HIDDEN_2);
    struct decoded d = reel_decode(&r);
    CHECK_NUMBER(d.kind, CEA_608); /* a window, but nothing in it */
    decoded_close(&d);
    reel_708(&r, 6, "Seven hundred and eight" DISPLAY_0);
    d = reel_decode(&r);
    CHECK_NUMBER(d.kind, CEA_708);
    CHECK_NUMBER(d.cues.count, 1);
    check_cue(&d, 0, 600, END_MS, "Seven hundred and eight");
    decoded_close(&d);
}

/* ---- files ---- */

struct film {
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *codec;
    AVPacket *packet;
};

static bool film_drain(struct film *f) {
    int rc = avcodec_receive_packet(f->codec, f->packet);
    while (rc == 0) {
        av_packet_rescale_ts(f->packet, f->codec->time_base, f->stream->time_base);
        f->packet->stream_index = 0;
        rc = av_interleaved_write_frame(f->format, f->packet);
        if (rc == 0) {
            rc = avcodec_receive_packet(f->codec, f->packet);
        }
    }
    return rc == AVERROR(EAGAIN) || rc == AVERROR_EOF;
}

/* A bar that moves, so that the encoder has a use for B pictures. */
static void draw(AVFrame *frame, int picture) {
    for (int y = 0; y < frame->height; y++) {
        for (int x = 0; x < frame->width; x++) {
            frame->data[0][y * frame->linesize[0] + x] = abs(x - picture % 64) < 6 ? 200 : 60;
        }
    }
    for (int plane = 1; plane < 3; plane++) {
        memset(frame->data[plane], 128, (size_t)frame->linesize[plane] * (size_t)frame->height / 2);
    }
}

static bool film_picture(struct film *f, const struct reel *r, int picture) {
    AVFrame *frame = av_frame_alloc();
    bool ok = frame != NULL;
    if (ok) {
        frame->format = f->codec->pix_fmt;
        frame->width = f->codec->width;
        frame->height = f->codec->height;
        frame->pts = picture;
        ok = av_frame_get_buffer(frame, 0) == 0;
    }
    if (ok) {
        size_t size = 3 * (size_t)r->counts[picture];
        AVFrameSideData *side =
            size ? av_frame_new_side_data(frame, AV_FRAME_DATA_A53_CC, size) : NULL;
        draw(frame, picture);
        ok = side || !size;
        if (side) {
            memcpy(side->data, r->triplets[picture], size);
        }
    }
    ok = ok && avcodec_send_frame(f->codec, frame) == 0 && film_drain(f);
    av_frame_free(&frame);
    return ok;
}

static bool film_open(struct film *f, const char *path, const char *container,
                      const AVCodec *encoder) {
    f->packet = av_packet_alloc();
    f->codec = avcodec_alloc_context3(encoder);
    if (!f->packet || !f->codec ||
        avformat_alloc_output_context2(&f->format, NULL, container, path) < 0) {
        return false;
    }
    f->codec->width = 64;
    f->codec->height = 48;
    f->codec->pix_fmt = AV_PIX_FMT_YUV420P;
    f->codec->time_base = (AVRational){1, 25};
    f->codec->framerate = (AVRational){25, 1};
    f->codec->gop_size = 50;
    f->codec->max_b_frames = 2;
    av_opt_set(f->codec->priv_data, "preset", "veryfast", 0); /* libx264's only */
    av_opt_set(f->codec->priv_data, "x264-params", "b-adapt=0:threads=1", 0);
    if (f->format->oformat->flags & AVFMT_GLOBALHEADER) {
        f->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    }
    f->stream = avformat_new_stream(f->format, NULL);
    if (!f->stream || avcodec_open2(f->codec, encoder, NULL) < 0 ||
        avcodec_parameters_from_context(f->stream->codecpar, f->codec) < 0) {
        return false;
    }
    f->stream->time_base = f->codec->time_base;
    return avio_open(&f->format->pb, path, AVIO_FLAG_WRITE) >= 0 &&
           avformat_write_header(f->format, NULL) >= 0;
}

/* Writes the reel as a film of 25 pictures a second. */
static bool write_film(const char *path, const char *container, const AVCodec *encoder,
                       const struct reel *r) {
    struct film f = {0};
    bool ok = film_open(&f, path, container, encoder);
    for (int i = 0; i < REEL_PICTURES && ok; i++) {
        ok = film_picture(&f, r, i);
    }
    ok = ok && avcodec_send_frame(f.codec, NULL) == 0 && film_drain(&f) &&
         av_write_trailer(f.format) == 0;
    if (f.format) {
        avio_closep(&f.format->pb);
    }
    avformat_free_context(f.format);
    avcodec_free_context(&f.codec);
    av_packet_free(&f.packet);
    return ok;
}

/* Reads it as ingest does. *reordered: some packet's pts is below that of one before. */
static struct decoded read_film(const char *path, bool *reordered) {
    struct decoded d;
    struct cea *c = NULL;
    AVFormatContext *format = NULL;
    AVPacket *packet = av_packet_alloc();
    decoded_open(&d);
    *reordered = false;
    if (CHECK(packet) && CHECK(avformat_open_input(&format, path, NULL, NULL) == 0) &&
        CHECK(avformat_find_stream_info(format, NULL) >= 0) && CHECK(format->nb_streams == 1)) {
        const AVStream *stream = format->streams[0];
        AVRational base = stream->time_base;
        int64_t latest = INT64_MIN;
        CHECK_NUMBER(cea_open(&c, stream->codecpar, base.num, base.den, NULL), 0);
        while (av_read_frame(format, packet) >= 0) {
            *reordered = *reordered || packet->pts < latest;
            latest = packet->pts > latest ? packet->pts : latest;
            CHECK_NUMBER(cea_feed(c, packet, NULL), 0);
            av_packet_unref(packet);
        }
        int64_t start_ms = av_rescale_q(stream->start_time, base, (AVRational){1, 1000});
        CHECK_NUMBER(cea_finish(c, start_ms, &d.cues, &d.kind, NULL), 0);
    }
    cea_close(c);
    avformat_close_input(&format);
    av_packet_free(&packet);
    return d;
}

/* The same through the whole reader, which decodes keyframes only: captions must not suffer from
 * that. */
static void check_media(const char *path, const char *kind, const char *last_text) {
    struct arena *arena;
    struct media media;
    struct heartbeat heartbeat = {0};
    struct media_options options = {.thumbs = 1, .thumb_size = 64};
    CHECK_NUMBER(arena_open(&arena, 1 << 24, NULL), 0);
    CHECK_NUMBER(media_read(&media, path, &options, arena, &heartbeat, NULL), 0);
    CHECK(!media.every_frame && media.frames_decoded < REEL_PICTURES / 2);
    if (CHECK_NUMBER(media.track_count, 1) && CHECK(media.tracks[0].cues.count > 0)) {
        const struct cue_list *cues = &media.tracks[0].cues;
        CHECK_TEXT(media.tracks[0].kind, kind);
        CHECK_TEXT(cues->items[cues->count - 1].text, last_text);
    }
    media_close(&media);
    arena_close(arena);
}

/* A cue of a film, times in pictures of 40 ms; containers round by a millisecond. */
static void check_film_cue(const struct decoded *d, size_t at, int start, int end,
                           const char *text) {
    if (CHECK(at < d->cues.count)) {
        CHECK_TEXT(d->cues.items[at].text, text);
        CHECK_NEAR((double)d->cues.items[at].start_ms, start * 40.0, 1.5);
        CHECK_NEAR((double)d->cues.items[at].end_ms, end * 40.0, 1.5);
    }
}

static void check_film(const char *encoder_name, const char *container) {
    const AVCodec *encoder = avcodec_find_encoder_by_name(encoder_name);
    if (!encoder) {
        printf("# skip: this libavcodec has no %s\n", encoder_name);
        return;
    }
    char path[] = "/tmp/occ-cea-test-XXXXXX";
    int file = mkstemp(path);
    if (!CHECK(file >= 0)) {
        return;
    }
    close(file);
    bool reordered;
    struct reel r = {0};
    int shown = reel_pop_on(&r, 10, "- Are you there?", "- Yes, I am.") - 2;
    int next = reel_control(&r, 100, 0x14, EDM);
    int again = reel_pop_on(&r, next, "", "THE END") - 2;
    CHECK(write_film(path, container, encoder, &r));
    struct decoded d = read_film(path, &reordered);
    CHECK(reordered);
    CHECK_NUMBER(d.kind, CEA_608);
    CHECK_NUMBER(d.cues.count, 2);
    check_film_cue(&d, 0, shown, 100, "- Are you there?\n- Yes, I am.");
    check_film_cue(&d, 1, again, REEL_PICTURES, "THE END");
    check_media(path, "cea-608", "THE END");
    decoded_close(&d);

    for (int with_608 = 1; with_608 >= 0; with_608--) {
        if (!with_608) {
            memset(&r, 0, sizeof r);
        }
        reel_708(&r, 20, DF0_HIDDEN_2 "D\xE9j\xE0 vu,");
        reel_708(&r, 21, "\r\x10\x33twice\x10\x34\x03");
        reel_708(&r, 22, DISPLAY_0);
        reel_708(&r, 70, DELETE_ALL);
        CHECK(write_film(path, container, encoder, &r));
        d = read_film(path, &reordered);
        CHECK_NUMBER(d.kind, CEA_708);
        CHECK_NUMBER(d.cues.count, 1);
        check_film_cue(&d, 0, 22, 70, "Déjà vu,\n“twice”");
        check_media(path, "cea-708", "Déjà vu,\n“twice”");
        decoded_close(&d);
    }
    unlink(path);
}

static void film_h264_length_prefixed(void) {
    check_film("libx264", "mp4");
}

static void film_h264_annex_b(void) {
    check_film("libx264", "mpegts");
}

static void film_mpeg2(void) {
    check_film("mpeg2video", "mpegts");
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    RUN(h264_annex_b);
    RUN(h264_length_prefixed);
    RUN(hevc_prefix_and_suffix_sei);
    RUN(mpeg2_user_data);
    RUN(other_sei_messages_in_the_same_unit);
    RUN(emulation_prevention_inside_the_captions);
    RUN(bytes_that_are_not_captions_are_passed_over);
    RUN(a_codec_without_captions_needs_no_reader);
    RUN(packets_come_in_decoding_order);
    RUN(pop_on_608);
    RUN(a_forgotten_erase_does_not_mix_captions);
    RUN(paint_on_608_starts_with_its_first_letter);
    RUN(roll_up_608_is_a_cue_for_each_line);
    RUN(only_captions_of_channel_1_are_taken);
    RUN(cea_708_is_preferred_where_it_has_text);
    RUN(film_h264_length_prefixed);
    RUN(film_h264_annex_b);
    RUN(film_mpeg2);
    return test_finish();
}
