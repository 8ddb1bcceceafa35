/* ingest.c - the parent's side of ingest: hands clips to the workers, puts their samples in
 * order. */
#include "ingest/ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/item.h"
#include "ingest/media/media.h"
#include "ingest/pool.h"
#include "ingest/sample.h"
#include "ingest/shards.h"
#include "store/cpu_count.h"
#include "store/file.h"
#include "store/log.h"
#include "store/stream.h"

static const char TOOL[] = "occ-ingest " OCC_VERSION;

struct ingest {
    const struct clips *clips;
    const struct ingest_options *options;
    const struct table *done;
    const volatile sig_atomic_t *cancel;
    struct ingest_result *result;
    struct table *keys; /* of all samples so far: a key may come only once in a stream */
    json_t *header;
    struct stream_writer *writer; /* one of these two is open */
    struct shards *shards;
    int report; /* descriptor, -1: none */
    struct bytes line;
    struct item_maker *maker; /* in a worker */
};

/* The options that shape the samples; the number of workers does not. */
static json_t *header_of(const struct ingest_options *o, const struct table *done) {
    char skip[24] = "";
    if (done != NULL && table_count(done) > 0) {
        snprintf(skip, sizeof skip, "%016" PRIx64, table_fingerprint(done));
    }
    char codecs[MEDIA_VERSION_BYTES];
    media_version(codecs);
    return json_pack("{s:I, s:I, s:s, s:b, s:[I,I], s:s, s:s, s:I, s:I, s:I, s:I}", "thumbs",
                     (json_int_t)o->thumbs, "thumb_size", (json_int_t)o->thumb_size, "lang",
                     o->languages != NULL ? o->languages : "", "audio", o->audio, "shard",
                     (json_int_t)o->shard[0], (json_int_t)o->shard[1], "skip", skip, "libavcodec",
                     codecs, "shard_size", (json_int_t)(o->output != NULL ? o->shard_size : 0),
                     "stall_ms", (json_int_t)o->stall_ms, "cpu_ms", (json_int_t)o->cpu_ms, "memory",
                     (json_int_t)o->memory);
}

/* ---- In a worker ------------------------------------------------------- */

static int worker_begin(void *context, struct error *e) {
    struct ingest *in = context;
    media_silence();
    return item_maker_open(&in->maker, in->options, in->done, e);
}

static int worker_task(void *context, size_t index, const struct pool_failure *before,
                       struct heartbeat *heartbeat, struct bytes *result, struct error *e) {
    struct ingest *in = context;
    return item_make(in->maker, &in->clips->items[index], before, heartbeat, result, e);
}

/* ---- In the parent ----------------------------------------------------- */

static int write_report(struct ingest *in, const void *line, size_t size, struct error *e) {
    if (in->report < 0) {
        return 0;
    }
    bytes_clear(&in->line);
    int rc = bytes_append(&in->line, line, size, e);
    if (rc == 0) {
        rc = bytes_append(&in->line, "\n", 1, e);
    }
    if (rc == 0) {
        rc = file_write(in->report, in->line.data, in->line.size, NULL, e);
    }
    return rc < 0 ? error_context(e, "%s", in->options->report) : 0;
}

/* The report on a clip, for people to read; with --report only on request. */
static void log_clip(const struct ingest *in, size_t index, enum item_status status,
                     const char *message) {
    json_t *input = sample_text(in->clips->items[index].path), *text = sample_text(message);
    const char *path = json_string_value(input), *what = json_string_value(text);
    (in->options->report != NULL ? log_info : log_error)("%s: %s: %s", path != NULL ? path : "?",
                                                         item_status_name(status),
                                                         what != NULL && *what ? what : "?");
    json_decref(text);
    json_decref(input);
}

static int write_plain(struct ingest *in, size_t index, enum item_status status, const char *key,
                       const char *reason, const char *message, struct error *e) {
    struct bytes line;
    bytes_init(&line, SIZE_MAX);
    const struct clip *clip = &in->clips->items[index];
    int rc = item_report_plain(&line, clip, status, key, reason, message, e);
    if (rc == 0) {
        rc = write_report(in, line.data, line.size, e);
    }
    if (rc == 0 && strcmp(reason, "kept") != 0) {
        log_clip(in, index, status, message);
    }
    bytes_close(&line);
    return rc;
}

/* A clip is finished: its records, if any, go out, and it is counted. */
static int put(struct ingest *in, size_t index, const struct stream_counts *change,
               const void *records, size_t size, struct error *e) {
    struct stream_counts *sum = &in->result->counts;
    sum->samples += change->samples;
    sum->partial += change->partial;
    sum->skipped += change->skipped;
    sum->failed += change->failed;
    if (in->shards != NULL) {
        return shards_put(in->shards, index, records, size, change, e);
    }
    return size ? stream_write(in->writer, records, size, e) : 0;
}

/* For clips whose shared key shows only when they are read. */
static int report_duplicate(struct ingest *in, size_t index, const char *key, size_t before,
                            struct error *e) {
    struct bytes text;
    bytes_init(&text, SIZE_MAX);
    static const char came[] = "a sample with this key came before";
    int rc = bytes_append(&text, came, strlen(came), e);
    if (rc == 0 && before < in->clips->count) { /* else it is in a shard that was reused */
        const char *path = in->clips->items[before].path;
        rc = bytes_append(&text, ": ", 2, e);
        if (rc == 0) {
            rc = bytes_append(&text, path, strlen(path), e);
        }
    }
    if (rc == 0) {
        rc = bytes_append(&text, "", 1, e);
    }
    if (rc == 0) {
        rc = write_plain(in, index, ITEM_SKIPPED, key, "duplicate", bytes_text(&text), e);
    }
    bytes_close(&text);
    return rc;
}

/* A finished item: its sample goes out unless the key was there before. */
static int take_item(struct ingest *in, size_t index, const struct bytes *result, struct error *e) {
    struct item_head head;
    if (result->size < sizeof head) {
        return error_set(e, ERR_FORMAT, "a worker's answer is too short");
    }
    memcpy(&head, result->data, sizeof head);
    const unsigned char *message = result->data + sizeof head;
    const unsigned char *report = message + head.message_size;
    const unsigned char *records = report + head.report_size;
    size_t records_size = result->size - sizeof head - head.message_size - head.report_size;
    bool has_sample = head.status == ITEM_OK || head.status == ITEM_PARTIAL;
    size_t before = index;
    int rc = has_sample ? table_add(in->keys, head.key, index, &before, e) : 1;
    if (rc < 0) {
        return rc;
    }
    if (rc == 0) {
        struct stream_counts one_skipped = {.skipped = 1};
        rc = report_duplicate(in, index, head.key, before, e);
        return rc == 0 ? put(in, index, &one_skipped, NULL, 0, e) : rc;
    }
    bool done_before = head.status == ITEM_SKIPPED && in->done != NULL && head.key[0] &&
                       table_find(in->done, head.key, NULL);
    struct stream_counts change = {.samples = has_sample,
                                   .partial = head.status == ITEM_PARTIAL,
                                   .skipped = head.status == ITEM_SKIPPED && !done_before,
                                   .failed = head.status == ITEM_FAILED};
    in->result->done += done_before;
    rc = put(in, index, &change, records, records_size, e);
    if (rc == 0 && head.status != ITEM_ELSEWHERE) {
        rc = write_report(in, report, head.report_size, e);
    }
    if (rc == 0 && change.partial + change.skipped + change.failed > 0) {
        log_clip(in, index, head.status, head.message_size ? (const char *)message : NULL);
    } else if (rc == 0) {
        log_debug("%s: %s", in->clips->items[index].path, has_sample ? head.key : "nothing to do");
    }
    return rc;
}

static int parent_done(void *context, size_t index, const struct bytes *result,
                       const struct pool_failure *failure, struct error *e) {
    struct ingest *in = context;
    int rc;
    if (result != NULL) {
        rc = take_item(in, index, result, e);
    } else {
        char text[120];
        pool_failure_text(failure, text, sizeof text);
        struct stream_counts one_failed = {.failed = 1};
        rc = write_plain(in, index, ITEM_FAILED, NULL, pool_failure_reason(failure), text, e);
        if (rc == 0) {
            rc = put(in, index, &one_failed, NULL, 0, e);
        }
    }
    progress_set(index + 1);
    return rc;
}

static int open_report(struct ingest *in, struct error *e) {
    const char *path = in->options->report;
    if (path == NULL) {
        return 0;
    }
    in->report = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return in->report < 0 ? error_errno(e, errno, "%s", path) : 0;
}

/* Opens where the samples go; *first is the first clip that is still to be ingested. */
static int open_output(struct ingest *in, size_t *first, struct error *e) {
    const struct ingest_options *o = in->options;
    *first = 0;
    in->header = header_of(o, in->done);
    if (in->header == NULL) {
        return error_memory(e, NULL);
    }
    if (o->output == NULL) {
        return stream_writer_open(&in->writer, o->stream_fd, TOOL, in->header, in->cancel, e);
    }
    int rc = shards_open(&in->shards, o, TOOL, in->header, in->clips, in->keys, first,
                         &in->result->counts, in->cancel, e);
    for (size_t i = 0; i < *first && rc == 0; i++) {
        rc = write_plain(in, i, ITEM_SKIPPED, NULL, "kept", "in a complete shard of an earlier run",
                         e);
    }
    return rc;
}

static int finish_output(struct ingest *in, struct error *e) {
    return in->shards != NULL ? shards_finish(in->shards, e)
                              : stream_writer_finish(in->writer, &in->result->counts, NULL, e);
}

struct pool_options ingest_pool_options(const struct ingest_options *o, size_t tasks) {
    int64_t workers = o->workers > 0 ? o->workers : cpu_count();
    workers = workers > POOL_WORKERS ? POOL_WORKERS : workers;
    workers = (size_t)workers > tasks ? (int64_t)tasks : workers;
    return (struct pool_options){.workers = (int)(workers > 0 ? workers : 1),
                                 .stall_ms = o->stall_ms,
                                 .cpu_ms = o->cpu_ms,
                                 .memory = o->memory,
                                 .result_limit = STREAM_SAMPLE_LIMIT};
}

static int run_pool(struct ingest *in, size_t first, struct error *e) {
    struct pool_options options = ingest_pool_options(in->options, in->clips->count - first);
    struct pool_calls calls = {
        .context = in, .begin = worker_begin, .task = worker_task, .done = parent_done};
    struct pool_usage usage = {0};
    progress_begin("ingest", in->clips->count, in->options->progress);
    int rc = pool_run(first, in->clips->count, &options, &calls, in->cancel, &usage, e);
    progress_end();
    in->result->parent_rss = usage.parent_rss;
    in->result->worker_rss = usage.worker_rss;
    in->result->restarts = usage.restarts;
    return rc;
}

int ingest_run(const struct clips *clips, const struct ingest_options *options,
               const struct table *done, const volatile sig_atomic_t *cancel,
               struct ingest_result *result, struct error *e) {
    struct ingest in = {.clips = clips,
                        .options = options,
                        .done = done,
                        .cancel = cancel,
                        .result = result,
                        .report = -1};
    *result = (struct ingest_result){0};
    bytes_init(&in.line, SIZE_MAX);
    size_t first = 0;
    int rc = table_open(&in.keys, e);
    if (rc == 0) {
        rc = open_report(&in, e);
    }
    if (rc == 0) {
        rc = open_output(&in, &first, e);
    }
    if (rc == 0) {
        rc = run_pool(&in, first, e);
    }
    if (rc == 0) {
        rc = finish_output(&in, e);
    }
    stream_writer_close(in.writer);
    shards_close(in.shards);
    json_decref(in.header);
    bytes_close(&in.line);
    table_close(in.keys);
    if (in.report >= 0 && close(in.report) != 0 && rc == 0) {
        rc = error_errno(e, errno, "%s", options->report);
    }
    return rc;
}
