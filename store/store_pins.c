/* store_pins.c - samples that are not to be forgotten. The journal has the pins, by sample; the
 * headers of the pages that show a pinned sample, its own and packs, repeat them for readers. */
#include <stdio.h>
#include <string.h>

#include "store/store_state.h"
#include "store/table.h"

static const char META_PINS[] = "pins"; /* -> "journal", once the pins are there */

int store_shows_pinned(struct store *s, const char *key, const json_t *json, struct error *e) {
    const json_t *samples = store_pack_samples(key, json), *name;
    size_t i;
    int rc = store_is_marked(s, key, MARK_PINNED, e);
    json_array_foreach(samples, i, name) {
        if (rc == 0 && json_is_string(name)) {
            rc = store_is_marked(s, json_string_value(name), MARK_PINNED, e);
        }
    }
    return rc;
}

/* ---- Headers ------------------------------------------------------------------------------- */

struct settling {
    struct store *s;
    struct bytes records; /* struct token_record: headers that say otherwise */
};

static int find_unsettled(void *context, const struct token_record *record, struct error *e) {
    struct settling *t = context;
    bool is = (record->header.flags & TOKEN_PINNED) != 0;
    json_t *json;
    int rc = store_load_pack(t->s, record->key, &json, e);
    if (rc == 0) {
        rc = store_shows_pinned(t->s, record->key, json, e);
    }
    json_decref(json);
    return rc >= 0 && (rc > 0) != is ? bytes_append(&t->records, record, sizeof *record, e)
                                     : (rc < 0 ? rc : 0);
}

int store_settle_pins(struct store *s, const char *account, struct error *e) {
    struct settling t = {.s = s};
    bytes_init(&t.records, STREAM_SAMPLE_LIMIT);
    int rc = store_each(s, account, find_unsettled, &t, e);
    const struct token_record *records = (const void *)t.records.data;
    for (size_t i = 0; i < t.records.size / sizeof *records && rc == 0; i++) {
        rc = store_put_flags(s, &records[i], records[i].header.flags ^ TOKEN_PINNED, e);
    }
    bytes_close(&t.records);
    return rc;
}

/* ---- Keys ---------------------------------------------------------------------------------- */

/* A pack stands for the samples on it: the next night gives it another name. */
static int add_samples(struct store *s, const char *key, struct bytes *keys, struct error *e) {
    json_t *json;
    int rc = store_load_pack(s, key, &json, e);
    const json_t *samples = store_pack_samples(key, json), *name;
    size_t i;
    if (rc == 0 && samples == NULL) {
        rc = bytes_append(keys, key, strlen(key) + 1, e);
    }
    json_array_foreach(samples, i, name) {
        if (rc == 0 && json_is_string(name)) {
            rc = bytes_append(keys, json_string_value(name), json_string_length(name) + 1, e);
        }
    }
    json_decref(json);
    return rc;
}

/* Calls `visit` once for each account of the keys. */
static int each_account(struct store *s, const struct bytes *keys,
                        int (*visit)(struct store *s, const char *account, void *context,
                                     struct error *e),
                        void *context, struct error *e) {
    struct table *done;
    char account[STREAM_KEY_BYTES];
    const char *key = bytes_text(keys), *end = key + keys->size;
    int rc = table_open(&done, e);
    for (; rc == 0 && key < end; key += strlen(key) + 1) {
        stream_account(account, key);
        rc = table_add(done, account, 0, NULL, e);
        if (rc == 1) {
            rc = visit(s, account, context, e);
        }
    }
    table_close(done);
    return rc;
}

static int settle(struct store *s, const char *account, void *context, struct error *e) {
    (void)context;
    return store_settle_pins(s, account, e);
}

int store_pin_keys(struct store *s, const struct bytes *keys, bool pinned, struct error *e) {
    const char *key = bytes_text(keys), *end = key + keys->size;
    int rc = store_writable(s, e);
    for (; rc == 0 && key < end; key += strlen(key) + 1) {
        rc = store_mark(s, key, MARK_PINNED, pinned, e);
        if (rc > 0) {
            rc = 0;
        }
    }
    return rc == 0 ? each_account(s, keys, settle, NULL, e) : rc;
}

/* ---- Pinning ------------------------------------------------------------------------------- */

/* Which of the wanted samples a page shows. */
struct showing {
    struct store *s;
    struct table *wanted, *shown;
};

static int note_shown(struct showing *w, const char *key, struct error *e) {
    int rc = table_find(w->wanted, key, NULL) ? table_add(w->shown, key, 0, NULL, e) : 0;
    return rc < 0 ? rc : 0;
}

static int find_shown(void *context, const struct token_record *record, struct error *e) {
    struct showing *w = context;
    json_t *json;
    int rc = store_load_pack(w->s, record->key, &json, e);
    const json_t *samples = store_pack_samples(record->key, json), *name;
    size_t i;
    if (rc == 0) {
        rc = note_shown(w, record->key, e);
    }
    json_array_foreach(samples, i, name) {
        if (rc == 0 && json_is_string(name)) {
            rc = note_shown(w, json_string_value(name), e);
        }
    }
    json_decref(json);
    return rc;
}

static int find_shown_of(struct store *s, const char *account, void *context, struct error *e) {
    return store_each(s, account, find_shown, context, e);
}

/* A pin that keeps nothing is refused. */
static int check_shown(struct store *s, const struct bytes *keys, struct error *e) {
    struct showing w = {.s = s};
    const char *key = bytes_text(keys), *end = key + keys->size;
    int rc = table_open(&w.wanted, e);
    if (rc == 0) {
        rc = table_open(&w.shown, e);
    }
    for (; rc >= 0 && key < end; key += strlen(key) + 1) {
        rc = table_add(w.wanted, key, 0, NULL, e);
    }
    if (rc >= 0) {
        rc = each_account(s, keys, find_shown_of, &w, e);
    }
    for (key = bytes_text(keys); rc == 0 && key < end; key += strlen(key) + 1) {
        if (!table_find(w.shown, key, NULL)) {
            rc = store_no_page(s, key, e);
        }
    }
    table_close(w.wanted);
    table_close(w.shown);
    return rc;
}

int store_pin(struct store *s, char *const *keys, size_t count, bool pinned, struct error *e) {
    struct bytes all;
    bytes_init(&all, STREAM_SAMPLE_LIMIT);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = store_has(s, keys[i], e);
        rc = rc == 1   ? add_samples(s, keys[i], &all, e)
             : rc == 0 ? error_set(e, ERR_FORMAT, "%s: is not in the store", keys[i])
                       : rc;
    }
    if (rc == 0 && pinned) {
        rc = check_shown(s, &all, e);
    }
    if (rc == 0) {
        rc = store_pin_keys(s, &all, pinned, e);
    }
    bytes_close(&all);
    return rc == 0 ? store_commit(s, e) : rc;
}

/* ---- Pins of before ------------------------------------------------------------------------ */

struct adopting {
    struct store *s;
    struct bytes *keys;
};

static int find_pinned(void *context, const struct token_record *record, struct error *e) {
    struct adopting *a = context;
    return (record->header.flags & TOKEN_PINNED) != 0 ? add_samples(a->s, record->key, a->keys, e)
                                                      : 0;
}

int store_find_pinned(struct store *s, struct bytes *keys, struct error *e) {
    struct adopting a = {.s = s, .keys = keys};
    return store_each(s, NULL, find_pinned, &a, e);
}

int store_adopt_pins(struct store *s, struct error *e) {
    static const char WHERE[] = "journal";
    MDB_val value;
    struct bytes keys;
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = store_get_value(s, s->txn, DB_META, META_PINS, &value, e);
    }
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    bytes_init(&keys, STREAM_SAMPLE_LIMIT);
    rc = store_find_pinned(s, &keys, e);
    if (rc == 0) {
        rc = store_pin_keys(s, &keys, true, e);
    }
    if (rc == 0) {
        rc = store_put_value(s, DB_META, META_PINS, strlen(META_PINS), WHERE, strlen(WHERE), e);
    }
    bytes_close(&keys);
    return rc;
}
