/* item.h - one clip becomes one sample: the part of ingest that runs in a worker process. */
#ifndef OCC_INGEST_ITEM_H
#define OCC_INGEST_ITEM_H

#include "ingest/ingest.h"
#include "ingest/pool.h"
#include "store/stream.h"

enum item_status {
    ITEM_OK,
    ITEM_PARTIAL,  /* a sample was made, but something is missing from it */
    ITEM_FAILED,   /* no sample */
    ITEM_SKIPPED,  /* no sample is made: already done, or not a clip of ours */
    ITEM_ELSEWHERE /* belongs to another part of --shard: not even reported */
};

const char *item_status_name(enum item_status status);

/* A worker sends back this, then `message_size` bytes of text for people (what was wrong; with its
 * zero byte, or nothing at all), then `report_size` bytes of JSON (the report line, without
 * newline), then the sample's tar records. Parent and worker are the same program, so the struct
 * travels as it is. */
struct item_head {
    enum item_status status;
    char key[STREAM_KEY_BYTES];
    size_t message_size, report_size;
};

struct item_maker; /* kept by a worker between clips; ends with its process */

int item_maker_open(struct item_maker **out, const struct ingest_options *options,
                    const struct table *done, struct error *e);

/* Makes the sample of `clip` and appends head, report and records to `out`. `before`: how a first
 * attempt died (then the media is left alone), or NULL. Bad input never fails; ERR_MEMORY and
 * ERR_LIMIT do. */
int item_make(struct item_maker *m, const struct clip *clip, const struct pool_failure *before,
              struct heartbeat *heartbeat, struct bytes *out, struct error *e);

/* The report line for a clip that a worker could not report on. */
int item_report_plain(struct bytes *out, const struct clip *clip, enum item_status status,
                      const char *key, const char *reason, const char *message, struct error *e);

#endif
