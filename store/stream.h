/* stream.h - the sample stream between the stages: a WebDataset tar.
 *
 * FORMAT (version 1). A POSIX.1-2001 pax tar. Every member is a regular file, mode 0644, owner 0/0
 * without names, mtime 0: the same samples give the same bytes. In this order:
 *
 *     __stream__         JSON {"format": "occ-stream", "version": 1, "tool": "occ-ingest 0.1.0",
 *                        "options": {...}}
 *     KEY.json           first member of a sample: a JSON object with at least "id" and "account"
 *     KEY.SUFFIX ...     its other members; all members of a sample are adjacent
 *     ...
 *     __end__            JSON {"samples": N, "partial": N, "skipped": N, "failed": N, ...}
 *     two zero blocks    tar's own end mark
 *
 * KEY is ACCOUNT/ID, made by stream_key: no byte outside [A-Za-z0-9_/~%-], so no dot and no `..`,
 * exactly one slash. SUFFIX is [a-z0-9.-]+ ("json", "script.json", "000.jpg"). The names __stream__
 * and __end__ have no extension on purpose: WebDataset's readers skip exactly such names.
 *
 * Streams may follow each other, as `cat` and `tar -A` join them: after __end__, with or without
 * tar's end mark and any number of zero blocks, another __stream__ may stand, and nothing else.
 * Each __end__ counts the samples of its own stream. A key that came before, in the same stream or
 * in another, is not a new sample: the first one counts. Only keys ACCOUNT/pack%3ANNNNNN (at least
 * six digits, render.h) are places in their own stream, and mean something else in the next.
 *
 * A reader passes on members that it does not know. It refuses links, folders, absolute names,
 * `..`, names that are not ASCII, a member over 256 MiB, a sample over 1 GiB, a sample with a
 * member twice; and it reports a stream that ends without __end__: in a pipe nobody else sees that
 * the stage before was killed. */
#ifndef OCC_STORE_STREAM_H
#define OCC_STORE_STREAM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/bytes.h"
#include "store/json.h"

enum { STREAM_VERSION = 1, STREAM_KEY_PART = 160, STREAM_KEY_BYTES = 2 * STREAM_KEY_PART + 2 };
#define STREAM_MEMBER_LIMIT ((size_t)256 << 20)
#define STREAM_SAMPLE_LIMIT ((size_t)1 << 30)

/* Writes "ACCOUNT/ID" with every byte outside [A-Za-z0-9_-] as %XX. A part longer than
 * STREAM_KEY_PART bytes is cut there and ends in "~" and 16 hexadecimal digits of the XXH3 hash of
 * the whole part. NULL or empty parts become "_". */
void stream_key(char key[STREAM_KEY_BYTES], const char *account, const char *id);

/* The account of a key, as it is written there: its size, or a copy. */
size_t stream_account_size(const char *key);
void stream_account(char account[STREAM_KEY_BYTES], const char *key);

/* Keys of packs, samples that stand for several: ACCOUNT/pack%3ANAME. */
#define STREAM_PACK "/pack%3A" /* "pack:" as stream_key writes it */
bool stream_is_pack(const char *key);
/* Whether the name is a number of at least six digits: a place in its stream, as render.h says. */
bool stream_is_numbered_pack(const char *key);
/* The key of pack `name` in the account of `sample_key`. */
void stream_pack_key(char key[STREAM_KEY_BYTES], const char *sample_key, const char *name);

struct stream_member {
    const char *suffix; /* without the leading dot */
    const void *data;
    size_t size;
};

/* A sample as read: everything is valid until the next stream_next or the close. */
struct stream_sample {
    const char *key;
    const struct stream_member *members; /* in the order of the stream; the first is "json" */
    size_t count;
};

/* Appends the tar records of one sample to `out`: what stream_write takes. Separate from the writer
 * so that the costly part can be done by another process. */
int stream_encode(struct bytes *out, const char *key, const struct stream_member *members,
                  size_t count, struct error *e);

struct stream_counts {
    int64_t samples;         /* in the stream */
    int64_t partial;         /* of these, with something missing */
    int64_t skipped, failed; /* inputs that gave no sample */
};

/* ---- Writer ------------------------------------------------------------ */
struct stream_writer;

/* Writes the first member to `fd`, which stays the caller's. `options`: an object for __stream__,
 * or NULL. `cancel`: see file_write. */
int stream_writer_open(struct stream_writer **out, int fd, const char *tool, const json_t *options,
                       const volatile sig_atomic_t *cancel, struct error *e);
/* One encoded sample. Nothing is buffered: when it returns, the bytes are with the kernel. */
int stream_write(struct stream_writer *w, const void *encoded, size_t size, struct error *e);
int64_t stream_writer_bytes(const struct stream_writer *w); /* written so far */
/* Writes __end__: `counts` (its samples must be the number written) and the members of `extra`
 * (NULL: none), then the end mark. */
int stream_writer_finish(struct stream_writer *w, const struct stream_counts *counts,
                         const json_t *extra, struct error *e);
void stream_writer_close(struct stream_writer *w); /* releases; without finish the stream is torn */

/* ---- Reader ------------------------------------------------------------ */
struct stream_reader;

/* Whether a file looks like a stream and not like a picture: by its first block or, where that says
 * nothing, by a name that ends in .tar; pipes and devices are taken for streams. */
bool stream_recognise(const char *path);

/* Reads and checks the first member. ERR_FORMAT when it is not a stream of ours, ERR_UNSUPPORTED
 * for another version. `fd` stays the caller's. */
int stream_reader_open(struct stream_reader **out, int fd, struct error *e);
/* The same of files, which are read one after another; "-", and no path at all, is standard input.
 * Errors name the file. The paths must outlive the reader. ERR_CANCELLED when *cancel (NULL is
 * allowed) is set while it reads: it is looked at every 0.2 s. */
int stream_reader_open_files(struct stream_reader **out, char *const *paths, int count,
                             const volatile sig_atomic_t *cancel, struct error *e);
void stream_reader_close(struct stream_reader *r); /* NULL is allowed */

/* __stream__ of the stream that the last sample, or the last failure, came from. */
const json_t *stream_reader_header(const struct stream_reader *r);
int64_t stream_reader_number(const struct stream_reader *r); /* of that stream, from 1 on */
/* How messages name the input that it is in; NULL: nothing but standard input is read. */
const char *stream_reader_input(const struct stream_reader *r);

/* 1: *sample is filled. STREAM_AGAIN: it is filled, but its key came before; the caller reports it
 * and leaves it out. 0: the last stream ended as it should. Negative: ERR_TRUNCATED ("the upstream
 * stage stopped early"), ERR_FORMAT, ERR_LIMIT, ERR_UNSUPPORTED, ERR_IO, ERR_CANCELLED, ERR_MEMORY.
 * After 0 or an error, only close. */
enum { STREAM_AGAIN = 2 };
int stream_next(struct stream_reader *r, struct stream_sample *sample, struct error *e);
/* __end__, after stream_next gave 0. Of several streams: integers are their sums, other members
 * those of the last. */
const json_t *stream_reader_end(const struct stream_reader *r);

/* The member with this suffix, or NULL. */
const struct stream_member *stream_member_find(const struct stream_sample *s, const char *suffix);

#endif
