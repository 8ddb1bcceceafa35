/* token_store_test.c - what a store keeps, shows, refuses and finds wrong. */
#define _DEFAULT_SOURCE /* mkdtemp, kill */
#include "store/store.h"

#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/store_folder.h"

/* ---- Order, replacement, removal ------------------------------------------------------ */

static int add_line(void *context, const struct token_record *r, struct error *e) {
    return bytes_printf(context, e, "%s.%d@%lld ", r->key, r->page, (long long)r->header.created);
}

static void check_order(struct store *s, const char *account, const char *want) {
    struct bytes lines;
    bytes_init(&lines, 1 << 20);
    CHECK_NUMBER(store_each(s, account, add_line, &lines, NULL), 0);
    CHECK_TEXT(bytes_text(&lines), want);
    bytes_close(&lines);
}

static void pages_of_an_account_follow_each_other_in_time(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "b/2", 50, 2, 1, 1, "x");
    put_grid(s, "a/9", 70, 1, 1, 1, "x");
    put_grid(s, "b/1", -5, 1, 1, 1, "x");
    put_grid(s, "b/3", 50, 1, 1, 1, "x");
    put_grid(s, "ab/1", 0, 1, 1, 1, "x");
    const char *all = "a/9.0@70 ab/1.0@0 b/1.0@-5 b/2.0@50 b/2.1@50 b/3.0@50 ";
    check_order(s, NULL, all);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    s = store_reader(path);
    check_order(s, NULL, all);
    check_order(s, "a", "a/9.0@70 ");
    check_order(s, "b", "b/1.0@-5 b/2.0@50 b/2.1@50 b/3.0@50 ");
    check_order(s, "c", "");
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void a_sample_put_again_takes_the_place_of_the_old(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 10, 3, 2, 2, "x");
    put_grid(s, "a/2", 11, 1, 2, 2, "x");
    CHECK_NUMBER(store_is_done(s, "a/1", "x", "codec=bf16", NULL), 1);
    CHECK_NUMBER(store_is_done(s, "a/1", "y", "codec=bf16", NULL), 0);
    CHECK_NUMBER(store_is_done(s, "a/1", "x", "codec=int8", NULL), 0);
    CHECK_NUMBER(store_is_done(s, "a/3", "x", "codec=bf16", NULL), 0);
    put_grid(s, "a/1", 20, 1, 2, 2, "y"); /* another time: other keys */
    check_order(s, NULL, "a/2.0@11 a/1.0@20 ");
    CHECK_NUMBER(store_is_done(s, "a/1", "y", "codec=bf16", NULL), 1);
    CHECK_NUMBER(store_remove(s, "a/2", NULL), 1);
    CHECK_NUMBER(store_remove(s, "a/2", NULL), 0);
    check_order(s, NULL, "a/1.0@20 ");
    CHECK_NUMBER(store_has(s, "a/2", NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void a_page_is_found_by_its_number(void) {
    char path[64];
    struct token_record record;
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 10, 3, 2, 2, "x");
    put_grid(s, "a/12", 10, 1, 1, 1, "x");
    CHECK_NUMBER(store_get_page(s, "a/1", 2, &record, NULL), 1);
    CHECK(strcmp(record.key, "a/1") == 0 && record.page == 2 && record.header.created == 10);
    CHECK_NUMBER(record.header.rows * record.header.columns, 4);
    CHECK_NUMBER(store_get_page(s, "a/1", 3, &record, NULL), 0);
    CHECK_NUMBER(store_get_page(s, "a/1", -1, &record, NULL), 0);
    CHECK_NUMBER(store_get_page(s, "a/1", 65536, &record, NULL), 0);
    CHECK_NUMBER(store_get_page(s, "a/2", 0, &record, NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    s = store_reader(path);
    CHECK_NUMBER(store_get_page(s, "a/12", 0, &record, NULL), 1);
    CHECK_TEXT(record.key, "a/12");
    store_close(s);
    folder_end(path);
}

static void json_and_text_come_back(void) {
    char path[64];
    struct bytes text;
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 10, 1, 1, 1, "x");
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(store_get_json(s, "a/1", &text, NULL), 1);
    CHECK_TEXT(bytes_text(&text), "{\"id\":\"a/1\",\"created\":10}");
    bytes_clear(&text);
    CHECK_NUMBER(store_get_text(s, "a/1", &text, NULL), 1);
    CHECK(text.size == 9 && memcmp(text.data, "some text", 9) == 0);
    CHECK_NUMBER(store_get_text(s, "a/2", &text, NULL), 0);
    int64_t bytes = 0;
    CHECK_NUMBER(store_forget_text(s, "a/1", &bytes, NULL), 0);
    CHECK(bytes > 0);
    CHECK_NUMBER(store_get_json(s, "a/1", &text, NULL), 0);
    CHECK_NUMBER(store_has(s, "a/1", NULL), 1);
    bytes_close(&text);
    store_close(s);
    folder_end(path);
}

static void many_samples_train_a_dictionary_and_old_frames_stay_readable(void) {
    char path[64], key[32];
    struct bytes text;
    struct store_counts counts;
    folder_new(path);
    struct store *s = store_new(path);
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "account/%d", i);
        put_grid(s, key, i, 1, 1, 1, "x");
        if (i % 300 == 299) {
            CHECK_NUMBER(store_commit(s, NULL), 0);
        }
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    s = store_reader(path);
    bytes_init(&text, 1 << 20);
    for (int i = 0; i < 2000; i++) {
        char want[64];
        snprintf(key, sizeof key, "account/%d", i);
        snprintf(want, sizeof want, "{\"id\":\"account/%d\",\"created\":%d}", i, i);
        bytes_clear(&text);
        CHECK_NUMBER(store_get_json(s, key, &text, NULL), 1);
        CHECK_TEXT(bytes_text(&text), want);
    }
    CHECK_NUMBER(store_count(s, &counts, NULL), 0);
    CHECK_NUMBER(counts.samples, 2000);
    CHECK_NUMBER(counts.pages, 2000);
    CHECK_NUMBER(counts.tokens, 2000);
    CHECK_NUMBER(counts.characters, 20000);
    CHECK_NUMBER(counts.accounts, 1);
    CHECK_NUMBER(counts.bucket_pages[0], 2000);
    CHECK(counts.json_bytes < 2000 * 34); /* less than the plain texts: the dictionary works */
    bytes_close(&text);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* ---- Commits --------------------------------------------------------------------------- */

static void readers_see_what_is_committed(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 1, 1, 1, 1, "x");
    CHECK_NUMBER(store_commit(s, NULL), 0);
    put_grid(s, "a/2", 2, 1, 1, 1, "x");
    pid_t child = fork();
    if (child == 0) { /* a process of its own: LMDB lets none open a store twice */
        struct store *reader = NULL;
        bool right = store_open(&reader, path, NULL) == 0 && store_has(reader, "a/1", NULL) == 1 &&
                     store_has(reader, "a/2", NULL) == 0;
        store_close(reader);
        _exit(right ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_close(s); /* a/2 was not committed */
    s = store_reader(path);
    CHECK_NUMBER(store_has(s, "a/1", NULL), 1);
    CHECK_NUMBER(store_has(s, "a/2", NULL), 0);
    store_close(s);
    folder_end(path);
}

static void a_second_writer_is_refused_at_once(void) {
    char path[64];
    int ready[2];
    struct store *s = NULL;
    struct error e;
    folder_new(path);
    if (pipe(ready) != 0) {
        exit(1);
    }
    pid_t child = fork();
    if (child == 0) {
        struct store *first = store_new(path);
        ssize_t done = write(ready[1], "x", 1);
        (void)first;
        (void)done;
        pause();
        _exit(0);
    }
    char byte;
    CHECK_NUMBER(read(ready[0], &byte, 1), 1);
    CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, &e), ERR_IO);
    CHECK(strstr(e.text, "another process is writing") != NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    s = store_new(path); /* a killed writer leaves nothing behind */
    store_close(s);
    close(ready[0]);
    close(ready[1]);
    folder_end(path);
}

static void a_killed_writer_loses_only_what_it_had_not_committed(void) {
    char path[64], key[32];
    folder_new(path);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct store *s = store_new(path);
            for (int i = 0; i < 10; i++) {
                snprintf(key, sizeof key, "a/%d-%d", round, i);
                put_grid(s, key, round, 2, 3, 4, "x");
                if (i == round % 10) {
                    store_commit(s, NULL);
                }
            }
            kill(getpid(), SIGKILL);
        }
        waitpid(child, NULL, 0);
        check_verified(path);
        struct store *s = store_reader(path);
        for (int i = 0; i < 10; i++) {
            snprintf(key, sizeof key, "a/%d-%d", round, i);
            CHECK_NUMBER(store_has(s, key, NULL), i <= round % 10);
        }
        store_close(s);
    }
    folder_end(path);
}

/* ---- What is refused ---------------------------------------------------------------------- */

static void another_encoder_is_refused_by_name(void) {
    char path[64];
    struct store *s;
    struct error e;
    struct store_encoder other = {.fingerprint = 0x99, .name = "other", .dim = STORE_DIM};
    folder_new(path);
    store_close(store_new(path));
    CHECK_NUMBER(store_open_write(&s, path, &other, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "of the encoder test") != NULL && strstr(e.text, "not of other") != NULL);
    CHECK_NUMBER(store_open_write(&s, path, NULL, &e), 0); /* whatever it is */
    CHECK_TEXT(store_encoder(s)->name, "test");
    store_close(s);
    folder_end(path);
}

static void a_folder_with_other_things_in_it_is_left_alone(void) {
    char path[64], file[80], lock[80];
    struct store *s;
    struct error e;
    folder_new(path);
    CHECK_NUMBER(mkdir(path, 0777), 0);
    snprintf(file, sizeof file, "%s/letter.txt", path);
    snprintf(lock, sizeof lock, "%s/writer.lock", path);
    FILE *f = fopen(file, "w");
    if (!CHECK(f != NULL)) {
        exit(1);
    }
    fclose(f);
    CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "holds letter.txt") != NULL);
    CHECK(access(lock, F_OK) != 0);
    CHECK_NUMBER(store_open(&s, path, &e), ERR_FORMAT);
    CHECK_NUMBER(store_open(&s, file, &e), ERR_FORMAT);
    folder_end(path);
}

/* Changes one value of a store behind its back. */
static void plant(const char *path, const char *database, const void *key, size_t key_size,
                  void (*change)(unsigned char *value, size_t size), size_t new_size) {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    unsigned char value[4096];
    union {
        const void *read;
        void *data;
    } u = {.read = key};
    MDB_val k = {key_size, u.data}, v;
    bool done = mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 6) == 0 &&
                mdb_env_set_mapsize(env, 1 << 30) == 0 && mdb_env_open(env, path, 0, 0666) == 0 &&
                mdb_txn_begin(env, NULL, 0, &txn) == 0 && mdb_dbi_open(txn, database, 0, &dbi) == 0;
    if (!CHECK(done)) {
        exit(1);
    }
    size_t size = new_size;
    memset(value, 0, sizeof value);
    if (mdb_get(txn, dbi, &k, &v) == 0) {
        size = v.mv_size;
        memcpy(value, v.mv_data, size);
    }
    change(value, size);
    v = (MDB_val){new_size > 0 ? new_size : size, value};
    CHECK(mdb_put(txn, dbi, &k, &v, 0) == 0 && mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

static void set_format_2(unsigned char *value, size_t size) {
    (void)size;
    memcpy(value, "occ-store 2", 11);
}

static void another_version_is_refused(void) {
    char path[64];
    struct store *s;
    struct error e;
    folder_new(path);
    store_close(store_new(path));
    plant(path, "meta", "format", 6, set_format_2, 0);
    CHECK_NUMBER(store_open(&s, path, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "format 'occ-store 2'") != NULL);
    CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, &e), ERR_UNSUPPORTED);
    folder_end(path);
}

/* ---- Verify ------------------------------------------------------------------------------- */

static void flip_last(unsigned char *value, size_t size) {
    value[size - 1] ^= 1;
}
static void flip_first(unsigned char *value, size_t size) {
    (void)size;
    value[0] ^= 1;
}
static void flip_created(unsigned char *value, size_t size) {
    (void)size;
    value[24] ^= 1;
}
static void set_codec(unsigned char *value, size_t size) {
    (void)size;
    value[4] = 77;
}
static void set_operator(unsigned char *value, size_t size) {
    (void)size;
    value[41] = SHRINK_COUNT;
}
static void set_accuracy(unsigned char *value, size_t size) {
    (void)size;
    value[42] = value[43] = 0xff;
}
static void set_journal(unsigned char *value, size_t size) {
    static const char TEXT[] = "{\"created\":5,\"pages\":7,\"options\":\"\",\"input\":\"\"}";
    memset(value, ' ', size);
    memcpy(value, TEXT, sizeof TEXT - 1);
}
static void set_zeros(unsigned char *value, size_t size) {
    memset(value, 0, size);
}

static const unsigned char KEY_OF_A1[] = {'a', 0, 0x80, 0, 0, 0, 0, 0, 0, 5, '1', 0, 0, 0};
static const unsigned char KEY_OF_A2[] = {'a', 0, 0x80, 0, 0, 0, 0, 0, 0, 5, '2', 0, 0, 0};

static void keep_fault(void *context, const char *line) {
    CHECK(bytes_append_text(context, line, NULL) == 0);
}

static void verify_finds_each_fault(void) {
    static const struct {
        const char *database;
        const void *key;
        size_t key_size;
        void (*change)(unsigned char *value, size_t size);
        size_t new_size;
        const char *want;
    } FAULTS[] = {
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, flip_last, 0, "do not match their hash"},
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, flip_first, 0, "has no header"},
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, flip_created, 0, "different times"},
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, set_codec, 0, "unknown codec"},
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, set_operator, 0,
         "unknown codec, bucket or operator"},
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, set_accuracy, 0, "impossible accuracy"},
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, set_zeros, 63, "is too short"},
        {"tokens", KEY_OF_A1, sizeof KEY_OF_A1, flip_first, 80, "has no header"},
        {"tokens", KEY_OF_A2, sizeof KEY_OF_A2, set_zeros, 64, "has no header"},
        {"tokens", "xyz", 3, set_zeros, 64, "damaged key"},
        {"journal", "a/1", 3, set_journal, 0, "counts 7 pages, 1 are there"},
        {"journal", "a/1", 3, flip_first, 0, "journal entry is damaged"},
        {"samples", "a/1", 3, flip_last, 0, "its JSON is damaged"},
        {"samples", "a/1", 3, set_zeros, 10, "its JSON is not a packed text"},
        {"samples", "a/7", 3, set_zeros, 10, "its JSON is not a packed text"},
        {"text", "a/1", 3, flip_last, 0, "its text is damaged"},
        {"accounts", "a", 1, set_zeros, 64, "has no header"},
    };
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) {
        char path[64];
        struct bytes lines;
        bytes_init(&lines, 1 << 16);
        folder_new(path);
        struct store *s = store_new(path);
        put_grid(s, "a/1", 5, 1, 2, 2, "x");
        CHECK_NUMBER(store_commit(s, NULL), 0);
        store_close(s);
        plant(path, FAULTS[i].database, FAULTS[i].key, FAULTS[i].key_size, FAULTS[i].change,
              FAULTS[i].new_size);
        s = store_reader(path);
        CHECK(store_verify(s, keep_fault, &lines, NULL) >= 1);
        if (!CHECK(strstr(bytes_text(&lines), FAULTS[i].want) != NULL)) {
            printf("# wanted: %s, got: %s\n", FAULTS[i].want, bytes_text(&lines));
        }
        store_close(s);
        bytes_close(&lines);
        folder_end(path);
    }
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static void a_compact_copy_holds_the_same_in_less(void) {
    char path[64], copy[80], key[32];
    struct stat before, after;
    struct error e;
    folder_new(path);
    snprintf(copy, sizeof copy, "%s.copy", path);
    struct store *s = store_new(path);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "a/%d", i);
        put_grid(s, key, i, 1, 16, 16, "x");
        CHECK_NUMBER(store_commit(s, NULL), 0);
    }
    for (int i = 0; i < 190; i++) {
        snprintf(key, sizeof key, "a/%d", i);
        CHECK_NUMBER(store_remove(s, key, NULL), 1);
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
    CHECK_NUMBER(store_compact(s, copy, &e), 0);
    CHECK_NUMBER(store_compact(s, copy, &e), ERR_USAGE);
    CHECK(strstr(e.text, "already exists") != NULL);
    store_close(s);
    check_verified(copy);
    s = store_reader(copy);
    CHECK_NUMBER(store_has(s, "a/195", NULL), 1);
    CHECK_NUMBER(store_has(s, "a/189", NULL), 0);
    store_close(s);
    snprintf(key, sizeof key, "%s", "/data.mdb");
    char file[128];
    snprintf(file, sizeof file, "%s%s", path, key);
    CHECK_NUMBER(stat(file, &before), 0);
    snprintf(file, sizeof file, "%s%s", copy, key);
    CHECK_NUMBER(stat(file, &after), 0);
    CHECK(after.st_size * 5 < before.st_size);
    folder_end(path);
}

static void merged_stores_hold_what_both_held(void) {
    char one[64], two[64];
    struct store_copied copied;
    folder_new(one);
    folder_new(two);
    struct store *s = store_new(one), *other = store_new(two);
    put_grid(s, "a/1", 1, 1, 2, 2, "x");
    put_grid(s, "a/2", 2, 1, 2, 2, "x");
    put_grid(other, "a/2", 2, 2, 4, 4, "y"); /* is there already: stays as it is */
    put_grid(other, "b/1", 3, 2, 2, 2, "x");
    CHECK_NUMBER(store_commit(other, NULL), 0);
    store_close(other);
    other = store_reader(two);
    for (int round = 0; round < 2; round++) {
        CHECK_NUMBER(store_merge(s, other, &copied, NULL, NULL, NULL), 0);
        CHECK_NUMBER(copied.samples, round == 0 ? 1 : 0);
        CHECK_NUMBER(copied.kept, round == 0 ? 1 : 2);
        check_order(s, NULL, "a/1.0@1 a/2.0@2 b/1.0@3 b/1.1@3 ");
    }
    store_close(other);
    store_close(s);
    check_verified(one);
    folder_end(one);
    folder_end(two);
}

static void the_longest_keys_fit(void) {
    char path[64], key[STREAM_KEY_BYTES], part[STREAM_KEY_PART + 1];
    folder_new(path);
    memset(part, 'k', sizeof part - 1);
    part[sizeof part - 1] = '\0';
    stream_key(key, part, part);
    struct store *s = store_new(path);
    put_grid(s, key, 1, 1, 1, 1, "x");
    CHECK_NUMBER(store_has(s, key, NULL), 1);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

int main(void) {
    RUN(pages_of_an_account_follow_each_other_in_time);
    RUN(a_sample_put_again_takes_the_place_of_the_old);
    RUN(a_page_is_found_by_its_number);
    RUN(json_and_text_come_back);
    RUN(many_samples_train_a_dictionary_and_old_frames_stay_readable);
    RUN(readers_see_what_is_committed);
    RUN(a_second_writer_is_refused_at_once);
    RUN(a_killed_writer_loses_only_what_it_had_not_committed);
    RUN(another_encoder_is_refused_by_name);
    RUN(a_folder_with_other_things_in_it_is_left_alone);
    RUN(another_version_is_refused);
    RUN(verify_finds_each_fault);
    RUN(a_compact_copy_holds_the_same_in_less);
    RUN(merged_stores_hold_what_both_held);
    RUN(the_longest_keys_fit);
    return test_finish();
}
