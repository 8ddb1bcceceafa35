/* media.h - reads one media file once and takes from it all that a sample needs: format facts,
 * thumbnail candidates, audio measures, caption tracks.
 *
 * Hostile files are the normal case. The file is read through our own I/O, so no demuxer can open a
 * second file or a network address; picture size is limited; every packet is a sign of progress;
 * decode errors are counted, and eight in a row end the decoding of that track. Decoders run with
 * one thread: the files are the parallelism. Presentation time is the only clock; all times count
 * from the start of the clip. */
#ifndef OCC_INGEST_MEDIA_MEDIA_H
#define OCC_INGEST_MEDIA_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/captions/cue.h"
#include "ingest/heartbeat.h"
#include "ingest/media/audio.h"
#include "ingest/media/thumbnail.h"

enum stage {
    STAGE_SIDECARS,
    STAGE_OPEN,
    STAGE_READ,
    STAGE_VIDEO,
    STAGE_AUDIO,
    STAGE_CAPTIONS,
    STAGE_PICTURES,
    STAGE_WRITE
};
const char *stage_name(int stage);

enum { MEDIA_TRACKS = 64, MEDIA_ERRORS_IN_A_ROW = 8 };
#define MEDIA_MAX_PIXELS ((int64_t)8192 * 8192)

struct media_track {
    const char *language; /* ISO 639 as the container has it, or NULL */
    const char *kind;     /* codec name: "mov_text", "subrip", "eia_608", ... */
    bool bitmap;          /* pictures of text: counted, not read */
    bool closed;          /* CEA-608/708, inside the video */
    struct cue_list cues;
};

struct media {
    struct arena *arena;                               /* of the item: texts and cues */
    const char *container, *video_codec, *audio_codec; /* NULL: none */
    int width, height; /* as displayed: sample aspect ratio and rotation applied */
    int rotation;      /* degrees clockwise that were applied: 0, 90, 180, 270 */
    bool mirrored, interlaced;
    bool cover_left;         /* there is an attached picture, passed over as `no_cover` says */
    double fps;              /* mean; 0 unknown */
    int64_t duration_ms;     /* -1 unknown */
    int64_t frames_expected; /* what the container claims; -1: it does not say */
    int64_t frames_read;     /* video packets found */
    int64_t frames_decoded;
    int64_t first_ms, last_ms;          /* of the video packets; -1: none */
    int64_t video_end_ms, sound_end_ms; /* where their last packets end; -1: none */
    int64_t video_errors, audio_errors;
    bool every_frame; /* more than keyframes were decoded: what others refer to, in part or all */
    struct media_track tracks[MEDIA_TRACKS];
    int track_count;
    struct thumbnails *thumbnails; /* candidates; NULL without video */
    struct still_scaler *scaler;
    struct audio *audio; /* NULL without audio */
    /* The first thing that was wrong with a file that could be read in part; reason is a word for
     * the report ("truncated", "decode-errors", "too-large", ...), NULL when all was well. */
    const char *reason;
    char message[240];
};

struct media_options {
    int thumbs, thumb_size; /* thumbs 0: no pictures */
    bool audio;
    bool no_cover; /* a picture that is attached to the sound is passed over */
};

/* Reads `path`. Negative only when nothing in it could be read: ERR_FORMAT, ERR_TRUNCATED, ERR_IO,
 * ERR_MEMORY... `m` is to be closed in any case. */
int media_read(struct media *m, const char *path, const struct media_options *options,
               struct arena *arena, struct heartbeat *heartbeat, struct error *e);

/* Offers a picture file (cover, slide) as a thumbnail candidate at time `pts_ms`. May be called
 * after media_read or instead of it (on a media_init'ed `m`). */
int media_add_picture(struct media *m, const char *path, int64_t pts_ms,
                      const struct media_options *options, struct heartbeat *heartbeat,
                      struct error *e);

/* In a process that reads media, once: libav prints nothing from here on. What matters goes into
 * the report. */
void media_silence(void);

/* The version of libavcodec, on which the bytes of samples depend. */
enum { MEDIA_VERSION_BYTES = 24 };
void media_version(char text[MEDIA_VERSION_BYTES]);

void media_init(struct media *m, struct arena *arena);
void media_close(struct media *m);

#endif
