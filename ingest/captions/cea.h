/* cea.h - closed captions that ride inside the video: CEA-608 and CEA-708.
 *
 * Taken from the packets, not from decoded pictures (H.264 and HEVC SEI messages of type 4, MPEG-2
 * user data; ATSC A/53 part 4), so that captions are complete while only keyframes are decoded.
 * Packets arrive in decoding order; the byte triplets are kept with their presentation time and
 * decoded in that order at the end. CEA-608 is decoded by libavcodec (ingest/captions/cea608.h);
 * CEA-708 here (ingest/captions/cea708.h), because libavcodec has no decoder for it. */
#ifndef OCC_INGEST_CAPTIONS_CEA_H
#define OCC_INGEST_CAPTIONS_CEA_H

#include "ingest/captions/cue.h"

struct cea;
struct AVCodecParameters;
struct AVPacket;

enum cea_kind { CEA_NONE, CEA_608, CEA_708 };

/* `parameters` (AVCodecParameters) give the codec and the framing of NAL units (avcC/hvcC length
 * size or Annex B start codes). *out is NULL with result 0 for a codec that cannot carry captions;
 * the functions below take NULL. */
int cea_open(struct cea **out, const struct AVCodecParameters *parameters, int time_base_num,
             int time_base_den, struct error *e);
void cea_close(struct cea *c);

/* Looks for caption bytes in one video packet (AVPacket). Malformed units are passed over. Keeps at
 * most 16 MiB of triplets; later ones are ignored. Fails only with ERR_MEMORY. */
int cea_feed(struct cea *c, const struct AVPacket *packet, struct error *e);

/* Decodes everything fed so far and appends the cues in order of time: CEA-708 service 1 if it has
 * any text, else CEA-608 channel 1 (field 1); *kind says which, CEA_NONE when there are no cues.
 * `start_ms` is subtracted from all times; cues that ended before it are left out. A cue is the
 * whole screen: in roll-up captions each line comes again while it scrolls
 * (caption_collapse_rolling). Fails only with ERR_MEMORY. */
int cea_finish(struct cea *c, int64_t start_ms, struct cue_list *cues, enum cea_kind *kind,
               struct error *e);

#endif
