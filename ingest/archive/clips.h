/* clips.h - which files of an archive belong together: one `struct clip` per future sample.
 *
 * Within a folder files join by stem (folder.h). Then clips that are one and the same join
 * (group.h): metadata here and media there, sound of one tool and slides of another, a clip kept
 * twice. Files that still lack a partner (captions, comments, pictures) join across folders by id
 * (the id in info.json, in "[ID]" at the end of a stem, in comments exports, or the whole stem).
 * The order of clips is the order of the operands, folders depth first, names in byte order: the
 * same on every machine. Nothing is decoded here; JSON is read only where names do not say
 * enough. */
#ifndef OCC_INGEST_ARCHIVE_CLIPS_H
#define OCC_INGEST_ARCHIVE_CLIPS_H

#include <stdint.h>

#include "ingest/archive/filename.h"
#include "ingest/pool.h"
#include "store/arena.h"
#include "store/table.h"

struct clip_file {
    enum file_kind kind;
    const char *path;
    const char *language; /* of captions, from the name; NULL when it says none */
    enum caption_origin origin;
    int number;          /* of a slide, from the name; -1: none */
    bool named;          /* an operand: it is selected, not another of the same stem */
    int64_t size, mtime; /* bytes; seconds since 1970 */
};

struct clip {
    const char *path; /* what the report calls it: its media, else its first file */
    const char *stem; /* name without extension; of gallery-dl's names the id */
    struct clip_file *files;
    size_t count, capacity;
    const char *problem; /* not NULL: no sample is made of it, and this is why (one line) */
    const char *reason;  /* its word for the report: "unreadable", "orphan", "duplicate" ... */
    const char *key;     /* of the clip that a duplicate gives way to, else NULL */
    bool chosen;         /* the richest of several clips with its key */
    bool left_out;       /* nothing is wrong with it: it is skipped, not failed */
    size_t order;        /* rank in the output; internal to scan and join */
    bool selected;       /* to be ingested; false for neighbours of an explicitly named file */
};

struct clips {
    struct arena *arena; /* owns everything below */
    struct clip *items;
    size_t count, capacity;
    struct table *folders; /* folders seen, by path and by device and inode */
    struct table *paths;   /* files beside explicitly named ones: path -> index into items */
    size_t next_order;
};

int clips_open(struct clips *c, struct error *e);
void clips_close(struct clips *c);

/* Adds one operand: a folder (with everything below it) or a file (with the sidecars beside it). A
 * path that cannot be read becomes a clip with a problem; only ERR_MEMORY is an error. */
int clips_add(struct clips *c, const char *path, struct error *e);

/* Joins across folders, drops clips that are not selected, sorts. Call once, after the last
 * clips_add. Files that must be read for that are read in worker processes, as `pool` says. */
int clips_join(struct clips *c, const struct pool_options *pool,
               const volatile sig_atomic_t *cancel, struct error *e);

/* The first file of that kind, or NULL. */
const struct clip_file *clip_file_of(const struct clip *clip, enum file_kind kind);

/* ---- for the files of this room ----------------------- */
int clip_new(struct clips *c, const char *path, const char *stem, size_t stem_size, size_t *index,
             struct error *e);
int clip_add_file(struct clips *c, struct clip *clip, const struct clip_file *file,
                  struct error *e);
bool clip_has_media(const struct clip *clip); /* video or audio */
/* A clip that only reports that `path` cannot be ingested. */
int clip_new_problem(struct clips *c, const char *path, const char *reason, const char *text,
                     struct error *e);

#endif
