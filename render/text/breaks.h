/* breaks.h - where a line may end: UAX #14 by ICU (with its dictionaries for Thai, Lao, Khmer and
 * Burmese), except that nothing is broken inside #hashtags and @handles, that a line may end
 * between two of them, and that URLs may break at their punctuation.
 *
 * A paragraph is cut into chunks (at spaces, and between Chinese characters), because most chunks
 * come again and again: what is found out about one is kept with its shape (word.h). The cuts are
 * chosen so that breaks inside a chunk do not depend on what is around it. */
#ifndef OCC_RENDER_TEXT_BREAKS_H
#define OCC_RENDER_TEXT_BREAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/error.h"

struct breaker; /* opaque; one thread each */

int breaker_open(struct breaker **out, struct error *e);
void breaker_close(struct breaker *b);

/* Byte offsets inside (0, size) of well-formed UTF-8 without newlines where a line may end, in
 * ascending order; valid until the next call. ERR_MEMORY. */
int breaker_lines(struct breaker *b, const char *text, size_t size, const uint32_t **at,
                  size_t *count, struct error *e);

/* Likewise the boundaries of grapheme clusters, and the beginnings of sentences. */
int breaker_clusters(struct breaker *b, const char *text, size_t size, const uint32_t **at,
                     size_t *count, struct error *e);

/* A character and its line breaking class (UAX #14; U_LB_... of ICU). */
struct break_side {
    uint32_t code_point;
    uint8_t line_class;
};

/* Whether a line may end at the spaces between two words, given the last base character before
 * them and the first one after. */
bool breaker_between(struct breaker *b, struct break_side last, struct break_side first);

/* The size of the chunk that begins at text[0], not a space: up to the next space or cut. */
size_t chunk_size(const char *text, size_t size);

/* Whether two characters may be cut apart into chunks, and whether a line may end there. */
enum chunk_cut { CUT_NONE, CUT_BREAK, CUT_GLUE };
enum chunk_cut chunk_cut(uint32_t before, uint32_t after);

/* The size of the #hashtag or @handle at text[0] ('#', '@' or a full-width form of them); 0: it is
 * none. */
size_t tag_size(const char *text, size_t size);

#endif
