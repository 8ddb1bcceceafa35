/* store_text.c - JSON and texts as zstd frames, and the dictionary that they share. */
#include <stdlib.h>
#include <string.h>
#include <zdict.h>

#include "store/store_state.h"

enum { DICTIONARY_SIZE = 16 << 10 };

int store_use_dictionary(struct store *s, const void *data, size_t size, struct error *e) {
    s->pack_dictionary = ZSTD_createCDict(data, size, ZSTD_CLEVEL_DEFAULT);
    s->unpack_dictionary = ZSTD_createDDict(data, size);
    s->dictionary_id = ZSTD_getDictID_fromDict(data, size);
    return s->pack_dictionary != NULL && s->unpack_dictionary != NULL ? 0 : error_memory(e, NULL);
}

void store_drop_dictionary(struct store *s) {
    ZSTD_freeCDict(s->pack_dictionary);
    ZSTD_freeDDict(s->unpack_dictionary);
    s->pack_dictionary = NULL;
    s->unpack_dictionary = NULL;
}

/* With enough samples seen, those to come are packed with what they have in common. */
int store_train_dictionary(struct store *s, struct error *e) {
    if (s->pack_dictionary != NULL || s->training_count < TRAINING_SAMPLES) {
        return 0;
    }
    unsigned char *dictionary = malloc(DICTIONARY_SIZE);
    if (dictionary == NULL) {
        return error_memory(e, NULL);
    }
    size_t size = ZDICT_trainFromBuffer(dictionary, DICTIONARY_SIZE, s->training.data,
                                        s->training_sizes, (unsigned)s->training_count);
    int rc = 0;
    if (!ZDICT_isError(size)) { /* else the samples have too little in common: later ones may */
        rc = store_put_meta(s, "dictionary", dictionary, size, e);
        if (rc == 0) {
            rc = store_use_dictionary(s, dictionary, size, e);
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

/* ---- Another dictionary ------------------------------------------------------------------ */

struct renewal {
    struct store *s;
    ZSTD_DDict *old;
    unsigned old_id;
    struct bytes text;
};

static int unpack_old(struct renewal *r, const MDB_val *frame, struct error *e) {
    struct store *s = r->s;
    ZSTD_DDict *dictionary = s->unpack_dictionary;
    unsigned id = s->dictionary_id;
    s->unpack_dictionary = r->old;
    s->dictionary_id = r->old_id;
    bytes_clear(&r->text);
    int rc = store_unpack_text(s, &r->text, frame, e);
    s->unpack_dictionary = dictionary;
    s->dictionary_id = id;
    return rc;
}

/* Fills s->training anew. */
static int collect_training(struct renewal *r, struct error *e) {
    struct store *s = r->s;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = 0, code = mdb_cursor_open(s->txn, s->databases[DB_SAMPLES], &cursor);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    bytes_clear(&s->training);
    s->training_count = 0;
    code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (code == 0 && rc == 0 && s->training_count < TRAINING_SAMPLES) {
        rc = unpack_old(r, &v, e);
        if (rc == 0 && r->text.size <= TRAINING_BYTES / TRAINING_SAMPLES) {
            s->training_sizes[s->training_count++] = r->text.size;
            rc = bytes_append(&s->training, r->text.data, r->text.size, e);
        }
        code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc < 0 || code == 0 || code == MDB_NOTFOUND ? rc : store_failed(s, code, e);
}

static int repack_record(struct renewal *r, enum store_database db, MDB_val *key,
                         const MDB_val *frame, struct error *e) {
    struct store *s = r->s;
    bytes_clear(&s->value);
    int rc = unpack_old(r, frame, e);
    if (rc == 0) {
        rc = store_pack_text(s, &s->value, bytes_text(&r->text), r->text.size, e);
    }
    if (rc < 0) {
        return error_context(e, "%s: a text of %.*s", s->path, (int)key->mv_size,
                             (const char *)key->mv_data);
    }
    MDB_val value = {s->value.size, s->value.data};
    int code = mdb_put(s->txn, s->databases[db], key, &value, 0);
    return code == 0 ? 0 : store_failed(s, code, e);
}

static int repack_database(struct renewal *r, enum store_database db, struct error *e) {
    struct store *s = r->s;
    MDB_cursor *cursor;
    MDB_val k, v;
    char copy[STREAM_KEY_BYTES];
    int rc = 0, code = mdb_cursor_open(s->txn, s->databases[db], &cursor);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (code == 0 && rc == 0) {
        MDB_val key = {k.mv_size, copy};
        if (ZSTD_getDictID_fromFrame(v.mv_data, v.mv_size) != 0 && k.mv_size <= sizeof copy) {
            memcpy(copy, k.mv_data, k.mv_size);
            rc = repack_record(r, db, &key, &v, e);
            code = rc == 0 ? mdb_cursor_get(cursor, &key, NULL, MDB_SET) : 0;
        }
        code = rc == 0 && code == 0 ? mdb_cursor_get(cursor, &k, &v, MDB_NEXT) : code;
    }
    mdb_cursor_close(cursor);
    return rc < 0 || code == 0 || code == MDB_NOTFOUND ? rc : store_failed(s, code, e);
}

static int delete_dictionary(struct store *s, struct error *e) {
    char name[] = "dictionary";
    MDB_val key = {sizeof name - 1, name};
    int code = mdb_del(s->txn, s->databases[DB_META], &key, NULL);
    return code == 0 || code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

int store_renew_dictionary(struct store *s, struct error *e) {
    struct renewal r = {.s = s, .old = s->unpack_dictionary, .old_id = s->dictionary_id};
    if (r.old == NULL) {
        return 0;
    }
    bytes_init(&r.text, TEXT_LIMIT);
    int rc = collect_training(&r, e);
    ZSTD_freeCDict(s->pack_dictionary);
    s->pack_dictionary = NULL;
    s->unpack_dictionary = NULL;
    if (rc == 0) {
        rc = delete_dictionary(s, e);
    }
    if (rc == 0) {
        rc = store_train_dictionary(s, e);
    }
    if (rc == 0) {
        rc = repack_database(&r, DB_SAMPLES, e);
    }
    if (rc == 0) {
        rc = repack_database(&r, DB_TEXT, e);
    }
    ZSTD_freeDDict(r.old);
    bytes_close(&r.text);
    return rc;
}
