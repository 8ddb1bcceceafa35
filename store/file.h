/* file.h - whole files and whole writes.
 *
 * A finished output file appears under its name at once and complete, or not at all: it is written
 * as `.NAME.tmp` in the same folder, synced, renamed, and the folder synced. */
#ifndef OCC_STORE_FILE_H
#define OCC_STORE_FILE_H

#include <signal.h>
#include <stddef.h>

#include "store/bytes.h"

/* "FOLDER/NAME", to be freed; NULL: no memory. */
char *file_path(const char *folder, const char *name, struct error *e);
/* Whether there is anything of that name. */
bool file_is_there(const char *folder, const char *name);

/* Opens a regular file for reading and gives its descriptor. Never blocks: a FIFO, a device or a
 * folder is refused with ERR_UNSUPPORTED and a text that says what it is. */
int file_open_regular(const char *path, int *fd, struct error *e);

/* Appends the whole content of a regular file; ERR_LIMIT when it is larger than the buffer
 * allows. */
int file_read(const char *path, struct bytes *out, struct error *e);

/* Writes everything, across short writes. When a signal interrupts and *cancel (may be NULL) is
 * set: ERR_CANCELLED. ERR_CLOSED when the reader of a pipe is gone, ERR_NO_SPACE when the disk is
 * full. */
int file_write(int fd, const void *data, size_t size, const volatile sig_atomic_t *cancel,
               struct error *e);

/* An output file on its way. Usage: open; write to `fd`; commit or discard (exactly one). */
struct output_file {
    int fd;
    char *path, *temporary; /* owned */
};
int output_file_open(struct output_file *o, const char *path, struct error *e);
int output_file_commit(struct output_file *o, struct error *e); /* discards on failure */
void output_file_discard(struct output_file *o);
/* All of these with what is at hand: the file is there with `data`, or as it was. Of a write that
 * fails the text does not name the file. `cancel` as of file_write. */
int output_file_write(const char *path, const void *data, size_t size,
                      const volatile sig_atomic_t *cancel, struct error *e);
/* Removes what a killed writer of `path` may have left. */
void output_file_clean(const char *path);

#endif
