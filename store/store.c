/* store.c - opening, closing and committing a store. */
#define _DEFAULT_SOURCE /* flock */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_state.h"

/* ---- Transactions -------------------------------------------------------------------- */

int store_begin(struct store *s, MDB_txn **txn, struct error *e) {
    int rc = s->writing ? store_writable(s, e) : 0;
    *txn = s->txn;
    return rc;
}

int store_writable(struct store *s, struct error *e) {
    if (!s->writing) {
        return error_set(e, ERR_USAGE, "%s: is open for reading only", s->path);
    }
    if (s->txn != NULL) {
        return 0;
    }
    int code = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    if (code != 0) {
        s->txn = NULL;
        return store_failed(s, code, e);
    }
    return 0;
}

/* ---- Opening ------------------------------------------------------------------------------ */

static int store_new(struct store **out, const char *path, struct error *e) {
    *out = NULL;
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_memory(e, NULL);
    }
    s->lock = -1;
    bytes_init(&s->value, STREAM_MEMBER_LIMIT);
    s->path = strdup(path);
    int rc = texts_open(&s->texts, e);
    if (rc == 0 && s->path == NULL) {
        rc = error_memory(e, NULL);
    }
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

static int check_there(const char *path, struct error *e) {
    char file[4096];
    snprintf(file, sizeof file, "%s/data.mdb", path);
    if (access(file, F_OK) == 0) {
        return 0;
    }
    return errno == ENOENT || errno == ENOTDIR
               ? error_set(e, ERR_FORMAT, "%s: is not a token store (no data.mdb in it)", path)
               : error_errno(e, errno, "%s", path);
}

int store_open(struct store **out, const char *path, struct error *e) {
    struct store *s = NULL;
    *out = NULL;
    int rc = check_there(path, e);
    if (rc == 0) {
        rc = store_new(&s, path, e);
    }
    if (rc < 0) {
        return rc;
    }
    rc = store_open_env(s, false, e);
    if (rc == 0) {
        rc = store_begin_snapshot(s, e);
    }
    if (rc == 0) {
        rc = store_open_databases(s, s->txn, 0, e);
    }
    if (rc == 0) {
        rc = store_read_meta(s, s->txn, e);
    }
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* ---- Opening for writing ------------------------------------------------------------------- */

static bool is_ours(const char *name) {
    return strcmp(name, "data.mdb") == 0 || strcmp(name, "lock.mdb") == 0 ||
           strcmp(name, "writer.lock") == 0;
}

/* A folder with anything else in it is somebody's. */
static int check_folder(const char *path, struct error *e) {
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return error_errno(e, errno, "%s", path);
    }
    int rc = 0;
    for (const struct dirent *d = readdir(dir); d != NULL && rc == 0; d = readdir(dir)) {
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 && !is_ours(d->d_name)) {
            rc = error_set(e, ERR_FORMAT, "%s: is not a token store: it holds %s", path, d->d_name);
        }
    }
    closedir(dir);
    return rc;
}

static int lock_folder(struct store *s, struct error *e) {
    char file[4096];
    if ((size_t)snprintf(file, sizeof file, "%s/writer.lock", s->path) >= sizeof file) {
        return error_set(e, ERR_USAGE, "%s: the path is too long", s->path);
    }
    s->lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0) {
        return error_errno(e, errno, "%s", file);
    }
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? error_set(e, ERR_IO, "%s: another process is writing to this store", s->path)
                   : error_errno(e, errno, "%s", file);
    }
    return 0;
}

int store_open_write(struct store **out, const char *path, const struct store_encoder *encoder,
                     struct error *e) {
    struct store *s = NULL;
    *out = NULL;
    if (encoder != NULL && mkdir(path, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", path);
    }
    int rc = check_folder(path, e);
    if (rc == 0 && encoder == NULL) {
        rc = check_there(path, e);
    }
    if (rc == 0) {
        rc = store_new(&s, path, e);
    }
    if (rc != 0) {
        return rc;
    }
    s->writing = true;
    rc = lock_folder(s, e);
    if (rc == 0) {
        rc = store_open_env(s, encoder != NULL, e);
    }
    if (rc == 0) {
        rc = store_writable(s, e);
    }
    if (rc == 0) {
        rc = store_open_databases(s, s->txn, encoder != NULL ? MDB_CREATE : 0, e);
    }
    if (rc == 0) {
        rc = store_settle_meta(s, encoder, e);
    }
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s) {
    if (s == NULL) {
        return;
    }
    if (s->txn != NULL) {
        mdb_txn_abort(s->txn);
    }
    if (s->env != NULL) {
        mdb_env_close(s->env);
    }
    if (s->lock >= 0) {
        close(s->lock);
    }
    texts_close(&s->texts);
    bytes_close(&s->value);
    free(s->vectors);
    free(s->path);
    free(s);
}

/* ---- The rest ------------------------------------------------------------------------------ */

const struct store_encoder *store_encoder(const struct store *s) {
    return &s->encoder;
}

const float *store_vectors(const struct store *s) {
    return s->vectors;
}

size_t store_pending(const struct store *s) {
    return s->pending;
}

int store_commit(struct store *s, struct error *e) {
    if (!s->writing || s->txn == NULL) {
        return 0;
    }
    bool had_dictionary = s->texts.pack_dictionary != NULL;
    int rc = store_train_dictionary(s, e);
    if (rc < 0) {
        return rc;
    }
    MDB_txn *txn = s->txn;
    s->txn = NULL; /* ended by the call whether it succeeds or not */
    s->pending = 0;
    int code = mdb_txn_commit(txn);
    if (code != 0 && !had_dictionary) {
        texts_drop_dictionary(&s->texts);
    }
    return code == 0 ? 0 : store_failed(s, code, e);
}
