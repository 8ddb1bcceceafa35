/* lasting_test.c - what a store remembers of its samples, however they change: pins, what was
 * folded, dates that are not there; and the maps for merging. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <lmdb.h>

#include "store/forget.h"
#include "tests/store_folder.h"

#define WEEK ((int64_t)7 * 24 * 3600)
#define LATE (9000 * WEEK)

/* ---- Stores -------------------------------------------------------------------------------- */

/* A pack of one page of 4 tokens, all `value`; `samples`: a JSON array. */
static void put_pack(struct store *s, const char *key, int64_t created, const char *samples,
                     float value) {
    struct codec_state *codec = NULL;
    struct bytes packed;
    float tokens[4 * STORE_DIM];
    char json[256];
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        tokens[i] = value;
    }
    bytes_init(&packed, 1 << 20);
    CHECK(codec_open(&codec, NULL) == 0 &&
          codec_pack(codec, &packed, CODEC_BF16, tokens, 4, STORE_DIM, NULL, NULL) == 0);
    snprintf(json, sizeof json, "{\"id\":\"p\",\"samples\":%s}", samples);
    const struct store_page page = {.rows = 2,
                                    .columns = 2,
                                    .characters = 12,
                                    .codec = CODEC_BF16,
                                    .payload = packed.data,
                                    .size = packed.size};
    const struct store_sample sample = {.key = key,
                                        .created = created,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .pages = &page,
                                        .page_count = 1,
                                        .input = key,
                                        .options = ""};
    CHECK_NUMBER(store_put(s, &sample, NULL), 0);
    bytes_close(&packed);
    codec_close(codec);
}

/* A sample that has no page of its own. */
static void put_bare(struct store *s, const char *key, int64_t created) {
    put_grid(s, key, created, 0, 1, 1, "x");
}

static int pin(struct store *s, const char *key, bool pinned, struct error *e) {
    char copy[STREAM_KEY_BYTES], *const keys[] = {copy};
    snprintf(copy, sizeof copy, "%s", key);
    return store_pin(s, keys, 1, pinned, e);
}

static struct forget_result age(struct store *s, int64_t now) {
    struct forget_options options = WEEKLY;
    struct forget_result result;
    struct error e = {0};
    options.now = now;
    if (!CHECK_NUMBER(forget_run(s, &options, NULL, &result, &e), 0)) {
        printf("# %s\n", e.text);
    }
    return result;
}

static int add_page(void *context, const struct token_record *r, struct error *e) {
    return bytes_printf(context, e, "%s%s ", r->key,
                        (r->header.flags & TOKEN_PINNED) != 0 ? "!" : "");
}

/* The keys of all pages, "!" after those that are pinned. */
static void check_pages(struct store *s, const char *want) {
    struct bytes lines;
    bytes_init(&lines, 1 << 20);
    CHECK_NUMBER(store_each(s, NULL, add_page, &lines, NULL), 0);
    CHECK_TEXT(bytes_text(&lines), want);
    bytes_close(&lines);
}

static bool has_json(struct store *s, const char *key) {
    struct bytes json;
    bytes_init(&json, 1 << 20);
    int rc = store_get_json(s, key, &json, NULL);
    bytes_close(&json);
    return rc == 1;
}

/* Deletes an entry of meta, as if the store were of before. */
static void drop_meta(const char *path, char *name) {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    MDB_val key = {strlen(name), name};
    CHECK(mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 8) == 0 &&
          mdb_env_open(env, path, 0, 0666) == 0 && mdb_txn_begin(env, NULL, 0, &txn) == 0 &&
          mdb_dbi_open(txn, "meta", 0, &meta) == 0 && mdb_del(txn, meta, &key, NULL) == 0 &&
          mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

static struct store *begin(char path[64]) {
    folder_new(path);
    return store_new(path);
}

static void end(struct store *s, char path[64]) {
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* ---- Pins ---------------------------------------------------------------------------------- */

/* store F3 */
static void a_pin_outlives_a_change_of_its_sample(void) {
    char path[64];
    struct store *s = begin(path);
    put_grid(s, "a/1", 1, 2, 2, 2, "x");
    put_grid(s, "a/2", 1, 1, 2, 2, "x");
    CHECK_NUMBER(pin(s, "a/1", true, NULL), 0);
    check_pages(s, "a/1! a/1! a/2 ");
    put_grid(s, "a/1", 5, 1, 2, 2, "y"); /* another date: another key */
    check_pages(s, "a/2 a/1! ");
    struct forget_result r = age(s, LATE);
    CHECK(r.folded == 1 && r.pinned == 1);
    check_pages(s, "a/1! ");
    CHECK_NUMBER(pin(s, "a/1", false, NULL), 0);
    check_pages(s, "a/1 ");
    r = age(s, LATE);
    CHECK(r.folded == 1);
    end(s, path);
}

/* store F4 */
static void a_pin_holds_the_packs_that_show_its_sample(void) {
    char path[64];
    struct error e;
    struct store *s = begin(path);
    put_bare(s, "a/1", 1);
    put_bare(s, "a/2", 1);
    put_bare(s, "a/3", 1);
    put_pack(s, "a/pack%3Ax", 1, "[\"a/1\",\"a/2\"]", 1);
    put_pack(s, "a/pack%3Ay", 1, "[\"a/3\"]", 1);
    CHECK_NUMBER(pin(s, "a/1", true, NULL), 0);
    check_pages(s, "a/pack%3Ax! a/pack%3Ay ");
    put_pack(s, "a/pack%3Az", 2, "[\"a/1\",\"a/3\"]", 1); /* the next night */
    check_pages(s, "a/pack%3Ax! a/pack%3Ay a/pack%3Az! ");
    age(s, LATE);
    check_pages(s, "a/pack%3Ax! a/pack%3Az! ");
    CHECK(has_json(s, "a/1") && has_json(s, "a/2") && has_json(s, "a/3"));
    CHECK_NUMBER(pin(s, "a/pack%3Az", true, NULL), 0); /* all that is on it */
    CHECK_NUMBER(pin(s, "a/1", false, NULL), 0);
    check_pages(s, "a/pack%3Ax a/pack%3Az! ");
    CHECK_NUMBER(pin(s, "a/3", false, NULL), 0);
    age(s, LATE);
    check_pages(s, "");
    CHECK(!has_json(s, "a/1") && !has_json(s, "a/2") && !has_json(s, "a/3"));
    CHECK_NUMBER(pin(s, "a/1", true, &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "a/1: was folded into its account's style token: no page of it is left");
    end(s, path);
}

/* store F4 */
static void a_pin_that_keeps_nothing_is_refused(void) {
    char path[64], one[] = "a/1", nine[] = "a/9", *const keys[] = {one, nine};
    struct error e;
    struct store *s = begin(path);
    put_grid(s, "a/1", 1, 1, 2, 2, "x");
    put_bare(s, "a/2", 1);
    CHECK_NUMBER(store_pin(s, keys, 2, true, &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "a/9: is not in the store");
    check_pages(s, "a/1 "); /* all or none */
    CHECK_NUMBER(pin(s, "a/2", true, &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "a/2: no page shows it");
    CHECK_NUMBER(pin(s, "a/9", false, &e), ERR_FORMAT);
    CHECK_NUMBER(pin(s, "a/2", false, &e), 0);
    put_pack(s, "a/pack%3Ax", 1, "[\"a/2\"]", 1);
    CHECK_NUMBER(store_check_pages(s, "a/1", &e), 0);
    CHECK_NUMBER(store_check_pages(s, "a/2", &e), ERR_FORMAT);
    CHECK_TEXT(e.text, "a/2: has no page of its own: it is on the pack a/pack%3Ax");
    end(s, path);
}

static int flag(void *context, const struct token_record *r, struct error *e) {
    (void)e;
    *(struct token_record *)context = *r;
    return 0;
}

/* store F3: stores of before have pins in the headers only, of packs too */
static void pins_of_before_are_taken_over(void) {
    char path[64];
    static struct token_record page;
    struct store *s = begin(path);
    put_bare(s, "a/1", 1);
    put_pack(s, "a/pack%3Ax", 1, "[\"a/1\"]", 1);
    put_grid(s, "b/1", 1, 1, 2, 2, "x");
    static const char *const PINNED[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
        CHECK_NUMBER(store_each(s, PINNED[i], flag, &page, NULL), 0);
        CHECK_NUMBER(store_put_flags(s, &page, TOKEN_PINNED, NULL), 0);
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    drop_meta(path, (char[]){"pins"});
    s = store_new(path);
    put_grid(s, "b/1", 2, 1, 2, 2, "y");
    put_pack(s, "a/pack%3Ay", 2, "[\"a/1\"]", 1);
    CHECK_NUMBER(store_remove(s, "a/pack%3Ax", NULL), 1);
    check_pages(s, "a/pack%3Ay! b/1! ");
    CHECK_NUMBER(pin(s, "b/1", false, NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    s = store_new(path); /* once only */
    check_pages(s, "a/pack%3Ay! b/1 ");
    end(s, path);
}

/* store F3 */
static void a_removed_sample_takes_its_pin_along(void) {
    char path[64];
    struct store *s = begin(path);
    put_grid(s, "a/1", 1, 1, 2, 2, "x");
    CHECK_NUMBER(pin(s, "a/1", true, NULL), 0);
    CHECK_NUMBER(store_remove(s, "a/1", NULL), 1);
    put_grid(s, "a/1", 1, 1, 2, 2, "x");
    check_pages(s, "a/1 ");
    end(s, path);
}

/* ---- Folded samples ------------------------------------------------------------------------ */

static void check_style(struct store *s, int64_t pages, int64_t characters, double mean) {
    struct account_header header = {.dim = 0};
    double *sum = NULL;
    CHECK_NUMBER(store_get_account(s, "a", &header, &sum, NULL), 1);
    CHECK_NUMBER(header.folded_pages, pages);
    CHECK_NUMBER(header.folded_characters, characters);
    if (CHECK(sum != NULL)) {
        CHECK_NEAR(sum[0] / ((double)header.folded_pages - header.repeated), mean, 1e-9);
    }
    free(sum);
}

/* store F7 */
static void a_sample_is_in_the_style_sum_once(void) {
    char path[64];
    struct store *s = begin(path);
    for (int night = 0; night < 4; night++) {
        char input[16];
        snprintf(input, sizeof input, "%d", night);
        put_grid(s, "a/1", 1, 1, 2, 2, input);
        struct forget_result r = age(s, LATE);
        CHECK(r.folded == 1 && r.removed_samples == (night == 0) && r.removed_bytes > 0);
        check_pages(s, "");
    }
    check_style(s, 1, 10, 1.5);
    CHECK(!has_json(s, "a/1"));
    end(s, path);
}

/* store F7: of a pack, only those samples count that were not folded from another */
static void a_pack_counts_with_what_is_new_on_it(void) {
    char path[64];
    int64_t shown, folded;
    struct store *s = begin(path);
    put_bare(s, "a/1", 1);
    put_bare(s, "a/2", 1);
    put_pack(s, "a/pack%3Ax", 1, "[\"a/1\",\"a/2\"]", 3);
    struct forget_result r = age(s, LATE);
    CHECK(r.folded == 1 && r.removed_samples == 2);
    check_style(s, 1, 12, 3);
    CHECK_NUMBER(store_count_folded(s, "a/1", NULL, &shown, &folded, NULL), 0);
    CHECK(shown == 1 && folded == 1);
    put_bare(s, "a/3", 1);
    put_pack(s, "a/pack%3Ay", 1, "[\"a/1\",\"a/2\",\"a/3\"]", 9); /* a third of it is new */
    put_pack(s, "a/pack%3Az", 1, "[\"a/1\",\"a/2\"]", 7);         /* nothing is */
    r = age(s, LATE);
    CHECK(r.folded == 2 && r.removed_samples == 1);
    check_style(s, 2, 16, (3 + 9 / 3.0) / (1 + 1 / 3.0));
    end(s, path);
}

/* store F7: stores of before have no marks, but a folded sample has lost its JSON */
static void samples_that_were_folded_before_are_known(void) {
    char path[64];
    int64_t shown, folded, bytes = 0;
    struct store *s = begin(path);
    put_bare(s, "a/1", 1);
    CHECK_NUMBER(store_count_folded(s, "a/1", NULL, &shown, &folded, NULL), 0);
    CHECK(shown == 1 && folded == 0);
    CHECK_NUMBER(store_forget_text(s, "a/1", &bytes, NULL), 0);
    CHECK_NUMBER(store_count_folded(s, "a/1", NULL, &shown, &folded, NULL), 0);
    CHECK(shown == 1 && folded == 1 && bytes > 0);
    CHECK_NUMBER(store_count_folded(s, "a/9", NULL, &shown, &folded, NULL), 0);
    CHECK(shown == 1 && folded == 0);
    end(s, path);
}

/* store F7: the texts of a sample stay while a newer pack shows it */
static void texts_stay_while_a_page_shows_the_sample(void) {
    char path[64];
    struct store *s = begin(path);
    put_bare(s, "a/1", 1);
    put_bare(s, "a/2", 1);
    put_pack(s, "a/pack%3Aold", 1, "[\"a/1\",\"a/2\"]", 1);
    put_pack(s, "a/pack%3Anew", LATE, "[\"a/1\"]", 1);
    age(s, LATE);
    check_pages(s, "a/pack%3Anew ");
    CHECK(has_json(s, "a/1") && !has_json(s, "a/2"));
    end(s, path);
}

/* ---- Dates --------------------------------------------------------------------------------- */

/* store F8 */
static void pages_without_a_date_never_age(void) {
    char path[64];
    struct store *s = begin(path);
    put_grid(s, "a/1", STORE_UNDATED, 1, 4, 4, "x");
    put_grid(s, "a/2", -5, 1, 4, 4, "x"); /* of a store of before */
    put_grid(s, "a/3", 2 * LATE, 1, 4, 4, "x");
    put_grid(s, "a/4", 1, 1, 4, 4, "x");
    struct forget_result r = age(s, LATE);
    CHECK(r.undated == 2 && r.future == 1 && r.folded == 1 && r.shrunk == 0);
    check_pages(s, "a/2 a/1 a/3 ");
    end(s, path);
}

/* ---- The last pass ------------------------------------------------------------------------- */

/* store F12 */
static void the_last_pass_is_that_of_any_account(void) {
    char path[64];
    int64_t last;
    struct store *s = begin(path);
    put_grid(s, "a/1", 1, 1, 2, 2, "x");
    CHECK_NUMBER(forget_last_pass(s, &last, NULL), 0);
    CHECK_NUMBER(last, 0);
    age(s, 3 * WEEK);
    put_grid(s, "b/1", 1, 1, 2, 2, "x");
    CHECK_NUMBER(forget_last_pass(s, &last, NULL), 0);
    CHECK_NUMBER(last, 3 * WEEK);
    end(s, path);
}

/* ---- Maps, and stores that are merged ------------------------------------------------------ */

/* A safetensors file without tensors. */
static const char MAPS[] = "\2\0\0\0\0\0\0\0{}";
enum { MAPS_SIZE = sizeof MAPS - 1 };

/* store F5 */
static void maps_are_kept_and_checked(void) {
    char path[64];
    struct bytes maps;
    struct store *s = begin(path);
    bytes_init(&maps, 1 << 20);
    CHECK_NUMBER(store_has_maps(s, NULL), 0);
    CHECK_NUMBER(store_get_maps(s, &maps, NULL), 0);
    CHECK_NUMBER(store_put_maps(s, MAPS, MAPS_SIZE, NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    check_verified(path);
    s = store_reader(path);
    CHECK_NUMBER(store_get_maps(s, &maps, NULL), 1);
    CHECK(maps.size == MAPS_SIZE && memcmp(maps.data, MAPS, MAPS_SIZE) == 0);
    store_close(s);
    s = store_new(path);
    CHECK_NUMBER(store_put_maps(s, "no maps", 7, NULL), 0);
    CHECK_NUMBER(store_verify(s, print_fault, NULL, NULL), 1);
    store_close(s);
    bytes_close(&maps);
    folder_end(path);
}

/* store F3, F5, F7 */
static void a_merge_carries_pins_maps_and_foldings(void) {
    char path[64], other[64];
    struct store_copied copied;
    struct store *from = begin(other);
    put_grid(from, "a/1", LATE, 1, 2, 2, "x");
    put_grid(from, "a/2", LATE, 1, 2, 2, "x");
    put_grid(from, "a/3", 1, 1, 2, 2, "x");
    CHECK_NUMBER(pin(from, "a/1", true, NULL), 0);
    CHECK_NUMBER(pin(from, "a/2", true, NULL), 0);
    CHECK_NUMBER(store_put_maps(from, MAPS, MAPS_SIZE, NULL), 0);
    age(from, LATE);
    store_close(from);
    from = store_reader(other);
    struct store *s = begin(path);
    put_grid(s, "a/2", LATE, 1, 2, 2, "y");
    put_grid(s, "a/3", 1, 1, 2, 2, "y");
    put_bare(s, "a/4", LATE);
    put_pack(s, "a/pack%3Ax", LATE, "[\"a/1\",\"a/4\"]", 1);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    CHECK_NUMBER(store_merge(s, from, &copied, NULL, NULL, NULL), 0);
    check_pages(s, "a/3 a/1! a/2! a/pack%3Ax! ");
    CHECK_NUMBER(store_has_maps(s, NULL), 1);
    age(s, LATE); /* a/3 is in the sum that was taken over */
    check_pages(s, "a/1! a/2! a/pack%3Ax! ");
    check_style(s, 1, 10, 1.5);
    store_close(from);
    folder_end(other);
    end(s, path);
}

int main(void) {
    RUN(a_pin_outlives_a_change_of_its_sample);
    RUN(a_pin_holds_the_packs_that_show_its_sample);
    RUN(a_pin_that_keeps_nothing_is_refused);
    RUN(pins_of_before_are_taken_over);
    RUN(a_removed_sample_takes_its_pin_along);
    RUN(a_sample_is_in_the_style_sum_once);
    RUN(a_pack_counts_with_what_is_new_on_it);
    RUN(samples_that_were_folded_before_are_known);
    RUN(texts_stay_while_a_page_shows_the_sample);
    RUN(pages_without_a_date_never_age);
    RUN(the_last_pass_is_that_of_any_account);
    RUN(maps_are_kept_and_checked);
    RUN(a_merge_carries_pins_maps_and_foldings);
    return test_finish();
}
