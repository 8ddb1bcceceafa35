/* render_packs.h - the numbers of packs: places in the stream that a pack comes in.
 *
 * Packs of an earlier render that are passed on may need other numbers, because two streams number
 * the packs of an account alike. */
#ifndef OCC_RENDER_RENDER_PACKS_H
#define OCC_RENDER_RENDER_PACKS_H

#include "store/stream.h"

/* The id of pack `number`, and its key in the account of `sample_key`. */
enum { PACK_ID_BYTES = 32 };
void pack_key(char key[STREAM_KEY_BYTES], char id[PACK_ID_BYTES], const char *sample_key,
              int64_t number);

struct pack_numbers; /* the highest of each account so far */
int pack_numbers_open(struct pack_numbers **out, struct error *e);
void pack_numbers_close(struct pack_numbers *p); /* NULL is allowed */

/* Gives the pack a key and, in its .json, an id that no pack of its account had before, unless its
 * own are higher already. The sample then points into `p`, until the next call. */
int pack_numbers_apply(struct pack_numbers *p, struct stream_sample *pack, struct error *e);

#endif
