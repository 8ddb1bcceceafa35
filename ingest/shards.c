/* shards.c - see shards.h. */
#define _DEFAULT_SOURCE /* flock */
#include "ingest/shards.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "store/file.h"
#include "store/log.h"

enum { SHARD_PATH = 4096, END_RESERVE = 4096 };

struct shards {
    const struct ingest_options *options;
    const struct clips *clips;
    const char *tool;
    const json_t *header;
    const volatile sig_atomic_t *cancel;
    int64_t number; /* of the shard being written */
    struct output_file file;
    struct stream_writer *writer; /* NULL: no shard is open */
    struct stream_counts counts;  /* of this shard */
    size_t first;                 /* first clip of this shard */
    int lock;                     /* held while these shards are written; -1: not */
};

/* OUTPUT/HEAD[IofN-]TAIL: each part of --shard has names of its own. */
static int path_of(const struct shards *s, const char *head, const char *tail,
                   char path[SHARD_PATH], struct error *e) {
    const struct ingest_options *o = s->options;
    char part[64] = "";
    if (o->shard[1] > 1) {
        snprintf(part, sizeof part, "%" PRId64 "of%" PRId64 "-", o->shard[0], o->shard[1]);
    }
    int length = snprintf(path, SHARD_PATH, "%s/%s%s%s", o->output, head, part, tail);
    return length < SHARD_PATH ? 0 : error_set(e, ERR_LIMIT, "%s: name too long", o->output);
}

static int shard_path(const struct shards *s, int64_t number, char path[SHARD_PATH],
                      struct error *e) {
    char tail[32];
    snprintf(tail, sizeof tail, "%06" PRId64 ".tar", number);
    return path_of(s, "ingest-", tail, path, e);
}

/* A hash of the files that a run of clips is made from. */
static uint64_t inputs_hash(const struct clips *clips, size_t first, size_t end) {
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL || XXH3_64bits_reset(state) != XXH_OK) {
        XXH3_freeState(state);
        return 0;
    }
    for (size_t i = first; i < end; i++) {
        for (size_t k = 0; k < clips->items[i].count; k++) {
            const struct clip_file *file = &clips->items[i].files[k];
            int64_t facts[2] = {file->size, file->mtime};
            XXH3_64bits_update(state, file->path, strlen(file->path) + 1);
            XXH3_64bits_update(state, facts, sizeof facts);
        }
        XXH3_64bits_update(state, &i, sizeof i);
    }
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

/* ---- Shards of an earlier run ------------------------------------------ */

/* Reads a shard to its end; 1 when it is whole and made with these options, 0 when not. `keys`: of
 * its samples, each with its ending zero byte. */
static int read_shard(struct shards *s, int fd, struct bytes *keys, json_t **end, struct error *e) {
    struct stream_reader *reader;
    struct error reason;
    if (stream_reader_open(&reader, fd, &reason) < 0) {
        return 0;
    }
    const json_t *header = stream_reader_header(reader);
    const char *tool = json_get_text(header, "tool");
    bool same = json_equal(json_object_get(header, "options"), s->header) && tool != NULL &&
                strcmp(tool, s->tool) == 0;
    struct stream_sample sample;
    int got = same ? 1 : 0, rc = 0;
    while (got == 1 && rc >= 0) {
        got = stream_next(reader, &sample, &reason);
        if (got == 1) {
            rc = bytes_append(keys, sample.key, strlen(sample.key) + 1, e);
        }
    }
    if (rc >= 0) {
        rc = same && got == 0 && stream_reader_number(reader) == 1;
        *end = rc ? json_deep_copy(stream_reader_end(reader)) : NULL;
    }
    stream_reader_close(reader);
    return rc;
}

static void add_counts(struct stream_counts *sum, const struct stream_counts *change) {
    sum->samples += change->samples;
    sum->partial += change->partial;
    sum->skipped += change->skipped;
    sum->failed += change->failed;
}

static int add_keys(struct table *table, const struct bytes *keys, struct error *e) {
    int rc = 0;
    for (size_t at = 0; at < keys->size && rc >= 0; at += strlen(bytes_text(keys) + at) + 1) {
        rc = table_add(table, bytes_text(keys) + at, SIZE_MAX, NULL, e);
    }
    return rc < 0 ? rc : 0;
}

/* 1: the shard at `path` is reused, and *first and *counts are moved past it. 0: it must be made
 * anew. The last shard of a run ends where the clips ended, not where it was full: it is reused
 * only if they still end there. */
static int reuse_shard(struct shards *s, const char *path, struct table *keys, size_t *first,
                       struct stream_counts *counts, struct error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    json_t *end = NULL;
    struct bytes own_keys;
    bytes_init(&own_keys, SIZE_MAX);
    int rc = read_shard(s, fd, &own_keys, &end, e);
    close(fd);
    int64_t inputs = json_get_integer(end, "inputs", -1);
    const char *hash = json_get_text(end, "inputs_hash");
    size_t left = s->clips->count - *first;
    bool fits = rc == 1 && inputs >= 0 && (size_t)inputs <= left && hash != NULL &&
                json_get_flag(end, "last") == ((size_t)inputs == left);
    if (fits) {
        char now[24];
        snprintf(now, sizeof now, "%016" PRIx64,
                 inputs_hash(s->clips, *first, *first + (size_t)inputs));
        fits = strcmp(now, hash) == 0;
    }
    if (fits) {
        *first += (size_t)inputs;
        add_counts(counts, &(struct stream_counts){json_get_integer(end, "samples", 0),
                                                   json_get_integer(end, "partial", 0),
                                                   json_get_integer(end, "skipped", 0),
                                                   json_get_integer(end, "failed", 0)});
        rc = add_keys(keys, &own_keys, e);
    }
    bytes_close(&own_keys);
    json_decref(end);
    return rc < 0 ? rc : fits;
}

static int reuse_shards(struct shards *s, struct table *keys, size_t *first,
                        struct stream_counts *counts, struct error *e) {
    int rc = 1;
    while (rc == 1 && *first < s->clips->count) {
        char path[SHARD_PATH];
        rc = shard_path(s, s->number, path, e);
        if (rc == 0) {
            rc = reuse_shard(s, path, keys, first, counts, e);
        }
        if (rc == 1) {
            output_file_clean(path);
            s->number++;
        }
    }
    return rc < 0 ? rc : 0;
}

/* ---- Writing ----------------------------------------------------------- */

static int shard_begin(struct shards *s, size_t clip, struct error *e) {
    char path[SHARD_PATH];
    int rc = shard_path(s, s->number, path, e);
    if (rc == 0) {
        rc = output_file_open(&s->file, path, e);
    }
    if (rc < 0) {
        return rc;
    }
    rc = stream_writer_open(&s->writer, s->file.fd, s->tool, s->header, s->cancel, e);
    s->counts = (struct stream_counts){0};
    s->first = clip;
    return rc < 0 ? error_context(e, "%s", path) : 0;
}

static int shard_end(struct shards *s, size_t end_clip, bool last, struct error *e) {
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, inputs_hash(s->clips, s->first, end_clip));
    json_t *extra = json_pack("{s:I, s:s, s:b}", "inputs", (json_int_t)(end_clip - s->first),
                              "inputs_hash", hash, "last", last);
    int rc = extra != NULL ? stream_writer_finish(s->writer, &s->counts, extra, e)
                           : error_memory(e, NULL);
    json_decref(extra);
    stream_writer_close(s->writer);
    s->writer = NULL;
    char *path = strdup(s->file.path);
    if (rc == 0) {
        rc = output_file_commit(&s->file, e);
    } else {
        output_file_discard(&s->file);
        error_context(e, "%s", path != NULL ? path : "shard");
    }
    free(path);
    s->number++;
    return rc;
}

/* Two runs over one folder would write the same files. The lock ends with the process, however that
 * ends. */
static int lock_folder(struct shards *s, struct error *e) {
    char path[SHARD_PATH];
    int rc = path_of(s, ".ingest-", "lock", path, e);
    if (rc < 0) {
        return rc;
    }
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0) {
        return error_errno(e, errno, "%s", path);
    }
    struct stat mine, named;
    bool held = flock(s->lock, LOCK_EX | LOCK_NB) == 0;
    /* the run before may have removed the file between our open and our lock */
    bool same =
        fstat(s->lock, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino;
    if (!held || !same) {
        close(s->lock);
        s->lock = -1;
        return error_set(e, ERR_IO, "%s: another occ ingest writes here", s->options->output);
    }
    return 0;
}

static void unlock_folder(struct shards *s) {
    char path[SHARD_PATH];
    if (s->lock >= 0 && path_of(s, ".ingest-", "lock", path, NULL) == 0) {
        unlink(path);
        close(s->lock);
    }
}

int shards_open(struct shards **out, const struct ingest_options *options, const char *tool,
                const json_t *header, const struct clips *clips, struct table *keys, size_t *first,
                struct stream_counts *counts, const volatile sig_atomic_t *cancel,
                struct error *e) {
    *out = NULL;
    struct shards *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    *s = (struct shards){.options = options,
                         .clips = clips,
                         .tool = tool,
                         .header = header,
                         .cancel = cancel,
                         .file = {.fd = -1},
                         .lock = -1};
    int rc = 0;
    if (mkdir(options->output, 0777) != 0 && errno != EEXIST) {
        rc = error_errno(e, errno, "%s", options->output);
    }
    if (rc == 0) {
        rc = lock_folder(s, e);
    }
    if (rc == 0) {
        rc = reuse_shards(s, keys, first, counts, e);
    }
    if (rc == 0 && s->number > 0) {
        log_info("%" PRId64 " shards are complete already; going on with clip %zu", s->number,
                 *first + 1);
    }
    if (rc < 0) {
        shards_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int shards_put(struct shards *s, size_t clip, const void *records, size_t size,
               const struct stream_counts *change, struct error *e) {
    int rc = 0;
    if (s->writer != NULL && size > 0 && s->counts.samples > 0 &&
        stream_writer_bytes(s->writer) + (int64_t)size + END_RESERVE > s->options->shard_size) {
        rc = shard_end(s, clip, false, e);
    }
    if (rc == 0 && s->writer == NULL) {
        rc = shard_begin(s, clip, e);
    }
    if (rc == 0 && size > 0) {
        rc = stream_write(s->writer, records, size, e);
        if (rc < 0) {
            error_context(e, "%s", s->file.path);
        }
    }
    add_counts(&s->counts, change);
    return rc;
}

/* Shards with higher numbers come from an earlier run over more or other clips. */
static int remove_stale(struct shards *s, struct error *e) {
    for (int64_t number = s->number;; number++) {
        char path[SHARD_PATH];
        int rc = shard_path(s, number, path, e);
        if (rc < 0) {
            return rc;
        }
        output_file_clean(path);
        if (unlink(path) != 0) {
            return errno == ENOENT ? 0 : error_errno(e, errno, "%s", path);
        }
        log_warning("%s: of an earlier run, removed", path);
    }
}

int shards_finish(struct shards *s, struct error *e) {
    int rc = 0;
    if (s->writer == NULL &&
        s->number == 0) { /* no clips at all still give a valid, empty stream */
        rc = shard_begin(s, 0, e);
    }
    if (rc == 0 && s->writer != NULL) {
        rc = shard_end(s, s->clips->count, true, e);
    }
    return rc == 0 ? remove_stale(s, e) : rc;
}

void shards_close(struct shards *s) {
    if (s == NULL) {
        return;
    }
    stream_writer_close(s->writer);
    if (s->file.path != NULL) {
        output_file_discard(&s->file);
    }
    unlock_folder(s);
    free(s);
}
