/* caption.h - captions of every text kind become plain cues.
 *
 * Files beside the clip and tracks inside it go through the same readers, one for each kind
 * (formats.h). Of libav only the containers are used: its decoders turn everything into ASS, in
 * which text that looks like markup can no longer be distinguished from markup.
 *
 * A cue has a speaker where the file names one: WebVTT in voice tags (a cue with several voices
 * becomes several cues of the same time), ASS in the Name field. Nothing is guessed from texts.
 *
 * A caption that does not say when it ends, or that ends before it begins, stays until the next
 * one, CUE_UNTIMED_MS at most. Times past CAPTION_LATEST_MS are nonsense and their captions are
 * left out. */
#ifndef OCC_INGEST_CAPTIONS_CAPTION_H
#define OCC_INGEST_CAPTIONS_CAPTION_H

#include <jansson.h>
#include <stdint.h>

#include "ingest/captions/cue.h"
#include "store/bytes.h"

#define CAPTION_LATEST_MS INT64_C(1000000000000) /* 31 years */

/* Appends the text of one ASS event's text field without its markup: {override blocks} and drawings
 * (\p) go, \N and \n become newlines, \h a space; everything else is text, as text.h writes it. On
 * failure (ERR_MEMORY, ERR_LIMIT) nothing. */
int caption_strip_ass(struct bytes *out, const char *text, size_t size, struct error *e);

/* The same of SubRip: HTML goes (<i>, <font ...>, <00:00:01.000>, but not "<3"), and codes that
 * came with conversions, {\an8} and {y:i}; &amp; and the like are resolved, once. */
int caption_strip_subrip(struct bytes *out, const char *text, size_t size, struct error *e);

/* How the cues differ from the file. */
struct caption_losses {
    size_t repaired; /* places that were not valid UTF-8, and zero bytes */
    size_t untimed;  /* texts left out because they have no readable time */
};

/* A caption file in memory. `format` is its extension: "srt", "vtt", "ass", "ssa", "json3", "srv1",
 * "srv2", "srv3", "ttml", "dfxp" (any case). Text that is not valid UTF-8 is repaired, UTF-16 is
 * converted (utf16.h). Adds to *losses (may be NULL). Cues are appended in presentation order, none
 * on failure. ERR_FORMAT when no cue can be read, ERR_UNSUPPORTED for another extension, ERR_LIMIT
 * for more than 16 MiB, ERR_MEMORY. */
int caption_read_file(struct cue_list *cues, const void *data, size_t size, const char *format,
                      struct caption_losses *losses, struct error *e);

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

/* Appends the text of one packet (AVPacket, not changed), to the same list every time. Malformed
 * and oversized packets (more than 128 KiB) give no cue; an empty one, as mov_text has for gaps,
 * none either, but it ends a cue that had no end. Fails with ERR_MEMORY only. */
int caption_decoder_feed(struct caption_decoder *d, const struct AVPacket *packet,
                         struct cue_list *cues, struct error *e);

/* Puts a list into order and turns it into the text that is spoken. Captions with the same text
 * that follow each other within 50 ms are joined; people leave two frames (83 ms) between theirs,
 * so "Ha!" "Ha!" stays two; of different speakers, or of a known and an unknown one, nothing is
 * joined. Rolling captions, where a window of lines scrolls (each line repeated, 10-ms cues
 * between, as in the auto-captions of video sites) or a line grows word by word, become each line
 * once, from its first appearance until the next line's. Only whole lines are compared, and one
 * overlap of two captions is taken for chance: a rolling caption needs two in a row, a cue of at
 * most 50 ms, or a list in which every fourth caption is the one before it and more. A `flat` list
 * is put into order only. To be called once: a line said twice in a rolling caption is two touching
 * cues afterwards. */
void caption_collapse_rolling(struct cue_list *cues);

#endif
