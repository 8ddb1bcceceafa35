/* text.h - the text of one cue, character by character: the writer for every kind of caption.
 *
 * Runs of blanks become one space, blank lines vanish, and characters without width go from the
 * ends of lines, but not from inside, where they join and separate letters. The result is valid
 * UTF-8 without control characters. */
#ifndef OCC_INGEST_CAPTIONS_TEXT_H
#define OCC_INGEST_CAPTIONS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "store/bytes.h"

struct caption_text {
    struct bytes *out;
    struct error *e;
    size_t base;    /* size of `out` before this text */
    char separator; /* ' ' or '\n' to write before the next character; 0 = none */
    bool muted;     /* nothing is written: inside a drawing, whose coordinates are not text */
    int rc;         /* the first failure; nothing is written after it */
};

/* Appends to `out`. */
struct caption_text caption_text_begin(struct bytes *out, struct error *e);

void caption_text_put(struct caption_text *w, uint32_t c);

/* The first character of the `size` > 0 bytes at `text`; returns its size. */
size_t caption_text_take(struct caption_text *w, const char *text, size_t size);

/* All of them. */
void caption_text_write(struct caption_text *w, const char *text, size_t size);

/* The character reference whose '&' is at `p`, or the '&' itself; returns its size. */
size_t caption_text_reference(struct caption_text *w, const char *p, const char *end, bool strict);

/* 0, or the first failure (ERR_MEMORY, ERR_LIMIT); then `out` is as it was before. */
int caption_text_end(struct caption_text *w);

/* Is this a blank in a caption: a control character, a space or a no-break space? */
bool caption_text_is_blank(uint32_t c);

#endif
