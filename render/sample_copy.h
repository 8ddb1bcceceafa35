/* sample_copy.h - samples that are kept after the reader has gone on. */
#ifndef OCC_RENDER_RENDER_HELD_H
#define OCC_RENDER_RENDER_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "render/content/content.h"
#include "store/stream.h"

/* A copy of a sample, in one block of memory with everything that it points to. */
struct sample_copy {
    struct sample_copy *next;
    size_t bytes;    /* of this block */
    int64_t created; /* filled by whoever needs it */
    struct stream_sample sample;
};

/* Which members a copy is to have; `context` is sample_copy_make's. */
typedef bool sample_copy_choice(void *context, const struct stream_member *member);

/* NULL when memory has run out. Released by free(). */
struct sample_copy *sample_copy_make(const struct stream_sample *sample, sample_copy_choice *wanted,
                                     void *context);
void sample_copies_free(struct sample_copy *first);

/* Choices: everything. */
bool copy_everything(void *context, const struct stream_member *member);
/* Everything but pages of an earlier render. */
bool copy_originals(void *context, const struct stream_member *member);
/* What content_layout needs for a pack, by the parts that are chosen; `context`: struct
 * content_options. */
bool copy_for_pack(void *context, const struct stream_member *member);

#endif
