/* file.c - see file.h. */
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *file_path(const char *folder, const char *name, struct error *e) {
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path == NULL) {
        error_memory(e, NULL);
        return NULL;
    }
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

bool file_is_there(const char *folder, const char *name) {
    char *path = file_path(folder, name, NULL);
    const bool there = path != NULL && access(path, F_OK) == 0;
    free(path);
    return there;
}

static const char *kind_name(mode_t mode) {
    if (S_ISDIR(mode)) {
        return "a folder";
    }
    if (S_ISFIFO(mode)) {
        return "a FIFO";
    }
    if (S_ISSOCK(mode)) {
        return "a socket";
    }
    return "a device";
}

int file_open_regular(const char *path, int *fd, struct error *e) {
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0) {
        return error_errno(e, errno, "%s", path);
    }
    struct stat status;
    int rc = 0;
    if (fstat(*fd, &status) != 0) {
        rc = error_errno(e, errno, "%s", path);
    } else if (!S_ISREG(status.st_mode)) {
        rc =
            error_set(e, ERR_UNSUPPORTED, "%s: is %s, not a file", path, kind_name(status.st_mode));
    }
    if (rc < 0) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}

int file_read(const char *path, struct bytes *out, struct error *e) {
    int fd;
    int rc = file_open_regular(path, &fd, e);
    if (rc < 0) {
        return rc;
    }
    for (;;) {
        size_t step = 64 * 1024;
        size_t room = out->limit - out->size;
        /* one byte more than allowed is asked for, so that "exactly full" is not an error */
        unsigned char beyond;
        bool full = room == 0;
        if (!full) {
            step = step < room ? step : room;
            rc = bytes_reserve(out, step, e);
            if (rc < 0) {
                break;
            }
        }
        ssize_t got = read(fd, full ? &beyond : out->data + out->size, full ? 1 : step);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            rc = error_errno(e, errno, "%s", path);
            break;
        }
        if (got == 0) {
            break;
        }
        if (full) {
            rc = error_set(e, ERR_LIMIT, "%s: larger than %zu bytes", path, out->limit);
            break;
        }
        out->size += (size_t)got;
        out->data[out->size] = 0;
    }
    close(fd);
    return rc;
}

int file_write(int fd, const void *data, size_t size, const volatile sig_atomic_t *cancel,
               struct error *e) {
    const char *p = data;
    while (size > 0) {
        if (cancel != NULL && *cancel) {
            return error_set(e, ERR_CANCELLED, "stopped by a signal");
        }
        ssize_t done = write(fd, p, size);
        if (done < 0 && errno != EINTR) {
            return error_errno(e, errno, "cannot write");
        }
        if (done > 0) {
            p += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

/* The folder part of a path, "." where there is none; the caller frees it. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* `FOLDER/.NAME.tmp`; the caller frees it. */
static char *temporary_name(const char *path) {
    const char *slash = strrchr(path, '/');
    int folder_length = slash != NULL ? (int)(slash - path + 1) : 0;
    size_t room = strlen(path) + sizeof "..tmp";
    char *name = malloc(room);
    if (name != NULL) {
        snprintf(name, room, "%.*s.%s.tmp", folder_length, path, path + folder_length);
    }
    return name;
}

void output_file_clean(const char *path) {
    char *name = temporary_name(path);
    if (name != NULL) {
        unlink(name); /* as a rule there is none */
        free(name);
    }
}

int output_file_open(struct output_file *o, const char *path, struct error *e) {
    *o = (struct output_file){.fd = -1};
    o->path = strdup(path);
    o->temporary = temporary_name(path);
    int rc = 0;
    if (o->path == NULL || o->temporary == NULL) {
        rc = error_memory(e, NULL);
    } else {
        o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (o->fd < 0) {
            rc = error_errno(e, errno, "%s", o->temporary);
        }
    }
    if (rc < 0) {
        free(o->path);
        free(o->temporary);
        *o = (struct output_file){.fd = -1};
    }
    return rc;
}

void output_file_discard(struct output_file *o) {
    if (o->fd >= 0) {
        close(o->fd);
    }
    if (o->temporary != NULL) {
        unlink(o->temporary);
    }
    free(o->path);
    free(o->temporary);
    *o = (struct output_file){.fd = -1};
}

static int sync_folder(const char *path, struct error *e) {
    char *folder = folder_of(path);
    if (folder == NULL) {
        return error_memory(e, NULL);
    }
    int rc = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) { /* EINVAL: not on this file system */
        rc = error_errno(e, errno, "%s", folder);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(folder);
    return rc;
}

int output_file_commit(struct output_file *o, struct error *e) {
    int rc = 0;
    if (fsync(o->fd) != 0 && errno != EINVAL) {
        rc = error_errno(e, errno, "%s", o->temporary);
    }
    int closed = close(o->fd);
    o->fd = -1;
    if (rc == 0 && closed != 0) {
        rc = error_errno(e, errno, "%s", o->temporary);
    }
    if (rc == 0 && rename(o->temporary, o->path) != 0) {
        rc = error_errno(e, errno, "%s", o->path);
    }
    if (rc == 0) {
        rc = sync_folder(o->path, e);
        free(o->temporary);
        o->temporary = NULL;
    }
    output_file_discard(o);
    return rc;
}

int output_file_write(const char *path, const void *data, size_t size,
                      const volatile sig_atomic_t *cancel, struct error *e) {
    struct output_file file;
    int rc = output_file_open(&file, path, e);
    if (rc < 0) {
        return rc;
    }
    rc = file_write(file.fd, data, size, cancel, e);
    if (rc < 0) {
        output_file_discard(&file);
        return rc;
    }
    return output_file_commit(&file, e);
}
