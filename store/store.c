/* store.c - opening, closing and committing a store; what is in its meta database. */
#define _DEFAULT_SOURCE /* flock */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zdict.h>

#include "store/json.h"
#include "store/store_state.h"

static const char *const DATABASES[DB_COUNT] = {"meta",   "samples",  "text",
                                                "tokens", "accounts", "journal"};
static const char FORMAT_PREFIX[] = "occ-store ";

#define GIB ((uint64_t)1 << 30)
#define LARGEST_MAP ((uint64_t)16 << 40)
enum { READERS = 1024, SPARE_BYTES = 16 << 20 };

/* ---- Errors ------------------------------------------------------------------------ */

/* Free bytes on the file system of the store. */
static uint64_t free_bytes(const char *path) {
    struct statvfs status;
    return statvfs(path, &status) == 0 ? (uint64_t)status.f_bavail * status.f_frsize : UINT64_MAX;
}

int store_failed(const struct store *s, int code, struct error *e) {
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

/* ---- Transactions -------------------------------------------------------------------- */

int store_begin(struct store *s, MDB_txn **txn, struct error *e) {
    if (s->writing) {
        int rc = store_writable(s, e);
        *txn = s->txn;
        return rc;
    }
    int code = mdb_txn_begin(s->env, NULL, MDB_RDONLY, txn);
    if (code == MDB_MAP_RESIZED) { /* another process has let the store grow */
        code = mdb_env_set_mapsize(s->env, 0);
        code = code == 0 ? mdb_txn_begin(s->env, NULL, MDB_RDONLY, txn) : code;
    }
    return code == 0 ? 0 : store_failed(s, code, e);
}

void store_end(struct store *s, MDB_txn *txn) {
    if (!s->writing) {
        mdb_txn_abort(txn);
    }
}

int store_writable(struct store *s, struct error *e) {
    if (!s->writing) {
        return error_set(e, ERR_USAGE, "%s: is open for reading", s->path);
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

static int put_meta(struct store *s, const char *key, const void *data, size_t size,
                    struct error *e) {
    union {
        const void *read;
        void *data;
    } k = {.read = key}, v = {.read = data};
    MDB_val name = {strlen(key), k.data}, value = {size, v.data};
    int rc = store_writable(s, e);
    if (rc < 0) {
        return rc;
    }
    int code = mdb_put(s->txn, s->databases[DB_META], &name, &value, 0);
    return code == 0 ? 0 : store_failed(s, code, e);
}

/* 1: found; 0: not. */
static int get_meta(struct store *s, MDB_txn *txn, const char *key, MDB_val *value,
                    struct error *e) {
    union {
        const char *read;
        void *data;
    } k = {.read = key};
    MDB_val name = {strlen(key), k.data};
    int code = mdb_get(txn, s->databases[DB_META], &name, value);
    return code == 0 ? 1 : code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

/* ---- The dictionary of samples ---------------------------------------------------------- */

enum { DICTIONARY_SIZE = 16 << 10 };

static int use_dictionary(struct store *s, const void *data, size_t size, struct error *e) {
    s->pack_dictionary = ZSTD_createCDict(data, size, ZSTD_CLEVEL_DEFAULT);
    s->unpack_dictionary = ZSTD_createDDict(data, size);
    s->dictionary_id = ZSTD_getDictID_fromDict(data, size);
    return s->pack_dictionary != NULL && s->unpack_dictionary != NULL
               ? 0
               : error_set(e, ERR_MEMORY, "out of memory");
}

static void drop_dictionary(struct store *s) {
    ZSTD_freeCDict(s->pack_dictionary);
    ZSTD_freeDDict(s->unpack_dictionary);
    s->pack_dictionary = NULL;
    s->unpack_dictionary = NULL;
}

/* With enough samples seen, those to come are packed with what they have in common. */
static int train_dictionary(struct store *s, struct error *e) {
    if (s->pack_dictionary != NULL || s->training_count < TRAINING_SAMPLES) {
        return 0;
    }
    unsigned char *dictionary = malloc(DICTIONARY_SIZE);
    if (dictionary == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    size_t size = ZDICT_trainFromBuffer(dictionary, DICTIONARY_SIZE, s->training.data,
                                        s->training_sizes, (unsigned)s->training_count);
    int rc = 0;
    if (!ZDICT_isError(size)) { /* else the samples have too little in common: later ones may */
        rc = put_meta(s, "dictionary", dictionary, size, e);
        if (rc == 0) {
            rc = use_dictionary(s, dictionary, size, e);
        }
    }
    free(dictionary);
    bytes_clear(&s->training);
    s->training_count = 0;
    return rc;
}

int store_pack_text(struct store *s, struct bytes *out, const void *text, size_t size,
                    struct error *e) {
    size_t bound = ZSTD_compressBound(size);
    int rc = size > TEXT_LIMIT ? error_set(e, ERR_LIMIT, "a text of %zu bytes", size)
                               : bytes_reserve(out, bound, e);
    if (rc < 0) {
        return rc;
    }
    ZSTD_CCtx_reset(s->packer, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(s->packer, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_refCDict(s->packer, s->pack_dictionary);
    size_t packed = ZSTD_compress2(s->packer, out->data + out->size, bound, text, size);
    if (ZSTD_isError(packed)) {
        return error_set(e, ERR_MEMORY, "packing a text: %s", ZSTD_getErrorName(packed));
    }
    out->size += packed;
    out->data[out->size] = '\0';
    return 0;
}

int store_unpack_text(struct store *s, struct bytes *out, const MDB_val *frame, struct error *e) {
    unsigned long long size = ZSTD_getFrameContentSize(frame->mv_data, frame->mv_size);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > TEXT_LIMIT) {
        return error_set(e, ERR_FORMAT, "is no packed text");
    }
    unsigned id = ZSTD_getDictID_fromFrame(frame->mv_data, frame->mv_size);
    if (id != 0 && (s->unpack_dictionary == NULL || id != s->dictionary_id)) {
        return error_set(e, ERR_FORMAT, "needs a dictionary that is not there");
    }
    int rc = bytes_reserve(out, (size_t)size, e);
    if (rc < 0) {
        return rc;
    }
    void *to = out->data + out->size;
    ZSTD_DCtx_reset(s->unpacker, ZSTD_reset_session_and_parameters);
    ZSTD_DCtx_refDDict(s->unpacker, id != 0 ? s->unpack_dictionary : NULL);
    size_t got = ZSTD_decompressDCtx(s->unpacker, to, (size_t)size, frame->mv_data, frame->mv_size);
    if (ZSTD_isError(got) || got != size) {
        return error_set(e, ERR_FORMAT, "is damaged: %s",
                         ZSTD_isError(got) ? ZSTD_getErrorName(got) : "too short");
    }
    out->size += got;
    out->data[out->size] = '\0';
    return 0;
}

/* ---- Opening ------------------------------------------------------------------------------ */

static int read_encoder(struct store *s, const MDB_val *value, struct error *e) {
    json_t *root = json_loadb(value->mv_data, value->mv_size, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "name"));
    const char *print = json_string_value(json_object_get(root, "fingerprint"));
    json_int_t dim = json_integer_value(json_object_get(root, "dim"));
    int rc = 0;
    char *end = NULL;
    if (name == NULL || print == NULL || dim < 1 || dim > 65535) {
        rc = error_set(e, ERR_FORMAT, "%s: no encoder is named in its meta", s->path);
    } else {
        snprintf(s->encoder.name, sizeof s->encoder.name, "%s", name);
        s->encoder.fingerprint = strtoull(print, &end, 16);
        s->encoder.dim = (int)dim;
    }
    json_decref(root);
    return rc;
}

static int write_encoder(struct store *s, struct error *e) {
    char print[17], format[32];
    snprintf(print, sizeof print, "%016" PRIx64, s->encoder.fingerprint);
    snprintf(format, sizeof format, "%s%d", FORMAT_PREFIX, STORE_VERSION);
    json_t *root = json_pack("{s:s, s:s, s:i}", "name", s->encoder.name, "fingerprint", print,
                             "dim", s->encoder.dim);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    int rc = text != NULL ? put_meta(s, "encoder", text, strlen(text), e)
                          : error_set(e, ERR_MEMORY, "out of memory");
    if (rc == 0) {
        rc = put_meta(s, "format", format, strlen(format), e);
    }
    free(text);
    json_decref(root);
    return rc;
}

static int check_format(struct store *s, const MDB_val *format, struct error *e) {
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(format->mv_size < 60 ? format->mv_size : 60),
             (const char *)format->mv_data);
    size_t prefix = strlen(FORMAT_PREFIX);
    if (strncmp(text, FORMAT_PREFIX, prefix) != 0) {
        return error_set(e, ERR_FORMAT, "%s: is no token store", s->path);
    }
    if (strtol(text + prefix, NULL, 10) != STORE_VERSION) {
        return error_set(e, ERR_UNSUPPORTED, "%s: format '%s', this program reads '%s%d'", s->path,
                         text, FORMAT_PREFIX, STORE_VERSION);
    }
    return 0;
}

static int read_meta(struct store *s, MDB_txn *txn, struct error *e) {
    MDB_val value;
    int rc = get_meta(s, txn, "format", &value, e);
    if (rc <= 0) {
        return rc < 0 ? rc : error_set(e, ERR_FORMAT, "%s: is no token store", s->path);
    }
    rc = check_format(s, &value, e);
    if (rc == 0) {
        rc = get_meta(s, txn, "encoder", &value, e);
        rc = rc == 1 ? read_encoder(s, &value, e)
                     : error_set(e, ERR_FORMAT, "%s: no encoder is named in its meta", s->path);
    }
    if (rc == 0) {
        rc = get_meta(s, txn, "dictionary", &value, e);
        rc = rc == 1 ? use_dictionary(s, value.mv_data, value.mv_size, e) : rc;
    }
    if (rc == 0) {
        rc = get_meta(s, txn, "vectors", &value, e);
        size_t size = 2 * (size_t)s->encoder.dim * sizeof *s->vectors;
        if (rc == 1 && value.mv_size == size) {
            s->vectors = malloc(size);
            if (s->vectors == NULL) {
                return error_set(e, ERR_MEMORY, "out of memory");
            }
            memcpy(s->vectors, value.mv_data, size);
        }
        rc = rc == 1 && value.mv_size != size
                 ? error_set(e, ERR_FORMAT, "%s: vectors of a wrong size in its meta", s->path)
                 : rc;
    }
    return rc < 0 ? rc : 0;
}

static int open_databases(struct store *s, MDB_txn *txn, unsigned flags, struct error *e) {
    for (int i = 0; i < DB_COUNT; i++) {
        int code = mdb_dbi_open(txn, DATABASES[i], flags, &s->databases[i]);
        if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE) {
            return error_set(e, ERR_FORMAT, "%s: is no token store", s->path);
        }
        if (code != 0) {
            return store_failed(s, code, e);
        }
    }
    return 0;
}

/* The map is address space only: as much as the file could ever take on its disk. */
static uint64_t map_size(const char *path) {
    char file[4096];
    struct stat status;
    uint64_t used = 0, free_space = free_bytes(path);
    snprintf(file, sizeof file, "%s/data.mdb", path);
    if (stat(file, &status) == 0) {
        used = (uint64_t)status.st_size;
    }
    uint64_t size = free_space < LARGEST_MAP ? used + free_space : LARGEST_MAP;
    size = (size + GIB) / GIB * GIB;
    return size < LARGEST_MAP ? size : LARGEST_MAP;
}

/* NOTLS: a read transaction belongs to its struct, not to the thread, so that a program may have
 * several stores open. NORDAHEAD: records are read at random. */
static int open_env(struct store *s, unsigned flags, struct error *e) {
    int code = mdb_env_create(&s->env);
    if (code == 0) {
        code = mdb_env_set_maxdbs(s->env, DB_COUNT);
    }
    if (code == 0) {
        code = mdb_env_set_maxreaders(s->env, READERS);
    }
    if (code == 0) {
        code = mdb_env_set_mapsize(s->env, (size_t)map_size(s->path));
    }
    if (code == 0) {
        code = mdb_env_open(s->env, s->path, flags | MDB_NOTLS | MDB_NORDAHEAD, 0666);
        /* No lock file can be made where nothing may be written; then nobody writes either. */
        if ((code == EACCES || code == EROFS) && (flags & MDB_RDONLY) != 0) {
            mdb_env_close(s->env);
            s->env = NULL;
            return (flags & MDB_NOLOCK) == 0 ? open_env(s, flags | MDB_NOLOCK, e)
                                             : error_errno(e, code, "%s", s->path);
        }
    }
    int dead = 0;
    if (code == 0 && (flags & MDB_NOLOCK) == 0) {
        code = mdb_reader_check(s->env, &dead); /* those that were killed keep pages from reuse */
    }
    return code == 0 ? 0 : store_failed(s, code, e);
}

static int store_new(struct store **out, const char *path, struct error *e) {
    *out = NULL;
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    s->lock = -1;
    bytes_init(&s->value, STREAM_MEMBER_LIMIT);
    bytes_init(&s->training, TRAINING_BYTES);
    s->path = strdup(path);
    s->packer = ZSTD_createCCtx();
    s->unpacker = ZSTD_createDCtx();
    if (s->path == NULL || s->packer == NULL || s->unpacker == NULL) {
        store_close(s);
        return error_set(e, ERR_MEMORY, "out of memory");
    }
    *out = s;
    return 0;
}

int store_open(struct store **out, const char *path, struct error *e) {
    char file[4096];
    struct store *s = NULL;
    *out = NULL;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    if (access(file, F_OK) != 0) {
        return error_set(e, errno == ENOENT || errno == ENOTDIR ? ERR_FORMAT : ERR_IO,
                         "%s: is no token store (no data.mdb in it)", path);
    }
    int rc = store_new(&s, path, e);
    if (rc < 0) {
        return rc;
    }
    MDB_txn *txn = NULL;
    rc = open_env(s, MDB_RDONLY, e);
    if (rc == 0) {
        rc = store_begin(s, &txn, e);
    }
    if (rc == 0) {
        rc = open_databases(s, txn, 0, e);
    }
    if (rc == 0) {
        rc = read_meta(s, txn, e);
    }
    if (rc == 0) { /* committed, so that the handles of the databases stay */
        int code = mdb_txn_commit(txn);
        rc = code == 0 ? 0 : store_failed(s, code, e);
    } else if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* ---- Opening for writing ----------------------------------------------------------------------
 */

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
            rc = error_set(e, ERR_FORMAT, "%s: is no token store: it holds %s", path, d->d_name);
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

static int check_encoder(struct store *s, const struct store_encoder *wanted, struct error *e) {
    const struct store_encoder *is = &s->encoder;
    if (wanted == NULL || (wanted->fingerprint == is->fingerprint && wanted->dim == is->dim)) {
        return 0;
    }
    return error_set(e, ERR_UNSUPPORTED,
                     "%s: holds tokens of the encoder %s (%016" PRIx64 "), not of %s (%016" PRIx64
                     "): one store, one encoder",
                     s->path, is->name, is->fingerprint, wanted->name, wanted->fingerprint);
}

/* The meta of an existing store, or of a new one. */
static int settle_meta(struct store *s, const struct store_encoder *encoder, struct error *e) {
    MDB_val value;
    int rc = get_meta(s, s->txn, "format", &value, e);
    if (rc == 0 && encoder == NULL) {
        return error_set(e, ERR_FORMAT, "%s: is no token store", s->path);
    }
    if (rc == 0) {
        s->encoder = *encoder;
        rc = write_encoder(s, e);
        rc = rc == 0 ? store_adopt_pins(s, e) : rc;
        return rc == 0 ? store_commit(s, e) : rc;
    }
    rc = rc < 0 ? rc : read_meta(s, s->txn, e);
    rc = rc < 0 ? rc : check_encoder(s, encoder, e);
    rc = rc < 0 ? rc : store_adopt_pins(s, e);
    return rc == 0 ? store_commit(s, e) : rc;
}

int store_open_write(struct store **out, const char *path, const struct store_encoder *encoder,
                     struct error *e) {
    struct store *s = NULL;
    *out = NULL;
    if (encoder != NULL && mkdir(path, 0777) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", path);
    }
    int rc = check_folder(path, e);
    if (rc == 0) {
        rc = store_new(&s, path, e);
    }
    if (rc < 0) {
        return rc;
    }
    s->writing = true;
    rc = lock_folder(s, e);
    if (rc == 0) {
        rc = open_env(s, 0, e);
    }
    if (rc == 0) {
        rc = store_writable(s, e);
    }
    if (rc == 0) {
        rc = open_databases(s, s->txn, encoder != NULL ? MDB_CREATE : 0, e);
    }
    if (rc == 0) {
        rc = settle_meta(s, encoder, e);
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
    ZSTD_freeCCtx(s->packer);
    ZSTD_freeDCtx(s->unpacker);
    drop_dictionary(s);
    bytes_close(&s->value);
    bytes_close(&s->training);
    free(s->vectors);
    free(s->path);
    free(s);
}

/* ---- The rest ---------------------------------------------------------------------------------
 */

const struct store_encoder *store_encoder(const struct store *s) {
    return &s->encoder;
}

const float *store_vectors(const struct store *s) {
    return s->vectors;
}

int store_put_vectors(struct store *s, const float *vectors, struct error *e) {
    size_t size = 2 * (size_t)s->encoder.dim * sizeof *vectors;
    int rc = put_meta(s, "vectors", vectors, size, e);
    if (rc == 0 && s->vectors == NULL) {
        s->vectors = malloc(size);
        rc = s->vectors != NULL ? 0 : error_set(e, ERR_MEMORY, "out of memory");
    }
    if (rc == 0) {
        memcpy(s->vectors, vectors, size);
    }
    return rc;
}

size_t store_pending(const struct store *s) {
    return s->pending;
}

int store_commit(struct store *s, struct error *e) {
    if (s->txn == NULL) {
        return 0;
    }
    bool had_dictionary = s->pack_dictionary != NULL;
    int rc = train_dictionary(s, e);
    if (rc < 0) {
        return rc;
    }
    MDB_txn *txn = s->txn;
    s->txn = NULL; /* ended by the call whether it succeeds or not */
    s->pending = 0;
    int code = mdb_txn_commit(txn);
    if (code != 0 && !had_dictionary) {
        drop_dictionary(s);
    }
    return code == 0 ? 0 : store_failed(s, code, e);
}
