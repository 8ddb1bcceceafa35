/* utf8.h - checked UTF-8: Unicode 15, chapter 3, table 3-7 (no surrogates, no overlong forms, at
 * most U+10FFFF). A byte sequence that is not well formed becomes U+FFFD, one for each maximal
 * subpart (section 3.9), as browsers, Python and ICU do. */
#ifndef OCC_STORE_UTF8_H
#define OCC_STORE_UTF8_H

#include "store/bytes.h"

#include <stdint.h>

#define UTF8_REPLACEMENT UINT32_C(0xFFFD)

/* Reads one code point from the `size` > 0 bytes at `text`; returns the bytes consumed (1 to 4).
 * What is not well formed gives *code_point = UTF8_REPLACEMENT and *valid = false. */
size_t utf8_decode(const char *text, size_t size, uint32_t *code_point, bool *valid);

/* Writes the 1 to 4 bytes of a code point (UTF8_REPLACEMENT for what is none); returns how many. */
size_t utf8_encode(uint32_t code_point, char out[4]);

bool utf8_is_valid(const char *text, size_t size);

/* The largest n <= size at which text can be cut without splitting a well-formed sequence. */
size_t utf8_floor(const char *text, size_t size);

/* Appends `text` with every ill-formed sequence replaced; adds their number to *replaced. */
int utf8_repair(struct bytes *out, const char *text, size_t size, size_t *replaced,
                struct error *e);

#endif
