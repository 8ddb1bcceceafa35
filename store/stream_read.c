/* stream_read.c - the reader of stream.h. What it reads is hostile until checked. */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/stream.h"

enum { READ_BLOCK = 256 * 1024, NAME_LIMIT = 1024, MEMBERS_LIMIT = 4096 };

/* One member as it arrived; data lies in `struct stream_reader.data` from `offset` on. */
struct raw_member {
    char *name; /* owned by the arena */
    size_t key_length;
    size_t offset, size;
};

struct stream_reader {
    struct archive *archive;
    struct arena *arena; /* names and member tables of the current sample */
    struct bytes data;   /* contents of the current sample's members */
    struct bytes name;   /* the name of the member whose header was read last */
    size_t name_key;     /* length of its key part */
    la_int64_t size;     /* its size */
    bool pending;        /* that member belongs to the next sample and is yet to be read */
    json_t *header, *end;
    int64_t samples;
};

static int archive_failure(struct stream_reader *r, struct error *e) {
    const char *text = archive_error_string(r->archive);
    text = text ? text : "unknown reason";
    if (strstr(text, "runcated")) {
        return error_set(e, ERR_TRUNCATED, "the upstream stage stopped early (%s)", text);
    }
    return error_set(e, ERR_FORMAT, "not a sample stream: %s", text);
}

static bool name_is_safe(const char *name) {
    if (name[0] == '/' || name[0] == 0 || strlen(name) > NAME_LIMIT) {
        return false;
    }
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0)) {
            return false;
        }
    }
    return true;
}

/* Reads the next member's header into r->name; 1, 0 at the end of the tar, or an error. */
static int next_header(struct stream_reader *r, struct error *e) {
    struct archive_entry *entry;
    int result = archive_read_next_header(r->archive, &entry);
    if (result == ARCHIVE_EOF) {
        return 0;
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        return archive_failure(r, e);
    }
    const char *name = archive_entry_pathname(entry);
    if (!name || !name_is_safe(name)) {
        return error_set(e, ERR_FORMAT, "unsafe member name '%.80s'", name ? name : "");
    }
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) {
        return error_set(e, ERR_FORMAT, "member '%.80s' is no regular file", name);
    }
    r->size = archive_entry_size(entry);
    if (r->size < 0 || (uint64_t)r->size > STREAM_MEMBER_LIMIT) {
        return error_set(e, ERR_LIMIT, "member '%.80s' is larger than %zu bytes", name,
                         STREAM_MEMBER_LIMIT);
    }
    const char *slash = strrchr(name, '/');
    const char *dot = strchr(slash ? slash : name, '.');
    r->name_key = dot ? (size_t)(dot - name) : strlen(name);
    bytes_clear(&r->name);
    int rc = bytes_append_text(&r->name, name, e);
    return rc < 0 ? rc : 1;
}

/* Appends the content of the member whose header was read last. */
static int read_content(struct stream_reader *r, struct bytes *out, struct error *e) {
    size_t size = (size_t)r->size;
    if (size > out->limit - out->size) {
        return error_set(e, ERR_LIMIT, "'%.80s': the sample is larger than %zu bytes",
                         bytes_text(&r->name), out->limit);
    }
    /* Grows with what arrives, not with what the header claims. */
    while (size > 0) {
        size_t step = size < READ_BLOCK ? size : READ_BLOCK;
        int rc = bytes_reserve(out, step, e);
        if (rc < 0) {
            return rc;
        }
        la_ssize_t got = archive_read_data(r->archive, out->data + out->size, step);
        if (got < 0) {
            return archive_failure(r, e);
        }
        if (got == 0) {
            return error_set(e, ERR_TRUNCATED, "the upstream stage stopped early (inside '%.80s')",
                             bytes_text(&r->name));
        }
        out->size += (size_t)got;
        size -= (size_t)got;
    }
    return 0;
}

/* The content of the current member as a JSON object, or NULL with `e` filled. */
static json_t *read_mark(struct stream_reader *r, struct error *e) {
    bytes_clear(&r->data);
    int rc = read_content(r, &r->data, e);
    json_t *object = rc < 0 ? NULL : json_read(r->data.data, r->data.size, NULL, e);
    if (rc == 0 && object && !json_is_object(object)) {
        error_set(e, ERR_FORMAT, "not a JSON object");
        json_decref(object);
        object = NULL;
    }
    if (!object) {
        error_context(e, "%.80s", bytes_text(&r->name));
    }
    return object;
}

static int read_stream_mark(struct stream_reader *r, struct error *e) {
    int rc = next_header(r, e);
    if (rc < 0) {
        return rc;
    }
    if (rc == 0) {
        return error_set(e, ERR_TRUNCATED, "empty input: the upstream stage wrote nothing");
    }
    if (strcmp(bytes_text(&r->name), "__stream__") != 0) {
        return error_set(e, ERR_FORMAT, "not a sample stream: it starts with '%.80s'",
                         bytes_text(&r->name));
    }
    r->header = read_mark(r, e);
    if (!r->header) {
        return e ? e->code : ERR_FORMAT;
    }
    const char *format = json_get_text(r->header, "format");
    if (!format || strcmp(format, "occ-stream") != 0) {
        return error_set(e, ERR_FORMAT, "not a sample stream: format is '%.80s'",
                         format ? format : "");
    }
    int64_t version = json_get_integer(r->header, "version", -1);
    if (version != STREAM_VERSION) {
        return error_set(e, ERR_UNSUPPORTED, "stream version %lld; this build reads version %d",
                         (long long)version, STREAM_VERSION);
    }
    return 0;
}

int stream_reader_open(struct stream_reader **out, int fd, struct error *e) {
    *out = NULL;
    struct error local;
    e = e ? e : &local;
    struct stream_reader *r = calloc(1, sizeof *r);
    if (!r) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    bytes_init(&r->data, STREAM_SAMPLE_LIMIT);
    bytes_init(&r->name, NAME_LIMIT + 1);
    int rc = arena_open(&r->arena, STREAM_SAMPLE_LIMIT, e);
    r->archive = rc == 0 ? archive_read_new() : NULL;
    if (rc == 0 && (!r->archive || archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
                    archive_read_support_format_empty(r->archive) != ARCHIVE_OK)) {
        rc = error_set(e, ERR_MEMORY, "out of memory");
    }
    if (rc == 0 && archive_read_open_fd(r->archive, fd, READ_BLOCK) != ARCHIVE_OK) {
        rc = archive_failure(r, e);
    }
    if (rc == 0) {
        rc = read_stream_mark(r, e);
    }
    if (rc < 0) {
        stream_reader_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void stream_reader_close(struct stream_reader *r) {
    if (!r) {
        return;
    }
    archive_read_free(r->archive);
    arena_close(r->arena);
    bytes_close(&r->data);
    bytes_close(&r->name);
    json_decref(r->header);
    json_decref(r->end);
    free(r);
}

const json_t *stream_reader_header(const struct stream_reader *r) {
    return r->header;
}

const json_t *stream_reader_end(const struct stream_reader *r) {
    return r->end;
}

/* __end__ was met: checks its count, and that nothing but the tar's end follows. */
static int read_end(struct stream_reader *r, struct error *e) {
    r->end = read_mark(r, e);
    if (!r->end) {
        return e ? e->code : ERR_FORMAT;
    }
    int64_t samples = json_get_integer(r->end, "samples", -1);
    if (samples != r->samples) {
        return error_set(e, ERR_FORMAT, "__end__ counts %lld samples, but %lld were read",
                         (long long)samples, (long long)r->samples);
    }
    int rc = next_header(r, e);
    return rc > 0 ? error_set(e, ERR_FORMAT, "'%.80s' follows __end__", bytes_text(&r->name)) : rc;
}

/* Fills the table that the caller sees, once all data is at its final place. */
static int publish(struct stream_reader *r, const struct raw_member *raw, size_t count,
                   struct stream_sample *sample, struct error *e) {
    struct stream_member *members = arena_alloc(r->arena, count, sizeof *members);
    char *key = arena_text(r->arena, raw[0].name, raw[0].key_length);
    if (!members || !key) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        members[i] = (struct stream_member){.suffix = raw[i].name + raw[i].key_length + 1,
                                            .data = bytes_text(&r->data) + raw[i].offset,
                                            .size = raw[i].size};
    }
    *sample = (struct stream_sample){.key = key, .members = members, .count = count};
    r->samples++;
    return 1;
}

static int check_member(struct stream_reader *r, const struct raw_member *raw, size_t count,
                        struct error *e) {
    const char *name = bytes_text(&r->name);
    if (name[r->name_key] != '.') {
        return error_set(e, ERR_FORMAT, "member '%.80s' has no extension", name);
    }
    if (count == 0 && strcmp(name + r->name_key, ".json") != 0) {
        return error_set(e, ERR_FORMAT, "'%.80s': a sample must begin with its .json", name);
    }
    if (count >= MEMBERS_LIMIT) {
        return error_set(e, ERR_LIMIT, "'%.80s': more than %d members", name, MEMBERS_LIMIT);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(raw[i].name, name) == 0) {
            return error_set(e, ERR_FORMAT, "member '%.80s' comes twice", name);
        }
    }
    return 0;
}

int stream_next(struct stream_reader *r, struct stream_sample *sample, struct error *e) {
    struct error local;
    e = e ? e : &local;
    void *items = NULL;
    size_t count = 0, capacity = 0;
    arena_reset(r->arena);
    bytes_clear(&r->data);
    for (;;) {
        struct raw_member *raw = items;
        int rc = r->pending ? 1 : next_header(r, e);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            return error_set(e, ERR_TRUNCATED,
                             "the upstream stage stopped early (no __end__ after %lld samples)",
                             (long long)r->samples);
        }
        r->pending = true;
        bool end = strcmp(bytes_text(&r->name), "__end__") == 0;
        if (count > 0 && (end || r->name_key != raw[0].key_length ||
                          memcmp(r->name.data, raw[0].name, r->name_key) != 0)) {
            return publish(r, raw, count, sample, e);
        }
        r->pending = false;
        if (end) {
            return read_end(r, e);
        }
        rc = check_member(r, raw, count, e);
        if (rc == 0) {
            rc = arena_grow(r->arena, &items, count, &capacity, sizeof *raw, e);
        }
        if (rc < 0) {
            return rc;
        }
        raw = items;
        raw[count] = (struct raw_member){
            .name = arena_text(r->arena, bytes_text(&r->name), r->name.size),
            .key_length = r->name_key,
            .offset = r->data.size,
            .size = (size_t)r->size,
        };
        rc = raw[count].name ? read_content(r, &r->data, e)
                             : error_set(e, ERR_MEMORY, "out of memory");
        if (rc < 0) {
            return rc;
        }
        count++;
    }
}

const struct stream_member *stream_member_find(const struct stream_sample *s, const char *suffix) {
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->members[i].suffix, suffix) == 0) {
            return &s->members[i];
        }
    }
    return NULL;
}
