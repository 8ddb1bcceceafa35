/* store_remove.c - taking samples and accounts out of a store for good: see store.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/json.h"
#include "store/store_state.h"
#include "store/table.h"

/* What is kept under the key of a sample, besides its tokens. */
static const enum store_database BY_KEY[] = {DB_SAMPLES, DB_TEXT, DB_JOURNAL, DB_CELLS};
enum { BY_KEY_COUNT = sizeof BY_KEY / sizeof *BY_KEY };

enum { PREFIX_BYTES = STREAM_KEY_BYTES + sizeof STREAM_PACK };

struct removing {
    struct store *s;
    struct store_removal *removal;
    struct table *named;   /* samples and packs that are to go */
    struct table *shown;   /* samples on packs that go */
    struct table *staying; /* samples on packs that stay */
    struct table *folded;  /* accounts in whose style sum a removed sample is */
    struct bytes keys;     /* of an account */
    struct bytes json;     /* of a pack */
};

/* ---- Records ------------------------------------------------------------------------------- */

/* Removes all records whose keys begin with the prefix, and counts them. */
static int remove_range(struct removing *r, enum store_database db, const void *prefix, size_t size,
                        int64_t *count, struct error *e) {
    MDB_cursor *cursor;
    if (!store_has_database(r->s, db)) {
        return 0;
    }
    int code = mdb_cursor_open(r->s->txn, r->s->databases[db], &cursor);
    if (code != 0) {
        return store_failed(r->s, code, e);
    }
    MDB_val k = value_of(prefix, size), v;
    code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (code == 0 && k.mv_size >= size && memcmp(k.mv_data, prefix, size) == 0) {
        code = mdb_cursor_del(cursor, 0);
        *count += code == 0;
        if (code == 0) {
            code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
        } /* the one after it */
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND ? 0 : store_failed(r->s, code, e);
}

static int remove_record(struct removing *r, enum store_database db, const char *key,
                         struct error *e) {
    MDB_val k = value_of(key, strlen(key));
    int code = store_has_database(r->s, db) ? mdb_del(r->s->txn, r->s->databases[db], &k, NULL)
                                            : MDB_NOTFOUND;
    return code == 0 || code == MDB_NOTFOUND ? 0 : store_failed(r->s, code, e);
}

/* Fills r->keys with the journal's keys that begin with the prefix, each with its zero. */
static int list_keys(struct removing *r, const char *prefix, struct error *e) {
    size_t size = strlen(prefix);
    MDB_cursor *cursor;
    MDB_val k = value_of(prefix, size), v;
    int rc = 0, code = mdb_cursor_open(r->s->txn, r->s->databases[DB_JOURNAL], &cursor);
    if (code != 0) {
        return store_failed(r->s, code, e);
    }
    bytes_clear(&r->keys);
    code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (code == 0 && rc == 0 && k.mv_size >= size && memcmp(k.mv_data, prefix, size) == 0) {
        rc = bytes_append(&r->keys, k.mv_data, k.mv_size, e);
        if (rc == 0) {
            rc = bytes_append(&r->keys, "", 1, e);
        }
        code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc < 0 || code == 0 || code == MDB_NOTFOUND ? rc : store_failed(r->s, code, e);
}

/* "ACCOUNT" and what follows it; of a sample's key, or a name. */
static void account_text(char text[PREFIX_BYTES], const char *key, const char *end) {
    snprintf(text, PREFIX_BYTES, "%.*s%s", (int)stream_account_size(key), key, end);
}

/* ---- Packs ---------------------------------------------------------------------------------- */

static int add_all(struct table *to, const json_t *names, struct error *e) {
    const json_t *name;
    size_t i;
    int rc = 0;
    json_array_foreach(names, i, name) {
        if (rc >= 0 && json_is_string(name)) {
            rc = table_add(to, json_string_value(name), 0, NULL, e);
        }
    }
    return rc < 0 ? rc : 0;
}

/* A pack goes where it is named, or shows a sample that is. */
static int sort_pack(struct removing *r, const char *pack, struct error *e) {
    const json_t *name;
    size_t i;
    bytes_clear(&r->json);
    int rc = store_get_json(r->s, pack, &r->json, e);
    if (rc < 0) {
        return rc;
    }
    json_t *root = rc == 1 ? json_loadb(bytes_text(&r->json), r->json.size, 0, NULL) : NULL;
    const json_t *samples = json_object_get(root, "samples");
    bool goes = table_find(r->named, pack, NULL);
    json_array_foreach(samples, i, name) {
        goes =
            goes || (json_is_string(name) && table_find(r->named, json_string_value(name), NULL));
    }
    rc = add_all(goes ? r->shown : r->staying, samples, e);
    if (rc == 0 && goes) {
        rc = table_add(r->named, pack, 0, NULL, e);
        r->removal->packs++;
    }
    json_decref(root);
    return rc < 0 ? rc : 0;
}

/* Packs show samples of one account. */
static int sort_packs(struct removing *r, const char *account, struct error *e) {
    char prefix[PREFIX_BYTES];
    account_text(prefix, account, STREAM_PACK);
    int rc = list_keys(r, prefix, e);
    const char *key = bytes_text(&r->keys), *end = key + r->keys.size;
    for (; rc == 0 && key < end; key += strlen(key) + 1) {
        rc = sort_pack(r, key, e);
    }
    return rc;
}

/* ---- Samples -------------------------------------------------------------------------------- */

/* Everything under a key. What no page shows, and is not waiting to be made again, was folded. */
static int remove_key(struct removing *r, const char *key, struct error *e) {
    unsigned char prefix[TOKEN_KEY];
    char account[PREFIX_BYTES];
    json_t *entry;
    int64_t pages = 0;
    int rc = store_journal_get(r->s, key, &entry, e);
    if (rc <= 0) {
        return rc;
    }
    size_t size = token_key_make(prefix, key, json_get_integer(entry, "created", 0), -1);
    const char *input = json_string_value(json_object_get(entry, "input"));
    rc = remove_range(r, DB_TOKENS, prefix, size, &pages, e);
    bool folded =
        json_is_true(json_object_get(entry, MARK_FOLDED)) ||
        (pages == 0 && !table_find(r->shown, key, NULL) && input != NULL && input[0] != '\0');
    for (int i = 0; i < BY_KEY_COUNT && rc == 0; i++) {
        rc = remove_record(r, BY_KEY[i], key, e);
    }
    json_decref(entry);
    r->removal->pages += pages;
    if (rc == 0 && folded) {
        account_text(account, key, "");
        rc = table_add(r->folded, account, 0, NULL, e);
    }
    return rc < 0 ? rc : 0;
}

/* A sample of a removed pack is to be made again, unless another pack shows it. */
static int ask_for(struct removing *r, const char *key, struct error *e) {
    json_t *entry;
    if (!table_find(r->shown, key, NULL) || table_find(r->staying, key, NULL)) {
        return 0;
    }
    int rc = store_journal_get(r->s, key, &entry, e);
    if (rc == 1) {
        rc = json_object_set_new(entry, "input", json_string("")) == 0
                 ? store_journal_put(r->s, key, entry, e)
                 : error_memory(e, NULL);
        if (rc == 0 && r->removal->lost_page != NULL) {
            r->removal->lost_page(r->removal->context, key);
        }
    }
    json_decref(entry);
    return rc;
}

/* Nothing is in the account's style sum any more, and no sample is marked as being in it. */
static int reset_style(struct removing *r, const char *account, struct error *e) {
    struct account_header header;
    double *sum;
    int rc = store_get_account(r->s, account, &header, &sum, e);
    free(sum);
    if (rc <= 0 || header.dim == 0) {
        return rc < 0 ? rc : 0;
    }
    const struct account_header empty = {.aged = header.aged};
    rc = store_put_account(r->s, account, &empty, NULL, e);
    const char *key = bytes_text(&r->keys), *end = key + r->keys.size;
    for (; rc == 0 && key < end; key += strlen(key) + 1) {
        json_t *entry;
        rc = store_journal_get(r->s, key, &entry, e);
        if (rc == 1) {
            rc = json_object_del(entry, MARK_FOLDED) == 0 ? store_journal_put(r->s, key, entry, e)
                                                          : 0;
        }
        json_decref(entry);
    }
    if (rc == 0 && r->removal->lost_style != NULL) {
        r->removal->lost_style(r->removal->context, account);
    }
    return rc;
}

/* What becomes of an account of which samples were removed. */
static int settle_account(struct removing *r, const char *account, struct error *e) {
    char prefix[PREFIX_BYTES];
    account_text(prefix, account, "/");
    int rc = list_keys(r, prefix, e);
    if (rc == 0 && r->keys.size == 0) {
        return remove_record(r, DB_ACCOUNTS, account, e);
    }
    const char *key = bytes_text(&r->keys), *end = key + r->keys.size;
    for (; rc == 0 && key < end; key += strlen(key) + 1) {
        rc = ask_for(r, key, e);
    }
    return rc == 0 && table_find(r->folded, account, NULL) ? reset_style(r, account, e) : rc;
}

/* ---- The whole ------------------------------------------------------------------------------ */

static int begin(struct removing *r, struct error *e) {
    struct table **tables[] = {&r->named, &r->shown, &r->staying, &r->folded};
    r->removal->samples = r->removal->packs = r->removal->pages = 0;
    bytes_init(&r->keys, STREAM_SAMPLE_LIMIT);
    bytes_init(&r->json, TEXT_LIMIT);
    int rc = store_writable(r->s, e);
    for (size_t i = 0; i < sizeof tables / sizeof *tables && rc == 0; i++) {
        rc = table_open(tables[i], e);
    }
    return rc;
}

static int finish(struct removing *r, int rc, struct error *e) {
    if (rc == 0) {
        rc = store_renew_dictionary(r->s, e);
    }
    if (rc == 0) {
        rc = store_commit(r->s, e);
    }
    table_close(r->named);
    table_close(r->shown);
    table_close(r->staying);
    table_close(r->folded);
    bytes_close(&r->keys);
    bytes_close(&r->json);
    return rc;
}

static int name_keys(struct removing *r, char *const *keys, size_t count, struct error *e) {
    int rc = 0;
    for (size_t i = 0; i < count && rc >= 0; i++) {
        rc = store_has(r->s, keys[i], e);
        if (rc == 0) {
            return error_set(e, ERR_FORMAT, "%s: is not in the store", keys[i]);
        }
        if (rc == 1) {
            rc = table_add(r->named, keys[i], 0, NULL, e);
        }
        r->removal->samples += rc == 1 && !stream_is_pack(keys[i]);
    }
    return rc < 0 ? rc : 0;
}

/* The accounts of the keys, each once, each with its zero. */
static int list_accounts(struct bytes *accounts, char *const *keys, size_t count, struct error *e) {
    struct table *known;
    int rc = table_open(&known, e);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        char account[PREFIX_BYTES];
        account_text(account, keys[i], "");
        rc = table_add(known, account, 0, NULL, e);
        if (rc == 1) {
            rc = bytes_append(accounts, account, strlen(account) + 1, e);
        }
    }
    table_close(known);
    return rc < 0 ? rc : 0;
}

typedef int do_account(struct removing *r, const char *account, struct error *e);

static int each_account(struct removing *r, struct bytes *accounts, do_account *act,
                        struct error *e) {
    const char *account = bytes_text(accounts), *end = account + accounts->size;
    int rc = 0;
    for (; rc == 0 && account < end; account += strlen(account) + 1) {
        rc = act(r, account, e);
    }
    return rc;
}

/* Named packs that sort_packs has found are among the keys of their account. */
static int remove_packs(struct removing *r, const char *account, struct error *e) {
    char prefix[PREFIX_BYTES];
    account_text(prefix, account, STREAM_PACK);
    int rc = list_keys(r, prefix, e);
    const char *key = bytes_text(&r->keys), *end = key + r->keys.size;
    for (; rc == 0 && key < end; key += strlen(key) + 1) {
        rc = table_find(r->named, key, NULL) ? remove_key(r, key, e) : 0;
    }
    return rc;
}

int store_remove_samples(struct store *s, char *const *keys, size_t count,
                         struct store_removal *removal, struct error *e) {
    struct removing r = {.s = s, .removal = removal};
    struct bytes accounts;
    bytes_init(&accounts, STREAM_SAMPLE_LIMIT);
    int rc = begin(&r, e);
    if (rc == 0) {
        rc = name_keys(&r, keys, count, e);
    }
    if (rc == 0) {
        rc = list_accounts(&accounts, keys, count, e);
    }
    if (rc == 0) {
        rc = each_account(&r, &accounts, sort_packs, e);
    }
    if (rc == 0) {
        rc = each_account(&r, &accounts, remove_packs, e);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = remove_key(&r, keys[i], e);
    }
    if (rc == 0) {
        rc = each_account(&r, &accounts, settle_account, e);
    }
    bytes_close(&accounts);
    return finish(&r, rc, e);
}

int store_remove_account(struct store *s, const char *account, struct store_removal *removal,
                         struct error *e) {
    struct removing r = {.s = s, .removal = removal};
    struct account_header header;
    unsigned char prefix[TOKEN_KEY];
    char text[PREFIX_BYTES];
    double *sum = NULL;
    if (strlen(account) >= STREAM_KEY_BYTES || strchr(account, '/') != NULL) {
        return error_set(e, ERR_FORMAT, "%s: is not an account of the store", account);
    }
    account_text(text, account, "/");
    int rc = begin(&r, e);
    if (rc == 0) {
        rc = list_keys(&r, text, e);
    }
    if (rc == 0) {
        rc = store_get_account(s, account, &header, &sum, e);
        free(sum);
        if (rc == 0 && r.keys.size == 0) {
            rc = error_set(e, ERR_FORMAT, "%s: is not an account of the store", account);
        }
    }
    const char *key = bytes_text(&r.keys), *end = key + r.keys.size;
    for (; rc >= 0 && key < end; key += strlen(key) + 1) {
        bool pack = stream_is_pack(key);
        removal->packs += pack;
        removal->samples += !pack;
    }
    if (rc >= 0) {
        rc = remove_range(&r, DB_TOKENS, prefix, account_prefix(prefix, account), &removal->pages,
                          e);
    }
    int64_t records = 0;
    for (int i = 0; i < BY_KEY_COUNT && rc == 0; i++) {
        rc = remove_range(&r, BY_KEY[i], text, strlen(text), &records, e);
    }
    if (rc == 0) {
        rc = remove_record(&r, DB_ACCOUNTS, account, e);
    }
    return finish(&r, rc, e);
}
