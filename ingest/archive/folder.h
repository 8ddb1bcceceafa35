/* folder.h - reads one folder; its files make clips by stem. */
#ifndef OCC_INGEST_ARCHIVE_FOLDER_H
#define OCC_INGEST_ARCHIVE_FOLDER_H

#include <sys/types.h>

#include "ingest/archive/clips.h"

struct folder {
    const char *path; /* as the user wrote it; "" for the current folder of a bare file name */
    struct folder_entry {
        const char *name;
        int64_t size, mtime;
        mode_t mode;
        int error_number; /* of stat; the fields above are then not valid */
        signed char pass; /* when it is placed, by its name; -1: never */
    } * entries;          /* in the arena of the clips, sorted by name */
    size_t count, capacity;
    struct table *stems; /* while it is read: stem -> index into clips.items */
};

/* Reads a folder's files into clips [*first, c->count), in byte order of their stems. A folder that
 * cannot be read becomes a clip with a problem; only ERR_MEMORY is an error. */
int folder_read(struct clips *c, struct folder *f, size_t *first, struct error *e);

/* FOLDER/NAME in the arena; NULL when memory runs out. */
char *folder_path(struct arena *arena, const char *folder, const char *name);

#endif
