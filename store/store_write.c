/* store_write.c - putting samples, pages and accounts into a store, and taking them out. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/json.h"
#include "store/store_state.h"

static MDB_val value_of(const void *data, size_t size) {
    union {
        const void *read;
        void *data;
    } u = {.read = data}; /* LMDB's values are not const; it only reads these */
    return (MDB_val){size, u.data};
}

static int put(struct store *s, enum store_database db, const void *key, size_t key_size,
               const void *data, size_t size, struct error *e) {
    MDB_val k = value_of(key, key_size), v = value_of(data, size);
    int code = mdb_put(s->txn, s->databases[db], &k, &v, 0);
    s->pending += key_size + size;
    return code == 0 ? 0 : store_failed(s, code, e);
}

/* 1: removed; 0: was not there. */
static int take_out(struct store *s, enum store_database db, const void *key, size_t key_size,
                    struct error *e) {
    MDB_val k = value_of(key, key_size);
    int code = mdb_del(s->txn, s->databases[db], &k, NULL);
    s->pending += key_size;
    return code == 0 ? 1 : code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

/* ---- The journal --------------------------------------------------------------------- */

/* 1: found, *entry is the caller's; 0: not there. */
static int journal_get(struct store *s, const char *key, json_t **entry, struct error *e) {
    MDB_val k = value_of(key, strlen(key)), v;
    MDB_txn *txn;
    *entry = NULL;
    int rc = store_begin(s, &txn, e);
    if (rc < 0) {
        return rc;
    }
    int code = mdb_get(txn, s->databases[DB_JOURNAL], &k, &v);
    if (code == 0) {
        *entry = json_loadb(v.mv_data, v.mv_size, 0, NULL);
        rc = json_is_object(*entry)
                 ? 1
                 : error_set(e, ERR_FORMAT, "%s: the journal of %s is damaged", s->path, key);
    } else if (code != MDB_NOTFOUND) {
        rc = store_failed(s, code, e);
    }
    if (rc < 0) {
        json_decref(*entry);
        *entry = NULL;
    }
    return rc;
}

static int journal_put(struct store *s, const char *key, json_t *entry, struct error *e) {
    bytes_clear(&s->value);
    int rc = json_append(&s->value, entry, e);
    return rc == 0 ? put(s, DB_JOURNAL, key, strlen(key), s->value.data, s->value.size, e) : rc;
}

int store_is_done(struct store *s, const char *key, const char *input, const char *options,
                  struct error *e) {
    json_t *entry;
    int rc = journal_get(s, key, &entry, e);
    if (rc <= 0) {
        return rc;
    }
    const char *had_input = json_string_value(json_object_get(entry, "input"));
    const char *had_options = json_string_value(json_object_get(entry, "options"));
    bool same = had_input != NULL && had_options != NULL && strcmp(had_input, input) == 0 &&
                strcmp(had_options, options) == 0;
    json_decref(entry);
    return same;
}

/* ---- Samples ------------------------------------------------------------------------- */

/* All token records of a sample. */
static int remove_pages(struct store *s, const char *key, int64_t created, struct error *e) {
    unsigned char prefix[TOKEN_KEY];
    size_t size = token_key_make(prefix, key, created, -1);
    MDB_cursor *cursor;
    int code = mdb_cursor_open(s->txn, s->databases[DB_TOKENS], &cursor);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    MDB_val k = value_of(prefix, size), v;
    code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (code == 0 && k.mv_size == size + 2 && memcmp(k.mv_data, prefix, size) == 0) {
        code = mdb_cursor_del(cursor, 0);
        s->pending += size;
        code = code == 0 ? mdb_cursor_get(cursor, &k, &v, MDB_NEXT) : code; /* the one behind */
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

int store_forget_text(struct store *s, const char *key, struct error *e) {
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = take_out(s, DB_SAMPLES, key, strlen(key), e);
    }
    if (rc >= 0) {
        rc = take_out(s, DB_TEXT, key, strlen(key), e);
    }
    return rc < 0 ? rc : 0;
}

int store_remove(struct store *s, const char *key, struct error *e) {
    json_t *entry;
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = journal_get(s, key, &entry, e);
    }
    if (rc <= 0) {
        return rc;
    }
    rc = remove_pages(s, key, json_get_integer(entry, "created", 0), e);
    json_decref(entry);
    if (rc == 0) {
        rc = store_forget_text(s, key, e);
    }
    if (rc == 0) {
        rc = take_out(s, DB_JOURNAL, key, strlen(key), e);
    }
    return rc;
}

static int put_text(struct store *s, enum store_database db, const char *key, const void *text,
                    size_t size, struct error *e) {
    bytes_clear(&s->value);
    int rc = store_pack_text(s, &s->value, text, size, e);
    return rc == 0 ? put(s, db, key, strlen(key), s->value.data, s->value.size, e) : rc;
}

static int put_record(struct store *s, const unsigned char *key, size_t key_size,
                      struct token_header *header, const void *payload, size_t size,
                      struct error *e) {
    memcpy(header->magic, "OCT1", 4);
    header->payload = (uint32_t)size;
    header->hash = XXH3_64bits(payload, size);
    header->dim = (uint16_t)s->encoder.dim;
    bytes_clear(&s->value);
    int rc = bytes_append(&s->value, header, sizeof *header, e);
    if (rc == 0) {
        rc = bytes_append(&s->value, payload, size, e);
    }
    return rc == 0 ? put(s, DB_TOKENS, key, key_size, s->value.data, s->value.size, e) : rc;
}

static int put_page(struct store *s, const struct store_sample *sample,
                    const struct store_page *page, struct error *e) {
    unsigned char key[TOKEN_KEY];
    bool fits = page->page >= 0 && page->page < STORE_PAGES && page->rows > 0 &&
                page->columns > 0 && (int64_t)page->rows * page->columns <= 65535;
    if (!fits) {
        return error_set(e, ERR_LIMIT, "%s: page %d of %dx%d tokens does not fit a store",
                         sample->key, page->page, page->rows, page->columns);
    }
    struct token_header header = {.codec = (uint8_t)page->codec,
                                  .rows = (uint16_t)page->rows,
                                  .columns = (uint16_t)page->columns,
                                  .full_rows = (uint16_t)page->rows,
                                  .full_columns = (uint16_t)page->columns,
                                  .characters = page->characters,
                                  .created = sample->created,
                                  .accuracy = page->accuracy};
    size_t size = token_key_make(key, sample->key, sample->created, page->page);
    return put_record(s, key, size, &header, page->payload, page->size, e);
}

/* Remembers the JSON for the dictionary that is still to be made. */
static int collect(struct store *s, const void *json, size_t size, struct error *e) {
    if (s->pack_dictionary != NULL || s->training_count == TRAINING_SAMPLES ||
        size > TRAINING_BYTES / TRAINING_SAMPLES) {
        return 0;
    }
    s->training_sizes[s->training_count++] = size;
    return bytes_append(&s->training, json, size, e);
}

int store_put(struct store *s, const struct store_sample *sample, struct error *e) {
    const char *slash = strchr(sample->key, '/');
    if (slash == NULL || slash == sample->key || strlen(sample->key) >= STREAM_KEY_BYTES) {
        return error_set(e, ERR_USAGE, "'%s' is no key of a sample", sample->key);
    }
    int rc = store_remove(s, sample->key, e);
    for (size_t i = 0; i < sample->page_count && rc >= 0; i++) {
        rc = put_page(s, sample, &sample->pages[i], e);
    }
    if (rc >= 0) {
        rc = put_text(s, DB_SAMPLES, sample->key, sample->json, sample->json_size, e);
    }
    if (rc == 0 && sample->text_size > 0) {
        rc = put_text(s, DB_TEXT, sample->key, sample->text, sample->text_size, e);
    }
    if (rc == 0) {
        rc = collect(s, sample->json, sample->json_size, e);
    }
    if (rc < 0) {
        return rc;
    }
    json_t *entry = json_pack("{s:I, s:I, s:s, s:s}", "created", (json_int_t)sample->created,
                              "pages", (json_int_t)sample->page_count, "options", sample->options,
                              "input", sample->input);
    rc = entry != NULL ? journal_put(s, sample->key, entry, e)
                       : error_set(e, ERR_MEMORY, "out of memory");
    json_decref(entry);
    return rc;
}

/* ---- Pages and accounts, for forgetting ------------------------------------------------- */

int store_put_tokens(struct store *s, const struct token_record *old,
                     const struct token_header *header, const void *payload, size_t size,
                     struct error *e) {
    unsigned char key[TOKEN_KEY];
    struct token_header copy = *header;
    int rc = store_writable(s, e);
    copy.created = old->header.created;
    size_t key_size = token_key_make(key, old->key, copy.created, old->page);
    return rc == 0 ? put_record(s, key, key_size, &copy, payload, size, e) : rc;
}

int store_put_flags(struct store *s, const struct token_record *record, uint8_t flags,
                    struct error *e) {
    unsigned char key[TOKEN_KEY];
    size_t size = token_key_make(key, record->key, record->header.created, record->page);
    int rc = store_writable(s, e);
    if (rc < 0) {
        return rc;
    }
    MDB_val k = value_of(key, size), v;
    int code = mdb_get(s->txn, s->databases[DB_TOKENS], &k, &v);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    bytes_clear(&s->value);
    rc = bytes_append(&s->value, v.mv_data, v.mv_size, e);
    if (rc < 0 || s->value.size < sizeof record->header) {
        return rc < 0 ? rc : error_set(e, ERR_FORMAT, "%s: a record is too short", s->path);
    }
    s->value.data[offsetof(struct token_header, flags)] = flags;
    return put(s, DB_TOKENS, key, size, s->value.data, s->value.size, e);
}

int store_remove_tokens(struct store *s, const struct token_record *record, struct error *e) {
    unsigned char key[TOKEN_KEY];
    size_t size = token_key_make(key, record->key, record->header.created, record->page);
    json_t *entry;
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = take_out(s, DB_TOKENS, key, size, e);
    }
    if (rc <= 0) {
        return rc;
    }
    rc = journal_get(s, record->key, &entry, e);
    if (rc == 1) {
        json_int_t pages = json_integer_value(json_object_get(entry, "pages"));
        rc = json_object_set_new(entry, "pages", json_integer(pages - 1)) == 0
                 ? journal_put(s, record->key, entry, e)
                 : error_set(e, ERR_MEMORY, "out of memory");
        json_decref(entry);
    }
    return rc;
}

int store_put_account(struct store *s, const char *account, const struct account_header *header,
                      const double *sum, struct error *e) {
    struct account_header copy = *header;
    memcpy(copy.magic, "OCA1", 4);
    bytes_clear(&s->value);
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = bytes_append(&s->value, &copy, sizeof copy, e);
    }
    if (rc == 0 && copy.dim > 0) {
        rc = bytes_append(&s->value, sum, copy.dim * sizeof *sum, e);
    }
    return rc == 0 ? put(s, DB_ACCOUNTS, account, strlen(account), s->value.data, s->value.size, e)
                   : rc;
}
