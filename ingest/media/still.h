/* still.h - one decoded video frame becomes one upright thumbnail with its measures.
 *
 * Handles whatever libavcodec gives: any pixel format that libswscale reads (8 to 16 bit), limited
 * and full range, interlaced frames (one field is used, so that motion leaves no comb), sample
 * aspect ratio, display matrix (rotation by quarter turns, mirroring). The result is YUV 4:2:0,
 * full range, BT.601 as JFIF wants it. The scaler runs in its bit-exact mode: the same frame gives
 * the same bytes on any CPU. Where a stream does not say, the defaults of players are taken: BT.709
 * above 1024 x 576 pixels, limited range for YUV. High dynamic range (PQ, HLG) is not tone-mapped:
 * such pictures look pale. */
#ifndef OCC_INGEST_MEDIA_STILL_H
#define OCC_INGEST_MEDIA_STILL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/bytes.h"

struct AVFrame;
struct still_scaler; /* keeps scaler and encoder contexts between frames of one size */

enum { STILL_SIGNATURE = 16 }; /* the signature is 16 x 16 cells of mean Y, Cb, Cr */

struct still {
    int width, height; /* even, >= 2; the longer side is at most the size asked for */
    unsigned char
        *planes[3];   /* Y (height x width), Cb, Cr (height/2 x width/2); one malloc at [0] */
    double luma;      /* mean of Y, 0 to 255 */
    double contrast;  /* standard deviation of Y */
    double sharpness; /* variance of the 4-neighbour Laplacian of Y */
    unsigned char signature[3][STILL_SIGNATURE * STILL_SIGNATURE];
};

/* `size`: the longer side of the pictures, 16 to 4,096 pixels; smaller frames are not enlarged. */
int still_scaler_open(struct still_scaler **out, int size, struct error *e);
void still_scaler_close(struct still_scaler *s); /* NULL is allowed */

/* Makes `out` (owned by the caller, released with still_close) of a frame. `matrix`: the 9 int32 of
 * the stream's display matrix (libavutil/display.h) or NULL, of which the nearest quarter turn
 * counts; `sar_num / sar_den`: the sample aspect ratio of the frame as stored, 0/1 when unknown,
 * which stretches the width (beyond 16:1 it is ignored). ERR_FORMAT for a frame that cannot be
 * scaled (no data, hardware format, more than 16,384 pixels a side), ERR_MEMORY; `out` is then
 * empty. */
int still_make(struct still_scaler *s, const struct AVFrame *frame, const int32_t *matrix,
               int sar_num, int sar_den, struct still *out, struct error *e);
void still_close(struct still *p);

/* Whether the two fields of the frame show different moments. */
bool still_is_interlaced(const struct AVFrame *frame);

/* Appends the picture as baseline JFIF, quality fixed, no encoder's name in it. */
int still_to_jpeg(struct still_scaler *s, const struct still *p, struct bytes *out,
                  struct error *e);

/* Distance of two pictures as a viewer sees it, 0 (same) to 255 (opposite): the mean over the
 * signatures' cells of the largest difference among Y, Cb and Cr. */
double still_distance(const struct still *a, const struct still *b);

#endif
