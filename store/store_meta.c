/* store_meta.c - the meta database: format, encoder, vectors. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/json.h"
#include "store/store_state.h"

const char *const STORE_DATABASES[DB_COUNT] = {"meta",     "samples", "text", "tokens",
                                               "accounts", "journal", "cells"};
static const char FORMAT_PREFIX[] = "occ-store ";

int store_put_meta(struct store *s, const char *key, const void *data, size_t size,
                   struct error *e) {
    MDB_val name = value_of(key, strlen(key)), value = value_of(data, size);
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
    MDB_val name = value_of(key, strlen(key));
    int code = mdb_get(txn, s->databases[DB_META], &name, value);
    return code == 0 ? 1 : code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

static int read_encoder(struct store *s, const MDB_val *value, struct error *e) {
    json_t *root = json_loadb(value->mv_data, value->mv_size, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "name"));
    const char *print = json_string_value(json_object_get(root, "fingerprint"));
    json_int_t dim = json_integer_value(json_object_get(root, "dim"));
    int rc = 0;
    char *end = NULL;
    if (name == NULL || print == NULL || dim < 1 || dim > 65535) {
        rc = error_set(e, ERR_FORMAT, "%s: its metadata names no encoder", s->path);
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
    struct bytes text;
    bytes_init(&text, STREAM_MEMBER_LIMIT);
    int rc = root != NULL ? json_append(&text, root, e) : error_memory(e, NULL);
    if (rc == 0) {
        rc = store_put_meta(s, "encoder", text.data, text.size, e);
    }
    if (rc == 0) {
        rc = store_put_meta(s, "format", format, strlen(format), e);
    }
    bytes_close(&text);
    json_decref(root);
    return rc;
}

static int check_format(struct store *s, const MDB_val *format, struct error *e) {
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(format->mv_size < 60 ? format->mv_size : 60),
             (const char *)format->mv_data);
    size_t prefix = strlen(FORMAT_PREFIX);
    if (strncmp(text, FORMAT_PREFIX, prefix) != 0) {
        return error_set(e, ERR_FORMAT, "%s: is not a token store", s->path);
    }
    if (strtol(text + prefix, NULL, 10) != STORE_VERSION) {
        return error_set(e, ERR_UNSUPPORTED, "%s: format '%s', this program reads '%s%d'", s->path,
                         text, FORMAT_PREFIX, STORE_VERSION);
    }
    return 0;
}

int store_read_meta(struct store *s, MDB_txn *txn, struct error *e) {
    MDB_val value;
    int rc = get_meta(s, txn, "format", &value, e);
    if (rc <= 0) {
        return rc < 0 ? rc : error_set(e, ERR_FORMAT, "%s: is not a token store", s->path);
    }
    rc = check_format(s, &value, e);
    if (rc == 0) {
        rc = get_meta(s, txn, "encoder", &value, e);
        rc = rc == 1 ? read_encoder(s, &value, e)
                     : error_set(e, ERR_FORMAT, "%s: its metadata names no encoder", s->path);
    }
    if (rc == 0) {
        rc = get_meta(s, txn, "dictionary", &value, e);
        if (rc == 1) {
            rc = texts_use_dictionary(&s->texts, value.mv_data, value.mv_size, e);
        }
    }
    if (rc == 0) {
        rc = get_meta(s, txn, "vectors", &value, e);
        size_t size = 2 * (size_t)s->encoder.dim * sizeof *s->vectors;
        if (rc == 1 && value.mv_size == size) {
            s->vectors = malloc(size);
            if (s->vectors == NULL) {
                return error_memory(e, NULL);
            }
            memcpy(s->vectors, value.mv_data, size);
        }
        if (rc == 1 && value.mv_size != size) {
            rc = error_set(e, ERR_FORMAT, "%s: its metadata holds vectors of the wrong size",
                           s->path);
        }
    }
    return rc < 0 ? rc : 0;
}

int store_open_databases(struct store *s, MDB_txn *txn, unsigned flags, struct error *e) {
    for (int i = 0; i < DB_COUNT; i++) {
        int code = mdb_dbi_open(txn, STORE_DATABASES[i], flags, &s->databases[i]);
        if (i == DB_CELLS) {
            s->has_cells = code == 0;
            code = code == MDB_NOTFOUND ? 0 : code;
        }
        if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE) {
            return error_set(e, ERR_FORMAT, "%s: is not a token store", s->path);
        }
        if (code != 0) {
            return store_failed(s, code, e);
        }
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
int store_settle_meta(struct store *s, const struct store_encoder *encoder, struct error *e) {
    MDB_val value;
    int rc = get_meta(s, s->txn, "format", &value, e);
    if (rc == 0 && encoder == NULL) {
        return error_set(e, ERR_FORMAT, "%s: is not a token store", s->path);
    }
    if (rc == 0) {
        s->encoder = *encoder;
        rc = write_encoder(s, e);
        if (rc == 0) {
            rc = store_adopt_pins(s, e);
        }
        return rc == 0 ? store_commit(s, e) : rc;
    }
    if (rc >= 0) {
        rc = store_read_meta(s, s->txn, e);
    }
    if (rc >= 0) {
        rc = check_encoder(s, encoder, e);
    }
    if (rc >= 0) {
        rc = store_adopt_pins(s, e);
    }
    return rc == 0 ? store_commit(s, e) : rc;
}

int store_put_vectors(struct store *s, const float *vectors, struct error *e) {
    size_t size = 2 * (size_t)s->encoder.dim * sizeof *vectors;
    int rc = store_put_meta(s, "vectors", vectors, size, e);
    if (rc == 0 && s->vectors == NULL) {
        s->vectors = malloc(size);
        rc = s->vectors != NULL ? 0 : error_memory(e, NULL);
    }
    if (rc == 0) {
        memcpy(s->vectors, vectors, size);
    }
    return rc;
}
