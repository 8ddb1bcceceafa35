/* length.h - how long a clip is, and whether the file holds all of it. */
#ifndef OCC_INGEST_MEDIA_LENGTH_H
#define OCC_INGEST_MEDIA_LENGTH_H

#include "ingest/media/file.h"

enum { LENGTH_STREAMS = 256 };

struct media_length {
    struct media *media;
    const struct media_file *file;
    bool left_out; /* there are tracks of which no packet is read: set by the caller */
    int64_t text_end_ms;
    int64_t damaged, damaged_ms;       /* packets; when the first of them */
    bool damaged_last[LENGTH_STREAMS]; /* the last packet of that stream, by its index */
};

/* Fills media->duration_ms from the container, -1 where it does not say. */
void media_length_open(struct media_length *l, struct media *m, const struct media_file *f);

/* Notes when the packet ends and whether it is damaged. Its stream_index is below
 * LENGTH_STREAMS. */
void media_length_take(struct media_length *l, const AVPacket *packet);

/* After the last packet: says what is missing, and sets a duration that the container did not say
 * or that does not count from the start of the clip. */
void media_length_check(struct media_length *l);

#endif
