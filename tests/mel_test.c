/* mel_test.c - the spectrogram against a DFT in double precision and triangles written out here. */
#include "ingest/media/mel.h"

#include "tests/test.h"

#include <libavutil/log.h>

#define PI 3.14159265358979323846

/* A sine, or noise where `hertz` is 0; peak in decibels against full scale. */
static float *samples_of(int rate, int count, double hertz, double decibels) {
    unsigned state = 12345;
    float *samples = malloc((size_t)count * sizeof *samples);
    if (!samples) {
        abort();
    }
    for (int i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        double wave = hertz > 0 ? sin(2 * PI * hertz * i / rate) : (state >> 8) / 8388608.0 - 1;
        samples[i] = (float)(pow(10, decibels / 20) * wave);
    }
    return samples;
}

static struct mel *mel_new(void) {
    struct mel *m = NULL;
    if (!CHECK(mel_open(&m, NULL) == 0)) {
        abort();
    }
    return m;
}

static void feed(struct mel *m, const float *samples, int count, int rate, int step) {
    for (int first = 0; first < count; first += step) {
        int length = count - first < step ? count - first : step;
        CHECK_NUMBER(mel_feed(m, samples + first, length, rate, NULL), 0);
    }
}

static void feed_sine(struct mel *m, int rate, double seconds, double hertz, double decibels) {
    int count = (int)lround(rate * seconds);
    float *samples = samples_of(rate, count, hertz, decibels);
    feed(m, samples, count, rate, 1024);
    free(samples);
}

/* Ends the measurement. The pixels stand after the head "P5\nCOLUMNS 64\n255\n"; NULL where that
 * or the size is wrong. */
static const unsigned char *picture_of(struct mel *m, struct bytes *pgm) {
    int columns = 0, rows = 0, end = 0;
    bytes_init(pgm, 1 << 20);
    CHECK_NUMBER(mel_finish(m, NULL), 0);
    CHECK_NUMBER(mel_pgm(m, pgm, NULL), 0);
    if (sscanf(bytes_text(pgm), "P5\n%d %d\n255%n", &columns, &rows, &end) != 2 || rows != 64 ||
        columns != mel_columns(m) || pgm->size != (size_t)end + 1 + (size_t)columns * 64) {
        return NULL;
    }
    return pgm->data + end + 1;
}

/* The triangles of mel.h, after Slaney's Auditory Toolbox as librosa documents it. */
static double slaney_hertz(double mel) {
    double linear = mel * 200 / 3;
    return linear < 1000 ? linear : 1000 * exp((mel - 15) * log(6.4) / 27);
}

static double triangle(double hertz, int band) {
    double step = (15 + 27 * log(8) / log(6.4)) / 65;
    double low = slaney_hertz(step * band), high = slaney_hertz(step * (band + 2));
    double middle = slaney_hertz(step * (band + 1));
    if (hertz <= low || hertz >= high) {
        return 0;
    }
    return hertz < middle ? (hertz - low) / (middle - low) : (high - hertz) / (high - middle);
}

/* Pixels of one column, band 0 first. */
static void expected_column(const float *samples, double *pixels) {
    double power[257];
    for (int k = 0; k <= 256; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < 400; i++) {
            double value = (double)samples[i] * (0.5 - 0.5 * cos(2 * PI * i / 400)) / 100;
            re += value * cos(2 * PI * k * i / 512);
            im -= value * sin(2 * PI * k * i / 512);
        }
        power[k] = re * re + im * im;
    }
    for (int band = 0; band < 64; band++) {
        double sum = 0;
        for (int k = 0; k <= 256; k++) {
            sum += triangle(k * 31.25, band) * power[k];
        }
        pixels[band] = fmin(fmax(255 * (10 * log10(sum) + 90) / 90, 0), 255);
    }
}

static void columns_are_those_of_a_direct_dft(void) {
    static const double signals[][2] = {{440, -6}, {6100, -20}, {0, -3}, {0, -50}};
    for (size_t s = 0; s < sizeof signals / sizeof *signals; s++) {
        enum { COUNT = 4000 };
        float *samples = samples_of(16000, COUNT, signals[s][0], signals[s][1]);
        struct mel *m = mel_new();
        struct bytes pgm;
        feed(m, samples, COUNT, 16000, 333);
        const unsigned char *pixels = picture_of(m, &pgm);
        int columns = mel_columns(m), lit = 0;
        CHECK_NUMBER(columns, (COUNT - 400) / 320 + 1);
        for (int c = 0; c < columns && CHECK(pixels != NULL); c++) {
            double want[64];
            expected_column(samples + 320 * c, want);
            for (int band = 0; band < 64; band++) {
                unsigned char got = pixels[(63 - band) * columns + c];
                CHECK_NEAR(got, want[band], 1);
                lit += got > 20 && got < 255;
            }
        }
        CHECK(lit >= 2 * columns); /* neither all dark nor all white */
        bytes_close(&pgm);
        mel_close(m);
        free(samples);
    }
}

/* The brightest row of a column, counted from below. */
static int brightest_band(const unsigned char *pixels, int columns, int column) {
    int best = 0;
    for (int band = 1; band < 64; band++) {
        bool brighter =
            pixels[(63 - band) * columns + column] > pixels[(63 - best) * columns + column];
        best = brighter ? band : best;
    }
    return best;
}

static void other_rates_are_resampled(void) {
    static const int rates[] = {8000, 11025, 44100, 48000, 192000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct mel *m = mel_new();
        struct bytes pgm;
        feed_sine(m, rates[i], 1, 3000, -12);
        const unsigned char *pixels = picture_of(m, &pgm);
        int columns = mel_columns(m);
        if (CHECK(pixels && columns >= 48 && columns <= 49)) {
            int band = brightest_band(pixels, columns, 25);
            CHECK(triangle(3000, band) >= 0.5);
            CHECK_NEAR(pixels[(63 - band) * columns + 25], 255 * (90 - 12) / 90.0, 10);
            CHECK(pixels[columns * 63 + 25] < 40); /* nothing at the lowest frequencies */
        }
        bytes_close(&pgm);
        mel_close(m);
    }
}

static void rate_may_change_midway(void) {
    struct mel *m = mel_new();
    struct bytes pgm;
    feed_sine(m, 48000, 1, 500, -12);
    feed_sine(m, 22050, 1, 4000, -12);
    const unsigned char *pixels = picture_of(m, &pgm);
    int columns = mel_columns(m);
    if (CHECK(pixels && columns >= 98 && columns <= 100)) {
        CHECK(triangle(500, brightest_band(pixels, columns, 40)) >= 0.5);
        CHECK(triangle(4000, brightest_band(pixels, columns, 60)) >= 0.5);
    }
    bytes_close(&pgm);
    mel_close(m);
}

static void changing_rates_lose_no_time(void) {
    struct mel *m = mel_new();
    for (int i = 0; i < 100; i++) { /* 10 s; the resampler holds back 0.3 to 1 ms each time */
        feed_sine(m, 48000, 0.05, 500, -12);
        feed_sine(m, 44100, 0.05, 500, -12);
    }
    CHECK_NUMBER(mel_finish(m, NULL), 0);
    CHECK_NEAR(mel_columns(m), 499, 1);
    mel_close(m);
}

static void long_signals_double_the_hop(void) {
    struct mel *m = mel_new();
    struct bytes pgm;
    feed_sine(m, 16000, 60, 440, -12);
    CHECK_NUMBER(mel_hop_ms(m), 20);
    feed_sine(m, 16000, 60, 5000, -12);
    CHECK_NUMBER(mel_hop_ms(m), 40);
    const unsigned char *pixels = picture_of(m, &pgm);
    int columns = mel_columns(m);
    if (CHECK(pixels && columns == 3000)) { /* 5,999 windows, the last one alone */
        for (int c = 5; c < columns; c += 10) {
            double hertz = c < 1500 ? 440 : 5000;
            CHECK(triangle(hertz, brightest_band(pixels, columns, c)) >= 0.5);
        }
    }
    bytes_close(&pgm);
    mel_close(m);
}

static void columns_never_pass_the_limit(void) {
    enum { FULL = 400 + (MEL_COLUMNS - 1) * 320 }; /* samples of exactly MEL_COLUMNS windows */
    float *samples = samples_of(16000, FULL + 320, 0, -12);
    for (int more = 0; more < 2; more++) {
        struct mel *m = mel_new();
        feed(m, samples, FULL + 320 * more, 16000, 5000);
        CHECK_NUMBER(mel_finish(m, NULL), 0);
        CHECK_NUMBER(mel_columns(m), more ? MEL_COLUMNS / 2 + 1 : MEL_COLUMNS);
        CHECK_NUMBER(mel_hop_ms(m), more ? 40 : 20);
        mel_close(m);
    }
    free(samples);
}

static void less_than_a_window_has_no_picture(void) {
    for (int count = 399; count <= 400; count++) {
        float samples[400] = {0};
        struct mel *m = mel_new();
        struct bytes pgm;
        feed(m, samples, count, 16000, 100);
        const unsigned char *pixels = picture_of(m, &pgm);
        CHECK_NUMBER(mel_columns(m), count < 400 ? 0 : 1);
        CHECK_NUMBER(pgm.size, count < 400 ? 0 : strlen("P5\n1 64\n255\n") + 64);
        CHECK(count < 400 || (pixels && pixels[0] == 0 && pixels[63] == 0)); /* silence is black */
        bytes_close(&pgm);
        mel_close(m);
    }
    mel_close(NULL);
}

int main(void) {
    av_log_set_level(AV_LOG_QUIET);
    RUN(columns_are_those_of_a_direct_dft);
    RUN(other_rates_are_resampled);
    RUN(rate_may_change_midway);
    RUN(changing_rates_lose_no_time);
    RUN(long_signals_double_the_hop);
    RUN(columns_never_pass_the_limit);
    RUN(less_than_a_window_has_no_picture);
    return test_finish();
}
