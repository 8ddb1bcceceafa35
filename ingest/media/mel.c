/* mel.c - see mel.h. Resampling is libswresample's, the FFT libavutil's. */
#include "ingest/media/mel.h"

#include <libavutil/mem.h>
#include <libavutil/tx.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/media/series.h"

enum {
    WINDOW = 400,
    HOP = MEL_RATE * MEL_HOP_MS / 1000,
    FFT_SIZE = 512,
    FFT_BINS = FFT_SIZE / 2 + 1,
    RESAMPLED = 8192, /* what does not fit stays in the resampler until the next call */
};

/* A triangle over the bins first to first + count - 1. */
struct band {
    int first, count;
    float weights[FFT_BINS];
};

struct mel {
    struct SwrContext *resampler; /* NULL before the first samples */
    int rate;
    float resampled[RESAMPLED];
    float window[WINDOW]; /* scaled so that a full-scale sine has power 1 */
    float waiting[WINDOW];
    int waiting_count;
    AVTXContext *transform;
    av_tx_fn transform_run;
    float *input;             /* (FFT_SIZE), from av_malloc as the transform needs */
    AVComplexFloat *spectrum; /* (FFT_BINS) */
    struct band bands[MEL_BANDS];
    struct series columns; /* (MEL_COLUMNS, MEL_BANDS), power */
};

/* Slaney's Auditory Toolbox: 15 mel at 1,000 Hz, then 27 mel for a factor of 6.4. */
static double hertz_of_mel(double mel) {
    return mel < 15 ? mel * 1000 / 15 : 1000 * pow(6.4, (mel - 15) / 27);
}

static double mel_of_hertz(double hertz) {
    return hertz < 1000 ? hertz * 15 / 1000 : 15 + 27 * log(hertz / 1000) / log(6.4);
}

static void make_tables(struct mel *m) {
    const double pi = 3.14159265358979323846;
    for (int i = 0; i < WINDOW; i++) { /* the window's sum is WINDOW / 2, a sine has half of it */
        m->window[i] = (float)((0.5 - 0.5 * cos(2 * pi * i / WINDOW)) * 4 / WINDOW);
    }
    double lowest = mel_of_hertz(MEL_LOW_HZ);
    double step = (mel_of_hertz(MEL_HIGH_HZ) - lowest) / (MEL_BANDS + 1);
    for (int b = 0; b < MEL_BANDS; b++) {
        double low = hertz_of_mel(lowest + step * b);
        double middle = hertz_of_mel(lowest + step * (b + 1));
        double high = hertz_of_mel(lowest + step * (b + 2));
        struct band *band = &m->bands[b];
        for (int k = 0; k < FFT_BINS; k++) {
            double hertz = (double)k * MEL_RATE / FFT_SIZE;
            double weight = fmin((hertz - low) / (middle - low), (high - hertz) / (high - middle));
            if (weight > 0) {
                band->first = band->count > 0 ? band->first : k;
                band->weights[band->count] = (float)weight;
                band->count++;
            }
        }
    }
}

int mel_open(struct mel **out, struct error *e) {
    *out = NULL;
    struct mel *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_memory(e, "a spectrogram");
    }
    const float scale = 1;
    int rc = series_open(&m->columns, MEL_COLUMNS, MEL_BANDS, e);
    if (rc < 0) {
        goto failed;
    }
    m->input = av_calloc(FFT_SIZE, sizeof *m->input);
    m->spectrum = av_calloc(FFT_BINS, sizeof *m->spectrum);
    if (m->input == NULL || m->spectrum == NULL ||
        av_tx_init(&m->transform, &m->transform_run, AV_TX_FLOAT_RDFT, 0, FFT_SIZE, &scale, 0) <
            0) {
        rc = error_memory(e, "a spectrogram");
        goto failed;
    }
    make_tables(m);
    *out = m;
    return 0;
failed:
    mel_close(m);
    return rc;
}

void mel_close(struct mel *m) {
    if (m != NULL) {
        swr_free(&m->resampler);
        av_tx_uninit(&m->transform);
        av_free(m->input);
        av_free(m->spectrum);
        series_close(&m->columns);
        free(m);
    }
}

static void add_column(struct mel *m) {
    float row[MEL_BANDS];
    float power[FFT_BINS];
    for (int i = 0; i < WINDOW; i++) {
        m->input[i] = m->waiting[i] * m->window[i];
    }
    /* Each time, because a transform may use its input as scratch. */
    memset(m->input + WINDOW, 0, (FFT_SIZE - WINDOW) * sizeof *m->input);
    m->transform_run(m->transform, m->spectrum, m->input, sizeof *m->input);
    for (int k = 0; k < FFT_BINS; k++) {
        AVComplexFloat value = m->spectrum[k];
        power[k] = value.re * value.re + value.im * value.im;
    }
    for (int b = 0; b < MEL_BANDS; b++) {
        const struct band *band = &m->bands[b];
        row[b] = 0;
        for (int k = 0; k < band->count; k++) {
            row[b] += band->weights[k] * power[band->first + k];
        }
    }
    series_add(&m->columns, row);
}

/* Samples at MEL_RATE. */
static void take_samples(struct mel *m, const float *samples, int count) {
    while (count > 0) {
        int room = WINDOW - m->waiting_count;
        int taken = count < room ? count : room;
        memcpy(m->waiting + m->waiting_count, samples, (size_t)taken * sizeof *samples);
        m->waiting_count += taken;
        samples += taken;
        count -= taken;
        if (m->waiting_count == WINDOW) {
            add_column(m);
            m->waiting_count = WINDOW - HOP;
            memmove(m->waiting, m->waiting + HOP, (WINDOW - HOP) * sizeof *m->waiting);
        }
    }
}

/* `samples` NULL: the end of the signal, which makes the resampler give all it holds. */
static int resample(struct mel *m, const float *samples, int count, struct error *e) {
    const uint8_t *in[1] = {(const uint8_t *)samples};
    uint8_t *out[1] = {(uint8_t *)m->resampled};
    int taken = swr_convert(m->resampler, out, RESAMPLED, samples != NULL ? in : NULL, count);
    while (taken > 0) {
        take_samples(m, m->resampled, taken);
        taken = samples != NULL ? 0 : swr_convert(m->resampler, out, RESAMPLED, NULL, 0);
    }
    if (taken == AVERROR(ENOMEM)) {
        return error_memory(e, "resampling");
    }
    return taken < 0 ? error_set(e, ERR_FORMAT, "resampling failed") : 0;
}

static int set_rate(struct mel *m, int rate, struct error *e) {
    int rc = m->resampler != NULL ? resample(m, NULL, 0, e) : 0;
    if (rc < 0) {
        return rc;
    }
    swr_free(&m->resampler);
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    rc = swr_alloc_set_opts2(&m->resampler, &mono, AV_SAMPLE_FMT_FLT, MEL_RATE, &mono,
                             AV_SAMPLE_FMT_FLT, rate, 0, NULL);
    if (rc >= 0) {
        rc = swr_init(m->resampler);
    }
    if (rc < 0) {
        swr_free(&m->resampler);
        return error_set(e, rc == AVERROR(ENOMEM) ? ERR_MEMORY : ERR_FORMAT,
                         "cannot resample from %d Hz", rate);
    }
    m->rate = rate;
    return 0;
}

int mel_feed(struct mel *m, const float *samples, int count, int rate, struct error *e) {
    int rc = m->resampler != NULL && m->rate == rate ? 0 : set_rate(m, rate, e);
    return rc < 0 ? rc : resample(m, samples, count, e);
}

int mel_finish(struct mel *m, struct error *e) {
    int rc = m->resampler != NULL ? resample(m, NULL, 0, e) : 0;
    swr_free(&m->resampler);
    series_finish(&m->columns);
    return rc;
}

int mel_columns(const struct mel *m) {
    return m->columns.count;
}

int mel_hop_ms(const struct mel *m) {
    return MEL_HOP_MS * m->columns.merged;
}

static unsigned char pixel_of(float power) {
    const double range = MEL_CEILING_DB - MEL_FLOOR_DB;
    double level = (10 * log10((double)power) - MEL_FLOOR_DB) / range;
    return level > 0 ? (unsigned char)(255 * fmin(level, 1) + 0.5) : 0; /* log10(0): -infinity */
}

int mel_pgm(const struct mel *m, struct bytes *out, struct error *e) {
    const struct series *columns = &m->columns;
    size_t size = (size_t)columns->count * MEL_BANDS;
    if (size == 0) {
        return 0;
    }
    size_t before = out->size;
    int rc = bytes_printf(out, e, "P5\n%d %d\n255\n", columns->count, MEL_BANDS);
    if (rc == 0) {
        rc = bytes_reserve(out, size, e);
    }
    if (rc < 0) {
        out->size = before;
        return rc;
    }
    for (int band = MEL_BANDS - 1; band >= 0; band--) {
        for (int c = 0; c < columns->count; c++) {
            out->data[out->size] = pixel_of(columns->values[(size_t)c * MEL_BANDS + band]);
            out->size++;
        }
    }
    out->data[out->size] = 0; /* as struct bytes promises */
    return 0;
}
