/* render_held.h - samples that are kept after the reader has gone on, and the keys of packs. */
#ifndef OCC_RENDER_RENDER_HELD_H
#define OCC_RENDER_RENDER_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "render/content/content.h"
#include "store/stream.h"

/* A copy of a sample, in one block of memory with everything that it points to. */
struct held {
    struct held *next;
    size_t bytes;    /* of this block */
    int64_t created; /* filled by the one who needs it */
    struct stream_sample sample;
};

/* Which members a copy is to have; `context` is held_copy's. */
typedef bool held_choice(void *context, const struct stream_member *member);

/* NULL when memory has run out. Released by free(). */
struct held *held_copy(const struct stream_sample *sample, held_choice *wanted, void *context);
void held_free_list(struct held *first);

/* For held_copy: everything. */
bool held_all(void *context, const struct stream_member *member);
/* Everything but pages of an earlier render. */
bool held_originals(void *context, const struct stream_member *member);
/* What content_flow needs for a pack, by the parts that are chosen; `context`: struct
 * content_options. */
bool held_needed(void *context, const struct stream_member *member);

/* How much of a key is the account: the part before the slash. */
size_t held_account_size(const char *key);
/* The id of pack `number`, and its key in the account of `sample_key`. */
enum { PACK_ID_BYTES = 32 };
void held_pack_key(char key[STREAM_KEY_BYTES], char id[PACK_ID_BYTES], const char *sample_key,
                   int64_t number);

#endif
