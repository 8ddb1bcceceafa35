/* utf16.h - UTF-16 of other people's files (PowerShell's ">", Notepad's "Unicode"), as UTF-8.
 *
 * It is recognised by its byte order mark or, where there is none, by the zero bytes of its first
 * two characters, which are ASCII in JSON, SubRip, WebVTT and ASS (RFC 4627, section 3). */
#ifndef OCC_STORE_UTF16_H
#define OCC_STORE_UTF16_H

#include "store/bytes.h"

enum utf16_order { UTF16_NONE, UTF16_LITTLE_ENDIAN, UTF16_BIG_ENDIAN };

/* UTF16_NONE: something else, UTF-8 as a rule. */
enum utf16_order utf16_detect(const void *data, size_t size);

/* Appends UTF-16 of that order as UTF-8, without a byte order mark. Half a surrogate pair and half
 * a unit become U+FFFD; their number is added to *replaced. */
int utf16_to_utf8(struct bytes *out, const void *data, size_t size, enum utf16_order order,
                  size_t *replaced, struct error *e);

#endif
