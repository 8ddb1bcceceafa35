/* store_text.c - the dictionary of a store's texts: made, kept in the store, made anew. */
#include <string.h>

#include "store/store_state.h"

int store_train_dictionary(struct store *s, struct error *e) {
    struct bytes dictionary;
    bytes_init(&dictionary, TEXTS_SEEN_BYTES);
    int rc = texts_train(&s->texts, &dictionary, e);
    if (rc == 1) {
        rc = store_put_meta(s, "dictionary", dictionary.data, dictionary.size, e);
        if (rc < 0) { /* nothing may be packed with what is not in the store */
            texts_drop_dictionary(&s->texts);
        }
    }
    bytes_close(&dictionary);
    return rc;
}

/* ---- Another dictionary ------------------------------------------------------------------ */

struct renewal {
    struct store *s;
    struct texts old; /* with the old dictionary */
    struct bytes text;
};

static int unpack_old(struct renewal *r, const MDB_val *frame, struct error *e) {
    bytes_clear(&r->text);
    return texts_unpack(&r->old, &r->text, frame->mv_data, frame->mv_size, e);
}

/* Fills s->texts with what the new dictionary is made from. */
static int see_texts(struct renewal *r, struct error *e) {
    struct store *s = r->s;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = 0, code = mdb_cursor_open(s->txn, s->databases[DB_SAMPLES], &cursor);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (code == 0 && rc == 0 && s->texts.seen_count < TEXTS_SEEN) {
        rc = unpack_old(r, &v, e);
        if (rc == 0) {
            rc = texts_see(&s->texts, r->text.data, r->text.size, e);
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
        rc = texts_pack(&s->texts, &s->value, bytes_text(&r->text), r->text.size, e);
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
    struct renewal r = {.s = s, .old = s->texts};
    if (s->texts.unpack_dictionary == NULL) {
        return 0;
    }
    bytes_init(&r.text, TEXT_LIMIT);
    int rc = texts_open(&s->texts, e);
    if (rc == 0) {
        rc = see_texts(&r, e);
    }
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
    if (rc == 0 && s->has_cells) {
        rc = repack_database(&r, DB_CELLS, e);
    }
    texts_close(&r.old);
    bytes_close(&r.text);
    return rc;
}
