/* peek.h - finds out what JSON files are about when their names do not say, in worker processes: a
 * hostile file must not eat the parent's memory during the scan. */
#ifndef OCC_INGEST_ARCHIVE_PEEK_H
#define OCC_INGEST_ARCHIVE_PEEK_H

#include <jansson.h>
#include <signal.h>

#include "ingest/archive/clips.h"
#include "ingest/pool.h"

/* The kind of a .json by its content, where its name does not say: FILE_GALLERY, FILE_COMMENTS,
 * FILE_JSON for creator captions, else FILE_OTHER, also for NULL. */
enum file_kind peek_kind(const json_t *root);

struct peek {
    const struct clip_file
        *file;           /* in: of kind FILE_INFO, FILE_GALLERY, FILE_COMMENTS or FILE_JSON */
    enum file_kind kind; /* out: by its content; FILE_OTHER: not ours */
    bool playlist;       /* out: describes a playlist, not a clip */
    bool comments;       /* out: metadata that hold comments */
    const char *account, *site; /* out: of metadata, in the arena given; NULL: unknown */
    const char **ids;           /* out: of the clips it names, in the arena given */
    size_t count;
};

/* Fills in all of `peeks`. A file that cannot be read, or not within the limits of `pool`, names no
 * id. ERR_MEMORY, ERR_IO, ERR_CANCELLED. */
int peek_run(struct peek *peeks, size_t count, struct arena *arena, const struct pool_options *pool,
             const volatile sig_atomic_t *cancel, struct error *e);

#endif
