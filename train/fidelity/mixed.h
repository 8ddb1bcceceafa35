/* mixed.h - pages of made-up samples, laid out as `occ render` does it: thumbnails, header,
 * description, script, hashtags, comments. */
#ifndef OCC_TRAIN_FIDELITY_MIXED_H
#define OCC_TRAIN_FIDELITY_MIXED_H

#include <stddef.h>
#include <stdint.h>

#include "render/draw.h"

struct mixed_pages; /* opaque; of one thread */

/* Words are those of a text, which must outlive it. */
int mixed_pages_open(struct mixed_pages **out, const char *text, size_t size, struct error *e);
void mixed_pages_close(struct mixed_pages *m); /* NULL is allowed */
/* A full page, of as many samples as it takes. `setup` without context and done. */
int mixed_pages_draw(struct mixed_pages *m, struct drawn_page *out, const struct page_setup *setup,
                     uint64_t *random, struct error *e);

#endif
