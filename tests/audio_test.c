/* audio_test.c - signals made here, measured, and compared with what others say: the test cases of
 * EBU Tech 3341 for loudness, the ffmpeg program's ebur128 filter where it is installed. The
 * spectrogram itself is mel_test.c's. */
#include "ingest/media/audio.h"

#include "tests/test.h"

#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/samplefmt.h>
#include <unistd.h>

#define PI 3.14159265358979323846

enum { CHANNELS_MOST = 64 };

/* A sine in every channel, or noise where `hertz` is 0. */
struct signal {
    int rate, channels;
    double seconds, hertz, decibels; /* peak against full scale */
};

static double amplitude(double decibels) {
    return pow(10, decibels / 20);
}

static float *samples_of(struct signal s, int *count) {
    unsigned state = 12345;
    *count = (int)lround(s.seconds * s.rate);
    float *samples = malloc(((size_t)*count * s.channels + 1) * sizeof *samples);
    if (!samples) {
        abort();
    }
    for (int i = 0; i < *count; i++) {
        for (int k = 0; k < s.channels; k++) {
            state = state * 1664525 + 1013904223;
            double noise = (state >> 8) / 8388608.0 - 1;
            double wave = s.hertz > 0 ? sin(2 * PI * s.hertz * i / s.rate) : noise;
            samples[i * s.channels + k] = (float)(amplitude(s.decibels) * wave);
        }
    }
    return samples;
}

static void put_sample(unsigned char *at, enum AVSampleFormat packed, double value) {
    int16_t short_value = (int16_t)lround(fmin(value * 32768, 32767));
    int32_t int_value = (int32_t)llround(fmin(value * 2147483648.0, 2147483647.0));
    float float_value = (float)value;
    switch ((int)packed) {
    case AV_SAMPLE_FMT_U8:
        *at = (unsigned char)lround(fmin(value * 128, 127) + 128);
        break;
    case AV_SAMPLE_FMT_S16:
        memcpy(at, &short_value, sizeof short_value);
        break;
    case AV_SAMPLE_FMT_S32:
        memcpy(at, &int_value, sizeof int_value);
        break;
    case AV_SAMPLE_FMT_FLT:
        memcpy(at, &float_value, sizeof float_value);
        break;
    case AV_SAMPLE_FMT_DBL:
        memcpy(at, &value, sizeof value);
        break;
    default:
        abort();
    }
}

static AVFrame *frame_new(enum AVSampleFormat format, int rate, int channels, int count) {
    AVFrame *frame = av_frame_alloc();
    if (!frame) {
        abort();
    }
    frame->format = format;
    frame->sample_rate = rate;
    frame->nb_samples = count;
    av_channel_layout_default(&frame->ch_layout, channels);
    if (av_frame_get_buffer(frame, 0) < 0) {
        abort();
    }
    return frame;
}

/* Feeds interleaved samples in frames of at most `step`. */
static void feed_samples(struct audio *a, enum AVSampleFormat format, int rate, int channels,
                         const float *samples, int count, int step) {
    bool planar = av_sample_fmt_is_planar(format);
    enum AVSampleFormat packed = av_get_packed_sample_fmt(format);
    int size = av_get_bytes_per_sample(format);
    for (int first = 0; first < count; first += step) {
        int length = count - first < step ? count - first : step;
        AVFrame *frame = frame_new(format, rate, channels, length);
        for (int i = 0; i < length * channels; i++) {
            int channel = i % channels, at = i / channels;
            unsigned char *plane = frame->extended_data[planar ? channel : 0];
            put_sample(plane + (planar ? at : i) * size, packed,
                       (double)samples[first * channels + i]);
        }
        struct error e = {0};
        if (!CHECK(audio_feed(a, frame, &e) == 0)) {
            printf("# %s\n", e.text);
        }
        av_frame_free(&frame);
    }
}

static void feed(struct audio *a, enum AVSampleFormat format, struct signal s) {
    int count = 0;
    float *samples = samples_of(s, &count);
    feed_samples(a, format, s.rate, s.channels, samples, count, 1024);
    free(samples);
}

static struct audio *audio_new(void) {
    struct audio *a = NULL;
    if (!CHECK(audio_open(&a, NULL) == 0)) {
        abort();
    }
    return a;
}

static json_t *report_of(struct audio *a) {
    struct error e = {0};
    json_t *report = audio_to_json(a, &e);
    if (!CHECK(report != NULL)) {
        printf("# %s\n", e.text);
        abort();
    }
    return report;
}

/* A number of the report; NaN, which fails every comparison, when it is none. */
static double number_in(const json_t *report, const char *name) {
    json_t *value = json_object_get(report, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const json_t *levels_in(const json_t *report) {
    return json_object_get(json_object_get(report, "envelope"), "dbfs");
}

static int level_at(const json_t *report, size_t step) {
    const json_t *level = json_array_get(levels_in(report), step);
    return json_is_integer(level) ? (int)json_integer_value(level) : 9999;
}

static void loudness_meets_ebu_tech_3341(void) {
    static const struct {
        int count;
        struct signal parts[5];
    } cases[] = {
        {1, {{48000, 2, 20, 1000, -23}}}, /* case 1, which reads -23; here at other rates too */
        {1, {{44100, 2, 20, 997, -23}}},
        {1, {{96000, 2, 20, 1000, -23}}},
        {5, /* case 4 */
         {{48000, 2, 10, 1000, -72},
          {48000, 2, 10, 1000, -36},
          {48000, 2, 60, 1000, -23},
          {48000, 2, 10, 1000, -36},
          {48000, 2, 10, 1000, -72}}},
        {3, /* case 5 */
         {{48000, 2, 20, 1000, -26}, {48000, 2, 20.1, 1000, -20}, {48000, 2, 20, 1000, -26}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct audio *a = audio_new();
        for (int k = 0; k < cases[i].count; k++) {
            feed(a, AV_SAMPLE_FMT_S16, cases[i].parts[k]);
        }
        json_t *report = report_of(a);
        CHECK_NEAR(number_in(report, "loudness_lufs"), -23, 0.1);
        json_decref(report);
        audio_close(a);
    }
}

static void loudness_weights_channels(void) {
    /* Case 6: -28 dBFS left and right, -24 centre, -30 surrounds. LFE at full scale must not count:
     * it is the fourth in FFmpeg's order as well. */
    static const double levels[6] = {-28, -28, -24, 0, -30, -30};
    struct signal sine = {48000, 6, 20, 1000, 0};
    int count = 0;
    float *samples = samples_of(sine, &count);
    for (int i = 0; i < count * 6; i++) {
        samples[i] *= (float)amplitude(levels[i % 6]);
    }
    struct audio *a = audio_new();
    feed_samples(a, AV_SAMPLE_FMT_FLTP, 48000, 6, samples, count, 4801);
    json_t *report = report_of(a);
    CHECK_NEAR(number_in(report, "loudness_lufs"), -23, 0.1);
    CHECK_NEAR(number_in(report, "peak_dbfs"), 0, 0.01);
    CHECK_NUMBER(number_in(report, "channels"), 6);
    json_decref(report);
    audio_close(a);
    free(samples);
}

/* What `ffmpeg -af ebur128` says of a file of 32-bit floats; NaN when it cannot be run. */
static double loudness_by_ffmpeg(const char *path, struct signal s) {
    char command[512], line[256];
    double lufs = (double)NAN;
    snprintf(command, sizeof command,
             "ffmpeg -nostdin -hide_banner -f f32le -ar %d -ac %d -i %s -af ebur128 -f null - 2>&1",
             s.rate, s.channels, path);
    FILE *output = popen(command, "r");
    while (output && fgets(line, sizeof line, output)) {
        double value = 0;
        lufs = sscanf(line, " I: %lf LUFS", &value) == 1 ? value : lufs; /* the summary is last */
    }
    CHECK(output && pclose(output) == 0);
    return lufs;
}

static void loudness_agrees_with_ffmpeg(void) {
    if (system("command -v ffmpeg >/dev/null 2>&1") != 0) {
        printf("# no ffmpeg program: nothing to compare with\n");
        return;
    }
    static const struct signal signals[] = {
        {48000, 2, 7, 0, -12}, {44100, 1, 5, 0, -30}, {48000, 6, 5, 0, -20}, {32000, 2, 4, 80, -6}};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        char path[] = "/tmp/occ-audio-test-XXXXXX";
        int file = mkstemp(path);
        int count = 0;
        float *samples = samples_of(signals[i], &count);
        size_t size = (size_t)count * signals[i].channels * sizeof *samples;
        CHECK(file >= 0 && write(file, samples, size) == (ssize_t)size && close(file) == 0);
        struct audio *a = audio_new();
        feed(a, AV_SAMPLE_FMT_FLT, signals[i]);
        json_t *report = report_of(a);
        double want = loudness_by_ffmpeg(path, signals[i]); /* printed with one decimal */
        CHECK_NEAR(number_in(report, "loudness_lufs"), want, 0.1);
        json_decref(report);
        audio_close(a);
        free(samples);
        unlink(path);
    }
}

static void sample_formats_agree(void) {
    static const struct {
        enum AVSampleFormat format;
        double limit; /* of the loudness; 8 bits are coarse */
    } cases[] = {{AV_SAMPLE_FMT_U8, 0.1},   {AV_SAMPLE_FMT_U8P, 0.1},  {AV_SAMPLE_FMT_S16, 0.01},
                 {AV_SAMPLE_FMT_S16P, .01}, {AV_SAMPLE_FMT_S32, 0.01}, {AV_SAMPLE_FMT_S32P, 0.01},
                 {AV_SAMPLE_FMT_FLT, 0.01}, {AV_SAMPLE_FMT_FLTP, .01}, {AV_SAMPLE_FMT_DBL, 0.01}};
    for (int channels = 1; channels <= 2; channels++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct audio *a = audio_new();
            feed(a, cases[i].format, (struct signal){48000, channels, 2, 1000, -10});
            json_t *report = report_of(a);
            double want = channels == 1 ? -13.01 : -10; /* a second channel doubles the power */
            CHECK_NEAR(number_in(report, "loudness_lufs"), want, 0.05 + cases[i].limit);
            CHECK_NEAR(number_in(report, "peak_dbfs"), -10, cases[i].limit);
            CHECK_NUMBER(number_in(report, "duration_ms"), 2000);
            CHECK_NUMBER(number_in(report, "sample_rate"), 48000);
            CHECK_NUMBER(json_array_size(levels_in(report)), 20);
            CHECK_NUMBER(level_at(report, 0), -13);
            CHECK_NUMBER(level_at(report, 19), -13);
            json_decref(report);
            audio_close(a);
        }
    }
}

static void every_number_of_channels_is_taken(void) {
    for (int channels = 1; channels <= CHANNELS_MOST; channels++) {
        for (int planar = 0; planar < 2; planar++) {
            struct audio *a = audio_new();
            feed(a, planar ? AV_SAMPLE_FMT_S16P : AV_SAMPLE_FMT_S16,
                 (struct signal){8000, channels, 0.5, 500, -20});
            json_t *report = report_of(a);
            CHECK_NUMBER(number_in(report, "channels"), channels);
            CHECK_NEAR(number_in(report, "peak_dbfs"), -20, 0.01);
            CHECK_NUMBER(level_at(report, 1), -23);
            json_decref(report);
            audio_close(a);
        }
    }
}

static void envelope_follows_the_level(void) {
    struct audio *a = audio_new();
    feed(a, AV_SAMPLE_FMT_FLT, (struct signal){44100, 2, 0.5, 1000, -20});
    feed(a, AV_SAMPLE_FMT_FLT, (struct signal){44100, 2, 0.55, 1000, -400});
    CHECK_NEAR(audio_duration_ms(a), 1050, 0.001);
    json_t *report = report_of(a);
    CHECK_NUMBER(json_array_size(levels_in(report)), 11); /* the last of half a step */
    for (size_t i = 0; i < 11; i++) {
        CHECK_NUMBER(level_at(report, i), i < 5 ? -23 : -100);
    }
    CHECK_NEAR(number_in(report, "silence_ratio"), 0.55, 0.001); /* 6 of 11, in 2 decimals */
    json_decref(report);
    audio_close(a);
}

static void envelope_of_hours_doubles_its_step(void) {
    struct audio *a = audio_new();
    int count = 0;
    float *samples = samples_of((struct signal){4000, 1, 2000, 500, -20}, &count);
    feed_samples(a, AV_SAMPLE_FMT_FLT, 4000, 1, samples, count, count);
    feed_samples(a, AV_SAMPLE_FMT_FLT, 4000, 1, samples, count, count);
    free(samples);
    json_t *report = report_of(a);
    CHECK_NUMBER(number_in(json_object_get(report, "envelope"), "step_ms"), 200);
    CHECK_NUMBER(json_array_size(levels_in(report)), 20000);
    CHECK_NUMBER(level_at(report, 0), -23);
    CHECK_NUMBER(level_at(report, 19999), -23);
    CHECK(number_in(json_object_get(report, "mel"), "columns") <= 4096);
    json_decref(report);
    audio_close(a);
}

static void nothing_and_silence_have_no_loudness(void) {
    struct audio *a = audio_new();
    json_t *report = report_of(a);
    CHECK(json_is_null(json_object_get(report, "loudness_lufs")));
    CHECK(json_is_null(json_object_get(report, "peak_dbfs")));
    CHECK(json_is_null(json_object_get(report, "silence_ratio")));
    CHECK(json_is_null(json_object_get(report, "mel")));
    CHECK_NUMBER(number_in(report, "duration_ms"), 0);
    CHECK(json_is_array(levels_in(report)) && json_array_size(levels_in(report)) == 0);
    json_decref(report);
    audio_close(a);

    a = audio_new();
    feed(a, AV_SAMPLE_FMT_S16, (struct signal){48000, 2, 1, 1000, -200});
    report = report_of(a);
    CHECK(json_is_null(json_object_get(report, "loudness_lufs")));
    CHECK(json_is_null(json_object_get(report, "peak_dbfs")));
    CHECK_NEAR(number_in(report, "silence_ratio"), 1, 0);
    CHECK_NUMBER(level_at(report, 9), -100);
    json_decref(report);
    audio_close(a);
    audio_close(NULL);
}

static void formats_may_change_midway(void) {
    struct audio *a = audio_new();
    feed(a, AV_SAMPLE_FMT_FLTP, (struct signal){48000, 2, 1.05, 1000, -20});
    feed(a, AV_SAMPLE_FMT_S16, (struct signal){24000, 1, 1, 1000, -20});
    feed(a, AV_SAMPLE_FMT_S16, (struct signal){24000, 6, 0.95, 1000, -20});
    feed(a, AV_SAMPLE_FMT_U8P, (struct signal){96000, 6, 1, 1000, -20});
    json_t *report = report_of(a);
    CHECK_NUMBER(number_in(report, "duration_ms"), 4000);
    CHECK_NUMBER(number_in(report, "sample_rate"), 96000);
    CHECK_NUMBER(number_in(report, "channels"), 6);
    CHECK_NUMBER(json_array_size(levels_in(report)), 40);
    for (size_t i = 0; i < 40; i++) {
        CHECK_NUMBER(level_at(report, i), -23);
    }
    /* From mono (-23) to 5.1 (five channels, two of them at 1.5 dB more: -15.4). */
    CHECK(number_in(report, "loudness_lufs") > -23 && number_in(report, "loudness_lufs") < -15);
    int columns = (int)number_in(json_object_get(report, "mel"), "columns");
    CHECK(columns >= 197 && columns <= 200);
    json_decref(report);
    audio_close(a);
}

static void absurd_samples_count_as_zero(void) {
    float samples[8000];
    for (int i = 0; i < 8000; i++) {
        static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38F, -1e5F};
        samples[i] = i % 2 ? bad[i / 2 % 5] : 0.1F;
    }
    struct audio *a = audio_new();
    feed_samples(a, AV_SAMPLE_FMT_FLT, 16000, 1, samples, 8000, 1000);
    json_t *report = report_of(a);
    CHECK_NEAR(number_in(report, "peak_dbfs"), -20, 0.01);
    CHECK_NUMBER(level_at(report, 2), -23);
    CHECK(isfinite(number_in(report, "loudness_lufs")));
    json_decref(report);
    audio_close(a);
}

static void hostile_frames_are_refused(void) {
    static const struct {
        int rate, channels, format;
    } cases[] = {
        {0, 1, AV_SAMPLE_FMT_S16},
        {-48000, 1, AV_SAMPLE_FMT_S16},
        {3999, 1, AV_SAMPLE_FMT_S16},
        {384001, 1, AV_SAMPLE_FMT_S16},
        {INT32_MAX, 1, AV_SAMPLE_FMT_S16},
        {384000, 9, AV_SAMPLE_FMT_S16},
        {48000, 0, AV_SAMPLE_FMT_S16},
        {48000, -1, AV_SAMPLE_FMT_S16},
        {48000, 65, AV_SAMPLE_FMT_S16},
        {48000, INT32_MAX, AV_SAMPLE_FMT_S16},
        {48000, 1, -1},
        {48000, 1, 1000},
    };
    struct audio *a = audio_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AVFrame *frame = frame_new(AV_SAMPLE_FMT_S16, 48000, 2, 64);
        struct error e = {0};
        frame->sample_rate = cases[i].rate;
        frame->ch_layout.order = AV_CHANNEL_ORDER_UNSPEC;
        frame->ch_layout.nb_channels = cases[i].channels;
        frame->format = cases[i].format;
        CHECK_NUMBER(audio_feed(a, frame, &e), ERR_FORMAT);
        CHECK(e.code == ERR_FORMAT && e.text[0]);
        av_frame_free(&frame);
    }
    AVFrame *frame = frame_new(AV_SAMPLE_FMT_S16P, 48000, 2, 64);
    frame->extended_data[1] = NULL;
    CHECK_NUMBER(audio_feed(a, frame, NULL), ERR_FORMAT);
    frame->nb_samples = -5;
    CHECK_NUMBER(audio_feed(a, frame, NULL), ERR_FORMAT);
    av_frame_free(&frame);
    feed(a, AV_SAMPLE_FMT_S16, (struct signal){48000, 2, 1, 1000, -20}); /* goes on unharmed */
    json_t *report = report_of(a);
    CHECK_NEAR(number_in(report, "loudness_lufs"), -20, 0.05);
    json_decref(report);
    audio_close(a);
}

static void report_describes_the_picture(void) {
    struct audio *a = audio_new();
    feed(a, AV_SAMPLE_FMT_S16, (struct signal){48000, 2, 90, 1000, -20});
    json_t *report = report_of(a);
    const json_t *mel = json_object_get(report, "mel");
    int columns = (int)number_in(mel, "columns");
    CHECK_NEAR(columns, 90000 / 40, 1);
    CHECK_NUMBER(number_in(mel, "hop_ms"), 40);
    CHECK_NUMBER(number_in(mel, "bands"), 64);
    CHECK_NUMBER(number_in(mel, "low_hz"), 0);
    CHECK_NUMBER(number_in(mel, "high_hz"), 8000);
    CHECK_NUMBER(number_in(mel, "floor_db"), -90);
    CHECK_NUMBER(number_in(mel, "ceiling_db"), 0);
    struct bytes pgm;
    bytes_init(&pgm, 1 << 20);
    CHECK_NUMBER(audio_mel_pgm(a, &pgm, NULL), 0);
    int width = 0, height = 0;
    CHECK_NUMBER(sscanf(bytes_text(&pgm), "P5\n%d %d\n255", &width, &height), 2);
    CHECK(width == columns && height == 64);
    bytes_close(&pgm);
    json_decref(report);
    audio_close(a);
}

static void report_ends_the_measurement(void) {
    struct audio *a = audio_new();
    feed(a, AV_SAMPLE_FMT_S16, (struct signal){48000, 2, 0.33, 1000, -20});
    json_t *first = report_of(a), *second = report_of(a);
    CHECK(json_equal(first, second));
    AVFrame *frame = frame_new(AV_SAMPLE_FMT_S16, 48000, 2, 64);
    CHECK_NUMBER(audio_feed(a, frame, NULL), ERR_USAGE);
    av_frame_free(&frame);
    struct bytes tight;
    bytes_init(&tight, 20);
    CHECK_NUMBER(audio_mel_pgm(a, &tight, NULL), ERR_LIMIT);
    CHECK_NUMBER(tight.size, 0);
    bytes_close(&tight);
    json_decref(first);
    json_decref(second);
    audio_close(a);
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    RUN(loudness_meets_ebu_tech_3341);
    RUN(loudness_weights_channels);
    RUN(loudness_agrees_with_ffmpeg);
    RUN(sample_formats_agree);
    RUN(every_number_of_channels_is_taken);
    RUN(envelope_follows_the_level);
    RUN(nothing_and_silence_have_no_loudness);
    RUN(formats_may_change_midway);
    RUN(envelope_of_hours_doubles_its_step);
    RUN(absurd_samples_count_as_zero);
    RUN(hostile_frames_are_refused);
    RUN(report_describes_the_picture);
    RUN(report_ends_the_measurement);
    return test_finish();
}
