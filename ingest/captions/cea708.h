/* cea708.h - the caption text of a DTVCC stream (CEA-708-E, 47 CFR 79.102), service 1.
 *
 *   triplets of cc_type 3, 2, 2 ..  ->  packet   [sequence:2 size:6] service blocks
 *   service block                   ->  [service:3 size:5] codes of the code space C0 .. G3
 *   codes                           ->  windows with text; those displayed are the screen
 *
 * Text is what counts here: colours, fonts, borders, fades, justification and print directions are
 * read over. A window keeps its rows and the pen's place, because they decide which text is
 * replaced and which scrolls away; its width is not enforced, so that text beyond it is kept. */
#ifndef OCC_INGEST_CAPTIONS_CEA708_H
#define OCC_INGEST_CAPTIONS_CEA708_H

#include "ingest/captions/cea_screen.h"

struct cea708;

/* `screen` is not owned and must outlive the decoder. */
int cea708_open(struct cea708 **out, struct cea_screen *screen, struct error *e);
void cea708_close(struct cea708 *d); /* NULL is allowed */

/* One valid triplet of cc_type 3 or 2, shown at `us`; times that decrease are taken as the latest
 * time so far. The screen gets the state after the last triplet of each time. Malformed bytes are
 * passed over. Fails with ERR_MEMORY only. */
int cea708_feed(struct cea708 *d, int64_t us, const unsigned char triplet[3], struct error *e);

/* The stream ends at `us`: the screen is shown until then. */
int cea708_finish(struct cea708 *d, int64_t us, struct error *e);

#endif
