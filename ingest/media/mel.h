/* mel.h - the log-mel spectrogram of a mono signal, as a grey picture.
 *
 * Column c is the spectrum of the samples 320 c to 320 c + 399 at 16 kHz (20 ms hop, 25 ms Hann
 * window, 512-point FFT), in power, with a full-scale sine in the middle of a bin at 1. Band b sums
 * it under a triangle of height 1 over the b-th three of 66 points that are equally spaced on
 * Slaney's mel scale from 0 to 8,000 Hz: linear to 1,000 Hz, logarithmic above. (The HTK scale
 * would make the lowest triangles narrower than an FFT bin.) A pixel is 255 (10 log10(power) -
 * floor) / (ceiling - floor), rounded and held to 0 to 255. */
#ifndef OCC_INGEST_MEDIA_MEL_H
#define OCC_INGEST_MEDIA_MEL_H

#include "store/bytes.h"

struct mel;

enum {
    MEL_BANDS = 64,
    MEL_COLUMNS = 4096, /* at most; then neighbours are averaged in power and the hop doubles */
    MEL_RATE = 16000,
    MEL_HOP_MS = 20,
    MEL_LOW_HZ = 0,
    MEL_HIGH_HZ = 8000,
    MEL_FLOOR_DB = -90,
    MEL_CEILING_DB = 0,
};

int mel_open(struct mel **out, struct error *e);
void mel_close(struct mel *m); /* NULL is allowed */

/* `count` finite samples at `rate` Hz, -1 to 1. A new rate continues where the old one ended. */
int mel_feed(struct mel *m, const float *samples, int count, int rate, struct error *e);

/* Takes the samples that the resampler still holds, and the last columns. No samples after this. */
int mel_finish(struct mel *m, struct error *e);

int mel_columns(const struct mel *m); /* 0 when less than one window was fed */
int mel_hop_ms(const struct mel *m);

/* Appends the picture as binary PGM (P5, 8 bit), low frequencies at the bottom. Nothing without
 * columns. */
int mel_pgm(const struct mel *m, struct bytes *out, struct error *e);

#endif
