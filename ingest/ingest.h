/* ingest.h - a video archive becomes a stream of samples: `occ ingest` as a library.
 *
 * Members of a sample, in this order (those that exist):
 *   .json            the sample (README.md, "What comes out"), from info.json and the media itself
 *   .script.json     [{start_ms, end_ms, text, speaker}] of the chosen caption track
 *   .comments.json   [{id, parent, author, text, likes, created, by_creator, pinned}], by thread
 *   .000.jpg ...     thumbnails in time order
 *   .audio.json      loudness, envelope
 *   .mel.pgm         64-band log-mel picture
 *
 * A clip whose media cannot be decoded still becomes a sample of its sidecars, marked `partial`. */
#ifndef OCC_INGEST_INGEST_H
#define OCC_INGEST_INGEST_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "ingest/archive/clips.h"
#include "store/stream.h"
#include "store/table.h"

struct ingest_options {
    int64_t thumbs;        /* thumbnails per clip, 0 to 64 */
    int64_t thumb_size;    /* longer side in pixels */
    const char *languages; /* preferred caption languages, comma-separated; NULL: none */
    bool audio;            /* loudness, envelope and log-mel picture */
    int64_t workers;       /* processes; 0: one per core */
    int64_t stall_ms;      /* longest time without progress in one file */
    int64_t cpu_ms;        /* CPU time for one file */
    int64_t memory;        /* address space of a worker in bytes */
    int64_t shard[2];      /* of the keys, take those of part I of N; 0, 1: all */
    const char *output;    /* folder for shards; NULL: the stream goes to `stream_fd` */
    int64_t shard_size;    /* bytes of one shard */
    int stream_fd;         /* where the stream goes when `output` is NULL */
    const char *report;    /* file for one JSON line a clip; NULL: none */
    bool progress;         /* show a progress line */
};
#define INGEST_DEFAULTS                                                                            \
    {                                                                                              \
        .thumbs = 4, .thumb_size = 320, .audio = true, .stall_ms = 30000, .cpu_ms = 600000,        \
        .memory = (int64_t)2 << 30, .shard = {0, 1}, .shard_size = (int64_t)1 << 30,               \
        .stream_fd = 1                                                                             \
    }

struct ingest_result {
    struct stream_counts counts; /* of the whole output, shards of an earlier run included */
    int64_t done;                /* clips left out because their key was in the list of keys done */
    int64_t parent_rss, worker_rss; /* peak resident bytes */
    int64_t restarts;               /* workers replaced */
};

/* The worker processes that these options ask for, for at most `tasks` tasks; also for
 * clips_join. */
struct pool_options ingest_pool_options(const struct ingest_options *options, size_t tasks);

/* Ingests the joined `clips`. `done`: keys that are skipped (NULL: none). `result` is filled on
 * success and failure alike. Errors: ERR_CANCELLED (a signal), ERR_CLOSED (nobody reads the stream
 * any more), ERR_NO_SPACE, ERR_IO, ERR_MEMORY; bad clips are not an error but counted. */
int ingest_run(const struct clips *clips, const struct ingest_options *options,
               const struct table *done, const volatile sig_atomic_t *cancel,
               struct ingest_result *result, struct error *e);

#endif
