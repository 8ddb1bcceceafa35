/* store_compact.c - a copy of a store without free pages, and without anything that was removed:
 * records are put one after the other into a new file. (LMDB's own compacting copy takes whole
 * pages, whose branches may still hold keys of records that are gone.) */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_state.h"

struct copy {
    struct store *from;
    MDB_env *env;
    MDB_txn *txn;
    size_t pending; /* bytes put since it began */
};

static int begin(struct copy *c) {
    c->pending = 0;
    int code = mdb_txn_begin(c->env, NULL, 0, &c->txn);
    c->txn = code == 0 ? c->txn : NULL;
    return code;
}

static int commit(struct copy *c) {
    MDB_txn *txn = c->txn;
    c->txn = NULL;
    return mdb_txn_commit(txn);
}

static int copy_record(struct copy *c, MDB_dbi to, MDB_val *key, MDB_val *value) {
    int code = mdb_put(c->txn, to, key, value, MDB_APPEND);
    c->pending += key->mv_size + value->mv_size;
    if (code == 0 && c->pending >= STORE_BATCH) {
        code = commit(c);
        if (code == 0) {
            code = begin(c);
        }
    }
    return code;
}

static int copy_database(struct copy *c, enum store_database db, struct error *e) {
    MDB_cursor *cursor = NULL;
    MDB_txn *from;
    MDB_dbi to = 0;
    MDB_val k, v;
    int rc = store_begin(c->from, &from, e);
    if (rc < 0) {
        return rc;
    }
    int code = mdb_dbi_open(c->txn, STORE_DATABASES[db], MDB_CREATE, &to);
    if (code == 0) {
        code = mdb_cursor_open(from, c->from->databases[db], &cursor);
    }
    if (code == 0) {
        code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    }
    while (code == 0) {
        code = copy_record(c, to, &k, &v);
        if (code == 0) {
            code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
        }
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    return code == MDB_NOTFOUND ? 0 : store_failed(c->from, code, e);
}

/* Nobody else knows the folder yet, so no locks; synced at the end. */
static int open_copy(struct copy *c, const char *folder, struct error *e) {
    MDB_envinfo info;
    MDB_stat stat;
    int code = mdb_env_info(c->from->env, &info);
    if (code == 0) {
        code = mdb_env_stat(c->from->env, &stat);
    }
    if (code == 0) {
        code = mdb_env_create(&c->env);
    }
    if (code == 0) {
        code = mdb_env_set_maxdbs(c->env, DB_COUNT);
    }
    if (code == 0) { /* as much as it can need: no more pages than the store has */
        size_t size = (info.me_last_pgno + 1) * stat.ms_psize;
        code = mdb_env_set_mapsize(c->env, size + size / 8 + ((size_t)64 << 20));
    }
    if (code == 0) {
        code = mdb_env_open(c->env, folder, MDB_NOLOCK | MDB_NOSYNC, 0666);
    }
    if (code == 0) {
        code = begin(c);
    }
    return code == 0 ? 0 : store_failed(c->from, code, e);
}

static int copy_records(struct store *s, const char *folder, struct error *e) {
    struct copy c = {.from = s};
    int rc = open_copy(&c, folder, e);
    for (int db = 0; db < DB_COUNT && rc == 0; db++) {
        if (store_has_database(s, (enum store_database)db)) {
            rc = copy_database(&c, (enum store_database)db, e);
        }
    }
    if (rc == 0) {
        int code = commit(&c);
        rc = code == 0 ? 0 : store_failed(s, code, e);
    }
    if (c.txn != NULL) {
        mdb_txn_abort(c.txn);
    }
    if (c.env != NULL) {
        mdb_env_close(c.env);
    }
    return rc;
}

static int sync_path(const char *path, struct error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int code = errno;
        if (fd >= 0) {
            close(fd);
        }
        return error_errno(e, code, "%s", path);
    }
    close(fd);
    return 0;
}

/* Readers of a published copy may not be able to make its lock file. */
static int make_lock(const char *folder, const char *lock, struct error *e) {
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return error_errno(e, errno, "%s", lock);
    }
    close(fd);
    store_share_lock(folder);
    return 0;
}

static int copy_into(struct store *s, const char *folder, const char *file, const char *lock,
                     const char *path, struct error *e) {
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", folder);
    }
    unlink(file); /* of a copy that was killed */
    int rc = copy_records(s, folder, e);
    if (rc == 0) {
        rc = sync_path(file, e);
    }
    if (rc == 0) {
        rc = make_lock(folder, lock, e);
    }
    if (rc == 0) {
        rc = sync_path(folder, e);
    }
    if (rc == 0 && rename(folder, path) != 0) {
        rc = error_errno(e, errno, "%s", path);
    }
    if (rc < 0) {
        unlink(file);
        unlink(lock);
        rmdir(folder);
    }
    return rc;
}

int store_compact(struct store *s, const char *path, struct error *e) {
    if (access(path, F_OK) == 0) {
        return error_set(e, ERR_USAGE, "%s: already exists", path);
    }
    size_t room = strlen(path) + sizeof ".tmp/data.mdb";
    char *names = malloc(3 * room);
    if (names == NULL) {
        return error_memory(e, NULL);
    }
    char *folder = names, *file = names + room, *lock = names + 2 * room;
    snprintf(folder, room, "%s.tmp", path);
    snprintf(file, room, "%s.tmp/data.mdb", path);
    snprintf(lock, room, "%s.tmp/lock.mdb", path);
    int rc = copy_into(s, folder, file, lock, path, e);
    free(names);
    return rc;
}
