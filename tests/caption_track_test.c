/* caption_track_test.c - captions out of files and out of tracks inside containers. */
#include "ingest/captions/caption.h"

#include <libavformat/avformat.h>
#include <unistd.h>

#include "store/utf8.h"
#include "tests/caption_file.h"

/* ---- files ----------------------------------------------------------------------------------- */

static void subrip_files_are_read_in_order(void) {
    cues_begin();
    CHECK_NUMBER(read_text("\xEF\xBB\xBF"
                           "2\r\n00:00:04,500 --> 00:00:06,000\r\nI <3 this &amp; that.\r\n\r\n"
                           "1\r\n00:00:01,000 --> 00:00:02,500 X1:10 X2:20 Y1:1 Y2:2\r\n"
                           "<i>Hello,</i>\r\n{\\an8}world!\r\n\r\n"
                           "00:01:00,000 --> 00:00:59,000\r\nAn end before the start\r\n\r\n"
                           "4\r\n00:01:03,000 --> 00:01:04,000\r\n<b></b>\r\n",
                           "srt"),
                 0);
    CHECK_CUES("1000-2500 Hello,|world!;4500-6000 I <3 this & that.;"
               "60000-63000 An end before the start;");
    cues_end();
}

static void webvtt_files_lose_notes_styles_and_settings(void) {
    cues_begin();
    CHECK_NUMBER(read_text("WEBVTT - a title\n\nSTYLE\n::cue { color: lime }\n\n"
                           "NOTE\nnot shown\n\njunk 1 --> 2\n\n"
                           "00:99 --> soon\nneither\n\nREGION\nid:fred\n\nintro\n"
                           "00:01.000 --> 00:02.500 line:0 align:start\n"
                           "<v Fred>Hi, I&rsquo;m <b.loud>Fred</b> {really}\n\n"
                           "01:00:00.000 --> 01:00:01.000\n- one\n- two &gt; three\n",
                           "VTT"),
                 0);
    CHECK_CUES("1000-2500 Hi, I\u2019m Fred {really};3600000-3601000 - one|- two > three;");
    cues_end();
}

static void voices_of_webvtt_are_speakers(void) {
    cues_begin();
    CHECK_NUMBER(
        read_text("WEBVTT\n\n"
                  "00:01.000 --> 00:02.000\n<v Bob>Hello,\n<i>world</i>.</v>\n\n"
                  "00:02.000 --> 00:03.000\n<v.first.loud Ann &amp;\tLee>- Hi {you}\n"
                  "<v Bob>- Ha</v> <v Bob>ha</v>[laughs]<v>\n<v Bob></v>\n\n"
                  "00:03.000 --> 00:04.000\n&gt;&gt; BOB: I am <vol x>not</vol> <3 a speaker>.\n\n"
                  "00:04.000 --> 00:05.000\n<v \x01\\N>a <V Z\xC3\xA9>b <v Bob\n\n"
                  "00:05.000 --> 00:06.000\n<v Bob><b> </b>\n\n"
                  "00:06.000 --> 00:07.000\n<i><v Ann>so<00:06.500><c> it</c> is</v></i>",
                  "vtt"),
        0);
    CHECK_CUES("1000-2000 Hello,|world.;2000-3000 - Hi {you};2000-3000 - Ha ha;"
               "2000-3000 [laughs];3000-4000 >> BOB: I am not .;4000-5000 a;4000-5000 b;"
               "6000-7000 so it is;");
    CHECK_SPEAKERS("Bob;Ann & Lee;Bob;-;-;\\N;Z\u00E9;Ann;");
    caption_collapse_rolling(&cues);
    CHECK_NUMBER(cues.count, 8);
    cues_end();
}

static void long_names_are_cut_at_a_whole_character(void) {
    char text[700];
    char name[2 * 150 + 1] = "";
    for (size_t i = 0; i < 150; i++) {
        memcpy(name + 2 * i, i == 99 ? " x" : "\u00E9", 3);
    }
    snprintf(text, sizeof text, "WEBVTT\n\n00:01.000 --> 00:02.000\n<v a%s>hi\n", name);
    cues_begin();
    CHECK_NUMBER(read_text(text, "vtt"), 0);
    const char *speaker = cues.items[0].speaker;
    CHECK(speaker && strlen(speaker) == 199 && utf8_is_valid(speaker, 199)); /* no blank at 200 */
    cues_end();
}

static void ass_files_lose_comments_and_drawings(void) {
    cues_begin();
    CHECK_NUMBER(
        read_text("[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n"
                  "Format: Name, Fontname, Fontsize\nStyle: Default,Arial,16\n\n[Events]\n"
                  "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, "
                  "Effect, Text\n"
                  "Dialogue: 0,0:00:05.00,0:00:06.50,Default,,0,0,0,,Well, {\\i1}no{\\i0}, "
                  "I think\\Nnot.\n"
                  "Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,note to self\n"
                  "Dialogue: 1,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 9 9\n"
                  "Dialogue: 0,0:00:03.00,0:00:04.00,Default,Ann,0,0,0,fx,Yes.\n",
                  "ass"),
        0);
    CHECK_CUES("3000-4000 Yes.;5000-6500 Well, no, I think|not.;");
    CHECK_SPEAKERS("Ann;-;");
    cues_end();
}

/* `text` in UTF-16 with a byte order mark, and half a surrogate pair after it. */
static void encode_utf16(struct bytes *out, const char *text, bool big_endian) {
    uint32_t units[256] = {0xFEFF};
    size_t count = 1, size = strlen(text);
    for (size_t i = 0; i < size && count < 250;) {
        uint32_t c;
        bool valid;
        i += utf8_decode(text + i, size - i, &c, &valid);
        if (c > 0xFFFF) {
            units[count++] = 0xD7C0 + (c >> 10);
            c = 0xDC00 + (c & 0x3FF);
        }
        units[count++] = c;
    }
    units[count++] = 0xD83D;
    for (size_t i = 0; i < count; i++) {
        unsigned char high = (unsigned char)(units[i] >> 8), low = (unsigned char)units[i];
        CHECK_NUMBER(bytes_append(out, big_endian ? &high : &low, 1, NULL), 0);
        CHECK_NUMBER(bytes_append(out, big_endian ? &low : &high, 1, NULL), 0);
    }
}

static void utf16_files_are_converted(void) {
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        struct bytes file;
        struct caption_losses losses = {0};
        bytes_init(&file, 1000);
        encode_utf16(&file, "1\r\n00:00:01,000 --> 00:00:02,000\r\nd\u00E9j\u00E0 vu \U0001F600 ",
                     big_endian);
        cues_begin();
        CHECK_NUMBER(read_bytes((char *)file.data, file.size, "srt", &losses), 0);
        CHECK_CUES("1000-2000 d\u00E9j\u00E0 vu \U0001F600 \uFFFD;");
        CHECK_NUMBER(losses.repaired, 1);
        CHECK_NUMBER(read_bytes((char *)file.data, file.size - 1, "srt", &losses), 0);
        CHECK_NUMBER(cues.count, 2); /* a byte too few is the same damage */
        cues_end();
        bytes_close(&file);
    }
}

static void damaged_text_is_repaired_and_read_to_its_end(void) {
    static const char latin1[] = "1\n00:00:01,000 --> 00:00:02,000\nd\xE9j\xE0 vu\n\0\n"
                                 "2\n00:00:03,000 --> 00:00:04,000\nstill here\n";
    struct caption_losses losses = {0};
    cues_begin();
    CHECK_NUMBER(read_bytes(latin1, sizeof latin1 - 1, "srt", &losses), 0);
    CHECK_CUES("1000-2000 d\uFFFDj\uFFFD vu;3000-4000 still here;");
    CHECK_NUMBER(losses.repaired, 3); /* two letters and the zero byte */
    cues_end();
}

static void files_without_captions_are_refused(void) {
    cues_begin();
    add(0, 1, "from another file");
    CHECK_NUMBER(read_text("", "srt"), ERR_FORMAT);
    CHECK_NUMBER(read_text("WEBVTT\n\n", "vtt"), ERR_FORMAT);
    CHECK_NUMBER(read_text("<!DOCTYPE html><title>404 Not Found</title>", "srt"), ERR_FORMAT);
    CHECK_NUMBER(read_text("1\n00:00:01,000 --> 00:00:02,000\n<i> </i>\n", "srt"), ERR_FORMAT);
    CHECK_NUMBER(read_text("1\n00:00:01,000 --> 00:00:02,000\nx\n", "txt"), ERR_UNSUPPORTED);
    CHECK_NUMBER(read_text("1\n00:00:01,000 --> 00:00:02,000\nx\n", ""), ERR_UNSUPPORTED);
    CHECK_NUMBER(read_bytes("1", ((size_t)16 << 20) + 1, "srt", NULL), ERR_LIMIT);
    CHECK_CUES("0-1 from another file;");
    cues_end();
}

/* ---- tracks ---------------------------------------------------------------------------------- */

struct sample {
    int64_t pts, duration;
    const char *data;
    int size;
};
#define SAMPLE(pts, duration, text)                                                                \
    { (pts), (duration), (text), sizeof(text) - 1 }

static void fill_packet(AVPacket *packet, const struct sample *sample) {
    CHECK_NUMBER(av_new_packet(packet, sample->size), 0);
    if (sample->size > 0) {
        memcpy(packet->data, sample->data, (size_t)sample->size);
    }
    packet->pts = packet->dts = sample->pts;
    packet->duration = sample->duration;
}

/* Feeds packets in milliseconds to the decoder of `codec`. */
static void feed(enum AVCodecID codec, const struct sample *samples, size_t count) {
    struct error e = {0};
    struct caption_decoder *decoder = NULL;
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    AVPacket *packet = av_packet_alloc();
    if (!CHECK(parameters && packet)) {
        exit(EXIT_FAILURE);
    }
    parameters->codec_type = AVMEDIA_TYPE_SUBTITLE;
    parameters->codec_id = codec;
    if (CHECK(caption_decoder_open(&decoder, parameters, 1, 1000, &e) == 0)) {
        for (size_t i = 0; i < count; i++) {
            fill_packet(packet, &samples[i]);
            CHECK_NUMBER(caption_decoder_feed(decoder, packet, &cues, &e), 0);
            CHECK_NUMBER(packet->size, samples[i].size); /* the caller's packet is left alone */
            av_packet_unref(packet);
        }
    }
    caption_decoder_close(decoder);
    avcodec_parameters_free(&parameters);
    av_packet_free(&packet);
}
#define FEED(codec, samples) feed((codec), (samples), sizeof(samples) / sizeof *(samples))

static void mux(const char *path, const char *container, enum AVCodecID codec,
                const struct sample *samples, size_t count) {
    AVFormatContext *format = NULL;
    CHECK(avformat_alloc_output_context2(&format, NULL, container, path) >= 0);
    AVStream *stream = format ? avformat_new_stream(format, NULL) : NULL;
    AVPacket *packet = av_packet_alloc();
    if (!CHECK(stream && packet)) {
        exit(EXIT_FAILURE);
    }
    stream->codecpar->codec_type = AVMEDIA_TYPE_SUBTITLE;
    stream->codecpar->codec_id = codec;
    stream->time_base = (AVRational){1, 1000};
    CHECK(avio_open(&format->pb, path, AVIO_FLAG_WRITE) >= 0);
    CHECK(avformat_write_header(format, NULL) >= 0);
    for (size_t i = 0; i < count; i++) {
        fill_packet(packet, &samples[i]);
        av_packet_rescale_ts(packet, (AVRational){1, 1000}, stream->time_base);
        CHECK(av_write_frame(format, packet) >= 0);
        av_packet_unref(packet);
    }
    CHECK(av_write_trailer(format) >= 0);
    CHECK(avio_closep(&format->pb) >= 0);
    av_packet_free(&packet);
    avformat_free_context(format);
}

static void demux(const char *path) {
    AVFormatContext *format = NULL;
    struct caption_decoder *decoder = NULL;
    AVPacket *packet = av_packet_alloc();
    if (!CHECK(avformat_open_input(&format, path, NULL, NULL) >= 0 && packet)) {
        exit(EXIT_FAILURE);
    }
    const AVStream *stream = format->streams[0];
    if (CHECK(caption_decoder_open(&decoder, stream->codecpar, stream->time_base.num,
                                   stream->time_base.den, NULL) == 0)) {
        while (av_read_frame(format, packet) >= 0) {
            CHECK_NUMBER(caption_decoder_feed(decoder, packet, &cues, NULL), 0);
            av_packet_unref(packet);
        }
    }
    caption_decoder_close(decoder);
    av_packet_free(&packet);
    avformat_close_input(&format);
}

static void through_a_file(const char *container, enum AVCodecID codec,
                           const struct sample *samples, size_t count) {
    char path[] = "/tmp/occ-caption-test-XXXXXX";
    int fd = mkstemp(path);
    if (!CHECK(fd >= 0)) {
        return;
    }
    mux(path, container, codec, samples, count);
    demux(path);
    CHECK_NUMBER(close(fd), 0);
    CHECK_NUMBER(unlink(path), 0);
}

static void mov_text_in_mp4_gives_cues_and_no_gaps(void) {
    static const struct sample samples[] = {
        SAMPLE(0, 500, "\0\0"),
        SAMPLE(500, 1000, "\0\014Hello (you)\n"),
        SAMPLE(1500, 500, "\0\0"),
        SAMPLE(2000, 1500, "\0\010two\nrows"),
    };
    cues_begin();
    through_a_file("mp4", AV_CODEC_ID_MOV_TEXT, samples, sizeof samples / sizeof *samples);
    CHECK_CUES("500-1500 Hello (you);2000-3500 two|rows;");
    cues_end();
}

static void subrip_in_matroska_gives_cues(void) {
    static const struct sample samples[] = {
        SAMPLE(1000, 1500, "<i>Hello,</i>\r\nworld &amp; all"),
        SAMPLE(4000, 2000, "{\\an8}Bye"),
    };
    cues_begin();
    through_a_file("matroska", AV_CODEC_ID_SUBRIP, samples, sizeof samples / sizeof *samples);
    CHECK_CUES("1000-2500 Hello,|world & all;4000-6000 Bye;");
    cues_end();
}

static void every_text_codec_is_understood(void) {
    static const struct sample ass[] = {
        SAMPLE(1000, 500, "0,0,Default,,0,0,0,,Well, {\\i1}no{\\i0}\\Nyes"),
        SAMPLE(2000, 500, "1,0,Default,,0,0,0,,{\\p1}m 0 0 l 5 5"),
        SAMPLE(3000, 500, "no event at all"),
        SAMPLE(4000, 500, "2,0,Default, Ann  \\N{x}Lee ,0,0,0,,a"),
        SAMPLE(5000, 500, "3,0,Default,NTP,0000,0000,0000,!Effect,b"),
    };
    static const struct sample webvtt[] = {SAMPLE(1000, 500, "<v Ann>so<00:00:01.200><c> it</c>")};
    static const struct sample text[] = {SAMPLE(1000, 500, "a {b} c:\\new\nd")};
    cues_begin();
    FEED(AV_CODEC_ID_ASS, ass);
    FEED(AV_CODEC_ID_WEBVTT, webvtt);
    FEED(AV_CODEC_ID_TEXT, text);
    CHECK_CUES("1000-1500 Well, no|yes;4000-4500 a;5000-5500 b;1000-1500 so it;"
               "1000-1500 a {b} c:\\new|d;");
    CHECK_SPEAKERS("-;Ann Lee;-;Ann;-;");
    cues_end();
}

/* ingest 12: what is markup in one codec is text in another */
static void text_of_tracks_is_taken_as_it_is(void) {
    static const struct sample webvtt[] = {
        SAMPLE(1000, 500,
               "use &lt;b&gt;, &amp;lt; caf&eacute; C:\\New {x}\n<c>I</c> <3 <v Ann>you"),
    };
    static const struct sample mov_text[] = {
        SAMPLE(1000, 500, "\0\022use <b> {x} C:\\New &lt;"),
        SAMPLE(2000, 500, "\0\006\xFE\xFF\0h\0istyles"),
        SAMPLE(3000, 500, "\0\003one\r\ntwo"),
    };
    static const struct sample subrip[] = {
        SAMPLE(1000, 500, "{\\an8}{x} C:\\New\r<i>&eacute;</i>")};
    static const struct sample ass[] = {
        SAMPLE(1000, 500, "0,0,D,,0,0,0,,use <b> {\\i1}&lt;\\Nb, c")};
    cues_begin();
    FEED(AV_CODEC_ID_WEBVTT, webvtt);
    CHECK_CUES("1000-1500 use <b>, &lt; caf\u00E9 C:\\New {x}|I <3;1000-1500 you;");
    cues_end();
    cues_begin();
    FEED(AV_CODEC_ID_MOV_TEXT, mov_text);
    FEED(AV_CODEC_ID_SUBRIP, subrip);
    FEED(AV_CODEC_ID_ASS, ass);
    CHECK_CUES("1000-1500 use <b> {x} C:\\New;2000-2500 hi;3000-3500 one;"
               "1000-1500 {x} C:\\New|\u00E9;1000-1500 use <b> &lt;|b, c;");
    cues_end();
}

static void webvtt_in_webm_gives_cues(void) {
    static const struct sample samples[] = {
        SAMPLE(1000, 1500, "&lt;i&gt;<i>Hello,</i>\n\\N &hellip;"),
        SAMPLE(4000, 2000, "<v Ann>Bye"),
    };
    cues_begin();
    through_a_file("webm", AV_CODEC_ID_WEBVTT, samples, sizeof samples / sizeof *samples);
    CHECK_CUES("1000-2500 <i>Hello,|\\N \u2026;4000-6000 Bye;");
    CHECK_SPEAKERS("-;Ann;");
    cues_end();
}

static void a_cue_without_an_end_lasts_until_the_next_or_seven_seconds(void) {
    static const struct sample subrip[] = {SAMPLE(0, 0, "one"), SAMPLE(2000, 0, "two"),
                                           SAMPLE(20000, 0, "three")};
    static const struct sample mov_text[] = {
        SAMPLE(30000, 0, "\0\004four"), SAMPLE(31000, 0, "\0\0"), SAMPLE(32000, 100, "\0\004five")};
    static const struct sample webvtt[] = {SAMPLE(0, 0, "<v A>a<v B>b"), SAMPLE(10, -7, "c")};
    static const struct sample negative[] = {SAMPLE(0, -1, "0,0,D,,0,0,0,,a"),
                                             SAMPLE(90, INT64_MIN, "1,0,D,,0,0,0,,b")};
    cues_begin();
    FEED(AV_CODEC_ID_SUBRIP, subrip);
    FEED(AV_CODEC_ID_MOV_TEXT, mov_text);
    CHECK_CUES("0-2000 one;2000-9000 two;20000-27000 three;30000-31000 four;32000-32100 five;");
    cues_end();
    cues_begin();
    FEED(AV_CODEC_ID_WEBVTT, webvtt); /* both voices end */
    CHECK_CUES("0-10 a;0-10 b;10-7010 c;");
    cues_end();
    cues_begin();
    FEED(AV_CODEC_ID_ASS, negative); /* ingest 13 */
    CHECK_CUES("0-90 a;90-7090 b;");
    cues_end();
}

static void bad_packets_cost_only_themselves(void) {
    static char huge[140000];
    memset(huge, 'x', sizeof huge);
    static const struct sample mov_text[] = {
        SAMPLE(0, 100, "\377\377cut"),
        SAMPLE(0, 100, "\0"),
        SAMPLE(AV_NOPTS_VALUE, 100, "\0\004when"),
        SAMPLE(INT64_MAX, INT64_MAX, "\0\005never"),
        SAMPLE(100, INT64_MAX, "\0\007forever"),
        SAMPLE(-50, 200, "\0\005early"),
    };
    const struct sample subrip[] = {
        {200, 100, huge, sizeof huge},
        {300, 100, NULL, 0},
        SAMPLE(400, 100, "d\xE9j\xE0 vu"),
    };
    cues_begin();
    FEED(AV_CODEC_ID_MOV_TEXT, mov_text);
    FEED(AV_CODEC_ID_SUBRIP, subrip);
    CHECK_CUES("0-100 cut;100-7100 forever;0-150 early;400-500 d\uFFFDj\uFFFD vu;");
    cues_end();
}

static void tracks_of_pictures_are_unsupported(void) {
    struct caption_decoder *decoder = NULL;
    struct error e = {0};
    AVCodecParameters *parameters = avcodec_parameters_alloc();
    if (!CHECK(parameters != NULL)) {
        return;
    }
    parameters->codec_type = AVMEDIA_TYPE_SUBTITLE;
    parameters->codec_id = AV_CODEC_ID_HDMV_PGS_SUBTITLE;
    CHECK_NUMBER(caption_decoder_open(&decoder, parameters, 1, 1000, &e), ERR_UNSUPPORTED);
    CHECK(decoder == NULL && strstr(e.text, "hdmv_pgs_subtitle"));
    parameters->codec_id = AV_CODEC_ID_SUBRIP;
    CHECK_NUMBER(caption_decoder_open(&decoder, parameters, 1, 0, &e), ERR_FORMAT);
    caption_decoder_close(decoder);
    avcodec_parameters_free(&parameters);
}

/* The shape of a video site's automatic captions: the line being spoken has a time for each word
 * and the line before it stands above; a cue of 10 ms holds the finished line. */
static const char automatic_vtt[] =
    "WEBVTT\nKind: captions\nLanguage: en\n\n"
    "00:00:00.320 --> 00:00:02.389 align:start position:0%\n"
    " \n"
    "so<00:00:00.560><c> today</c><00:00:00.880><c> we're</c><00:00:01.040><c> going</c>\n\n"
    "00:00:02.389 --> 00:00:02.399 align:start position:0%\n"
    "so today we're going\n \n\n"
    "00:00:02.399 --> 00:00:04.230 align:start position:0%\n"
    "so today we're going\n"
    "to<00:00:02.560><c> talk</c><00:00:02.879><c> about</c><00:00:03.280><c> bread</c>\n\n"
    "00:00:04.230 --> 00:00:04.240 align:start position:0%\n"
    "to talk about bread\n \n\n"
    "00:00:04.240 --> 00:00:05.990 align:start position:0%\n"
    "to talk about bread\n"
    "bread<00:00:04.640><c> &amp;</c><00:00:05.120><c> butter</c>\n\n"
    "00:00:05.990 --> 00:00:06.000 align:start position:0%\n"
    "bread &amp; butter\n \n\n"
    "00:00:06.000 --> 00:00:09.110 align:start position:0%\n"
    "bread &amp; butter\n[Music]\n\n"
    "00:00:09.110 --> 00:00:09.120 align:start position:0%\n"
    "[Music]\n \n\n"
    "00:00:15.360 --> 00:00:17.189 align:start position:0%\n"
    " \n"
    "all<00:00:15.599><c> right</c>\n\n"
    "00:00:17.189 --> 00:00:17.199 align:start position:0%\n"
    "all right\n \n\n"
    "00:00:17.199 --> 00:00:19.000 align:start position:0%\n"
    "all right\n"
    "all right\n\n";

static void automatic_captions_give_each_line_once(void) {
    cues_begin();
    CHECK_NUMBER(read_text(automatic_vtt, "vtt"), 0);
    CHECK_NUMBER(cues.count, 11);
    caption_collapse_rolling(&cues);
    CHECK_CUES("320-2399 so today we're going;2399-4240 to talk about bread;"
               "4240-6000 bread & butter;6000-9120 [Music];15360-17199 all right;"
               "17199-19000 all right;");
    cues_end();
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    RUN(subrip_files_are_read_in_order);
    RUN(webvtt_files_lose_notes_styles_and_settings);
    RUN(voices_of_webvtt_are_speakers);
    RUN(long_names_are_cut_at_a_whole_character);
    RUN(ass_files_lose_comments_and_drawings);
    RUN(utf16_files_are_converted);
    RUN(damaged_text_is_repaired_and_read_to_its_end);
    RUN(files_without_captions_are_refused);
    RUN(mov_text_in_mp4_gives_cues_and_no_gaps);
    RUN(subrip_in_matroska_gives_cues);
    RUN(every_text_codec_is_understood);
    RUN(text_of_tracks_is_taken_as_it_is);
    RUN(webvtt_in_webm_gives_cues);
    RUN(a_cue_without_an_end_lasts_until_the_next_or_seven_seconds);
    RUN(bad_packets_cost_only_themselves);
    RUN(tracks_of_pictures_are_unsupported);
    RUN(automatic_captions_give_each_line_once);
    return test_finish();
}
