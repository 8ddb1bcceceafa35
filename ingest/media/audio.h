/* audio.h - the sound of a clip: loudness, envelope, log-mel picture.
 *
 * Integrated loudness after EBU R128 / ITU-R BS.1770 (libebur128), an envelope of one RMS level per
 * 100 ms, and a log-mel spectrogram (mel.h) as a grey picture: 64 rows, low frequencies at the
 * bottom; one column per hop. The hop is 20 ms and doubles (neighbouring columns averaged in power)
 * whenever the picture would pass 4,096 columns, that is 82 s; likewise the envelope's step beyond
 * an hour. So memory is bounded, but for the 27 MB that loudness takes for 24 hours; longer clips
 * are measured over their last 24.
 *
 * Samples that are not numbers, infinite or absurd (80 dB above full scale) count as 0. Levels may
 * differ in the last place between CPUs, because libswresample and the FFT do. */
#ifndef OCC_INGEST_MEDIA_AUDIO_H
#define OCC_INGEST_MEDIA_AUDIO_H

#include <jansson.h>

#include "store/bytes.h"

struct audio;
struct AVFrame;

int audio_open(struct audio **out, struct error *e);
void audio_close(struct audio *a); /* NULL is allowed */

/* Takes one decoded frame (AVFrame). The sample rate, layout or format may change from frame to
 * frame; the measures go on across it. ERR_FORMAT for a frame that cannot be converted or is not 1
 * to 64 channels at 4,000 to 384,000 Hz (nor more than 64 channels at 48 kHz have samples a
 * second); later frames can be fed all the same. ERR_MEMORY. ERR_USAGE after audio_to_json or
 * audio_mel_pgm, which end the measurement. */
int audio_feed(struct audio *a, const struct AVFrame *frame, struct error *e);

/* Samples per channel fed so far, in milliseconds of their own rates. */
double audio_duration_ms(const struct audio *a);

/* The member .audio.json, a new reference: {duration_ms, sample_rate and channels (of the last
 * frame; 0 when there was none), loudness_lufs (null when there is nothing above the gate),
 * peak_dbfs (sample peak; null for digital silence), silence_ratio (share of the 100 ms steps below
 * -60 dBFS; null without samples), envelope: {step_ms, dbfs: [..]} (integers; RMS of all channels,
 * of which a full-scale sine has -3; -100 for silence), mel: {bands, columns, hop_ms, low_hz,
 * high_hz, floor_db, ceiling_db} or null}. NULL on ERR_MEMORY. */
json_t *audio_to_json(struct audio *a, struct error *e);

/* Appends the picture as binary PGM (P5, 8 bit). Appends nothing when less than one window was
 * fed. */
int audio_mel_pgm(struct audio *a, struct bytes *out, struct error *e);

#endif
