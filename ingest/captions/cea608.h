/* cea608.h - the caption text of CEA-608 ("line 21") byte pairs of field 1, channel 1.
 *
 * libavcodec's decoder keeps the screen. It knows fields but does not distinguish channel 1 from
 * channel 2, captions from the text service, or a caption from what is left of one that began
 * before the clip: so it is given only those pairs that are captions of channel 1. */
#ifndef OCC_INGEST_CAPTIONS_CEA608_H
#define OCC_INGEST_CAPTIONS_CEA608_H

#include "ingest/captions/cea_screen.h"

struct cea608;

/* `screen` is not owned and must outlive the decoder. *out is NULL with result 0 when this
 * libavcodec was built without the decoder; the functions below take NULL. */
int cea608_open(struct cea608 **out, struct cea_screen *screen, struct error *e);
void cea608_close(struct cea608 *d);

/* One valid triplet of cc_type 0, parity bits as transmitted; times must not decrease. Pairs after
 * the first 262,144 are ignored. Fails with ERR_MEMORY only. */
int cea608_feed(struct cea608 *d, int64_t us, const unsigned char triplet[3], struct error *e);

/* The stream ends at `us`: the screen is shown until then. */
int cea608_finish(struct cea608 *d, int64_t us, struct error *e);

#endif
