/* caption.h - captions of every text kind become plain cues.
 *
 * SubRip, WebVTT, ASS and mov_text are parsed and decoded by libavformat and libavcodec, from files
 * beside the clip as from tracks inside it: both arrive here as ASS events, whose markup is taken
 * off. TikTok's creator captions are JSON and read here.
 *
 * A cue has a speaker where the file names one: WebVTT in voice tags (a cue with several voices
 * becomes several cues of the same time), ASS in the Name field. Nothing is guessed from texts.
 *
 * A caption that does not say when it ends stays until the next one, CAPTION_UNTIMED_MS at most.
 * Times past CAPTION_LATEST_MS are nonsense and their captions are left out. */
#ifndef OCC_INGEST_CAPTION_H
#define OCC_INGEST_CAPTION_H

#include <jansson.h>
#include <stdint.h>

#include "ingest/cue.h"
#include "store/bytes.h"

#define CAPTION_UNTIMED_MS INT64_C(7000)         /* what subtitle guides allow */
#define CAPTION_LATEST_MS INT64_C(1000000000000) /* 31 years */

/* Appends the text of one ASS event's text field without its markup: {override blocks} and drawings
 * (\p) go, \N and \n become newlines, \h a space. What decoders leave of HTML goes too: <i>, <font
 * ...>, <00:00:01.000>, but not "<3"; &amp; and the like are resolved. Runs of blanks collapse,
 * blank lines and characters without width at the ends of lines go. Appends valid UTF-8 without
 * control characters, whatever comes in; on failure (ERR_MEMORY, ERR_LIMIT) nothing. */
int caption_strip_ass(struct bytes *out, const char *text, size_t size, struct error *e);

/* A caption file in memory. `format` is its extension: "srt", "vtt", "ass", "ssa" (any case). Text
 * that is not valid UTF-8 is repaired; *repaired (may be NULL) counts the places. UTF-16 is
 * converted (utf16.h). Cues are appended in presentation order, none on failure.
 * ERR_FORMAT when no cue can be read, ERR_UNSUPPORTED for another extension, ERR_LIMIT for more
 * than 16 MiB, ERR_MEMORY. */
int caption_read_file(struct cue_list *cues, const void *data, size_t size, const char *format,
                      size_t *repaired, struct error *e);

/* TikTok creator captions: {utterances: [{start_time, end_time (ms), text}]}. Utterances without a
 * start or text are left out; the rest is appended in presentation order. ERR_FORMAT when there is
 * none, ERR_MEMORY, ERR_LIMIT; then nothing is appended. */
int caption_read_creator_json(struct cue_list *cues, const json_t *root, struct error *e);

/* One text track inside a container: mov_text, SubRip, ASS/SSA, WebVTT or plain text; other codecs
 * (pictures of text above all) are ERR_UNSUPPORTED. `parameters` is an AVCodecParameters. */
struct caption_decoder; /* opaque */
struct AVCodecParameters;
struct AVPacket;
int caption_decoder_open(struct caption_decoder **out, const struct AVCodecParameters *parameters,
                         int time_base_num, int time_base_den, struct error *e);
void caption_decoder_close(struct caption_decoder *d); /* NULL is allowed */

/* Appends what one packet (AVPacket, not changed) says, to the same list every time. Malformed and
 * oversized packets (more than 128 KiB) give no cue; an empty one, as mov_text has for gaps, none
 * either, but it ends a cue that had no end. Fails with ERR_MEMORY only. */
int caption_decoder_feed(struct caption_decoder *d, const struct AVPacket *packet,
                         struct cue_list *cues, struct error *e);

/* Puts a list into order and makes speech of it. Captions with the same text that follow each other
 * within 50 ms are joined; people leave two frames (83 ms) between theirs, so "Ha!" "Ha!" stays
 * two; of different speakers, or of a known and an unknown one, nothing is joined. Rolling
 * captions, where a window of lines scrolls (each line repeated, 10-ms cues between, as in the
 * auto-captions of video sites) or a line grows word by word, become each line once, from its first
 * appearance until the next line's. Only whole lines are compared, and one overlap of two captions
 * is taken for chance: a rolling caption needs two in a row or a cue of at most 50 ms. To be called
 * once: a line said twice in a rolling caption is two touching cues afterwards. */
void caption_collapse_rolling(struct cue_list *cues);

#endif
