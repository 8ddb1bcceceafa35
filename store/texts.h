/* texts.h - JSON and texts as zstd frames, and the dictionary that they share.
 *
 * A dictionary holds what the texts have in common. It is trained from those that were seen first
 * and serves all that come later; a frame names the dictionary that it needs, and frames from
 * before need none. */
#ifndef OCC_STORE_TEXTS_H
#define OCC_STORE_TEXTS_H

#include <stdbool.h>
#include <zstd.h>

#include "store/bytes.h"

enum { TEXTS_SEEN = 256, TEXTS_SEEN_BYTES = 1 << 20 }; /* what a dictionary is made from */
#define TEXT_LIMIT ((size_t)256 << 20)                 /* of one text */

struct texts {
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
    ZSTD_CDict *pack_dictionary; /* NULL: none yet */
    ZSTD_DDict *unpack_dictionary;
    unsigned dictionary_id;
    struct bytes seen; /* texts for the dictionary, one after the other */
    size_t seen_sizes[TEXTS_SEEN], seen_count;
};

int texts_open(struct texts *t, struct error *e);
void texts_close(struct texts *t); /* also after an open that failed, or of one that is all zero */

int texts_use_dictionary(struct texts *t, const void *data, size_t size, struct error *e);
void texts_drop_dictionary(struct texts *t);

/* Remembers a text for the dictionary that is still to be made. */
int texts_see(struct texts *t, const void *text, size_t size, struct error *e);
/* Makes and uses a dictionary when there is none and enough was seen, and appends it to `out`. 1:
 * it was made; 0: not. */
int texts_train(struct texts *t, struct bytes *out, struct error *e);

/* Append to `out`. */
int texts_pack(struct texts *t, struct bytes *out, const void *text, size_t size, struct error *e);
int texts_unpack(struct texts *t, struct bytes *out, const void *frame, size_t size,
                 struct error *e);

#endif
