/* chunk_parts.h - a chunk (breaks.h) that is too long for a word, or runs in both directions, is
 * cut into parts that are words: where a line may end, where the level changes, and between
 * grapheme clusters where it would be longer than WORD_BYTES. */
#ifndef OCC_RENDER_TEXT_CHUNK_PARTS_H
#define OCC_RENDER_TEXT_CHUNK_PARTS_H

#include "render/text/word.h"

struct chunk_part {
    uint32_t end;   /* byte of the paragraph */
    bool may_break; /* a line may end before it */
};

/* The parts of the last chunk that was cut; all zero at first. */
struct chunk_parts {
    struct chunk_part *items; /* owned */
    size_t count, capacity;
    size_t next;         /* the one to be taken next */
    uint32_t start, end; /* of the chunk, bytes of the paragraph */
};

void chunk_parts_close(struct chunk_parts *p);
void chunk_parts_clear(struct chunk_parts *p);

/* Cuts bytes [start, start + size) of `text`. `levels`: of each byte, or NULL where all are the
 * same; `may_break`: whether a line may end before the chunk. Takes time in proportion to
 * `size`. ERR_MEMORY. */
int chunk_parts_cut(struct chunk_parts *p, struct breaker *b, const char *text,
                    const uint8_t *levels, size_t start, size_t size, bool may_break,
                    struct error *e);

/* *end: that of the word at byte `start` of a chunk that ends at `chunk_end`, wherever lines may
 * end: up to where the level changes, and WORD_BYTES. ERR_MEMORY. */
int chunk_word(struct breaker *b, const char *text, const uint8_t *levels, size_t start,
               size_t chunk_end, size_t *end, struct error *e);

/* Goes back to the part that holds byte `at`; false: none does. */
bool chunk_parts_return(struct chunk_parts *p, size_t at);

#endif
