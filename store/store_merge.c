/* store_merge.c - the samples of one store put into another. */
#include <stdlib.h>
#include <string.h>

#include "store/store_state.h"

struct merge {
    struct store *to, *from;
    struct store_copied *copied;
    struct bytes text, other, pinned; /* pinned: keys, each with its zero */
    void (*differs)(void *context, const char *key);
    void *context;
};

static int put(struct store *s, enum store_database db, const void *key, size_t key_size,
               const struct bytes *value, struct error *e) {
    MDB_val name = value_of(key, key_size), data = {value->size, value->data};
    int code = mdb_put(s->txn, s->databases[db], &name, &data, 0);
    s->pending += key_size + value->size;
    return code == 0 ? 0 : store_failed(s, code, e);
}

static int copy_record(void *context, const struct token_record *record, struct error *e) {
    struct merge *m = context;
    struct bytes *value = &m->to->value;
    unsigned char key[TOKEN_KEY];
    size_t size = token_key_make(key, record->key, record->header.created, record->page);
    bytes_clear(value);
    int rc = bytes_append(value, &record->header, sizeof record->header, e);
    if (rc == 0) {
        rc = bytes_append(value, record->payload, record->header.payload, e);
    }
    if (rc == 0 && record->header.facts > 0) {
        rc = bytes_append(value, record->facts, record->header.facts, e);
    }
    if (rc == 0) {
        rc = put(m->to, DB_TOKENS, key, size, value, e);
        m->copied->pages++;
    }
    return rc;
}

/* Packed again: the dictionaries of two stores are not the same. */
static int copy_text(struct merge *m, enum store_database db, const char *key, struct error *e) {
    struct bytes *value = &m->to->value;
    bytes_clear(&m->text);
    int rc = db == DB_TEXT    ? store_get_text(m->from, key, &m->text, e)
             : db == DB_CELLS ? store_get_cells(m->from, key, &m->text, e)
                              : store_get_json(m->from, key, &m->text, e);
    if (rc == 1 && !store_has_database(m->to, db)) {
        return error_set(e, ERR_USAGE, "%s: has no place for cells", m->to->path);
    }
    if (rc <= 0) {
        return rc;
    }
    bytes_clear(value);
    rc = texts_pack(&m->to->texts, value, bytes_text(&m->text), m->text.size, e);
    return rc == 0 ? put(m->to, db, key, strlen(key), value, e) : rc;
}

/* Whether an entry of both journals is of the same input, with the same options. */
static bool is_same_entry(const MDB_val *a, const char *journal, size_t size) {
    static const char *const FIELDS[] = {"created", "input", "options"};
    json_t *one = json_loadb(a->mv_data, a->mv_size, 0, NULL);
    json_t *two = json_loadb(journal, size, 0, NULL);
    bool same = true;
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        same = same && json_equal(json_object_get(one, FIELDS[i]), json_object_get(two, FIELDS[i]));
    }
    json_decref(one);
    json_decref(two);
    return same;
}

/* 1: one of the stores has forgotten it, or both have the same. */
static int is_same_text(struct merge *m, enum store_database db, const char *key, struct error *e) {
    int (*get)(struct store *, const char *, struct bytes *, struct error *) =
        db == DB_TEXT ? store_get_text : store_get_json;
    bytes_clear(&m->text);
    bytes_clear(&m->other);
    int rc = get(m->to, key, &m->text, e);
    int there = rc == 1 ? get(m->from, key, &m->other, e) : rc;
    if (rc < 1 || there < 1) {
        return there < 0 ? there : 1;
    }
    return m->text.size == m->other.size && memcmp(m->text.data, m->other.data, m->text.size) == 0;
}

static int keep_sample(struct merge *m, const char *key, const char *journal, size_t size,
                       struct error *e) {
    MDB_val name = value_of(key, strlen(key)), entry;
    int code = mdb_get(m->to->txn, m->to->databases[DB_JOURNAL], &name, &entry);
    if (code != 0) {
        return store_failed(m->to, code, e);
    }
    int same = is_same_entry(&entry, journal, size);
    if (same == 1) {
        same = is_same_text(m, DB_SAMPLES, key, e);
    }
    if (same == 1) {
        same = is_same_text(m, DB_TEXT, key, e);
    }
    m->copied->kept++;
    m->copied->differing += same == 0;
    if (same == 0 && m->differs != NULL) {
        m->differs(m->context, key);
    }
    return same < 0 ? same : 0;
}

/* A sample that is in both stores: what the other store folded of it is in the sum that was taken
 * over, and a pin of either holds. */
static int keep_marks(struct merge *m, const char *key, struct error *e) {
    int64_t shown, folded;
    int rc = store_count_folded(m->from, key, NULL, &shown, &folded, e);
    if (rc == 0 && folded > 0) {
        rc = store_mark_folded(m->to, key, e);
    }
    if (rc >= 0) {
        rc = store_is_marked(m->from, key, MARK_PINNED, e);
    }
    return rc == 1 ? bytes_append(&m->pinned, key, strlen(key) + 1, e) : rc < 0 ? rc : 0;
}

/* Packs that were copied may show samples that were pinned here. */
static int settle_account(void *context, const char *account, struct error *e) {
    return store_settle_pins(context, account, e);
}

static int copy_maps(struct merge *m, struct error *e) {
    int rc = store_has_maps(m->to, e);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    bytes_clear(&m->text);
    rc = store_get_maps(m->from, &m->text, e);
    return rc == 1 ? store_put_maps(m->to, m->text.data, m->text.size, e) : rc;
}

/* What the encoder's file said when either store was made. */
static int copy_notes(struct merge *m, struct error *e) {
    int rc = 0;
    for (int note = 0; note < NOTE_COUNT && rc >= 0; note++) {
        bytes_clear(&m->text);
        rc = store_get_note(m->to, (enum store_note)note, &m->text, e);
        if (rc == 0) {
            rc = store_get_note(m->from, (enum store_note)note, &m->text, e);
            rc = rc == 1 ? store_put_note(m->to, (enum store_note)note, bytes_text(&m->text), e)
                         : rc;
        }
    }
    return rc < 0 ? rc : 0;
}

static int copy_sample(void *context, const char *key, const char *journal, size_t size,
                       struct error *e) {
    struct merge *m = context;
    int rc = store_has(m->to, key, e);
    if (rc != 0) {
        if (rc >= 0) {
            rc = keep_sample(m, key, journal, size, e);
        }
        return rc < 0 ? rc : keep_marks(m, key, e);
    }
    rc = store_each_page(m->from, key, copy_record, m, e);
    if (rc == 0) {
        rc = copy_text(m, DB_SAMPLES, key, e);
    }
    if (rc == 0) {
        rc = copy_text(m, DB_TEXT, key, e);
    }
    if (rc == 0) {
        rc = copy_text(m, DB_CELLS, key, e);
    }
    if (rc == 0) {
        bytes_clear(&m->to->value);
        rc = bytes_append(&m->to->value, journal, size, e);
    }
    if (rc == 0) {
        rc = put(m->to, DB_JOURNAL, key, strlen(key), &m->to->value, e);
    }
    if (rc == 0) {
        m->copied->samples++;
        rc = store_pending(m->to) >= STORE_BATCH ? store_commit(m->to, e) : 0;
    }
    return rc;
}

/* Sums of two stores cannot be told from one that was merged before, so an account is taken over
 * only where the other has folded nothing. */
static int copy_account(void *context, const char *account, struct error *e) {
    struct merge *m = context;
    struct account_header here, there;
    double *sum = NULL, *other = NULL;
    int rc = store_get_account(m->from, account, &there, &other, e);
    int has = rc < 0 ? rc : store_get_account(m->to, account, &here, &sum, e);
    if (has < 0) {
        rc = has;
    } else if (rc == 1 && (has == 0 || here.dim == 0)) {
        rc = store_put_account(m->to, account, &there, other, e);
        m->copied->accounts += there.dim > 0;
    } else if (rc == 1 && there.dim > 0 &&
               (memcmp(&here, &there, sizeof here) != 0 ||
                memcmp(sum, other, there.dim * sizeof *sum) != 0)) {
        rc = error_set(e, ERR_UNSUPPORTED,
                       "account %s has folded pages in both stores: merge stores before they age",
                       account);
    }
    free(sum);
    free(other);
    return rc < 0 ? rc : 0;
}

int store_merge(struct store *s, struct store *from, struct store_copied *copied,
                void (*differs)(void *context, const char *key), void *context, struct error *e) {
    struct merge m = {
        .to = s, .from = from, .copied = copied, .differs = differs, .context = context};
    const struct store_encoder *a = &s->encoder, *b = &from->encoder;
    *copied = (struct store_copied){.samples = 0};
    if (a->fingerprint != b->fingerprint || a->dim != b->dim) {
        return error_set(e, ERR_UNSUPPORTED,
                         "%s: holds tokens of another encoder (%s) than %s (%s)", from->path,
                         b->name, s->path, a->name);
    }
    bytes_init(&m.text, TEXT_LIMIT);
    bytes_init(&m.other, TEXT_LIMIT);
    bytes_init(&m.pinned, STREAM_SAMPLE_LIMIT);
    int rc = store_writable(s, e);
    if (rc == 0 && s->vectors == NULL && from->vectors != NULL) {
        rc = store_put_vectors(s, from->vectors, e);
    }
    if (rc == 0) {
        rc = copy_maps(&m, e);
    }
    if (rc == 0) {
        rc = copy_notes(&m, e);
    }
    /* Accounts first: what cannot be merged is found before anything is copied. */
    if (rc == 0) {
        rc = store_each_account(from, copy_account, &m, e);
    }
    if (rc == 0) {
        rc = store_each_sample(from, copy_sample, &m, e);
    }
    if (rc == 0) { /* also what headers of a store of before have pinned */
        rc = store_find_pinned(from, &m.pinned, e);
    }
    if (rc == 0) {
        rc = store_pin_keys(s, &m.pinned, true, e);
    }
    if (rc == 0) {
        rc = store_each_account(from, settle_account, s, e);
    }
    if (rc == 0) {
        rc = store_commit(s, e);
    }
    bytes_close(&m.text);
    bytes_close(&m.other);
    bytes_close(&m.pinned);
    return rc;
}
