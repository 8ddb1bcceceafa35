/* store_read.c - going through a store. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/json.h"
#include "store/store_state.h"

typedef int take_record(void *context, const struct token_record *record, struct error *e);

static int read_record(const struct store *s, struct token_record *record, const MDB_val *key,
                       const MDB_val *value, struct error *e) {
    int64_t created;
    const char *fault = token_key_read(record, &created, key) ? token_value_read(record, s, value)
                                                              : "has a damaged key";
    return fault == NULL ? 0
                         : error_set(e, ERR_FORMAT, "%s: a record of tokens %s: occ store verify",
                                     s->path, fault);
}

/* Calls `take` for the records whose keys begin with the prefix. */
static int walk(struct store *s, MDB_txn *txn, const unsigned char *prefix, size_t size,
                take_record *take, void *context, struct error *e) {
    MDB_cursor *cursor;
    struct token_record record;
    int code = mdb_cursor_open(txn, s->databases[DB_TOKENS], &cursor), rc = 0;
    if (code != 0) {
        return store_failed(s, code, e);
    }
    MDB_val k = value_of(prefix, size), v;
    code = mdb_cursor_get(cursor, &k, &v, size > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (code == 0 && rc == 0 && k.mv_size >= size && memcmp(k.mv_data, prefix, size) == 0) {
        rc = read_record(s, &record, &k, &v, e);
        if (rc == 0) {
            rc = take(context, &record, e);
        }
        code = rc == 0 ? mdb_cursor_get(cursor, &k, &v, MDB_NEXT) : 0;
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND ? rc : store_failed(s, code, e);
}

int store_each(struct store *s, const char *account, take_record *take, void *context,
               struct error *e) {
    unsigned char prefix[TOKEN_KEY];
    MDB_txn *txn;
    if (account != NULL && strlen(account) >= STREAM_KEY_BYTES) {
        return 0;
    }
    size_t size = account != NULL ? account_prefix(prefix, account) : 0;
    int rc = store_begin(s, &txn, e);
    if (rc == 0) {
        rc = walk(s, txn, prefix, size, take, context, e);
    }
    return rc;
}

int store_get_value(struct store *s, MDB_txn *txn, enum store_database db, const char *key,
                    MDB_val *value, struct error *e) {
    MDB_val k = value_of(key, strlen(key));
    if (k.mv_size == 0 || k.mv_size >= STREAM_KEY_BYTES || !store_has_database(s, db)) {
        return 0;
    }
    int code = mdb_get(txn, s->databases[db], &k, value);
    return code == 0 ? 1 : code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

/* What the token keys of a sample begin with, or (`page` >= 0) the key of a page. 1: *size bytes;
 * 0: the journal does not have the sample. */
static int find_key(struct store *s, MDB_txn *txn, unsigned char token_key[TOKEN_KEY], size_t *size,
                    const char *key, int page, struct error *e) {
    MDB_val value;
    int rc = store_get_value(s, txn, DB_JOURNAL, key, &value, e);
    if (rc == 1) {
        json_t *entry = json_loadb(value.mv_data, value.mv_size, 0, NULL);
        *size = token_key_make(token_key, key, json_get_integer(entry, "created", 0), page);
        json_decref(entry);
    }
    return rc;
}

int store_each_page(struct store *s, const char *key, take_record *take, void *context,
                    struct error *e) {
    unsigned char prefix[TOKEN_KEY];
    size_t size = 0;
    MDB_txn *txn;
    int rc = store_begin(s, &txn, e);
    if (rc == 0) {
        rc = find_key(s, txn, prefix, &size, key, -1, e);
    }
    return rc == 1 ? walk(s, txn, prefix, size, take, context, e) : rc;
}

int store_get_page(struct store *s, const char *key, int page, struct token_record *record,
                   struct error *e) {
    unsigned char token_key[TOKEN_KEY];
    size_t size = 0;
    MDB_txn *txn;
    MDB_val value;
    if (page < 0 || page >= STORE_PAGES) {
        return 0;
    }
    int rc = store_begin(s, &txn, e);
    if (rc == 0) {
        rc = find_key(s, txn, token_key, &size, key, page, e);
    }
    if (rc <= 0) {
        return rc;
    }
    MDB_val k = value_of(token_key, size);
    int code = mdb_get(txn, s->databases[DB_TOKENS], &k, &value);
    if (code != 0) {
        return code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
    }
    return read_record(s, record, &k, &value, e) < 0 ? ERR_FORMAT : 1;
}

int store_each_sample(struct store *s,
                      int (*take)(void *context, const char *key, const char *journal, size_t size,
                                  struct error *e),
                      void *context, struct error *e) {
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = store_begin(s, &txn, e);
    if (rc < 0) {
        return rc;
    }
    int code = mdb_cursor_open(txn, s->databases[DB_JOURNAL], &cursor);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (code == 0 && rc == 0) {
        char key[STREAM_KEY_BYTES];
        if (k.mv_size < sizeof key) {
            memcpy(key, k.mv_data, k.mv_size);
            key[k.mv_size] = '\0';
            rc = take(context, key, v.mv_data, v.mv_size, e);
        }
        code = rc == 0 ? mdb_cursor_get(cursor, &k, &v, MDB_NEXT) : 0;
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND ? rc : store_failed(s, code, e);
}

/* The account part of the first key of `db` that is not below `from`. 1: found; 0: none. */
static int next_account(struct store *s, MDB_txn *txn, enum store_database db, const char *from,
                        char account[STREAM_KEY_BYTES], struct error *e) {
    MDB_cursor *cursor;
    MDB_val k = value_of(from, strlen(from)), v;
    int code = mdb_cursor_open(txn, s->databases[db], &cursor);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    code = mdb_cursor_get(cursor, &k, &v, k.mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST);
    if (code == 0) {
        size_t length = 0;
        const char *bytes = k.mv_data;
        while (length < k.mv_size && length < STREAM_KEY_BYTES - 1 && bytes[length] != '\0') {
            account[length] = bytes[length];
            length++;
        }
        account[length] = '\0';
    }
    mdb_cursor_close(cursor);
    return code == 0 ? 1 : code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

/* Merges the accounts of the tokens and those that were folded. */
int store_each_account(struct store *s,
                       int (*take)(void *context, const char *account, struct error *e),
                       void *context, struct error *e) {
    char from[STREAM_KEY_BYTES + 2] = "", live[STREAM_KEY_BYTES], folded[STREAM_KEY_BYTES];
    MDB_txn *txn;
    int rc = store_begin(s, &txn, e);
    while (rc == 0) {
        int has_live = next_account(s, txn, DB_TOKENS, from, live, e);
        int has_folded = next_account(s, txn, DB_ACCOUNTS, from, folded, e);
        if (has_live <= 0 && has_folded <= 0) {
            rc = has_live < 0 || has_folded < 0 ? ERR_IO : 0;
            break;
        }
        bool first_is_live = has_live == 1 && (has_folded != 1 || strcmp(live, folded) <= 0);
        const char *account = first_is_live ? live : folded;
        rc = take(context, account, e);
        size_t length = strlen(account);
        memcpy(from, account, length);
        from[length] = '\1'; /* after all keys of this account, before those of a longer name */
        from[length + 1] = '\0';
    }
    return rc;
}

int store_has(struct store *s, const char *key, struct error *e) {
    MDB_txn *txn;
    MDB_val value;
    int rc = store_begin(s, &txn, e);
    if (rc == 0) {
        rc = store_get_value(s, txn, DB_JOURNAL, key, &value, e);
    }
    return rc;
}

static int get_text(struct store *s, enum store_database db, const char *key, struct bytes *out,
                    struct error *e) {
    MDB_txn *txn;
    MDB_val value;
    int rc = store_begin(s, &txn, e);
    if (rc < 0) {
        return rc;
    }
    rc = store_get_value(s, txn, db, key, &value, e);
    if (rc == 1) {
        rc = texts_unpack(&s->texts, out, value.mv_data, value.mv_size, e);
        rc = rc < 0 ? error_context(e, "%s: %s of %s", s->path,
                                    db == DB_TEXT    ? "the text"
                                    : db == DB_CELLS ? "the cells"
                                                     : "the JSON",
                                    key)
                    : 1;
    }
    return rc;
}

int store_get_json(struct store *s, const char *key, struct bytes *json, struct error *e) {
    return get_text(s, DB_SAMPLES, key, json, e);
}

int store_get_text(struct store *s, const char *key, struct bytes *text, struct error *e) {
    return get_text(s, DB_TEXT, key, text, e);
}

int store_get_cells(struct store *s, const char *key, struct bytes *cells, struct error *e) {
    return get_text(s, DB_CELLS, key, cells, e);
}

const char *store_text_page(const char *text, size_t size, int page, size_t *page_size) {
    const char *end = text + size, *stop = memchr(text, '\f', size);
    for (; page > 0 && stop != NULL; page--) {
        text = stop + 1;
        stop = memchr(text, '\f', (size_t)(end - text));
    }
    *page_size = (size_t)((stop != NULL ? stop : end) - text);
    return page == 0 ? text : NULL;
}

int store_get_account(struct store *s, const char *account, struct account_header *header,
                      double **sum, struct error *e) {
    MDB_txn *txn;
    MDB_val value;
    const void *values;
    *sum = NULL;
    int rc = store_begin(s, &txn, e);
    if (rc < 0) {
        return rc;
    }
    rc = store_get_value(s, txn, DB_ACCOUNTS, account, &value, e);
    if (rc == 1) {
        const char *fault = account_value_read(header, &values, s, &value);
        if (fault != NULL) {
            rc = error_set(e, ERR_FORMAT, "%s: the record of account %s %s", s->path, account,
                           fault);
        } else if (header->dim > 0) {
            *sum = malloc(header->dim * sizeof **sum);
            if (*sum != NULL) {
                memcpy(*sum, values, header->dim * sizeof **sum);
            } else {
                rc = error_memory(e, NULL);
            }
        }
    }
    return rc;
}

/* ---- Counting ------------------------------------------------------------------------------ */

static int count_record(void *context, const struct token_record *record, struct error *e) {
    struct store_counts *c = context;
    const struct token_header *h = &record->header;
    int64_t tokens = (int64_t)h->rows * h->columns;
    (void)e;
    c->pages++;
    c->tokens += tokens;
    c->characters += h->characters;
    c->payload_bytes[h->codec] += h->payload;
    c->codec_pages[h->codec]++;
    c->facts_bytes += h->facts;
    c->pinned_pages += (h->flags & TOKEN_PINNED) != 0;
    c->undated_pages += h->created <= STORE_UNDATED;
    c->bucket_pages[h->bucket]++;
    c->bucket_tokens[h->bucket] += tokens;
    c->bucket_bytes[h->bucket] += h->payload;
    return 0;
}

static int count_account(void *context, const char *account, struct error *e) {
    (void)account;
    (void)e;
    ((struct store_counts *)context)->accounts++;
    return 0;
}

/* Bytes of the values of a database, and their number. */
static int sum_database(struct store *s, MDB_txn *txn, enum store_database db, int64_t *bytes,
                        int64_t *count, int64_t *folded, struct error *e) {
    MDB_cursor *cursor;
    MDB_val k, v;
    int code = mdb_cursor_open(txn, s->databases[db], &cursor);
    if (code != 0) {
        return store_failed(s, code, e);
    }
    for (code = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); code == 0;
         code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        struct account_header header;
        const void *sum;
        *bytes += (int64_t)v.mv_size;
        *count += 1;
        if (folded != NULL && account_value_read(&header, &sum, s, &v) == NULL) {
            *folded += header.folded_pages;
        }
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : store_failed(s, code, e);
}

static int count_files(struct store *s, MDB_txn *txn, struct store_counts *c, struct error *e) {
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t file;
    struct stat status;
    int code = mdb_env_info(s->env, &info);
    if (code == 0) {
        code = mdb_env_get_fd(s->env, &file);
    }
    if (code == 0 && fstat(file, &status) == 0) {
        c->file_bytes = status.st_size;
    }
    for (int i = 0; i < DB_COUNT && code == 0; i++) {
        if (!store_has_database(s, (enum store_database)i)) {
            continue;
        }
        code = mdb_stat(txn, s->databases[i], &stat);
        if (code == 0) {
            c->used_bytes += (int64_t)(stat.ms_psize * (stat.ms_branch_pages + stat.ms_leaf_pages +
                                                        stat.ms_overflow_pages));
        }
    }
    return code == 0 ? 0 : store_failed(s, code, e);
}

int store_count(struct store *s, struct store_counts *counts, struct error *e) {
    MDB_txn *txn = NULL;
    int64_t records = 0, bytes = 0;
    *counts = (struct store_counts){.samples = 0};
    int rc = store_each(s, NULL, count_record, counts, e);
    if (rc == 0) {
        rc = store_each_account(s, count_account, counts, e);
    }
    if (rc == 0) {
        rc = store_begin(s, &txn, e);
    }
    if (rc < 0) {
        return rc;
    }
    rc = sum_database(s, txn, DB_SAMPLES, &counts->json_bytes, &records, NULL, e);
    if (rc == 0) {
        rc = sum_database(s, txn, DB_TEXT, &counts->text_bytes, &records, NULL, e);
    }
    if (rc == 0) {
        rc = sum_database(s, txn, DB_JOURNAL, &bytes, &counts->samples, NULL, e);
    }
    if (rc == 0) {
        rc = sum_database(s, txn, DB_ACCOUNTS, &bytes, &records, &counts->folded_pages, e);
    }
    if (rc == 0) {
        rc = count_files(s, txn, counts, e);
    }
    return rc;
}
