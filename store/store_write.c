/* store_write.c - putting samples, pages and accounts into a store, and taking them out. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/json.h"
#include "store/store_state.h"

int store_put_value(struct store *s, enum store_database db, const void *key, size_t key_size,
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
    int code =
        store_has_database(s, db) ? mdb_del(s->txn, s->databases[db], &k, NULL) : MDB_NOTFOUND;
    s->pending += key_size;
    return code == 0 ? 1 : code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
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
        if (code == 0) {
            code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
        } /* the one after it */
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

int store_forget_text(struct store *s, const char *key, int64_t *bytes, struct error *e) {
    static const enum store_database FROM[] = {DB_SAMPLES, DB_TEXT, DB_CELLS};
    MDB_val value;
    int rc = store_writable(s, e);
    for (size_t i = 0; i < sizeof FROM / sizeof *FROM && rc >= 0; i++) {
        rc = store_get_value(s, s->txn, FROM[i], key, &value, e);
        if (rc == 1) {
            *bytes += (int64_t)value.mv_size;
            rc = take_out(s, FROM[i], key, strlen(key), e);
        }
    }
    return rc < 0 ? rc : 0;
}

int store_remove(struct store *s, const char *key, struct error *e) {
    json_t *entry;
    int64_t bytes = 0;
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = store_journal_get(s, key, &entry, e);
    }
    if (rc <= 0) {
        return rc;
    }
    rc = remove_pages(s, key, json_get_integer(entry, "created", 0), e);
    json_decref(entry);
    if (rc == 0) {
        rc = store_forget_text(s, key, &bytes, e);
    }
    if (rc == 0) {
        rc = take_out(s, DB_JOURNAL, key, strlen(key), e);
    }
    return rc;
}

static int put_text(struct store *s, enum store_database db, const char *key, const void *text,
                    size_t size, struct error *e) {
    bytes_clear(&s->value);
    int rc = texts_pack(&s->texts, &s->value, text, size, e);
    return rc == 0 ? store_put_value(s, db, key, strlen(key), s->value.data, s->value.size, e) : rc;
}

/* `facts`: NULL is none. */
static int put_record(struct store *s, const unsigned char *key, size_t key_size,
                      struct token_header *header, const void *payload, size_t size,
                      const struct bytes *facts, struct error *e) {
    size_t facts_size = facts != NULL ? facts->size : 0;
    if (facts_size > UINT16_MAX) {
        return error_set(e, ERR_LIMIT, "%zu bytes of facts do not fit a page's record", facts_size);
    }
    bytes_clear(&s->value);
    int rc = bytes_append(&s->value, header, sizeof *header, e);
    if (rc == 0) {
        rc = bytes_append(&s->value, payload, size, e);
    }
    if (rc == 0 && facts_size > 0) {
        rc = bytes_append(&s->value, facts->data, facts_size, e);
    }
    if (rc < 0) {
        return rc;
    }
    memcpy(header->magic, "OCT1", 4);
    header->payload = (uint32_t)size;
    header->facts = (uint16_t)facts_size;
    header->hash = XXH3_64bits(s->value.data + sizeof *header, size + facts_size);
    header->dim = (uint16_t)s->encoder.dim;
    memcpy(s->value.data, header, sizeof *header);
    return store_put_value(s, DB_TOKENS, key, key_size, s->value.data, s->value.size, e);
}

static int put_page(struct store *s, const struct store_sample *sample,
                    const struct store_page *page, uint8_t flags, struct error *e) {
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
                                  .flags = flags,
                                  .accuracy = page->accuracy,
                                  .layout = page->layout};
    token_profile(header.profile, sample->profile);
    size_t size = token_key_make(key, sample->key, sample->created, page->page);
    return put_record(s, key, size, &header, page->payload, page->size, NULL, e);
}

/* What outlives a change of the sample: its marks in the journal, and that its pages are pinned. */
struct lasting {
    bool pinned, folded, pinned_pages;
};

static int get_lasting(struct store *s, const struct store_sample *sample, struct lasting *l,
                       struct error *e) {
    json_t *entry, *json = NULL;
    int rc = store_journal_get(s, sample->key, &entry, e);
    l->pinned = json_is_true(json_object_get(entry, MARK_PINNED));
    l->folded = json_is_true(json_object_get(entry, MARK_FOLDED));
    json_decref(entry);
    if (rc >= 0 && stream_is_pack(sample->key)) {
        json = json_loadb(sample->json, sample->json_size, 0, NULL);
        rc = json != NULL ? rc : error_set(e, ERR_FORMAT, "%s: its JSON is damaged", sample->key);
    }
    if (rc >= 0) {
        rc = store_shows_pinned(s, sample->key, json, e);
    }
    l->pinned_pages = rc > 0;
    json_decref(json);
    return rc < 0 ? rc : 0;
}

static int put_entry(struct store *s, const struct store_sample *sample, const struct lasting *l,
                     struct error *e) {
    json_t *entry = json_pack("{s:I, s:I, s:s, s:s}", "created", (json_int_t)sample->created,
                              "pages", (json_int_t)sample->page_count, "options", sample->options,
                              "input", sample->input);
    bool whole = entry != NULL;
    if (whole && l->pinned) {
        whole = json_object_set_new(entry, MARK_PINNED, json_true()) == 0;
    }
    if (whole && l->folded) {
        whole = json_object_set_new(entry, MARK_FOLDED, json_true()) == 0;
    }
    int rc = whole ? store_journal_put(s, sample->key, entry, e) : error_memory(e, NULL);
    json_decref(entry);
    return rc;
}

int store_put(struct store *s, const struct store_sample *sample, struct error *e) {
    struct lasting lasting = {.pinned = false};
    const char *slash = strchr(sample->key, '/');
    if (slash == NULL || slash == sample->key || strlen(sample->key) >= STREAM_KEY_BYTES) {
        return error_set(e, ERR_USAGE, "'%s' is not the key of a sample", sample->key);
    }
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = get_lasting(s, sample, &lasting, e);
    }
    if (rc == 0) {
        rc = store_remove(s, sample->key, e);
    }
    for (size_t i = 0; i < sample->page_count && rc >= 0; i++) {
        rc = put_page(s, sample, &sample->pages[i], lasting.pinned_pages ? TOKEN_PINNED : 0, e);
    }
    if (rc >= 0) {
        rc = put_text(s, DB_SAMPLES, sample->key, sample->json, sample->json_size, e);
    }
    if (rc == 0 && sample->text_size > 0) {
        rc = put_text(s, DB_TEXT, sample->key, sample->text, sample->text_size, e);
    }
    if (rc == 0 && sample->cells_size > 0 && !s->has_cells) { /* it was opened without encoder */
        rc = error_set(e, ERR_USAGE, "%s: has no place for cells", s->path);
    }
    if (rc == 0 && sample->cells_size > 0) {
        rc = put_text(s, DB_CELLS, sample->key, sample->cells, sample->cells_size, e);
    }
    if (rc == 0) {
        rc = texts_see(&s->texts, sample->json, sample->json_size, e);
    }
    return rc == 0 ? put_entry(s, sample, &lasting, e) : rc;
}

/* ---- Pages and accounts, for forgetting ------------------------------------------------- */

int store_put_tokens(struct store *s, const struct token_record *old,
                     const struct token_header *header, const void *payload, size_t size,
                     const struct bytes *facts, struct error *e) {
    unsigned char key[TOKEN_KEY];
    struct token_header copy = *header;
    int rc = store_writable(s, e);
    copy.created = old->header.created;
    size_t key_size = token_key_make(key, old->key, copy.created, old->page);
    return rc == 0 ? put_record(s, key, key_size, &copy, payload, size, facts, e) : rc;
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
    return store_put_value(s, DB_TOKENS, key, size, s->value.data, s->value.size, e);
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
    rc = store_journal_get(s, record->key, &entry, e);
    if (rc == 1) {
        json_int_t pages = json_integer_value(json_object_get(entry, "pages"));
        rc = json_object_set_new(entry, "pages", json_integer(pages - 1)) == 0
                 ? store_journal_put(s, record->key, entry, e)
                 : error_memory(e, NULL);
        json_decref(entry);
        if (rc == 0 && pages <= 1) { /* cells are of no use without their tokens */
            rc = take_out(s, DB_CELLS, record->key, strlen(record->key), e);
            rc = rc < 0 ? rc : 0;
        }
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
    return rc == 0 ? store_put_value(s, DB_ACCOUNTS, account, strlen(account), s->value.data,
                                     s->value.size, e)
                   : rc;
}
