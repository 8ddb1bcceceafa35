/* store_maps.c - what a store keeps of its encoder for forgetting, in meta: the maps that it
 * learned for merging (compress/reader.h), and what its file says. With them a store is merged on
 * whatever becomes of that file. */
#include <string.h>

#include "store/store_state.h"

static const char META_MAPS[] = "maps";

int store_put_maps(struct store *s, const void *file, size_t size, struct error *e) {
    int rc = store_writable(s, e);
    bytes_clear(&s->value);
    if (rc == 0) {
        rc = texts_pack(&s->texts, &s->value, file, size, e);
    }
    return rc == 0 ? store_put_value(s, DB_META, META_MAPS, strlen(META_MAPS), s->value.data,
                                     s->value.size, e)
                   : rc;
}

int store_get_maps(struct store *s, struct bytes *file, struct error *e) {
    MDB_txn *txn;
    MDB_val value;
    int rc = store_begin(s, &txn, e);
    if (rc < 0) {
        return rc;
    }
    rc = store_get_value(s, txn, DB_META, META_MAPS, &value, e);
    if (rc == 1 && texts_unpack(&s->texts, file, value.mv_data, value.mv_size, e) < 0) {
        rc = error_context(e, "%s: the maps for merging", s->path);
    }
    return rc;
}

int store_has_maps(struct store *s, struct error *e) {
    MDB_txn *txn;
    MDB_val value;
    int rc = store_begin(s, &txn, e);
    if (rc == 0) {
        rc = store_get_value(s, txn, DB_META, META_MAPS, &value, e);
    }
    return rc;
}

/* ---- Notes --------------------------------------------------------------------------- */

static const char *const NOTES[NOTE_COUNT] = {
    [NOTE_MERGING] = "merging", [NOTE_FIDELITY] = "fidelity"};

static int find_note(struct store *s, enum store_note note, MDB_val *value, struct error *e) {
    MDB_txn *txn;
    int rc = store_begin(s, &txn, e);
    return rc == 0 ? store_get_value(s, txn, DB_META, NOTES[note], value, e) : rc;
}

int store_put_note(struct store *s, enum store_note note, const char *json, struct error *e) {
    MDB_val value;
    size_t size = strlen(json);
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = find_note(s, note, &value, e);
    }
    if (rc < 0) {
        return rc;
    }
    bool same = rc == 1 && value.mv_size == size && memcmp(value.mv_data, json, size) == 0;
    if (same) {
        return 0;
    }
    return store_put_value(s, DB_META, NOTES[note], strlen(NOTES[note]), json, size, e);
}

int store_get_note(struct store *s, enum store_note note, struct bytes *json, struct error *e) {
    MDB_val value;
    int rc = find_note(s, note, &value, e);
    if (rc == 1 && bytes_append(json, value.mv_data, value.mv_size, e) < 0) {
        return ERR_MEMORY;
    }
    return rc;
}
