/* stream_tar.h - an input as tar members, archive after archive; for stream_read.c.
 *
 * Between two archives any number of zero blocks may lie: tar's own end mark of two, and what tar
 * programs pad their output with (to records of 20 blocks, as a rule). Zero blocks anywhere else
 * end an archive. */
#ifndef OCC_STORE_STREAM_TAR_H
#define OCC_STORE_STREAM_TAR_H

#include <archive.h>
#include <signal.h>
#include <stdbool.h>

#include "store/bytes.h"

struct stream_tar {
    int fd; /* the caller's */
    const volatile sig_atomic_t *cancel;
    unsigned char *block; /* what was read last: whole blocks of 512 bytes, unless the input ends */
    size_t size, given;   /* of it; what of it libarchive has */
    int64_t block_offset; /* where it begins in the input */
    int rc;               /* of reading; its reason: */
    struct error error;
    struct archive *archive;
    int64_t archive_offset; /* where that begins in the input */
    /* The member whose header was read last: */
    struct bytes name;
    size_t key_size; /* of its name, the part before the first dot of the last part */
    size_t member_size;
};

/* `cancel` (may be NULL) is looked at every 0.2 s while the input keeps it waiting. ERR_UNSUPPORTED
 * for compressed input. */
int stream_tar_open(struct stream_tar *t, int fd, const volatile sig_atomic_t *cancel,
                    struct error *e);
void stream_tar_close(struct stream_tar *t); /* also of one that is all zero */

/* The next member's header: 1, 0 at the end of the archive, or an error: ERR_FORMAT for a name that
 * no stream has, links and folders, ERR_LIMIT, ERR_TRUNCATED, ERR_IO, ERR_CANCELLED. */
int stream_tar_next(struct stream_tar *t, struct error *e);
/* Appends that member's content, once. */
int stream_tar_read(struct stream_tar *t, struct bytes *out, struct error *e);

/* After the end of an archive: 1, something follows the zero blocks and is read as the next
 * archive; 0, nothing does. */
int stream_tar_follow(struct stream_tar *t, struct error *e);
int64_t stream_tar_offset(const struct stream_tar *t); /* bytes of the input that were used */

#endif
