/* levels.h - which way the text of a paragraph runs: embedding levels of UAX #9, by ICU.
 *
 * Isolates of the paragraph (clean.h) are set as if they stood between FSI and PDI. What they leave
 * open ends with them, and what they close without having opened it stays open. */
#ifndef OCC_RENDER_TEXT_LEVELS_H
#define OCC_RENDER_TEXT_LEVELS_H

#include "render/text/clean.h"

struct levels; /* opaque; one thread each */

int levels_open(struct levels **out, struct error *e);
void levels_close(struct levels *l); /* NULL is allowed */

/* *levels: of each byte of `text`, valid until the next call; *paragraph: the level of the
 * paragraph itself. It is that of the first letter; where there are isolates, that of the leading
 * ones; where they differ, that of most of their letters. ERR_MEMORY. */
int levels_find(struct levels *l, const struct clean *text, const uint8_t **levels,
                uint8_t *paragraph, struct error *e);

#endif
