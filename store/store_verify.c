/* store_verify.c - is everything in a store what it should be? */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "store/array.h"
#include "store/buffer.h"
#include "store/json.h"
#include "store/safetensors.h"
#include "store/spans.h"
#include "store/store_state.h"
#include "store/table.h"

struct verify {
    struct store *s;
    MDB_txn *txn;
    struct codec_state *codec;
    struct buffer tokens; /* of a page, floats */
    struct bytes text;
    struct table *index; /* key of a sample with tokens -> place in counts */
    int64_t *counts;
    size_t capacity;
    int64_t faults;
    void (*bad)(void *context, const char *line);
    void *context;
};

static void fault(struct verify *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct verify *v, const char *format, ...) {
    char line[STREAM_KEY_BYTES + 600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    v->faults++;
    v->bad(v->context, line);
}

/* ---- Tokens ------------------------------------------------------------------------- */

static int check_payload(struct verify *v, const struct token_record *r, struct error *e) {
    const struct token_header *h = &r->header;
    size_t count = (size_t)h->rows * h->columns * h->dim;
    int rc = buffer_reserve(&v->tokens, count, sizeof(float), e);
    if (rc < 0) {
        return rc;
    }
    struct error why = {0};
    if (XXH3_64bits(r->payload, (size_t)h->payload + h->facts) != h->hash) {
        fault(v, "%s page %d: the tokens%s do not match their hash", r->key, r->page,
              h->facts > 0 ? " and facts" : "");
    } else if (codec_unpack(v->codec, v->tokens.data, h->codec, r->payload, h->payload,
                            (int64_t)h->rows * h->columns, h->dim, &why) < 0) {
        fault(v, "%s page %d: %s", r->key, r->page, why.text);
    }
    return 0;
}

static int count_page(struct verify *v, const char *key, struct error *e) {
    size_t place = table_count(v->index);
    int64_t *counts = array_grow(v->counts, &v->capacity, place + 1, sizeof *counts, e);
    if (counts == NULL) {
        return ERR_MEMORY;
    }
    v->counts = counts;
    size_t found;
    int rc = table_add(v->index, key, place, &found, e);
    if (rc == 1) {
        v->counts[place] = 0;
        found = place;
    }
    if (rc >= 0) {
        v->counts[found]++;
    }
    return rc < 0 ? rc : 0;
}

static int check_tokens(struct verify *v, const MDB_val *k, const MDB_val *value, struct error *e) {
    struct token_record record;
    int64_t created;
    if (!token_key_read(&record, &created, k)) {
        fault(v, "a record of tokens has a damaged key");
        return 0;
    }
    const char *why = token_value_read(&record, v->s, value);
    if (why != NULL) {
        fault(v, "%s page %d: %s", record.key, record.page, why);
    } else if (record.header.created != created) {
        fault(v, "%s page %d: key and header have different times", record.key, record.page);
    } else {
        int rc = check_payload(v, &record, e);
        if (rc < 0) {
            return rc;
        }
    }
    return count_page(v, record.key, e);
}

/* ---- The other databases ---------------------------------------------------------------- */

static void read_key(char key[STREAM_KEY_BYTES], const MDB_val *k) {
    size_t size = k->mv_size < STREAM_KEY_BYTES - 1 ? k->mv_size : STREAM_KEY_BYTES - 1;
    memcpy(key, k->mv_data, size);
    key[size] = '\0';
}

/* Whether a mark of an entry is what it may be: absent, or true. */
static bool is_mark(const json_t *entry, const char *name) {
    const json_t *mark = json_object_get(entry, name);
    return mark == NULL || json_is_true(mark);
}

static int check_journal(struct verify *v, const MDB_val *k, const MDB_val *value,
                         struct error *e) {
    char key[STREAM_KEY_BYTES];
    size_t place;
    (void)e;
    read_key(key, k);
    json_t *entry = json_loadb(value->mv_data, value->mv_size, 0, NULL);
    json_int_t pages = json_integer_value(json_object_get(entry, "pages"));
    if (!json_is_object(entry) || !json_is_integer(json_object_get(entry, "created")) ||
        !json_is_string(json_object_get(entry, "input")) ||
        !json_is_string(json_object_get(entry, "options"))) {
        fault(v, "%s: its journal entry is damaged", key);
    } else if (!is_mark(entry, MARK_PINNED) || !is_mark(entry, MARK_FOLDED)) {
        fault(v, "%s: its journal entry has a mark that is neither true nor absent", key);
    } else {
        bool has = table_find(v->index, key, &place);
        int64_t there = has ? v->counts[place] : 0;
        if (there != pages) {
            fault(v, "%s: the journal counts %" PRId64 " pages, %" PRId64 " are there", key,
                  (int64_t)pages, there);
        }
        if (has) {
            v->counts[place] = -1; /* claimed */
        }
    }
    json_decref(entry);
    return 0;
}

/* v->text: what the store keeps of a sample's cells, which must be as long as its text is. */
static int check_cells(struct verify *v, const char *key, struct error *e) {
    struct bytes text;
    struct error why = {0};
    struct spans *spans;
    bytes_init(&text, TEXT_LIMIT);
    int rc = spans_open(&spans, bytes_text(&v->text), v->text.size, &why);
    if (rc == ERR_MEMORY) {
        return error_memory(e, NULL);
    }
    if (rc < 0) {
        fault(v, "%s: its cells are damaged: %s", key, why.text);
        return 0;
    }
    rc = store_get_text(v->s, key, &text, &why); /* damaged text is a fault of its own */
    const char *at = bytes_text(&text), *end = at + text.size;
    for (int page = 0; rc == 1 && spans_cells(spans, page) > 0; page++) {
        size_t size, from, to;
        at = store_text_page(at, (size_t)(end - at), 0, &size);
        spans_text(spans, page, 0, spans_cells(spans, page), &from, &to);
        if (to != size) {
            fault(v, "%s page %d: its cells hold %zu bytes of text, the page %zu", key, page, to,
                  size);
        }
        at = at + size < end ? at + size + 1 : end;
    }
    spans_close(spans);
    bytes_close(&text);
    return rc == ERR_MEMORY ? error_memory(e, NULL) : 0;
}

static int check_text(struct verify *v, enum store_database db, const MDB_val *k,
                      const MDB_val *value, struct error *e) {
    char key[STREAM_KEY_BYTES];
    struct error why = {0};
    MDB_val name = *k, entry;
    read_key(key, k);
    bytes_clear(&v->text);
    const char *what = db == DB_TEXT ? "text" : db == DB_CELLS ? "cells" : "JSON";
    int rc = texts_unpack(&v->s->texts, &v->text, value->mv_data, value->mv_size, &why);
    if (rc == ERR_MEMORY) {
        return error_memory(e, NULL);
    }
    if (rc < 0) {
        fault(v, "%s: its %s %s", key, what, why.text);
    } else if (db == DB_SAMPLES) {
        json_t *root = json_loadb(bytes_text(&v->text), v->text.size, 0, NULL);
        if (!json_is_object(root)) {
            fault(v, "%s: its JSON is not an object", key);
        }
        json_decref(root);
    } else if (db == DB_CELLS) {
        rc = check_cells(v, key, e);
    }
    if (mdb_get(v->txn, v->s->databases[DB_JOURNAL], &name, &entry) == MDB_NOTFOUND) {
        fault(v, "%s: has %s, but no journal entry", key, what);
    }
    return rc == ERR_MEMORY ? rc : 0;
}

static int check_account(struct verify *v, const MDB_val *k, const MDB_val *value,
                         struct error *e) {
    char account[STREAM_KEY_BYTES];
    struct account_header header;
    const void *sum;
    (void)e;
    read_key(account, k);
    const char *why = account_value_read(&header, &sum, v->s, value);
    if (why != NULL) {
        fault(v, "account %s: its record %s", account, why);
    } else if (header.folded_pages < 0 || (header.folded_pages > 0) != (header.dim > 0)) {
        fault(v, "account %s: its count of folded pages is impossible", account);
    } else if (!(header.repeated >= 0 && header.repeated <= (double)header.folded_pages)) {
        fault(v, "account %s: its count of repeated pages is impossible", account);
    }
    return 0;
}

static int check_database(struct verify *v, enum store_database db, struct error *e) {
    MDB_cursor *cursor;
    MDB_val k, value;
    int rc = 0, code = mdb_cursor_open(v->txn, v->s->databases[db], &cursor);
    if (code != 0) {
        return store_failed(v->s, code, e);
    }
    for (code = mdb_cursor_get(cursor, &k, &value, MDB_FIRST); code == 0 && rc == 0;
         code = mdb_cursor_get(cursor, &k, &value, MDB_NEXT)) {
        rc = db == DB_TOKENS     ? check_tokens(v, &k, &value, e)
             : db == DB_JOURNAL  ? check_journal(v, &k, &value, e)
             : db == DB_ACCOUNTS ? check_account(v, &k, &value, e)
                                 : check_text(v, db, &k, &value, e);
    }
    mdb_cursor_close(cursor);
    return rc < 0 ? rc : code == MDB_NOTFOUND || code == 0 ? 0 : store_failed(v->s, code, e);
}

static int check_maps(struct verify *v, struct error *e) {
    struct safetensors *maps = NULL;
    struct error why = {0};
    bytes_clear(&v->text);
    int rc = store_get_maps(v->s, &v->text, &why);
    if (rc == 1) {
        rc = safetensors_open_memory(&maps, v->text.data, v->text.size, "maps", &why);
    }
    safetensors_close(maps);
    if (rc == ERR_MEMORY) {
        return error_memory(e, NULL);
    }
    if (rc < 0) {
        fault(v, "%s", why.text);
    }
    return 0;
}

static int check_notes(struct verify *v, struct error *e) {
    static const char *const NAMES[] = {"merging", "fidelity"};
    int rc = 0;
    for (int note = 0; note < NOTE_COUNT && rc >= 0; note++) {
        bytes_clear(&v->text);
        rc = store_get_note(v->s, (enum store_note)note, &v->text, e);
        json_t *root = rc == 1 ? json_loadb(bytes_text(&v->text), v->text.size, 0, NULL) : NULL;
        if (rc == 1 && !json_is_object(root)) {
            fault(v, "%s: what its metadata says of %s is damaged", v->s->path, NAMES[note]);
        }
        json_decref(root);
    }
    return rc < 0 ? rc : 0;
}

/* Tokens that no journal entry has claimed. */
static int check_orphan(void *context, const struct token_record *record, struct error *e) {
    struct verify *v = context;
    size_t place;
    (void)e;
    if (table_find(v->index, record->key, &place) && v->counts[place] > 0) {
        fault(v, "%s: has %" PRId64 " pages, but no journal entry", record->key, v->counts[place]);
        v->counts[place] = -1;
    }
    return 0;
}

int64_t store_verify(struct store *s, void (*bad)(void *context, const char *line), void *context,
                     struct error *e) {
    static const enum store_database ORDER[] = {DB_TOKENS, DB_JOURNAL, DB_SAMPLES,
                                                DB_TEXT,   DB_CELLS,   DB_ACCOUNTS};
    struct verify v = {.s = s, .bad = bad, .context = context};
    bytes_init(&v.text, TEXT_LIMIT);
    int rc = codec_open(&v.codec, e);
    if (rc == 0) {
        rc = table_open(&v.index, e);
    }
    if (rc == 0) {
        rc = store_begin(s, &v.txn, e);
    }
    for (size_t i = 0; i < sizeof ORDER / sizeof *ORDER && rc == 0; i++) {
        rc = store_has_database(s, ORDER[i]) ? check_database(&v, ORDER[i], e) : 0;
    }
    if (rc == 0) {
        rc = check_maps(&v, e);
    }
    if (rc == 0) {
        rc = check_notes(&v, e);
    }
    if (rc == 0 && v.faults == 0) {
        rc = store_each(s, NULL, check_orphan, &v, e);
    }
    table_close(v.index);
    codec_close(v.codec);
    bytes_close(&v.text);
    free(v.counts);
    buffer_free(&v.tokens);
    return rc < 0 ? rc : v.faults;
}
