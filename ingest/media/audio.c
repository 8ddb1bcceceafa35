/* audio.c - see audio.h. Each frame is converted, a piece at a time, to interleaved float at its
 * own rate, cleaned of what is not a number, and handed to the three measures: libebur128, the
 * envelope, and as mono the spectrogram. */
#include "ingest/media/audio.h"

#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/samplefmt.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>

/* ebur128.h declares an `enum error`, which C takes for our `struct error`. */
#define error ebur128_error
#include <ebur128.h>
#undef error

#include "ingest/media/mel.h"
#include "ingest/media/series.h"
#include "store/buffer.h"

enum {
    PIECE = 4096, /* samples per channel converted at once */
    CHANNELS_MOST = 64,
    RATE_LEAST = 4000, /* the loudness filter has a corner at 1,682 Hz, to be below half the rate */
    RATE_MOST = 384000,
    /* Together: 64 channels at 48 kHz, 8 at 384 kHz. libebur128 buffers 400 ms of doubles. */
    SAMPLES_PER_SECOND_MOST = CHANNELS_MOST * 48000,
    HISTORY_MS = 24 * 3600 * 1000, /* blocks that libebur128 keeps: 27 MB at most */
    STEPS_PER_SECOND = 10,
    STEP_MS = 1000 / STEPS_PER_SECOND,
    STEPS_MOST = 36000, /* an hour; longer clips have longer steps */
    LEVEL_FLOOR_DB = -100,
    SILENCE_DB = -60, /* room tone of a quiet recording is at -60 to -50 dBFS */
};

/* 80 dB above full scale: float audio may go past 1, but not that far. */
static const float SAMPLE_MOST = 1e4F;

struct audio {
    struct SwrContext *convert; /* NULL when the next frame must set the format up */
    AVChannelLayout layout;
    enum AVSampleFormat format;
    int rate;
    int last_rate, last_channels; /* of the last frame taken, for the report */
    struct buffer samples;        /* floats (PIECE, channels of layout) */
    float mono[PIECE];
    ebur128_state *loudness; /* NULL until the first frame */
    double peak;             /* largest absolute sample */
    double duration_ms;
    double step_power; /* sum of the mean power of the channels in the step in progress */
    int step_samples;
    int step_phase; /* rises by STEPS_PER_SECOND a sample; the step is complete at `rate` */
    struct series envelope;
    int64_t steps, silent_steps;
    struct mel *mel;
    bool finished;
};

int audio_open(struct audio **out, struct error *e) {
    *out = NULL;
    struct audio *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return error_memory(e, "audio");
    }
    int rc = series_open(&a->envelope, STEPS_MOST, 1, e);
    if (rc == 0) {
        rc = mel_open(&a->mel, e);
    }
    if (rc < 0) {
        audio_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

void audio_close(struct audio *a) {
    if (a != NULL) {
        swr_free(&a->convert);
        av_channel_layout_uninit(&a->layout);
        buffer_free(&a->samples);
        if (a->loudness != NULL) {
            ebur128_destroy(&a->loudness);
        }
        series_close(&a->envelope);
        mel_close(a->mel);
        free(a);
    }
}

static int check_frame(const AVFrame *frame, struct error *e) {
    int channels = frame->ch_layout.nb_channels;
    if (channels < 1 || channels > CHANNELS_MOST || !av_channel_layout_check(&frame->ch_layout)) {
        return error_set(e, ERR_FORMAT, "audio of %d channels, not 1 to %d", channels,
                         CHANNELS_MOST);
    }
    if (frame->sample_rate < RATE_LEAST || frame->sample_rate > RATE_MOST ||
        frame->sample_rate > SAMPLES_PER_SECOND_MOST / channels) {
        return error_set(e, ERR_FORMAT, "audio of %d channels at %d Hz, not %d to %d", channels,
                         frame->sample_rate, RATE_LEAST, RATE_MOST);
    }
    if (av_get_bytes_per_sample(frame->format) <= 0) {
        return error_set(e, ERR_FORMAT, "audio in unknown sample format %d", frame->format);
    }
    if (frame->nb_samples < 0 || frame->extended_data == NULL) {
        return error_set(e, ERR_FORMAT, "audio frame without data");
    }
    int planes = av_sample_fmt_is_planar(frame->format) ? channels : 1;
    for (int i = 0; i < planes; i++) {
        if (frame->extended_data[i] == NULL) {
            return error_set(e, ERR_FORMAT, "audio frame without data in plane %d", i);
        }
    }
    return 0;
}

/* BS.1770 leaves out the low-frequency channel and gives those beside and behind the listener 1.5
 * dB more. A channel without a name counts as one in front. */
static int loudness_position(enum AVChannel channel) {
    switch ((int)channel) {
    case AV_CHAN_LOW_FREQUENCY:
    case AV_CHAN_LOW_FREQUENCY_2:
        return EBUR128_UNUSED;
    case AV_CHAN_SIDE_LEFT:
    case AV_CHAN_BACK_LEFT:
        return EBUR128_LEFT_SURROUND;
    case AV_CHAN_SIDE_RIGHT:
    case AV_CHAN_BACK_RIGHT:
        return EBUR128_RIGHT_SURROUND;
    default:
        return EBUR128_CENTER;
    }
}

/* Goes on with the measurement in the new format; the 400 ms block in progress is lost. */
static int set_up_loudness(struct audio *a, const AVFrame *frame, struct error *e) {
    unsigned channels = (unsigned)frame->ch_layout.nb_channels;
    unsigned long rate = (unsigned long)frame->sample_rate;
    int rc = EBUR128_SUCCESS;
    if (a->loudness == NULL) {
        a->loudness = ebur128_init(channels, rate, EBUR128_MODE_I);
        rc = a->loudness != NULL ? ebur128_set_max_history(a->loudness, HISTORY_MS)
                                 : EBUR128_ERROR_NOMEM;
    } else {
        rc = ebur128_change_parameters(a->loudness, channels, rate);
    }
    for (unsigned i = 0; i < channels && (rc == EBUR128_SUCCESS || rc == EBUR128_ERROR_NO_CHANGE);
         i++) {
        enum AVChannel channel = av_channel_layout_channel_from_index(&frame->ch_layout, i);
        rc = ebur128_set_channel(a->loudness, i, loudness_position(channel));
    }
    if (rc != EBUR128_SUCCESS) {
        if (a->loudness != NULL) {
            ebur128_destroy(&a->loudness); /* a failed change leaves it unusable */
        }
        return error_set(e, ERR_MEMORY, "out of memory for the loudness of %u channels", channels);
    }
    return 0;
}

/* From the frame's sample format to interleaved float. The same number of unnamed channels on both
 * sides, so that libswresample has no reason to mix any. */
static int set_up_converter(struct audio *a, const AVFrame *frame, struct error *e) {
    AVChannelLayout plain = {.order = AV_CHANNEL_ORDER_UNSPEC,
                             .nb_channels = frame->ch_layout.nb_channels};
    int rc = swr_alloc_set_opts2(&a->convert, &plain, AV_SAMPLE_FMT_FLT, frame->sample_rate, &plain,
                                 frame->format, frame->sample_rate, 0, NULL);
    if (rc >= 0) {
        rc = swr_init(a->convert);
    }
    if (rc < 0) {
        return error_set(e, rc == AVERROR(ENOMEM) ? ERR_MEMORY : ERR_FORMAT,
                         "%d channels of %s cannot be converted", plain.nb_channels,
                         av_get_sample_fmt_name(frame->format));
    }
    return 0;
}

static int set_up(struct audio *a, const AVFrame *frame, struct error *e) {
    if (a->convert != NULL && frame->format == a->format && frame->sample_rate == a->rate &&
        av_channel_layout_compare(&frame->ch_layout, &a->layout) == 0) {
        return 0;
    }
    swr_free(&a->convert);
    int channels = frame->ch_layout.nb_channels;
    size_t count = (size_t)PIECE * (size_t)channels;
    if (buffer_reserve(&a->samples, count, sizeof(float), e) < 0) {
        return ERR_MEMORY;
    }
    if (av_channel_layout_copy(&a->layout, &frame->ch_layout) < 0) {
        return error_set(e, ERR_MEMORY, "out of memory for %d channels", channels);
    }
    int rc = set_up_loudness(a, frame, e);
    if (rc == 0) {
        rc = set_up_converter(a, frame, e);
    }
    if (rc < 0) {
        swr_free(&a->convert);
        return rc;
    }
    if (a->rate > 0) { /* the same share of the step in progress */
        a->step_phase = (int)((int64_t)a->step_phase * frame->sample_rate / a->rate);
    }
    a->format = frame->format;
    a->rate = frame->sample_rate;
    return 0;
}

static int level_of(double power) {
    double level = round(10 * log10(power)); /* of 0: minus infinity */
    return level > LEVEL_FLOOR_DB ? (int)level : LEVEL_FLOOR_DB;
}

static void complete_step(struct audio *a) {
    float power = (float)(a->step_power / a->step_samples);
    series_add(&a->envelope, &power);
    a->steps++;
    a->silent_steps += 10 * log10((double)power) < SILENCE_DB;
    a->step_power = 0;
    a->step_samples = 0;
}

/* Cleans `count` samples of each channel; fills a->mono, the channels' mean. */
static void measure_samples(struct audio *a, int count) {
    int channels = a->layout.nb_channels;
    float *sample = a->samples.data;
    float peak = 0;
    for (int i = 0; i < count; i++) {
        double power = 0;
        float sum = 0;
        for (int k = 0; k < channels; k++, sample++) {
            float size = fabsf(*sample);
            if (!(size <= SAMPLE_MOST)) { /* NaN too */
                *sample = size = 0;
            }
            peak = size > peak ? size : peak;
            sum += *sample;
            power += (double)size * (double)size;
        }
        a->mono[i] = sum / (float)channels;
        a->step_power += power / channels;
        a->step_samples++;
        a->step_phase += STEPS_PER_SECOND;
        if (a->step_phase >= a->rate) {
            a->step_phase -= a->rate;
            complete_step(a);
        }
    }
    a->peak = fmax(a->peak, (double)peak);
    a->duration_ms += count * 1000.0 / a->rate;
}

/* The samples `first` to `first + count - 1` of the frame; count is at most PIECE. */
static int take_piece(struct audio *a, const AVFrame *frame, int first, int count,
                      struct error *e) {
    const uint8_t *in[CHANNELS_MOST];
    int channels = a->layout.nb_channels;
    bool planar = av_sample_fmt_is_planar(a->format);
    size_t step = (size_t)av_get_bytes_per_sample(a->format) * (size_t)(planar ? 1 : channels);
    for (int i = 0; i < (planar ? channels : 1); i++) {
        in[i] = frame->extended_data[i] + (size_t)first * step;
    }
    uint8_t *out[1] = {a->samples.data};
    int got = swr_convert(a->convert, out, PIECE, in, count);
    if (got != count) {
        return error_set(e, got == AVERROR(ENOMEM) ? ERR_MEMORY : ERR_FORMAT,
                         "audio samples cannot be converted");
    }
    measure_samples(a, count);
    if (ebur128_add_frames_float(a->loudness, a->samples.data, (size_t)count) != EBUR128_SUCCESS) {
        return error_memory(e, "loudness");
    }
    return mel_feed(a->mel, a->mono, count, a->rate, e);
}

int audio_feed(struct audio *a, const AVFrame *frame, struct error *e) {
    if (a->finished) {
        return error_set(e, ERR_USAGE, "audio after its report was made");
    }
    int rc = check_frame(frame, e);
    if (rc == 0) {
        rc = set_up(a, frame, e);
    }
    for (int first = 0; rc == 0 && first < frame->nb_samples; first += PIECE) {
        int left = frame->nb_samples - first;
        rc = take_piece(a, frame, first, left < PIECE ? left : PIECE, e);
        a->last_rate = a->rate;
        a->last_channels = a->layout.nb_channels;
    }
    return rc;
}

double audio_duration_ms(const struct audio *a) {
    return a->duration_ms;
}

static int finish(struct audio *a, struct error *e) {
    if (a->finished) {
        return 0;
    }
    a->finished = true;
    if (a->step_samples > 0) {
        complete_step(a);
    }
    series_finish(&a->envelope);
    return mel_finish(a->mel, e);
}

/* A number rounded to 2 decimals, null for NaN and infinity. */
static json_t *number(double value) {
    return isfinite(value) ? json_real(round(value * 100) / 100) : json_null();
}

static json_t *loudness_to_json(const struct audio *a) {
    double lufs = -HUGE_VAL;
    if (a->loudness == NULL || ebur128_loudness_global(a->loudness, &lufs) != EBUR128_SUCCESS) {
        return json_null();
    }
    return number(lufs);
}

static json_t *envelope_to_json(const struct audio *a) {
    json_t *levels = json_array();
    int failed = levels == NULL;
    for (int i = 0; i < a->envelope.count && !failed; i++) {
        double power = (double)a->envelope.values[i];
        failed = json_array_append_new(levels, json_integer(level_of(power)));
    }
    if (failed) {
        json_decref(levels);
        return NULL;
    }
    return json_pack("{s:i, s:o}", "step_ms", STEP_MS * a->envelope.merged, "dbfs", levels);
}

static json_t *mel_to_json(const struct audio *a) {
    if (mel_columns(a->mel) == 0) {
        return json_null();
    }
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "bands", MEL_BANDS, "columns",
                     mel_columns(a->mel), "hop_ms", mel_hop_ms(a->mel), "low_hz", MEL_LOW_HZ,
                     "high_hz", MEL_HIGH_HZ, "floor_db", MEL_FLOOR_DB, "ceiling_db",
                     MEL_CEILING_DB);
}

json_t *audio_to_json(struct audio *a, struct error *e) {
    if (finish(a, e) < 0) {
        return NULL;
    }
    double silent = a->steps > 0 ? (double)a->silent_steps / (double)a->steps : HUGE_VAL;
    const struct {
        const char *name;
        json_t *value;
    } members[] = {
        {"duration_ms", json_integer(llround(a->duration_ms))},
        {"sample_rate", json_integer(a->last_rate)},
        {"channels", json_integer(a->last_channels)},
        {"loudness_lufs", loudness_to_json(a)},
        {"peak_dbfs", number(20 * log10(a->peak))},
        {"silence_ratio", number(silent)},
        {"envelope", envelope_to_json(a)},
        {"mel", mel_to_json(a)},
    };
    json_t *root = json_object();
    int failed = 0;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) { /* takes each, NULL or not */
        failed |= json_object_set_new(root, members[i].name, members[i].value);
    }
    if (failed) {
        json_decref(root);
        error_memory(e, "the audio report");
        return NULL;
    }
    return root;
}

int audio_mel_pgm(struct audio *a, struct bytes *out, struct error *e) {
    int rc = finish(a, e);
    return rc < 0 ? rc : mel_pgm(a->mel, out, e);
}
