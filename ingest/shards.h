/* shards.h - the numbered tars of `occ ingest -o DIR`.
 *
 * A shard appears under its name when it is complete (written aside, synced, renamed). Which sample
 * goes into which shard depends on the sizes of the samples alone, so a run that was killed can go
 * on after the last complete shard and ends with the same bytes as one that was not. The __end__
 * member of a shard says how many clips went into it and the hash of their names, sizes and dates:
 * a shard is reused only when the clips that it would now be made from, and the options, are still
 * the same. */
#ifndef OCC_INGEST_SHARDS_H
#define OCC_INGEST_SHARDS_H

#include "ingest/ingest.h"
#include "store/stream.h"

struct shards;

/* `header`: tool options for __stream__. ERR_IO when another run writes these shards. Finds the
 * shards that can be reused: *first is the first clip still to be ingested; keys of their samples
 * are added to `keys`, their numbers to *counts. */
int shards_open(struct shards **out, const struct ingest_options *options, const char *tool,
                const json_t *header, const struct clips *clips, struct table *keys, size_t *first,
                struct stream_counts *counts, const volatile sig_atomic_t *cancel, struct error *e);

/* One clip is through: `records` its sample (size 0: none), which may end the current shard before
 * it; `change` is what the clip adds to the shard's counts. */
int shards_put(struct shards *s, size_t clip, const void *records, size_t size,
               const struct stream_counts *change, struct error *e);

/* Completes the last shard and removes the shards of an earlier run that come after it. */
int shards_finish(struct shards *s, struct error *e);
void shards_close(struct shards *s); /* throws away a shard that is not complete; NULL is allowed */

#endif
