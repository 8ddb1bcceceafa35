/* caption_voice.h - who speaks: the voice tags of WebVTT, and names made fit for a cue.
 *
 *   <v Bob>Hello.</v> <v.loud Ann Lee>Hi!      two parts: "<v Bob>Hello." and the rest
 *
 * libavcodec's decoder drops these tags, so a packet is cut into what one voice says each before it
 * is decoded. Names that stand in the text itself ("BOB: Hello.") are text. */
#ifndef OCC_INGEST_CAPTION_VOICE_H
#define OCC_INGEST_CAPTION_VOICE_H

#include <stddef.h>

#include "store/arena.h"
#include "store/error.h"

struct caption_voice {
    const char *name; /* as it is written, not zero-terminated; NULL: nobody is named */
    size_t size;
};

/* The size of the part at the beginning of a WebVTT cue's text that one voice says; all of it where
 * there is only one. A voice lasts until </v> or the next voice tag; blanks and more of the same
 * voice behind it belong to its part. *voice points into `text`. */
size_t caption_voice_part(const char *text, size_t size, struct caption_voice *voice);

/* Overwrites what is in voice tags: FFmpeg 5 takes a tag with an entity for text from there on. */
void caption_voice_hide(char *text, size_t size);

/* A voice's name as the speaker of a cue: one line, cleaned as caption_strip_ass cleans text and
 * cut at a whole character to CUE_SPEAKER_BYTES; NULL for a blank one. ERR_MEMORY. */
int caption_voice_name(const char **out, struct arena *arena, const struct caption_voice *voice,
                       struct error *e);

#endif
