/* stream_write.c - keys, encoding and the writer of stream.h. */
#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/file.h"
#include "store/stream.h"

enum { TAR_END_BYTES = 1024 };

/* ---- Keys -------------------------------------------------------------- */

static size_t key_part(char *out, const char *part) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    enum { MARK = 1 + 16 }; /* "~" and the hash */
    size_t used = 0, cut = 0;
    if (part == NULL || !*part) {
        part = "_";
    }
    for (const char *p = part; *p; p++) {
        size_t need = strchr(plain, *p) != NULL ? 1 : 3;
        if (used + need > STREAM_KEY_PART) {
            uint64_t hash = XXH3_64bits(part, strlen(part));
            snprintf(out + cut, MARK + 1, "~%016" PRIx64, hash);
            return cut + MARK;
        }
        if (need == 1) {
            out[used] = *p;
        } else {
            snprintf(out + used, 4, "%%%02X", (unsigned char)*p);
        }
        used += need;
        if (used <= STREAM_KEY_PART - MARK) {
            cut = used;
        }
    }
    return used;
}

void stream_key(char key[STREAM_KEY_BYTES], const char *account, const char *id) {
    size_t used = key_part(key, account);
    key[used++] = '/';
    used += key_part(key + used, id);
    key[used] = 0;
}

size_t stream_account_size(const char *key) {
    return strcspn(key, "/");
}

void stream_account(char account[STREAM_KEY_BYTES], const char *key) {
    snprintf(account, STREAM_KEY_BYTES, "%.*s", (int)stream_account_size(key), key);
}

bool stream_is_pack(const char *key) {
    return strncmp(key + stream_account_size(key), STREAM_PACK, sizeof STREAM_PACK - 1) == 0;
}

bool stream_is_numbered_pack(const char *key) {
    if (!stream_is_pack(key)) {
        return false;
    }
    const char *name = key + stream_account_size(key) + sizeof STREAM_PACK - 1;
    size_t digits = strspn(name, "0123456789");
    return digits >= 6 && name[digits] == 0;
}

void stream_pack_key(char key[STREAM_KEY_BYTES], const char *sample_key, const char *name) {
    snprintf(key, STREAM_KEY_BYTES, "%.*s%s%s", (int)stream_account_size(sample_key), sample_key,
             STREAM_PACK, name);
}

/* ---- Encoding ---------------------------------------------------------- */

struct target {
    struct bytes *out;
    struct error *e;
    int rc;
};

static la_ssize_t append_block(struct archive *archive, void *context, const void *data,
                               size_t size) {
    struct target *target = context;
    target->rc = bytes_append(target->out, data, size, target->e);
    if (target->rc < 0) {
        archive_set_error(archive, target->rc, "cannot append");
        return -1;
    }
    return (la_ssize_t)size;
}

static int write_entry(struct archive *archive, const char *name, const void *data, size_t size) {
    struct archive_entry *entry = archive_entry_new();
    if (entry == NULL) {
        return ARCHIVE_FATAL;
    }
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 0, 0);
    int result = archive_write_header(archive, entry);
    if (result == ARCHIVE_OK && archive_write_data(archive, data, size) != (la_ssize_t)size) {
        result = ARCHIVE_FATAL;
    }
    if (result == ARCHIVE_OK) {
        result = archive_write_finish_entry(archive);
    }
    archive_entry_free(entry);
    return result;
}

/* Tar records for members called PREFIX.SUFFIX (suffix NULL: PREFIX alone), without an end mark. */
static int encode(struct bytes *out, const char *prefix, const struct stream_member *members,
                  size_t count, struct error *e) {
    struct target target = {.out = out, .e = e};
    size_t before = out->size;
    struct archive *archive = archive_write_new();
    if (archive == NULL) {
        return error_memory(e, NULL);
    }
    int result = archive_write_set_format_pax_restricted(archive);
    if (result == ARCHIVE_OK) {
        result = archive_write_set_bytes_per_block(archive, 0); /* no blocking, no padding */
    }
    if (result == ARCHIVE_OK) {
        result = archive_write_open(archive, &target, NULL, append_block, NULL);
    }
    for (size_t i = 0; i < count && result == ARCHIVE_OK; i++) {
        char name[STREAM_KEY_BYTES + 64];
        const char *suffix = members[i].suffix;
        snprintf(name, sizeof name, "%s%s%s", prefix, suffix != NULL ? "." : "",
                 suffix != NULL ? suffix : "");
        result = write_entry(archive, name, members[i].data, members[i].size);
    }
    size_t end = out->size; /* the close below appends an end mark, which only a stream has */
    if (result == ARCHIVE_OK) {
        result = archive_write_close(archive);
    }
    int rc = target.rc;
    if (result != ARCHIVE_OK && rc == 0) {
        const char *reason = archive_error_string(archive);
        rc = error_set(e, ERR_FORMAT, "%s: %s", prefix,
                       reason != NULL ? reason : "tar writer failed");
    }
    archive_write_free(archive);
    out->size = rc < 0 ? before : end;
    return rc;
}

static bool suffix_is_valid(const char *suffix) {
    size_t length = strlen(suffix);
    return length > 0 && length < 60 &&
           strspn(suffix, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}

int stream_encode(struct bytes *out, const char *key, const struct stream_member *members,
                  size_t count, struct error *e) {
    if (count == 0 || strcmp(members[0].suffix, "json") != 0) {
        return error_set(e, ERR_USAGE, "%s: the first member must be .json", key);
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (!suffix_is_valid(members[i].suffix)) {
            return error_set(e, ERR_USAGE, "%s: bad member name '%s'", key, members[i].suffix);
        }
        if (members[i].size > STREAM_MEMBER_LIMIT ||
            members[i].size > STREAM_SAMPLE_LIMIT - total) {
            return error_set(e, ERR_LIMIT, "%s.%s: %zu bytes are too many", key, members[i].suffix,
                             members[i].size);
        }
        total += members[i].size;
    }
    return encode(out, key, members, count, e);
}

/* ---- Writer ------------------------------------------------------------ */

struct stream_writer {
    int fd;
    const volatile sig_atomic_t *cancel;
    int64_t bytes;
};

int stream_write(struct stream_writer *w, const void *encoded, size_t size, struct error *e) {
    int rc = file_write(w->fd, encoded, size, w->cancel, e);
    w->bytes += rc == 0 ? (int64_t)size : 0;
    return rc;
}

int64_t stream_writer_bytes(const struct stream_writer *w) {
    return w->bytes;
}

/* One member that belongs to no sample; `tail` zero bytes follow it. */
static int write_mark(struct stream_writer *w, const char *name, const json_t *content, size_t tail,
                      struct error *e) {
    static const unsigned char zeros[TAR_END_BYTES];
    struct bytes text, records;
    bytes_init(&text, STREAM_MEMBER_LIMIT);
    bytes_init(&records, STREAM_SAMPLE_LIMIT);
    int rc = json_append(&text, content, e);
    if (rc == 0) {
        struct stream_member member = {.data = bytes_text(&text), .size = text.size};
        rc = encode(&records, name, &member, 1, e);
    }
    if (rc == 0) {
        rc = bytes_append(&records, zeros, tail, e);
    }
    if (rc == 0) {
        rc = stream_write(w, records.data, records.size, e);
    }
    bytes_close(&records);
    bytes_close(&text);
    return rc;
}

int stream_writer_open(struct stream_writer **out, int fd, const char *tool, const json_t *options,
                       const volatile sig_atomic_t *cancel, struct error *e) {
    *out = NULL;
    struct stream_writer *w = malloc(sizeof *w);
    json_t *header = json_pack("{s:s, s:i, s:s}", "format", "occ-stream", "version", STREAM_VERSION,
                               "tool", tool);
    json_t *copy = options != NULL ? json_deep_copy(options) : json_object();
    int rc = 0;
    if (w == NULL || header == NULL || json_object_set_new(header, "options", copy) != 0) {
        rc = error_memory(e, NULL);
    } else {
        *w = (struct stream_writer){.fd = fd, .cancel = cancel};
        rc = write_mark(w, "__stream__", header, 0, e);
    }
    json_decref(header);
    if (rc == 0) {
        *out = w;
    } else {
        free(w);
    }
    return rc;
}

int stream_writer_finish(struct stream_writer *w, const struct stream_counts *counts,
                         const json_t *extra, struct error *e) {
    json_t *end = json_pack("{s:I, s:I, s:I, s:I}", "samples", (json_int_t)counts->samples,
                            "partial", (json_int_t)counts->partial, "skipped",
                            (json_int_t)counts->skipped, "failed", (json_int_t)counts->failed);
    int rc;
    if (end == NULL ||
        (extra != NULL && json_object_update_missing(end, (json_t *)(uintptr_t)extra) != 0)) {
        rc = error_memory(e, NULL);
    } else {
        rc = write_mark(w, "__end__", end, TAR_END_BYTES, e);
    }
    json_decref(end);
    return rc;
}

void stream_writer_close(struct stream_writer *w) {
    free(w);
}
