/* peek.h - what JSON files are about whose names do not tell, found out in worker processes: the
 * scan must not be the place where a hostile file eats the parent's memory. */
#ifndef OCC_INGEST_ARCHIVE_PEEK_H
#define OCC_INGEST_ARCHIVE_PEEK_H

#include <jansson.h>
#include <signal.h>

#include "ingest/archive/clips.h"
#include "ingest/pool.h"

/* What a .json that no name explains is by its content: FILE_GALLERY, FILE_COMMENTS, FILE_JSON for
 * creator captions; FILE_OTHER for none of ours. NULL is none. */
enum file_kind peek_kind(const json_t *root);

struct peek {
    const struct clip_file
        *file;           /* in: of kind FILE_INFO, FILE_GALLERY, FILE_COMMENTS or FILE_JSON */
    enum file_kind kind; /* out: what it is by its content; FILE_OTHER: none of ours */
    bool playlist;       /* out: describes a playlist, not a clip */
    bool comments;       /* out: metadata that hold comments */
    const char *account, *site; /* out: of metadata, in the arena given; NULL: not said */
    const char **ids;           /* out: of the clips it names, in the arena given */
    size_t count;
};

/* Answers all questions. A file that cannot be read, or not within the limits of `pool`, names no
 * id. ERR_MEMORY, ERR_IO, ERR_CANCELLED. */
int peek_run(struct peek *peeks, size_t count, struct arena *arena, const struct pool_options *pool,
             const volatile sig_atomic_t *cancel, struct error *e);

#endif
