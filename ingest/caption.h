/* caption.h - captions of every text kind become plain cues.
 *
 * SubRip, WebVTT, ASS and mov_text are parsed and decoded by libavformat and libavcodec, from files
 * beside the clip as from tracks inside it: both arrive here as ASS events, whose markup is taken
 * off. TikTok's creator captions are JSON and read here. */
#ifndef OCC_INGEST_CAPTION_H
#define OCC_INGEST_CAPTION_H

#include <jansson.h>

#include "ingest/cue.h"
#include "store/bytes.h"

/* Appends the text of one ASS event's text field without its markup: {override blocks} and drawings
 * (\p) go, \N and \n become newlines, \h a space. Runs of blanks collapse. */
int caption_strip_ass(struct bytes *out, const char *text, size_t size, struct error *e);

/* A caption file in memory. `format` is its extension: "srt", "vtt", "ass", "ssa" (any case). Text
 * that is not valid UTF-8 is repaired (UTF-16 with a byte order mark is converted); *repaired
 * counts it. Cues are appended in presentation order. ERR_FORMAT when no cue can be read,
 * ERR_UNSUPPORTED for another extension. */
int caption_read_file(struct cue_list *cues, const void *data, size_t size, const char *format,
                      size_t *repaired, struct error *e);

/* TikTok creator captions: {utterances: [{start_time, end_time (ms), text}]}. */
int caption_read_creator_json(struct cue_list *cues, const json_t *root, struct error *e);

/* One text track inside a container. `parameters` is an AVCodecParameters, `packet` an AVPacket. */
struct caption_decoder;
struct AVCodecParameters;
struct AVPacket;
struct AVRational;
int caption_decoder_open(struct caption_decoder **out, const struct AVCodecParameters *parameters,
                         int time_base_num, int time_base_den, struct error *e);
int caption_decoder_feed(struct caption_decoder *d, const struct AVPacket *packet,
                         struct cue_list *cues, struct error *e);
void caption_decoder_close(struct caption_decoder *d);

/* Puts a list into order and makes speech of it: rolling captions (each phrase repeated while the
 * window scrolls, 10-ms cues between, as in the auto-captions of video sites) collapse to each line
 * once with the time of its first appearance to its end; exact repeats that touch are joined. */
void caption_collapse_rolling(struct cue_list *cues);

#endif
