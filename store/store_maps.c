/* store_maps.c - the maps that the store's encoder learned for merging (compress/reader.h), in
 * meta: with them a store is merged on whatever becomes of the encoder's file. */
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
