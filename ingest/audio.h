/* audio.h - what a clip sounds like: loudness, envelope, log-mel picture.
 *
 * Integrated loudness after EBU R128 / ITU-R BS.1770 (libebur128), an envelope of one RMS level per
 * 100 ms, and a 64-band log-mel spectrogram (16 kHz mono, Hann window of 25 ms, libavutil's FFT) as
 * a grey picture: 64 rows, low frequencies at the bottom; one column per hop. The hop is 20 ms and
 * doubles (neighbouring columns averaged in power) whenever the picture would pass 4,096 columns.
 */
#ifndef OCC_INGEST_AUDIO_H
#define OCC_INGEST_AUDIO_H

#include <jansson.h>

#include "store/bytes.h"

struct audio;
struct AVFrame;

enum { AUDIO_MEL_BANDS = 64, AUDIO_MEL_COLUMNS = 4096 };

int audio_open(struct audio **out, struct error *e);
void audio_close(struct audio *a); /* NULL is allowed */

/* Takes one decoded frame (AVFrame). The sample rate, layout or format may change from frame to
 * frame; the measures go on across it. ERR_FORMAT for what cannot be converted, ERR_MEMORY. */
int audio_feed(struct audio *a, const struct AVFrame *frame, struct error *e);

/* Samples per channel fed so far, in milliseconds of their own rates. */
double audio_duration_ms(const struct audio *a);

/* The member .audio.json, a new reference: {duration_ms, sample_rate, channels, loudness_lufs (null
 * when there is nothing above the gate), peak_dbfs (sample peak), silence_ratio,
 * envelope: {step_ms, dbfs: [..]} (integers, -100 for silence),
 * mel: {bands, columns, hop_ms, low_hz, high_hz, floor_db, ceiling_db} or null}. NULL on
 * ERR_MEMORY. */
json_t *audio_to_json(struct audio *a, struct error *e);

/* Appends the picture as binary PGM (P5, 8 bit). Appends nothing when less than one window was fed.
 */
int audio_mel_pgm(struct audio *a, struct bytes *out, struct error *e);

#endif
