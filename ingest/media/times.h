/* times.h - presentation times of packets whose container gives none.
 *
 * AVI and Matroska's copies of it give decoding times only, raw streams not even these. Where
 * pictures are reordered (B-pictures), the n-th picture shown then has the decoding time of the
 * packet that lets the decoder give it out: number n + delay, as in libavcodec and the players that
 * build on it. The order of presentation is read from the packets' headers: the picture order count
 * of H.264 and HEVC, elsewhere the type of picture. A raw stream begins at 0 and goes on at its
 * frame rate.
 *
 * So decoders may be drained and flushed anywhere, and pictures left out: each picture has its time
 * from its own packet. */
#ifndef OCC_INGEST_MEDIA_TIMES_H
#define OCC_INGEST_MEDIA_TIMES_H

#include <libavformat/avformat.h>
#include <stdbool.h>

#include "store/error.h"

struct media_times;

/* For the packets of `stream`, which must outlive it. ERR_MEMORY. */
int media_times_open(struct media_times **out, const AVStream *stream, struct error *e);
void media_times_close(struct media_times *t);   /* NULL is allowed */
void media_times_restart(struct media_times *t); /* after seeking to the start */

/* Whether the packet has to go through here: it has no time, or one before it had none. */
bool media_times_wants(const struct media_times *t, const AVPacket *packet);

/* Takes a new reference to the packet; NULL: there are no more. Receive everything before the next.
 * ERR_MEMORY. */
int media_times_send(struct media_times *t, const AVPacket *packet, struct error *e);

/* Gives the next packet, in decoding order and with its time, once it is known; a few dozen packets
 * at most are held back. The caller unrefs it. */
bool media_times_receive(struct media_times *t, AVPacket *packet);

#endif
