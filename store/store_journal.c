/* store_journal.c - what a store remembers of a sample besides its pages: the journal. */
#include <stdio.h>
#include <string.h>

#include "store/json.h"
#include "store/store_state.h"

int store_journal_get(struct store *s, const char *key, json_t **entry, struct error *e) {
    MDB_val v;
    MDB_txn *txn;
    *entry = NULL;
    int rc = store_begin(s, &txn, e);
    if (rc < 0) {
        return rc;
    }
    rc = store_get_value(s, txn, DB_JOURNAL, key, &v, e);
    if (rc == 1) {
        *entry = json_loadb(v.mv_data, v.mv_size, 0, NULL);
        rc = json_is_object(*entry)
                 ? 1
                 : error_set(e, ERR_FORMAT, "%s: the journal of %s is damaged", s->path, key);
    }
    if (rc < 0) {
        json_decref(*entry);
        *entry = NULL;
    }
    return rc;
}

int store_journal_put(struct store *s, const char *key, json_t *entry, struct error *e) {
    bytes_clear(&s->value);
    int rc = json_append(&s->value, entry, e);
    return rc == 0
               ? store_put_value(s, DB_JOURNAL, key, strlen(key), s->value.data, s->value.size, e)
               : rc;
}

int store_is_done(struct store *s, const char *key, const char *input, const char *options,
                  struct error *e) {
    json_t *entry;
    int rc = store_journal_get(s, key, &entry, e);
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

int store_get_created(struct store *s, const char *key, int64_t *created, struct error *e) {
    json_t *entry;
    int rc = store_journal_get(s, key, &entry, e);
    *created = json_get_integer(entry, "created", STORE_UNDATED);
    json_decref(entry);
    return rc;
}

/* ---- Marks --------------------------------------------------------------------------------- */

int store_is_marked(struct store *s, const char *key, const char *mark, struct error *e) {
    json_t *entry;
    int rc = store_journal_get(s, key, &entry, e);
    bool marked = json_is_true(json_object_get(entry, mark));
    json_decref(entry);
    return rc < 0 ? rc : marked;
}

int store_mark(struct store *s, const char *key, const char *mark, bool set, struct error *e) {
    json_t *entry = NULL;
    int rc = store_writable(s, e);
    if (rc == 0) {
        rc = store_journal_get(s, key, &entry, e);
    }
    if (rc <= 0) {
        return rc;
    }
    bool is_set = json_is_true(json_object_get(entry, mark));
    if (set && !is_set) {
        rc = json_object_set_new(entry, mark, json_true());
    } else if (!set && is_set) {
        rc = json_object_del(entry, mark);
    }
    rc = rc < 0 ? error_memory(e, NULL) : set != is_set ? store_journal_put(s, key, entry, e) : 0;
    json_decref(entry);
    return rc < 0 ? rc : set != is_set;
}

/* ---- Packs --------------------------------------------------------------------------------- */

int store_load_pack(struct store *s, const char *key, json_t **json, struct error *e) {
    struct bytes text;
    *json = NULL;
    if (!stream_is_pack(key)) {
        return 0;
    }
    bytes_init(&text, TEXT_LIMIT);
    int rc = store_get_json(s, key, &text, e);
    if (rc == 1) {
        *json = json_loadb(bytes_text(&text), text.size, 0, NULL);
        rc = *json != NULL
                 ? 0
                 : error_set(e, ERR_FORMAT, "%s: the JSON of %s is damaged", s->path, key);
    }
    bytes_close(&text);
    return rc;
}

const json_t *store_pack_samples(const char *key, const json_t *json) {
    const json_t *samples = stream_is_pack(key) ? json_object_get(json, "samples") : NULL;
    return json_array_size(samples) > 0 ? samples : NULL;
}

/* ---- Folded samples ------------------------------------------------------------------------ */

/* Stores of before have no mark, but nothing else than folding took the JSON of a sample away. */
static int is_folded(struct store *s, const char *key, struct error *e) {
    MDB_txn *txn;
    MDB_val value;
    json_t *entry;
    int rc = store_journal_get(s, key, &entry, e);
    bool marked = json_is_true(json_object_get(entry, MARK_FOLDED));
    json_decref(entry);
    if (rc <= 0 || marked) {
        return rc < 0 ? rc : marked;
    }
    rc = store_begin(s, &txn, e);
    if (rc == 0) {
        rc = store_get_value(s, txn, DB_SAMPLES, key, &value, e);
    }
    return rc < 0 ? rc : rc == 0;
}

int store_count_folded(struct store *s, const char *key, const json_t *json, int64_t *shown,
                       int64_t *folded, struct error *e) {
    const json_t *samples = store_pack_samples(key, json), *name;
    size_t i;
    int rc = 0;
    *shown = *folded = 0;
    json_array_foreach(samples, i, name) {
        if (rc >= 0 && json_is_string(name)) {
            rc = is_folded(s, json_string_value(name), e);
            *shown += 1;
            *folded += rc > 0;
        }
    }
    if (*shown == 0) {
        rc = is_folded(s, key, e);
        *shown = 1;
        *folded = rc > 0;
    }
    return rc < 0 ? rc : 0;
}

int store_mark_folded(struct store *s, const char *key, struct error *e) {
    return store_mark(s, key, MARK_FOLDED, true, e);
}

/* ---- Samples that have no pages ------------------------------------------------------------ */

int store_no_page(struct store *s, const char *key, struct error *e) {
    int rc = is_folded(s, key, e);
    return rc < 0   ? rc
           : rc > 0 ? error_set(e, ERR_FORMAT,
                                "%s: was folded into its account's style token: no page of it is "
                                "left",
                                key)
                    : error_set(e, ERR_FORMAT, "%s: no page shows it", key);
}

struct looking {
    struct store *s;
    const char *key;
    char pack[STREAM_KEY_BYTES]; /* that shows it; the last that does */
    bool own;
};

static int look_at(void *context, const struct token_record *record, struct error *e) {
    struct looking *l = context;
    json_t *json;
    int rc = store_load_pack(l->s, record->key, &json, e);
    const json_t *samples = store_pack_samples(record->key, json), *name;
    size_t i;
    l->own = l->own || strcmp(record->key, l->key) == 0;
    json_array_foreach(samples, i, name) {
        if (json_is_string(name) && strcmp(json_string_value(name), l->key) == 0) {
            snprintf(l->pack, sizeof l->pack, "%s", record->key);
        }
    }
    json_decref(json);
    return rc < 0 ? rc : l->own;
}

int store_check_pages(struct store *s, const char *key, struct error *e) {
    struct looking l = {.s = s, .key = key};
    int rc = store_has(s, key, e);
    if (rc <= 0) {
        return rc < 0 ? rc : error_set(e, ERR_FORMAT, "%s: is not in the store", key);
    }
    rc = store_each_page(s, key, look_at, &l, e);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    rc = store_each(s, key, look_at, &l, e); /* of its account */
    return rc < 0 ? rc
           : l.pack[0] == '\0'
               ? store_no_page(s, key, e)
               : error_set(e, ERR_FORMAT, "%s: has no page of its own: it is on the pack %s", key,
                           l.pack);
}
