/* formats.h - the kinds of captions, one reader each; others call caption.h.
 *
 * A reader gets a file as clean text (encoding.h): valid UTF-8, lines ended by '\n'. It appends
 * cues in the order of the file; cue_list_settle comes after it. It fails with ERR_MEMORY,
 * ERR_LIMIT, and ERR_FORMAT where the whole file is unreadable; damage in places costs only these
 * places, which are counted as losses. */
#ifndef OCC_INGEST_CAPTIONS_FORMATS_H
#define OCC_INGEST_CAPTIONS_FORMATS_H

#include "ingest/captions/caption.h"

#define CAPTION_TEXT_BYTES ((size_t)64 << 20) /* of one cue, markup off: no file's is longer */

/* webvtt.c: https://www.w3.org/TR/webvtt1/ */
int webvtt_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
                struct error *e);

/* webvtt_text.c: the cues of one WebVTT cue, one for each voice that speaks in it. */
int webvtt_add_cue(struct cue_list *cues, int64_t start_ms, int64_t end_ms, const char *text,
                   size_t size, struct error *e);

/* subrip.c */
int subrip_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
                struct error *e);

int subrip_add_cue(struct cue_list *cues, int64_t start_ms, int64_t end_ms, const char *text,
                   size_t size, struct error *e);

/* ass.c: ASS and SSA */
int ass_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
             struct error *e);

/* The cue of one event as Matroska has it, without times:
 * "ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text". */
int ass_add_event(struct cue_list *cues, int64_t start_ms, int64_t end_ms, const char *event,
                  size_t size, struct error *e);

/* youtube.c: json3, and srv1 to srv3 */
int json3_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
               struct error *e);
int srv_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
             struct error *e);

/* ttml.c: TTML and DFXP, https://www.w3.org/TR/ttml1/ */
int ttml_read(struct cue_list *cues, const char *text, size_t size, struct caption_losses *losses,
              struct error *e);

/* Times that a file may mean: false for a start past CAPTION_LATEST_MS; such an end becomes
 * none. */
static inline bool caption_times_fit(int64_t start_ms, int64_t *end_ms) {
    *end_ms = *end_ms > CAPTION_LATEST_MS ? start_ms : *end_ms;
    return start_ms <= CAPTION_LATEST_MS;
}

#endif
