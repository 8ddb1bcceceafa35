/* store_env.c - opening the LMDB environment of a store: its files, their rights, its map. */
#define _DEFAULT_SOURCE /* AT_SYMLINK_NOFOLLOW with fchmodat */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/store_state.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define LARGEST_MAP ((uint64_t)16 << 40)
enum { READERS = 1024, SPARE_BYTES = 16 << 20, STORE_PATH = 4096 };

/* ---- Errors ------------------------------------------------------------------------ */

/* Free bytes on the file system of the store. */
static uint64_t free_bytes(const char *path) {
    struct statvfs status;
    return statvfs(path, &status) == 0 ? (uint64_t)status.f_bavail * status.f_frsize : UINT64_MAX;
}

int store_failed(const struct store *s, int code, struct error *e) {
    if (code == MDB_MAP_FULL && s->map_limited) {
        return error_set(e, ERR_MEMORY,
                         "%s: the limit of address space (ulimit -v) leaves no room for a larger "
                         "store",
                         s->path);
    }
    bool full = code == ENOSPC || code == EDQUOT || code == MDB_MAP_FULL ||
                (code == EIO && free_bytes(s->path) < SPARE_BYTES);
    if (full) {
        return error_set(e, ERR_NO_SPACE, "%s: disk full", s->path);
    }
    if (code == ENOMEM) {
        return error_set(e, ERR_MEMORY, "%s: out of memory", s->path);
    }
    if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
        code == MDB_VERSION_MISMATCH || code == MDB_PANIC) {
        return error_set(e, ERR_FORMAT, "%s: the store is damaged: %s", s->path,
                         mdb_strerror(code));
    }
    return error_set(e, ERR_IO, "%s: %s", s->path, mdb_strerror(code));
}

/* ---- Rights ----------------------------------------------------------------------------- */

static void name_file(char file[STORE_PATH], const char *path, const char *name) {
    snprintf(file, STORE_PATH, "%s/%s", path, name);
}

/* A reader notes in lock.mdb which pages it still sees. */
bool store_share_lock(const char *path) {
    char data_file[STORE_PATH], lock_file[STORE_PATH];
    struct stat data, lock;
    name_file(data_file, path, "data.mdb");
    name_file(lock_file, path, "lock.mdb");
    if (stat(data_file, &data) != 0 || lstat(lock_file, &lock) != 0 || !S_ISREG(lock.st_mode) ||
        lock.st_nlink != 1) {
        return false;
    }
    mode_t readers = data.st_mode & (S_IRUSR | S_IRGRP | S_IROTH);
    bool same = data.st_uid == lock.st_uid && data.st_gid == lock.st_gid;
    mode_t wanted = same ? readers | readers >> 1 : 0666;
    /* By name: closing a descriptor of it would drop the locks that LMDB holds. */
    return (lock.st_mode & wanted) != wanted &&
           fchmodat(AT_FDCWD, lock_file, (lock.st_mode & 0777) | wanted, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_mounted_read_only(const char *path) {
    struct statvfs status;
    return statvfs(path, &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
}

/* Says which of the files it is that may not be opened. */
static int denied(const struct store *s, struct error *e) {
    char data[STORE_PATH], lock[STORE_PATH];
    int wanted = s->writing ? R_OK | W_OK : R_OK;
    name_file(data, s->path, "data.mdb");
    name_file(lock, s->path, "lock.mdb");
    if (access(data, F_OK) == 0 && access(data, wanted) != 0) {
        return error_errno(e, EACCES, "%s", data);
    }
    return error_set(e, ERR_IO,
                     "%s: %s, and without it the store could change while it is read; its owner "
                     "mends that by opening the store, as with 'occ store info %s'",
                     lock, access(lock, F_OK) == 0 ? "may not be written" : "cannot be made",
                     s->path);
}

/* ---- The map ------------------------------------------------------------------------------ */

/* What a limit leaves to this process; UINT64_MAX: there is none. */
static uint64_t address_space(void) {
    struct rlimit limit;
    unsigned long long pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return UINT64_MAX;
    }
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL) {
        pages = fscanf(f, "%llu", &pages) == 1 ? pages : 0;
        fclose(f);
    }
    uint64_t used = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

/* The map is address space only. A writer's: as much as the file could ever take on its disk, or
 * half of what a limit leaves. A reader's: as much as the file has, to which LMDB raises 1. */
static uint64_t map_size(struct store *s) {
    char file[STORE_PATH];
    struct stat status;
    if (!s->writing) {
        return 1;
    }
    name_file(file, s->path, "data.mdb");
    uint64_t used = stat(file, &status) == 0 ? (uint64_t)status.st_size : 0;
    uint64_t space = free_bytes(s->path), room = address_space();
    uint64_t size = space < LARGEST_MAP ? used + space : LARGEST_MAP;
    size = (size + GIB) / GIB * GIB;
    size = size < LARGEST_MAP ? size : LARGEST_MAP;
    s->map_limited = room / 2 < size;
    if (!s->map_limited) {
        return size;
    }
    uint64_t least = used + used / 4 + 64 * MIB;
    return (room / 2 > least ? room / 2 : least) / MIB * MIB;
}

/* ---- Opening ------------------------------------------------------------------------------ */

/* NOTLS: a read transaction belongs to its struct, not to the thread, so that a program may have
 * several stores open. NORDAHEAD: records are read at random. The code of LMDB. */
static int open_once(struct store *s, unsigned flags) {
    int code = mdb_env_create(&s->env);
    if (code == 0) {
        code = mdb_env_set_maxdbs(s->env, DB_COUNT);
    }
    if (code == 0) {
        code = mdb_env_set_maxreaders(s->env, READERS);
    }
    if (code == 0) {
        code = mdb_env_set_mapsize(s->env, (size_t)map_size(s));
    }
    if (code == 0) {
        code = mdb_env_open(s->env, s->path, flags | MDB_NOTLS | MDB_NORDAHEAD, 0666);
    }
    if (code != 0 && s->env != NULL) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
    return code;
}

int store_open_env(struct store *s, bool create, struct error *e) {
    char file[STORE_PATH];
    unsigned flags = s->writing ? 0 : MDB_RDONLY;
    int dead = 0;
    name_file(file, s->path, "data.mdb");
    int rc = create && access(file, F_OK) != 0 ? 0 : store_check_file(file, create, e);
    if (rc < 0) {
        return rc;
    }
    int code = open_once(s, flags);
    if (code == EACCES && store_share_lock(s->path)) {
        code = open_once(s, flags);
    }
    if (code == EACCES && !s->writing && is_mounted_read_only(s->path)) {
        code = open_once(s, flags | MDB_NOLOCK); /* nobody can write to what is mounted so */
    }
    if (code == EACCES) {
        return denied(s, e);
    }
    if (code == ENOMEM && address_space() != UINT64_MAX) {
        return error_set(
            e, ERR_MEMORY,
            "%s: does not fit the limit of address space (ulimit -v), of which %" PRIu64
            " bytes are left",
            file, address_space());
    }
    if (code == 0) {
        store_share_lock(s->path);
        code = mdb_reader_check(s->env, &dead); /* those that were killed keep pages from reuse */
    }
    return code == 0 ? 0 : store_failed(s, code, e);
}

int store_begin_snapshot(struct store *s, struct error *e) {
    int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn);
    while (code == MDB_MAP_RESIZED) { /* a writer has let it grow since it was mapped */
        code = mdb_env_set_mapsize(s->env, 1);
        if (code == 0) {
            code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn);
        }
    }
    if (code != 0) {
        s->txn = NULL;
    }
    return code == 0 ? 0 : store_failed(s, code, e);
}
