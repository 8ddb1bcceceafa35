/* store_state.h - an open store, for store*.c alone. */
#ifndef OCC_STORE_STORE_STATE_H
#define OCC_STORE_STORE_STATE_H

#include <lmdb.h>

#include "store/store.h"
#include "store/texts.h"

enum store_database {
    DB_META,
    DB_SAMPLES,
    DB_TEXT,
    DB_TOKENS,
    DB_ACCOUNTS,
    DB_JOURNAL,
    DB_CELLS, /* missing in stores of before */
    DB_COUNT
};
extern const char *const STORE_DATABASES[DB_COUNT]; /* their names */

enum {
    TOKEN_KEY = STREAM_KEY_BYTES + 1 + 8 + 1 + 2, /* most bytes of a token key */
    RECORD_HEADER = 64,
};
_Static_assert(TOKEN_KEY <= 511, "LMDB takes keys of 511 bytes");
_Static_assert(sizeof(struct token_header) == RECORD_HEADER, "laid out without holes");
_Static_assert(sizeof(struct account_header) == RECORD_HEADER, "laid out without holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are little-endian");

struct store {
    char *path;
    MDB_env *env;
    MDB_dbi databases[DB_COUNT];
    bool has_cells; /* DB_CELLS is there */
    MDB_txn *txn; /* a reader's: the snapshot that it sees, until it is closed; a writer's: from the
                   * first write or read to the commit, else NULL */
    bool writing;
    bool map_limited; /* by a limit of address space */
    int lock;         /* of writer.lock; -1 */
    struct store_encoder encoder;
    float *vectors;
    size_t pending;
    struct texts texts;
    struct bytes value; /* a record that is being made */
};

/* The error of an LMDB call. EIO of a full disk is ERR_NO_SPACE. */
int store_failed(const struct store *s, int code, struct error *e);
/* The transaction to read in. */
int store_begin(struct store *s, MDB_txn **txn, struct error *e);
/* The writer's transaction, begun when there is none. */
int store_writable(struct store *s, struct error *e);

/* Opens the environment of s->path for s->writing or for reading; `create`: it may be missing. */
int store_open_env(struct store *s, bool create, struct error *e);
/* ERR_TRUNCATED: data.mdb lacks pages that LMDB would look for; ERR_FORMAT: it is empty and may not
 * be so, or is damaged. */
int store_check_file(const char *file, bool may_be_empty, struct error *e);
/* Lets whoever may read data.mdb of the store at `path` write to its lock.mdb, whatever the umask
 * of the one who made it. True: it has other rights now. */
bool store_share_lock(const char *path);
int store_begin_snapshot(struct store *s, struct error *e);
int store_open_databases(struct store *s, MDB_txn *txn, unsigned flags, struct error *e);

/* The meta database. */
int store_put_meta(struct store *s, const char *key, const void *data, size_t size,
                   struct error *e);
int store_read_meta(struct store *s, MDB_txn *txn, struct error *e);
/* The meta of an existing store, or of a new one; commits. */
int store_settle_meta(struct store *s, const struct store_encoder *encoder, struct error *e);

/* Makes the dictionary of `samples` and `text` once enough samples were seen. */
int store_train_dictionary(struct store *s, struct error *e);
/* Another dictionary, of the samples that are there, or none, and all frames packed with it: what
 * was removed may be in the old one. When it fails, the store can only be closed. */
int store_renew_dictionary(struct store *s, struct error *e);

/* Whether it is there to be looked at. */
static inline bool store_has_database(const struct store *s, enum store_database db) {
    return db != DB_CELLS || s->has_cells;
}

/* LMDB's values are not const; it only reads those that it is given. */
static inline MDB_val value_of(const void *data, size_t size) {
    union {
        const void *read;
        void *data;
    } u = {.read = data};
    return (MDB_val){size, u.data};
}

/* The value under a key: 1, or 0 if there is none. It is LMDB's, until the next write. */
int store_get_value(struct store *s, MDB_txn *txn, enum store_database db, const char *key,
                    MDB_val *value, struct error *e);
/* In the writer's transaction, which must be there. */
int store_put_value(struct store *s, enum store_database db, const void *key, size_t key_size,
                    const void *data, size_t size, struct error *e);

/* A sample's entry: 1, *entry is the caller's; 0: there is none. */
int store_journal_get(struct store *s, const char *key, json_t **entry, struct error *e);
int store_journal_put(struct store *s, const char *key, json_t *entry, struct error *e);

/* Marks are members of an entry that are true. store_is_marked: 1 or 0; store_mark sets or removes
 * one: 1: it was otherwise; 0: it was so, or there is no entry. */
#define MARK_PINNED "pinned"
#define MARK_FOLDED "folded"
int store_is_marked(struct store *s, const char *key, const char *mark, struct error *e);
int store_mark(struct store *s, const char *key, const char *mark, bool set, struct error *e);

/* ERR_FORMAT, whose text says why no page shows a sample. */
int store_no_page(struct store *s, const char *key, struct error *e);

/* Whether a sample is pinned, or one of those on it, if it is a pack. */
int store_shows_pinned(struct store *s, const char *key, const json_t *json, struct error *e);
/* Pins samples (keys, each with its zero), or unpins them, in journal and headers; what is not
 * there is passed over. */
int store_pin_keys(struct store *s, const struct bytes *keys, bool pinned, struct error *e);
/* Makes the headers of an account's pages say what the journal says. */
int store_settle_pins(struct store *s, const char *account, struct error *e);
/* Appends the keys of the samples on pages that are pinned by their headers. */
int store_find_pinned(struct store *s, struct bytes *keys, struct error *e);
/* Stores of before knew pins by the headers alone: takes them over, once. */
int store_adopt_pins(struct store *s, struct error *e);

/* Token keys. `account` and `id` point into `key`. */
size_t token_key_make(unsigned char key[TOKEN_KEY], const char *sample_key, int64_t created,
                      int page);
/* False if the bytes are not a token key. */
bool token_key_read(struct token_record *record, int64_t *created, const MDB_val *key);
/* Bytes of the account part, with its zero: what all keys of an account begin with. */
size_t account_prefix(unsigned char key[TOKEN_KEY], const char *account);

/* Checks a value of `tokens` and fills record->header, payload and facts. NULL, or what is wrong.
 */
const char *token_value_read(struct token_record *record, const struct store *s,
                             const MDB_val *value);

/* Whether the value fits the header; header and (in the mapping, unaligned) sum. */
const char *account_value_read(struct account_header *header, const void **sum,
                               const struct store *s, const MDB_val *value);

#endif
