/* stream_read.c - the reader of stream.h. What it reads is hostile until checked. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/key_set.h"
#include "store/stream.h"
#include "store/stream_tar.h"

enum { MEMBERS_LIMIT = 4096 };

/* One member as it arrived; data lies in `struct stream_reader.data` from `offset` on. */
struct raw_member {
    char *name; /* owned by the arena */
    size_t key_length;
    size_t offset, size;
};

struct stream_reader {
    char *const *paths; /* inputs yet to come */
    int path_count;
    const char *input; /* as messages name the one at hand, or NULL */
    bool several;      /* inputs: then standard input has a name, too */
    int fd;            /* -1: not ours */
    const volatile sig_atomic_t *cancel;
    struct stream_tar tar;
    struct arena *arena; /* names and member tables of the current sample */
    struct bytes data;   /* contents of the current sample's members */
    bool pending;        /* the header that was read last belongs to the next sample */
    struct key_set *keys;
    json_t *header, *end; /* the sums of all __end__ */
    int64_t number;       /* of the stream at hand, from 1 on */
    int64_t in_input;     /* the same, within its input */
    int64_t samples;      /* of that stream */
};

/* ---- The two ends of a stream ------------------------------------------- */

/* The content of the current member as a JSON object, or NULL with `e` filled. */
static json_t *read_mark(struct stream_reader *r, struct error *e) {
    bytes_clear(&r->data);
    int rc = stream_tar_read(&r->tar, &r->data, e);
    json_t *object = rc < 0 ? NULL : json_read(r->data.data, r->data.size, NULL, e);
    if (rc == 0 && object != NULL && !json_is_object(object)) {
        error_set(e, ERR_FORMAT, "not a JSON object");
        json_decref(object);
        object = NULL;
    }
    if (object == NULL) {
        error_context(e, "%.80s", bytes_text(&r->tar.name));
    }
    return object;
}

/* The header of __stream__ was read. */
static int read_stream_mark(struct stream_reader *r, struct error *e) {
    json_decref(r->header);
    r->header = read_mark(r, e);
    r->samples = 0;
    r->number++;
    r->in_input++;
    if (r->header == NULL) {
        return e->code;
    }
    const char *format = json_get_text(r->header, "format");
    if (format == NULL || strcmp(format, "occ-stream") != 0) {
        return error_set(e, ERR_FORMAT, "not a sample stream: format is '%.80s'",
                         format != NULL ? format : "");
    }
    int64_t version = json_get_integer(r->header, "version", -1);
    if (version != STREAM_VERSION) {
        return error_set(e, ERR_UNSUPPORTED, "stream version %lld; this build reads version %d",
                         (long long)version, STREAM_VERSION);
    }
    return 0;
}

/* Adds the counts of an __end__ to those of the streams before; takes it over. */
static int add_end(struct stream_reader *r, json_t *end, struct error *e) {
    const char *name;
    json_t *value;
    int failed = 0;
    if (r->end == NULL) {
        r->end = end;
        return 0;
    }
    json_object_foreach(end, name, value) {
        json_int_t sum, added = json_integer_value(value);
        const json_t *before = json_object_get(r->end, name);
        bool sums = json_is_integer(value) && json_is_integer(before) &&
                    !__builtin_add_overflow(json_integer_value(before), added, &sum);
        failed |= sums ? json_object_set_new(r->end, name, json_integer(sum))
                       : json_object_set(r->end, name, value);
    }
    json_decref(end);
    return failed ? error_memory(e, NULL) : 0;
}

/* __end__ was met: checks its count. */
static int read_end(struct stream_reader *r, struct error *e) {
    json_t *end = read_mark(r, e);
    if (end == NULL) {
        return e->code;
    }
    int64_t samples = json_get_integer(end, "samples", -1);
    if (samples != r->samples) {
        json_decref(end);
        return error_set(e, ERR_FORMAT, "__end__ counts %lld samples, but %lld were read",
                         (long long)samples, (long long)r->samples);
    }
    return add_end(r, end, e);
}

/* ---- Stream after stream ------------------------------------------------- */

/* What a failure is of: the input, and the stream in it. */
static int name_place(const struct stream_reader *r, struct error *e) {
    if (r->in_input > 1) {
        error_context(e, "stream %lld", (long long)r->in_input);
    }
    return r->input != NULL ? error_context(e, "%s", r->input) : e->code;
}

static void close_input(struct stream_reader *r) {
    stream_tar_close(&r->tar);
    if (r->fd >= 0) {
        close(r->fd); /* was only read */
    }
    r->fd = -1;
}

/* The first stream of an input. */
static int open_input(struct stream_reader *r, int fd, struct error *e) {
    r->in_input = 0;
    int rc = stream_tar_open(&r->tar, fd, r->cancel, e);
    if (rc == 0) {
        rc = stream_tar_next(&r->tar, e);
    }
    if (rc == 0) {
        rc = error_set(e, ERR_TRUNCATED, "empty input: the upstream stage wrote nothing");
    } else if (rc > 0 && strcmp(bytes_text(&r->tar.name), "__stream__") != 0) {
        rc = error_set(e, ERR_FORMAT, "not a sample stream: it starts with '%.80s'",
                       bytes_text(&r->tar.name));
    }
    return rc < 0 ? rc : read_stream_mark(r, e);
}

/* The input whose turn it is; 0: there is none. */
static int open_next_input(struct stream_reader *r, struct error *e) {
    close_input(r);
    if (r->path_count == 0) {
        return 0;
    }
    const char *path = *r->paths;
    bool standard = strcmp(path, "-") == 0;
    r->paths++;
    r->path_count--;
    r->input = !standard ? path : r->several ? "standard input" : NULL;
    r->fd = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (r->cancel != NULL && *r->cancel) { /* a FIFO may have kept it waiting */
        return error_set(e, ERR_CANCELLED, "stopped by a signal");
    }
    if (!standard && r->fd < 0) {
        r->input = NULL; /* is in the text already */
        r->in_input = 0;
        return error_errno(e, errno, "%s", path);
    }
    int rc = open_input(r, standard ? STDIN_FILENO : r->fd, e);
    return rc < 0 ? rc : 1;
}

/* After __end__: 1, another stream begins; 0, all inputs are at their end. */
static int next_stream(struct stream_reader *r, struct error *e) {
    long long place = stream_tar_offset(&r->tar);
    int rc = stream_tar_next(&r->tar, e);
    if (rc == 0) { /* as a rule: tar's end mark */
        rc = stream_tar_follow(&r->tar, e);
        if (rc == 0) {
            return open_next_input(r, e);
        }
        place = stream_tar_offset(&r->tar);
        if (rc > 0) {
            rc = stream_tar_next(&r->tar, e);
        }
        if (rc == 0) {
            rc = error_set(e, ERR_FORMAT, "not a sample stream");
        }
    }
    if (rc > 0 && strcmp(bytes_text(&r->tar.name), "__stream__") == 0) {
        rc = read_stream_mark(r, e);
        return rc < 0 ? rc : 1;
    }
    if (rc > 0) {
        rc = error_set(e, ERR_FORMAT, "'%.80s' follows __end__, where only another stream may",
                       bytes_text(&r->tar.name));
    }
    return rc == ERR_CANCELLED || rc == ERR_IO
               ? rc
               : error_context(e, "after __end__, byte %lld", place);
}

/* ---- Opening ------------------------------------------------------------- */

static int reader_new(struct stream_reader **out, const volatile sig_atomic_t *cancel,
                      struct error *e) {
    struct stream_reader *r = calloc(1, sizeof *r);
    *out = r;
    if (r == NULL) {
        return error_memory(e, NULL);
    }
    r->fd = -1;
    r->cancel = cancel;
    bytes_init(&r->data, STREAM_SAMPLE_LIMIT);
    int rc = arena_open(&r->arena, STREAM_SAMPLE_LIMIT, e);
    return rc == 0 ? key_set_open(&r->keys, e) : rc;
}

static int finish_open(struct stream_reader **out, int rc, struct error *e) {
    if (rc < 0 && *out != NULL) {
        name_place(*out, e);
        stream_reader_close(*out);
        *out = NULL;
    }
    return rc < 0 ? rc : 0;
}

int stream_reader_open(struct stream_reader **out, int fd, struct error *e) {
    struct error local;
    e = e != NULL ? e : &local;
    int rc = reader_new(out, NULL, e);
    return finish_open(out, rc == 0 ? open_input(*out, fd, e) : rc, e);
}

int stream_reader_open_files(struct stream_reader **out, char *const *paths, int count,
                             const volatile sig_atomic_t *cancel, struct error *e) {
    static char standard[] = "-";
    static char *const alone[] = {standard};
    struct error local;
    e = e != NULL ? e : &local;
    int rc = reader_new(out, cancel, e);
    for (int i = 0; i < count && rc == 0; i++) { /* before an hour of work, not after it */
        if (strcmp(paths[i], "-") != 0 && access(paths[i], R_OK) != 0) {
            rc = error_errno(e, errno, "%s", paths[i]);
        }
    }
    if (rc == 0) {
        (*out)->paths = count > 0 ? paths : alone;
        (*out)->path_count = count > 0 ? count : 1;
        (*out)->several = count > 1;
        rc = open_next_input(*out, e);
    }
    return finish_open(out, rc, e);
}

bool stream_recognise(const char *path) {
    static const char mark[] = "ustar";
    enum { MARK_AT = 257 };
    char begin[512] = "";
    struct stat status;
    size_t length = strlen(path);
    bool known = stat(path, &status) == 0;
    if (strcmp(path, "-") == 0 || (known && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))) {
        return true;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, begin, sizeof begin) : 0;
    if (fd >= 0) {
        close(fd); /* was only read */
    }
    bool named = length > 4 && strcmp(path + length - 4, ".tar") == 0;
    return named || (got == sizeof begin && memcmp(begin + MARK_AT, mark, sizeof mark - 1) == 0);
}

void stream_reader_close(struct stream_reader *r) {
    if (r == NULL) {
        return;
    }
    close_input(r);
    arena_close(r->arena);
    bytes_close(&r->data);
    key_set_close(r->keys);
    json_decref(r->header);
    json_decref(r->end);
    free(r);
}

const json_t *stream_reader_header(const struct stream_reader *r) {
    return r->header;
}

int64_t stream_reader_number(const struct stream_reader *r) {
    return r->number;
}

const char *stream_reader_input(const struct stream_reader *r) {
    return r->input;
}

const json_t *stream_reader_end(const struct stream_reader *r) {
    return r->end;
}

/* ---- Samples -------------------------------------------------------------- */

/* Fills the table that the caller sees, once all data is at its final place. */
static int publish(struct stream_reader *r, const struct raw_member *raw, size_t count,
                   struct stream_sample *sample, struct error *e) {
    struct stream_member *members = arena_alloc(r->arena, count, sizeof *members);
    char *key = arena_text(r->arena, raw[0].name, raw[0].key_length);
    if (members == NULL || key == NULL) {
        return error_memory(e, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct stream_member){.suffix = raw[i].name + raw[i].key_length + 1,
                                            .data = bytes_text(&r->data) + raw[i].offset,
                                            .size = raw[i].size};
    }
    *sample = (struct stream_sample){.key = key, .members = members, .count = count};
    r->samples++;
    int added = stream_is_numbered_pack(key) ? 1 : key_set_add(r->keys, key, e);
    return added != 0 ? added : STREAM_AGAIN;
}

static int check_member(struct stream_reader *r, const struct raw_member *raw, size_t count,
                        struct error *e) {
    const char *name = bytes_text(&r->tar.name);
    size_t key_size = r->tar.key_size;
    if (strcmp(name, "__stream__") == 0) {
        return error_set(e, ERR_TRUNCATED,
                         "the upstream stage stopped early (another stream begins after %lld "
                         "samples, without __end__)",
                         (long long)r->samples);
    }
    if (name[key_size] != '.') {
        return error_set(e, ERR_FORMAT, "member '%.80s' has no extension", name);
    }
    if (count == 0 && strcmp(name + key_size, ".json") != 0) {
        return error_set(e, ERR_FORMAT, "'%.80s': a sample must begin with its .json", name);
    }
    if (count >= MEMBERS_LIMIT) {
        return error_set(e, ERR_LIMIT, "'%.80s': more than %d members", name, MEMBERS_LIMIT);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(raw[i].name, name) == 0) {
            return error_set(e, ERR_FORMAT, "member '%.80s' appears twice", name);
        }
    }
    return 0;
}

/* Appends the member whose header was read last to the sample. */
static int take_member(struct stream_reader *r, void **items, size_t *count, size_t *capacity,
                       struct error *e) {
    int rc = check_member(r, *items, *count, e);
    if (rc == 0) {
        rc = arena_grow(r->arena, items, *count, capacity, sizeof(struct raw_member), e);
    }
    if (rc < 0) {
        return rc;
    }
    struct raw_member *raw = (struct raw_member *)*items + *count;
    *raw = (struct raw_member){
        .name = arena_text(r->arena, bytes_text(&r->tar.name), r->tar.name.size),
        .key_length = r->tar.key_size,
        .offset = r->data.size,
        .size = r->tar.member_size,
    };
    ++*count;
    return raw->name != NULL ? stream_tar_read(&r->tar, &r->data, e) : error_memory(e, NULL);
}

/* Whether the header that was read last is of another sample than `first`, or of none. */
static bool is_other(const struct stream_reader *r, const struct raw_member *first) {
    return r->tar.key_size != first->key_length ||
           memcmp(r->tar.name.data, first->name, first->key_length) != 0 ||
           r->tar.name.data[first->key_length] != '.';
}

static int next_sample(struct stream_reader *r, struct stream_sample *sample, struct error *e) {
    void *items = NULL;
    size_t count = 0, capacity = 0;
    for (;;) {
        int rc = r->pending ? 1 : stream_tar_next(&r->tar, e);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            return error_set(e, ERR_TRUNCATED,
                             "the upstream stage stopped early (no __end__ after %lld samples)",
                             (long long)r->samples);
        }
        r->pending = true;
        if (count > 0 && is_other(r, items)) {
            return publish(r, items, count, sample, e);
        }
        r->pending = false;
        if (strcmp(bytes_text(&r->tar.name), "__end__") == 0) {
            rc = read_end(r, e);
            if (rc == 0) {
                rc = next_stream(r, e);
            }
            if (rc <= 0) {
                return rc;
            }
            bytes_clear(&r->data);
            continue;
        }
        rc = take_member(r, &items, &count, &capacity, e);
        if (rc < 0) {
            return rc;
        }
    }
}

int stream_next(struct stream_reader *r, struct stream_sample *sample, struct error *e) {
    struct error local;
    e = e != NULL ? e : &local;
    arena_reset(r->arena);
    bytes_clear(&r->data);
    int rc = next_sample(r, sample, e);
    return rc < 0 ? name_place(r, e) : rc;
}

const struct stream_member *stream_member_find(const struct stream_sample *s, const char *suffix) {
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->members[i].suffix, suffix) == 0) {
            return &s->members[i];
        }
    }
    return NULL;
}
