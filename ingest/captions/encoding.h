/* encoding.h - caption files as clean text, whatever program and system they come from. */
#ifndef OCC_INGEST_CAPTIONS_ENCODING_H
#define OCC_INGEST_CAPTIONS_ENCODING_H

#include "store/bytes.h"

/* `out` becomes valid UTF-8 without byte order marks at its beginning, its lines ended by '\n'
 * ("\r\n" and "\r" are one line end each, as in WebVTT). UTF-16 is converted (store/utf16.h).
 * *repaired counts the places where something was not valid, and the zero bytes, which stay.
 * ERR_MEMORY, ERR_LIMIT where `out` is too small: a byte that is replaced becomes three. */
int caption_clean_text(struct bytes *out, const void *data, size_t size, size_t *repaired,
                       struct error *e);

#endif
