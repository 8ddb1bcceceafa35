/* store_remove_test.c - taking samples and accounts out of a store for good, and what a merge says
 * of samples that it keeps. */
#define _GNU_SOURCE /* memmem, mkdtemp */
#include "store/file.h"
#include "store/forget.h"
#include "tests/store_folder.h"

enum { DAY = 24 * 3600, SIDE = 4 };

/* A sample with pages of 4 x 4 tokens, or without any. */
static void put(struct store *s, const char *key, int64_t created, const char *json,
                const char *text, int pages) {
    static unsigned char payload[SIDE * SIDE * (sizeof(float) + STORE_DIM)]; /* int8: zeros */
    const struct store_page page[2] = {{.page = 0,
                                        .rows = SIDE,
                                        .columns = SIDE,
                                        .codec = CODEC_INT8,
                                        .payload = payload,
                                        .size = sizeof payload},
                                       {.page = 1,
                                        .rows = SIDE,
                                        .columns = SIDE,
                                        .codec = CODEC_INT8,
                                        .payload = payload,
                                        .size = sizeof payload}};
    const struct store_sample sample = {.key = key,
                                        .created = created,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .text = text,
                                        .text_size = strlen(text),
                                        .pages = page,
                                        .page_count = (size_t)pages,
                                        .input = "x",
                                        .options = "codec=int8"};
    CHECK_NUMBER(store_put(s, &sample, NULL), 0);
}

struct lost {
    char pages[256], styles[256]; /* names, each with a space after */
};

static void note_page(void *context, const char *key) {
    struct lost *l = context;
    size_t length = strlen(l->pages);
    snprintf(l->pages + length, sizeof l->pages - length, "%s ", key);
}

static void note_style(void *context, const char *account) {
    struct lost *l = context;
    size_t length = strlen(l->styles);
    snprintf(l->styles + length, sizeof l->styles - length, "%s ", account);
}

static struct store_removal removal_of(struct lost *l) {
    *l = (struct lost){.pages = ""};
    return (struct store_removal){.lost_page = note_page, .lost_style = note_style, .context = l};
}

static int remove_one_of(struct store *s, const char *key, struct store_removal *removal,
                         struct error *e) {
    char copy[STREAM_KEY_BYTES];
    char *keys[] = {copy};
    snprintf(copy, sizeof copy, "%s", key);
    return store_remove_samples(s, keys, 1, removal, e);
}

/* store F9 */
static void a_sample_goes_with_all_that_is_its_own(void) {
    char path[64];
    struct lost lost;
    struct error e;
    struct bytes text;
    struct store_removal removal = removal_of(&lost);
    folder_new(path);
    struct store *s = store_new(path);
    put(s, "a/1", 5, "{}", "one", 2);
    put(s, "a/10", 5, "{}", "ten", 1);
    put(s, "ab/1", 5, "{}", "other", 1);
    char missing[] = "a/2", there[] = "a/1";
    char *keys[] = {there, missing};
    CHECK_NUMBER(store_remove_samples(s, keys, 2, &removal, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "a/2: is not in the store") != NULL);
    CHECK_NUMBER(store_has(s, "a/1", NULL), 1);
    char *twice[] = {there, there};
    CHECK_NUMBER(store_remove_samples(s, twice, 2, &removal, NULL), 0);
    CHECK(removal.samples == 1 && removal.pages == 2 && removal.packs == 0);
    CHECK_NUMBER(store_has(s, "a/1", NULL), 0);
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(store_get_text(s, "a/1", &text, NULL), 0);
    CHECK_NUMBER(store_get_json(s, "a/1", &text, NULL), 0);
    CHECK(store_has(s, "a/10", NULL) == 1 && store_has(s, "ab/1", NULL) == 1);
    CHECK_TEXT(lost.pages, "");
    CHECK_TEXT(lost.styles, "");
    bytes_close(&text);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* store F9: the pack shows what was removed; who shared it comes again. */
static void a_pack_goes_with_each_of_its_samples(void) {
    char path[64];
    struct lost lost;
    struct store_removal removal = removal_of(&lost);
    folder_new(path);
    struct store *s = store_new(path);
    for (int i = 1; i <= 5; i++) {
        char key[16];
        snprintf(key, sizeof key, "a/%d", i);
        put(s, key, i, "{}", "", 0);
    }
    put(s, "a/pack%3A1", 5, "{\"samples\":[\"a/1\",\"a/2\",\"a/3\"]}", "one two three", 1);
    put(s, "a/pack%3A2", 5, "{\"samples\":[\"a/3\",\"a/4\"]}", "three four", 1);
    put(s, "a/pack%3A3", 5, "{\"samples\":[\"a/5\"]}", "five", 1);
    CHECK_NUMBER(remove_one_of(s, "a/1", &removal, NULL), 0);
    CHECK(removal.samples == 1 && removal.pages == 1 && removal.packs == 1);
    CHECK_TEXT(lost.pages, "a/2 "); /* a/3 is on another, too */
    CHECK_TEXT(lost.styles, "");
    CHECK_NUMBER(store_has(s, "a/pack%3A1", NULL), 0);
    CHECK_NUMBER(store_is_done(s, "a/2", "x", "codec=int8", NULL), 0);
    CHECK_NUMBER(store_is_done(s, "a/3", "x", "codec=int8", NULL), 1);
    removal = removal_of(&lost); /* a pack itself */
    CHECK_NUMBER(remove_one_of(s, "a/pack%3A2", &removal, NULL), 0);
    CHECK(removal.samples == 0 && removal.packs == 1);
    CHECK_TEXT(lost.pages, "a/3 a/4 ");
    CHECK_NUMBER(store_has(s, "a/5", NULL), 1);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void fold(struct store *s) {
    struct forget_options options = WEEKLY;
    struct forget_result result;
    options.now = (int64_t)4000 * DAY;
    CHECK_NUMBER(forget_run(s, &options, NULL, &result, NULL), 0);
    CHECK(result.folded > 0);
}

/* store F9: what was folded cannot be taken out of a running sum. */
static void a_folded_sample_takes_the_style_sum_along(void) {
    char path[64];
    struct lost lost;
    struct account_header header;
    double *sum;
    struct store_removal removal = removal_of(&lost);
    folder_new(path);
    struct store *s = store_new(path);
    put(s, "a/1", 1, "{}", "old", 1);
    put(s, "a/2", 2, "{}", "old too", 1);
    put(s, "b/1", 1, "{}", "old elsewhere", 1);
    put(s, "a/3", (int64_t)4000 * DAY, "{}", "new", 1);
    fold(s);
    CHECK_NUMBER(remove_one_of(s, "a/3", &removal, NULL), 0); /* was not folded */
    CHECK_TEXT(lost.styles, "");
    CHECK_NUMBER(remove_one_of(s, "a/1", &removal, NULL), 0);
    CHECK_TEXT(lost.styles, "a ");
    CHECK_NUMBER(store_get_account(s, "a", &header, &sum, NULL), 1);
    CHECK(header.dim == 0 && header.folded_pages == 0 && header.folded_characters == 0 &&
          header.aged == (int64_t)4000 * DAY && sum == NULL);
    CHECK_NUMBER(store_get_account(s, "b", &header, &sum, NULL), 1);
    CHECK_NUMBER(header.folded_pages, 1);
    free(sum);
    CHECK_NUMBER(remove_one_of(s, "a/2", &removal, NULL), 0); /* the last one of the account */
    CHECK_NUMBER(store_get_account(s, "a", &header, &sum, NULL), 0);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* store F9 */
static void an_account_goes_as_a_whole(void) {
    char path[64];
    struct lost lost;
    struct error e;
    struct account_header header;
    double *sum;
    struct store_removal removal = removal_of(&lost);
    folder_new(path);
    struct store *s = store_new(path);
    put(s, "a/1", 1, "{}", "old", 1);
    put(s, "a/2", (int64_t)4000 * DAY, "{}", "", 0);
    put(s, "a/pack%3A1", (int64_t)4000 * DAY, "{\"samples\":[\"a/2\"]}", "new", 1);
    put(s, "ab/1", (int64_t)4000 * DAY, "{}", "other", 1);
    fold(s);
    CHECK_NUMBER(store_remove_account(s, "c", &removal, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "c: is not an account of the store") != NULL);
    CHECK_NUMBER(store_remove_account(s, "a", &removal, NULL), 0);
    CHECK(removal.samples == 2 && removal.packs == 1 && removal.pages == 1);
    CHECK(store_has(s, "a/1", NULL) == 0 && store_has(s, "a/pack%3A1", NULL) == 0);
    CHECK_NUMBER(store_get_account(s, "a", &header, &sum, NULL), 0);
    CHECK_NUMBER(store_has(s, "ab/1", NULL), 1);
    CHECK_NUMBER(store_remove_account(s, "a", &removal, NULL), ERR_FORMAT);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* ---- What is left in the file ------------------------------------------------------------- */

static bool holds(const char *path, const char *word) {
    char file[128];
    struct bytes data;
    bytes_init(&data, 1 << 26);
    snprintf(file, sizeof file, "%s/data.mdb", path);
    CHECK_NUMBER(file_read(file, &data, NULL), 0);
    bool found = memmem(data.data, data.size, word, strlen(word)) != NULL;
    bytes_close(&data);
    return found;
}

/* Enough samples for a dictionary, which then holds words of the first ones. */
static void fill(struct store *s) {
    char key[64], json[256];
    for (int i = 0; i < 400; i++) {
        bool goes = i % 2 == 0;
        snprintf(key, sizeof key, "%s/%s%d", goes ? "zorro" : "other", goes ? "fox" : "hen", i);
        snprintf(json, sizeof json, "{\"id\":\"%d\",\"title\":\"%s number %d\",\"created\":%d}", i,
                 goes ? "Xylophone quartet" : "Violin duo", i, i);
        put(s, key, i, json, goes ? "quixotic jazz" : "plain words", 1);
        if (i % 50 == 49) {
            CHECK_NUMBER(store_commit(s, NULL), 0);
        }
    }
}

/* store F9: no text, key or name, neither in records, nor in the dictionary, nor in branches. */
static void nothing_is_left_in_a_compact_copy(void) {
    static const char *const WORDS[] = {"zorro", "fox", "Xylophone", "quixotic"};
    char path[64], copy[80], key[32];
    struct lost lost;
    struct bytes text;
    struct store_removal removal = removal_of(&lost);
    folder_new(path);
    snprintf(copy, sizeof copy, "%.60s.copy", path);
    struct store *s = store_new(path);
    fill(s);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        CHECK(holds(path, WORDS[i]));
    }
    for (int i = 0; i < 10; i += 2) {
        snprintf(key, sizeof key, "zorro/fox%d", i);
        CHECK_NUMBER(remove_one_of(s, key, &removal, NULL), 0);
    }
    CHECK_NUMBER(store_remove_account(s, "zorro", &removal, NULL), 0);
    CHECK_NUMBER(removal.samples, 195);
    CHECK_NUMBER(store_compact(s, copy, NULL), 0);
    put(s, "other/late", 5, "{\"late\":1}", "late", 1); /* the writer goes on */
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    check_verified(path);
    check_verified(copy);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        CHECK(!holds(copy, WORDS[i]));
    }
    s = store_reader(copy);
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(store_get_json(s, "other/hen399", &text, NULL), 1);
    CHECK_TEXT(bytes_text(&text),
               "{\"id\":\"399\",\"title\":\"Violin duo number 399\",\"created\":399}");
    bytes_close(&text);
    store_close(s);
    folder_end(path);
}

/* store F9: enough are left for another dictionary. */
static void a_large_store_gets_another_dictionary(void) {
    char path[64], key[32], json[128], want[128];
    struct lost lost;
    struct bytes text;
    struct store_counts before, after;
    struct store_removal removal = removal_of(&lost);
    folder_new(path);
    struct store *s = store_new(path);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "%s/%d", i < 300 ? "zorro" : "other", i);
        snprintf(json, sizeof json,
                 "{\"id\":\"%d\",\"title\":\"Something that all of them have, %s\"}", i,
                 i < 300 ? "Xylophone" : "Violin");
        put(s, key, i, json, "", 0);
        if (i % 100 == 99) {
            CHECK_NUMBER(store_commit(s, NULL), 0);
        }
    }
    CHECK(holds(path, "Xylophone"));
    CHECK_NUMBER(store_remove_account(s, "zorro", &removal, NULL), 0);
    CHECK_NUMBER(store_count(s, &before, NULL), 0);
    put(s, "other/late", 5, "{\"id\":\"5\",\"title\":\"Something that all of them have, Violin\"}",
        "", 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    CHECK_NUMBER(store_count(s, &after, NULL), 0);
    CHECK(after.json_bytes - before.json_bytes < 50); /* the dictionary works */
    store_close(s);
    check_verified(path);
    s = store_reader(path);
    bytes_init(&text, 1 << 20);
    for (int i = 300; i < 1000; i++) {
        snprintf(key, sizeof key, "other/%d", i);
        snprintf(want, sizeof want,
                 "{\"id\":\"%d\",\"title\":\"Something that all of them have, Violin\"}", i);
        bytes_clear(&text);
        CHECK_NUMBER(store_get_json(s, key, &text, NULL), 1);
        CHECK_TEXT(bytes_text(&text), want);
    }
    bytes_close(&text);
    store_close(s);
    folder_end(path);
}

/* ---- Merging ----------------------------------------------------------------------------- */

/* store F14 */
static void a_merge_names_samples_with_other_content(void) {
    char one[64], two[64];
    struct lost differing = {.pages = ""};
    struct store_copied copied;
    folder_new(one);
    folder_new(two);
    struct store *s = store_new(one), *other = store_new(two);
    put(s, "a/1", 1, "{}", "same", 1);
    put(s, "a/2", 2, "{\"views\":1}", "same", 1);
    put(s, "a/3", 3, "{}", "a text", 1);
    put(s, "a/4", 4, "{}", "same", 1);
    put(other, "a/1", 1, "{}", "same", 1);
    put(other, "a/2", 2, "{\"views\":2}", "same", 1);
    put(other, "a/3", 3, "{}", "another", 1);
    put(other, "a/4", 5, "{}", "same", 1); /* another time */
    put(other, "b/1", 1, "{}", "new", 1);
    CHECK_NUMBER(store_commit(other, NULL), 0);
    store_close(other);
    other = store_reader(two);
    CHECK_NUMBER(store_merge(s, other, &copied, note_page, &differing, NULL), 0);
    CHECK(copied.samples == 1 && copied.kept == 4 && copied.differing == 3);
    CHECK_TEXT(differing.pages, "a/2 a/3 a/4 ");
    store_close(other);
    store_close(s);
    check_verified(one);
    folder_end(one);
    folder_end(two);
}

int main(void) {
    RUN(a_sample_goes_with_all_that_is_its_own);
    RUN(a_pack_goes_with_each_of_its_samples);
    RUN(a_folded_sample_takes_the_style_sum_along);
    RUN(an_account_goes_as_a_whole);
    RUN(nothing_is_left_in_a_compact_copy);
    RUN(a_large_store_gets_another_dictionary);
    RUN(a_merge_names_samples_with_other_content);
    return test_finish();
}
