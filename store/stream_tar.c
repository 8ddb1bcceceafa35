/* stream_tar.c - see stream_tar.h. What it reads is hostile until checked.
 *
 * libarchive reads ahead, so the input is read here, in whole blocks: what follows an archive then
 * always lies in the piece that was read last. */
#include "store/stream_tar.h"

#include <archive_entry.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/stream.h"

enum { TAR_BLOCK = 512, READ_BLOCK = 256 * 1024, PATIENCE_MS = 200, NAME_LIMIT = 1024 };

/* ---- Bytes ------------------------------------------------------------- */

static ssize_t read_some(struct stream_tar *t, unsigned char *to, size_t size) {
    for (;;) {
        struct pollfd input = {.fd = t->fd, .events = POLLIN};
        if (t->cancel != NULL && *t->cancel) {
            return error_set(&t->error, ERR_CANCELLED, "stopped by a signal");
        }
        if (t->cancel != NULL && poll(&input, 1, PATIENCE_MS) <= 0) {
            continue;
        }
        ssize_t got = read(t->fd, to, size);
        if (got >= 0) {
            return got;
        }
        if (errno != EINTR) {
            return error_errno(&t->error, errno, "cannot read");
        }
    }
}

static bool all_zero(const unsigned char *data, size_t size) {
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* The next piece of the input into t->block; at the end of the input the last one stays. Zeros that
 * fill no block any more are padding. */
static int fill(struct stream_tar *t) {
    size_t size = 0;
    ssize_t got;
    do {
        got = t->rc < 0 ? t->rc : read_some(t, t->block + size, READ_BLOCK - size);
        size += got > 0 ? (size_t)got : 0;
    } while (got > 0 && size % TAR_BLOCK != 0);
    if (got < 0) {
        return t->rc = (int)got;
    }
    size_t rest = size % TAR_BLOCK;
    size -= all_zero(t->block + size - rest, rest) ? rest : 0;
    if (size > 0) {
        t->block_offset += (int64_t)t->size;
        t->size = size;
        t->given = 0;
    }
    return 0;
}

/* What libarchive calls. */
static la_ssize_t give(struct archive *archive, void *context, const void **data) {
    struct stream_tar *t = context;
    if (t->given == t->size && fill(t) < 0) {
        archive_set_error(archive, EIO, "cannot read");
        return -1;
    }
    *data = t->block + t->given;
    la_ssize_t size = (la_ssize_t)(t->size - t->given);
    t->given = t->size;
    return size;
}

int64_t stream_tar_offset(const struct stream_tar *t) {
    return t->archive_offset + archive_filter_bytes(t->archive, 0);
}

/* ---- Archives ---------------------------------------------------------- */

static int failure(struct stream_tar *t, struct error *e) {
    if (t->rc < 0) {
        if (e != NULL) {
            *e = t->error;
        }
        return t->rc;
    }
    const char *text = archive_error_string(t->archive);
    text = text != NULL ? text : "unknown reason";
    if (strstr(text, "runcated") != NULL) {
        return error_set(e, ERR_TRUNCATED, "the upstream stage stopped early (%s)", text);
    }
    return error_set(e, ERR_FORMAT, "not a sample stream: %s", text);
}

/* An archive begins where the unused part of t->block does. */
static int begin(struct stream_tar *t, struct error *e) {
    archive_read_free(t->archive);
    t->archive = archive_read_new();
    t->archive_offset = t->block_offset + (int64_t)t->given;
    if (t->archive == NULL || archive_read_support_format_tar(t->archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(t->archive) != ARCHIVE_OK) {
        return error_memory(e, NULL);
    }
    return archive_read_open(t->archive, t, NULL, give, NULL) == ARCHIVE_OK ? 0 : failure(t, e);
}

static int refuse_compressed(const struct stream_tar *t, struct error *e) {
    static const struct {
        const char *name, *program, *begin;
        size_t size;
    } KINDS[] = {{"gzip", "zcat", "\x1F\x8B", 2},
                 {"zstd", "zstdcat", "\x28\xB5\x2F\xFD", 4},
                 {"xz", "xzcat", "\xFD\x37zXZ", 5},
                 {"bzip2", "bzcat", "BZh", 3}};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (t->size >= KINDS[i].size && memcmp(t->block, KINDS[i].begin, KINDS[i].size) == 0) {
            return error_set(e, ERR_UNSUPPORTED,
                             "not a sample stream: compressed by %s; use '%s FILE | occ ...'",
                             KINDS[i].name, KINDS[i].program);
        }
    }
    return 0;
}

int stream_tar_open(struct stream_tar *t, int fd, const volatile sig_atomic_t *cancel,
                    struct error *e) {
    *t = (struct stream_tar){.fd = fd, .cancel = cancel, .block = malloc(READ_BLOCK)};
    bytes_init(&t->name, NAME_LIMIT + 1);
    int rc = t->block != NULL ? 0 : error_memory(e, NULL);
    if (rc == 0 && fill(t) < 0) {
        rc = failure(t, e);
    }
    if (rc == 0) {
        rc = refuse_compressed(t, e);
    }
    if (rc == 0) {
        rc = begin(t, e);
    }
    if (rc < 0) {
        stream_tar_close(t);
    }
    return rc;
}

void stream_tar_close(struct stream_tar *t) {
    archive_read_free(t->archive);
    bytes_close(&t->name);
    free(t->block);
    *t = (struct stream_tar){.fd = -1};
}

int stream_tar_follow(struct stream_tar *t, struct error *e) {
    t->given = (size_t)(stream_tar_offset(t) - t->block_offset);
    for (;;) {
        if (t->given == t->size && fill(t) < 0) {
            return failure(t, e);
        }
        if (t->given == t->size) {
            return 0;
        }
        size_t step = t->size - t->given < TAR_BLOCK ? t->size - t->given : TAR_BLOCK;
        if (!all_zero(t->block + t->given, step)) {
            int rc = begin(t, e);
            return rc < 0 ? rc : 1;
        }
        t->given += step;
    }
}

/* ---- Members ----------------------------------------------------------- */

/* A name that is not ASCII, as stream.h has it, told byte by byte: no locale is needed to read
 * it. */
static int refuse_name(const char *name, struct error *e) {
    char shown[320] = "";
    size_t used = 0;
    for (const char *p = name; *p && used + 5 < sizeof shown; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain = c >= ' ' && c < 0x7F;
        used += (size_t)snprintf(shown + used, 5, plain ? "%c" : "\\x%02X", c);
    }
    return error_set(e, ERR_FORMAT,
                     "member name '%s' is not ASCII: keys have such bytes percent-encoded", shown);
}

static int check_name(const char *name, struct error *e) {
    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7F) {
            return refuse_name(name, e);
        }
    }
    bool safe = name[0] != '/' && name[0] != 0 && strlen(name) <= NAME_LIMIT;
    for (const char *part = name; part != NULL && safe; part = strchr(part, '/')) {
        part += *part == '/';
        safe = strncmp(part, "..", 2) != 0 || (part[2] != '/' && part[2] != 0);
    }
    return safe ? 0 : error_set(e, ERR_FORMAT, "unsafe member name '%.80s'", name);
}

int stream_tar_next(struct stream_tar *t, struct error *e) {
    struct archive_entry *entry;
    int result = archive_read_next_header(t->archive, &entry);
    if (result == ARCHIVE_EOF) {
        return 0;
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) { /* WARN: the locale lacks a character */
        return failure(t, e);
    }
    const char *name = archive_entry_pathname(entry);
    int rc = check_name(name != NULL ? name : "", e);
    if (rc < 0) {
        return rc;
    }
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL) {
        return error_set(e, ERR_FORMAT, "member '%.80s' is not a regular file", name);
    }
    la_int64_t size = archive_entry_size(entry);
    if (size < 0 || (uint64_t)size > STREAM_MEMBER_LIMIT) {
        return error_set(e, ERR_LIMIT, "member '%.80s' is larger than %zu bytes", name,
                         STREAM_MEMBER_LIMIT);
    }
    const char *slash = strrchr(name, '/');
    const char *dot = strchr(slash != NULL ? slash : name, '.');
    t->member_size = (size_t)size;
    t->key_size = dot != NULL ? (size_t)(dot - name) : strlen(name);
    bytes_clear(&t->name);
    rc = bytes_append_text(&t->name, name, e);
    return rc < 0 ? rc : 1;
}

int stream_tar_read(struct stream_tar *t, struct bytes *out, struct error *e) {
    size_t size = t->member_size;
    if (size > out->limit - out->size) {
        return error_set(e, ERR_LIMIT, "'%.80s': the sample is larger than %zu bytes",
                         bytes_text(&t->name), out->limit);
    }
    /* Grows with what arrives, not with what the header claims. */
    while (size > 0) {
        size_t step = size < READ_BLOCK ? size : READ_BLOCK;
        int rc = bytes_reserve(out, step, e);
        if (rc < 0) {
            return rc;
        }
        la_ssize_t got = archive_read_data(t->archive, out->data + out->size, step);
        if (got < 0) {
            return failure(t, e);
        }
        if (got == 0) {
            return error_set(e, ERR_TRUNCATED, "the upstream stage stopped early (inside '%.80s')",
                             bytes_text(&t->name));
        }
        out->size += (size_t)got;
        size -= (size_t)got;
    }
    return archive_read_data_skip(t->archive) < ARCHIVE_WARN ? failure(t, e) : 0; /* padding */
}
