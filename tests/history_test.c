/* history_test.c - what a store knows of accounts, in time; and tokens loaded from it while it
 * changes. */
#include "train/context/history.h"

#include <pthread.h>
#include <sys/wait.h>

#include "store/forget.h"
#include "store/nest.h"
#include "store/store_state.h"
#include "tests/cell_store.h"

static char path[64];

enum { DAY = 24 * 3600, NOON = 1700000000 };

static struct history *opened(const char *account) {
    struct history *h = NULL;
    struct error e = {0};
    if (!CHECK_NUMBER(history_open(&h, path, account, NULL, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    return h;
}

/* A store in the place of the one before. */
static struct store *fresh(void) {
    folder_remove(path);
    struct store *s = store_new(path);
    put_nesting(s);
    return s;
}

static void end(struct store *s) {
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
}

/* "post:text ..." of all tokens. */
static const char *tokens_of(const struct history_account *a) {
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < a->token_count && used < sizeof text - 64; i++) {
        const struct history_token *t = &a->tokens[i];
        const struct history_post *p = &a->posts[t->post];
        CHECK_NUMBER(t->created, p->created);
        CHECK(i >= p->first && i < p->first + p->count);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s:%.*s", i > 0 ? " " : "",
                                 strchr(p->key, '/') + 1, (int)t->size, a->text + t->text);
    }
    return text;
}

/* ---- Posts and tokens --------------------------------------------------------------------- */

/* Two packs whose times overlap; the newer post comes first on one; signs and counts name no post;
 * a cell shows the end of a post and the beginning of the next. */
static void fill(struct store *s) {
    put_post(s, "kiwi/1", NOON + 1, "Kiwi & Co", " one ");
    put_post(s, "kiwi/2", NOON + 2, "Kiwi & Co", "two");
    put_post(s, "kiwi/3", NOON + 3, "Kiwi & Co", NULL);
    put_post(s, "kiwi/4", NOON + 4, "Kiwi and Company", "four");
    static const struct cell A[] = {{"kiwi/3", ""},     {NULL, "sign"},    {"kiwi/3", "three."},
                                    {"kiwi/3", "more"}, {"kiwi/1", "one"}, {NULL, "12 likes"},
                                    {NULL, ""},         {"kiwi/1", "o ne"}};
    static const struct cell B[] = {{"kiwi/2", "two"}, {NULL, "x"}, {"kiwi/4", "fo"}, {NULL, "ur"}};
    put_cells(s, &(struct cell_page){.key = "kiwi/pack%3Aa",
                                     .json = "{\"samples\": [\"kiwi/3\", \"kiwi/1\"]}",
                                     .created = NOON + 3,
                                     .cells = A,
                                     .count = 8,
                                     .first = 10,
                                     .codec = CODEC_INT8});
    put_cells(s, &(struct cell_page){.key = "kiwi/pack%3Ab",
                                     .json = "{\"samples\": [\"kiwi/2\", \"kiwi/4\"]}",
                                     .created = NOON + 4,
                                     .cells = B,
                                     .count = 4,
                                     .first = 50,
                                     .codec = CODEC_BF16});
}

static void tokens_come_in_the_order_of_the_newest_post_that_they_show(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    struct history *h = opened(NULL);
    const struct history_account *a = history_find(h, "kiwi");
    CHECK(a != NULL && a == history_get(h, 0) && history_count(h) == 1);
    CHECK_NUMBER(a->post_count, 4);
    CHECK_TEXT(tokens_of(a), "1:one 1:12 likes 1:o ne 2:two 3:sign 3:three. 3:more 4:x 4:fo 4:ur");
    CHECK(a->tokens[0].token == 4 && a->tokens[2].token == 7 && a->tokens[4].token == 1);
    CHECK(a->posts[0].caption_size == 3 && memcmp(a->posts[0].caption, "one", 3) == 0);
    CHECK(a->posts[2].caption == NULL && a->posts[2].script == NULL);
    CHECK_TEXT(a->title, "Kiwi and Company"); /* as its newest post says */
    CHECK(history_find(h, "Kiwi and Company") == a && history_find(h, "pear") == NULL);
    CHECK(!a->styled && history_page(h, a->tokens[0].page)->levels == 3);
    history_close(h);
}

static void a_post_knows_what_was_before_it(void) {
    struct store *s = fresh();
    fill(s);
    put_post(s, "kiwi/0", STORE_UNDATED, "kiwi", "never");
    put_post(s, "kiwi/2b", NOON + 2, "kiwi", "the same second");
    end(s);
    struct history *h = opened("kiwi");
    const struct history_account *a = history_get(h, 0);
    CHECK_TEXT(a->posts[0].key, "kiwi/0");
    CHECK_NUMBER(history_before(a, NOON + 2), 2);
    CHECK_NUMBER(history_before(a, NOON + 3), 4);
    CHECK_NUMBER(history_before(a, NOON + 9), 6);
    CHECK_NUMBER(history_before(a, STORE_UNDATED), 0);
    CHECK_NUMBER(history_before(a, -5), 0);
    CHECK(a->posts[3].count == 0 && a->posts[3].first == a->posts[4].first);
    history_close(h);
}

static void packs_may_come_without_their_samples(void) {
    struct store *s = fresh();
    static const struct cell CELLS[] = {{"pear/1", "a"}, {"pear/2", "b"}};
    put_cells(s, &(struct cell_page){.key = "pear/pack%3Aa",
                                     .json = "{\"samples\": [\"pear/1\", \"pear/2\"]}",
                                     .created = NOON,
                                     .cells = CELLS,
                                     .count = 2,
                                     .codec = CODEC_INT8});
    end(s);
    struct history *h = opened(NULL);
    const struct history_account *a = history_find(h, "pear");
    CHECK(a->post_count == 2 && a->posts[1].created == NOON && a->posts[0].caption == NULL);
    CHECK_TEXT(tokens_of(a), "1:a 2:b");
    history_close(h);
}

static void pages_without_cells_have_tokens_without_text(void) {
    struct store *s = fresh();
    put_grid(s, "plum/1", NOON, 2, 2, 3, "i");
    end(s);
    struct history *h = opened(NULL);
    const struct history_account *a = history_find(h, "plum");
    CHECK(a->token_count == 12 && history_pages(h) == 2 && a->posts[0].count == 12);
    CHECK(a->tokens[7].token == 1 && a->tokens[7].size == 0 && a->text_size == 0);
    CHECK(!history_page(h, 0)->text);
    history_close(h);
}

static void accounts_may_have_one_post_or_no_text(void) {
    struct store *s = fresh();
    put_post(s, "alone/1", NOON, "alone", "only");
    put_post(s, "mute/1", NOON, "mute", NULL);
    end(s);
    struct history *h = opened(NULL);
    CHECK_NUMBER(history_count(h), 2);
    const struct history_account *a = history_get(h, 0), *m = history_get(h, 1);
    CHECK_TEXT(a->name, "alone");
    CHECK(a->post_count == 1 && a->token_count == 0 && a->posts[0].caption_size == 4);
    CHECK(m->post_count == 1 && m->posts[0].caption == NULL);
    history_close(h);
}

static void an_account_is_opened_by_its_name(void) {
    struct store *s = fresh();
    char key[STREAM_KEY_BYTES];
    struct history *h = NULL;
    struct error e = {0};
    stream_key(key, "Banana & Co", "1");
    put_post(s, key, NOON, "Banana & Co", "text");
    put_post(s, "kiwi/1", NOON, "kiwi", "text");
    end(s);
    h = opened("Banana & Co");
    CHECK(history_count(h) == 1 && strcmp(history_get(h, 0)->title, "Banana & Co") == 0);
    CHECK_TEXT(history_get(h, 0)->name, "Banana%20%26%20Co");
    history_close(h);
    h = opened("Banana%20%26%20Co");
    history_close(h);
    CHECK_NUMBER(history_open(&h, path, "banan", NULL, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "banan is not an account") != NULL && h == NULL);
}

static void what_cannot_be_is_refused(void) {
    struct error e = {0};
    struct history *h = NULL;
    volatile sig_atomic_t cancel = 1;
    struct store *s = fresh();
    put_post(s, "kiwi/1", NOON, "kiwi", "text");
    static const struct cell OTHER[] = {{"pear/9", "a"}};
    put_cells(s, &(struct cell_page){.key = "kiwi/2",
                                     .json = "{}",
                                     .created = NOON,
                                     .cells = OTHER,
                                     .count = 1,
                                     .codec = CODEC_INT8});
    end(s);
    CHECK_NUMBER(history_open(&h, path, NULL, NULL, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "kiwi/2") != NULL && strstr(e.text, "pear/9") != NULL);
    CHECK_NUMBER(history_open(&h, path, NULL, &cancel, &e), ERR_CANCELLED);
    s = fresh();
    put_cells(s, &(struct cell_page){.key = "kiwi/pack%3Aa",
                                     .json = "{\"samples\": [\"pear/1\"]}",
                                     .created = NOON,
                                     .cells = OTHER,
                                     .count = 1,
                                     .codec = CODEC_INT8});
    end(s);
    CHECK_NUMBER(history_open(&h, path, NULL, NULL, &e), ERR_FORMAT);
    CHECK(strstr(e.text, "not a sample of its account") != NULL);
    CHECK(history_open(&h, "/nowhere/at/all", NULL, NULL, &e) < 0);
}

static void check_damaged(const struct cell_page *page, const char *want) {
    struct error e = {0};
    struct history *h = NULL;
    struct store *s = fresh();
    put_post(s, "kiwi/1", NOON, "kiwi", "text");
    put_cells(s, page);
    end(s);
    CHECK_NUMBER(history_open(&h, path, NULL, NULL, &e), ERR_FORMAT);
    if (!CHECK(strncmp(e.text, page->key, strlen(page->key)) == 0 && strstr(e.text, want))) {
        printf("# %s\n", e.text);
    }
}

static void damaged_pages_are_refused(void) {
    static const struct cell CELLS[] = {{"kiwi/1", "one"}, {"kiwi/1", "two"}, {NULL, "three"}};
    struct cell_page page = {.key = "kiwi/pack%3Aa",
                             .json = "{\"samples\": [\"kiwi/1\"]}",
                             .created = NOON,
                             .cells = CELLS,
                             .count = 3,
                             .codec = CODEC_INT8};
    page.tokenless = 1;
    check_damaged(&page, "page 0: has other cells than tokens");
    page.tokenless = 0;
    page.lost = 1;
    check_damaged(&page, "page 0: its text is shorter than its cells say");
    page.lost = 0;
    page.json = "{}";
    check_damaged(&page, "shows no sample that the journal has");
}

/* ---- Numbers ------------------------------------------------------------------------------ */

/* Of int8: steps of a 127th. */
static bool close_to(const float *got, float first, int token, double step) {
    for (int d = 0; d < STORE_DIM; d++) {
        if (fabs((double)(got[d] - cell_number(first, token, d))) > step) {
            return false;
        }
    }
    return true;
}

static void tokens_are_loaded_wherever_they_lie(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    struct history *h = opened(NULL);
    const struct history_account *a = history_get(h, 0);
    float out[10 * STORE_DIM];
    size_t made;
    CHECK_NUMBER(history_load(h, a, 0, 10, 0, out, &made, NULL), 0);
    CHECK_NUMBER(made, 10);
    static const int PLACES[] = {4, 5, 7, 0, 1, 2, 3, 1, 2, 3};
    for (int i = 0; i < 10; i++) { /* BF16 of such numbers is off by a quarter */
        bool of_b = i == 3 || i >= 7;
        CHECK(close_to(out + i * STORE_DIM, of_b ? 50 : 10, PLACES[i], of_b ? 0.25 : 0.1));
    }
    CHECK_NUMBER(history_load(h, a, 5, 0, 0, out, &made, NULL), 0);
    CHECK_NUMBER(made, 0);
    history_close(h);
}

static void runs_of_a_page_are_halved_by_themselves(void) {
    struct store *s = fresh();
    struct error e = {0};
    fill(s);
    end(s);
    struct history *h = opened(NULL);
    const struct history_account *a = history_get(h, 0);
    float plain[10 * STORE_DIM], halved[10 * STORE_DIM];
    size_t made;
    CHECK_NUMBER(history_load(h, a, 0, 10, 0, plain, &made, NULL), 0);
    for (int k = 1; k <= 3; k++) {
        static const int RUNS[] = {3, 1, 3, 3}; /* of pages a, b, a, b */
        CHECK_NUMBER(history_load(h, a, 0, 10, k, halved, &made, NULL), 0);
        size_t at = 0, from = 0;
        for (int r = 0; r < 4; r++) {
            float run[4 * STORE_DIM];
            int64_t count = RUNS[r];
            memcpy(run, plain + from * STORE_DIM, sizeof run / 4 * (size_t)count);
            for (int i = 0; i < k; i++) {
                CHECK_NUMBER(nest_halve(run, &count, STORE_DIM, i, NULL), 0);
            }
            CHECK(memcmp(run, halved + at * STORE_DIM, sizeof run / 4 * (size_t)count) == 0);
            at += (size_t)count;
            from += (size_t)RUNS[r];
        }
        CHECK_NUMBER(made, at);
    }
    CHECK_NUMBER(history_load(h, a, 0, 10, 4, halved, &made, &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "kiwi/pack%3Aa page 0") != NULL);
    history_close(h);
}

struct reading_thread {
    pthread_t thread;
    const struct history *h;
    bool same;
};

static void *load_often(void *context) {
    struct reading_thread *t = context;
    const struct history_account *a = history_get(t->h, 0);
    float all[10 * STORE_DIM], part[10 * STORE_DIM];
    size_t made;
    t->same = history_load(t->h, a, 0, 10, 0, all, &made, NULL) == 0;
    for (size_t i = 0; i < 2000 && t->same; i++) {
        size_t first = i % 10, count = 1 + i / 10 % (10 - first);
        t->same = history_load(t->h, a, first, count, 0, part, &made, NULL) == 0 &&
                  memcmp(part, all + first * STORE_DIM, count * STORE_DIM * sizeof *part) == 0;
    }
    return NULL;
}

static void threads_load_at_the_same_time(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    struct history *h = opened(NULL);
    struct reading_thread threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = (struct reading_thread){.h = h};
        CHECK_NUMBER(pthread_create(&threads[i].thread, NULL, load_often, &threads[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i].thread, NULL);
        CHECK(threads[i].same);
    }
    history_close(h);
}

/* ---- What changes ------------------------------------------------------------------------- */

static void forget_at(int64_t now) {
    struct forget_options o = FORGET_DEFAULTS;
    struct forget_result result;
    struct store *s = NULL;
    struct error e = {0};
    o.now = now;
    o.shrink = &FORGET_NEST;
    CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, NULL), 0);
    if (!CHECK_NUMBER(forget_run(s, &o, NULL, &result, &e), 0)) {
        printf("# %s\n", e.text);
    }
    store_close(s);
}

/* What another process does: LMDB takes one environment a process. */
static void change_much(void) {
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        struct store *s = NULL;
        forget_at(NOON + 40LL * DAY);
        for (int i = 0; i < 40; i++) { /* pages that were freed would be used again */
            char key[32];
            snprintf(key, sizeof key, "new/%d", i);
            CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, NULL), 0);
            put_grid(s, key, NOON, 4, 8, 8, "i");
            end(s);
        }
        CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, NULL), 0);
        CHECK_NUMBER(store_remove_account(s, "kiwi", &(struct store_removal){0}, NULL), 0);
        store_close(s);
        _exit(test_state.running_failed);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void what_is_seen_is_the_store_as_it_was(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    struct history *h = opened(NULL);
    const struct history_account *a = history_get(h, 0);
    float before[10 * STORE_DIM], after[10 * STORE_DIM];
    size_t made;
    CHECK_NUMBER(history_load(h, a, 0, 10, 0, before, &made, NULL), 0);
    change_much();
    CHECK_NUMBER(history_load(h, a, 0, 10, 0, after, &made, NULL), 0);
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK_TEXT(tokens_of(a), "1:one 1:12 likes 1:o ne 2:two 3:sign 3:three. 3:more 4:x 4:fo 4:ur");
    uint64_t hash = history_hash(h);
    history_close(h);
    h = opened(NULL);
    CHECK(history_find(h, "kiwi") == NULL && history_hash(h) != hash);
    history_close(h);
}

static void halved_tokens_show_what_their_cells_did(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    forget_at(NOON + 40 * DAY);
    struct history *h = opened(NULL);
    const struct history_account *a = history_get(h, 0);
    /* of cells 0 and 1, 2 and 3, ...: the fourth is of three and one */
    CHECK_TEXT(tokens_of(a), "1:one12 likes 1:o ne 3:sign 3:three.more 4:twox 4:four");
    CHECK(a->tokens[0].bucket == 1 && a->tokens[0].token == 2);
    float halved[8 * STORE_DIM], all[8 * STORE_DIM];
    size_t made;
    CHECK_NUMBER(history_load(h, a, 0, 1, 0, halved, &made, NULL), 0);
    for (int d = 0; d < STORE_DIM; d++) {
        float want = cell_number(10, 4 + d / 4, d % 4);
        CHECK_NEAR((double)halved[d], (double)want, 0.25);
    }
    CHECK_NUMBER(history_load(h, a, 0, 6, 1, all, &made, NULL), 0);
    CHECK(made == 6 && memcmp(all, halved, STORE_DIM * sizeof *all) == 0);
    CHECK_NUMBER(history_load(h, a, 0, 6, 2, all, &made, NULL), 0);
    CHECK_NUMBER(made, 1 + 1 + 1);
    history_close(h);
}

static void what_was_folded_is_a_style(void) {
    struct store *s = fresh();
    struct error e = {0};
    fill(s);
    put_post(s, "kiwi/new", NOON + 3000LL * DAY, "kiwi", "new");
    put_post(s, "pear/1", NOON, "pear", "one");
    end(s);
    forget_at(NOON + 2999LL * DAY);
    struct history *h = opened(NULL);
    const struct history_account *a = history_find(h, "kiwi");
    float style[STORE_DIM];
    CHECK(a->styled && a->token_count == 0 && a->post_count == 5 && a->posts[0].caption == NULL);
    CHECK_NUMBER(a->folded, NOON + 4);
    CHECK_NUMBER(history_load_style(h, a, style, NULL), 0);
    CHECK_NEAR((double)style[0], ((10 + 3.5) + (50 + 1.5)) / 2, 0.1);
    CHECK(!history_find(h, "pear")->styled);
    CHECK_NUMBER(history_load_style(h, history_find(h, "pear"), style, &e), ERR_USAGE);
    history_close(h);
}

/* Stores of before the mark "folded". */
static void unmark(const char *key) {
    struct store *s = NULL;
    CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, NULL), 0);
    CHECK_NUMBER(store_mark(s, key, MARK_FOLDED, false, NULL), 1);
    end(s);
}

static void what_was_folded_without_a_mark_is_no_older(void) {
    static const char *const KEYS[] = {"kiwi/1",        "kiwi/2",        "kiwi/3",
                                       "kiwi/pack%3Aa", "kiwi/pack%3Ab", "kiwi/4"};
    struct store *s = fresh();
    fill(s);
    put_post(s, "kiwi/new", NOON + 3000LL * DAY, "kiwi", "new");
    end(s);
    forget_at(NOON + 2999LL * DAY);
    for (int i = 0; i < 6; i++) {
        unmark(KEYS[i]);
    }
    struct history *h = opened(NULL);
    CHECK(history_get(h, 0)->styled);
    CHECK_NUMBER(history_get(h, 0)->folded, NOON + 4);
    history_close(h);
    s = fresh(); /* nothing says what: texts were kept */
    static const struct cell CELLS[] = {{"kiwi/1", "one"}};
    put_cells(s, &(struct cell_page){.key = "kiwi/1",
                                     .json = "{}",
                                     .created = NOON,
                                     .cells = CELLS,
                                     .count = 1,
                                     .codec = CODEC_INT8});
    struct forget_options o = FORGET_DEFAULTS;
    struct forget_result result;
    o.now = NOON + 2999LL * DAY;
    o.keep_text = true;
    CHECK_NUMBER(forget_run(s, &o, NULL, &result, NULL), 0);
    CHECK_NUMBER(result.folded, 1);
    end(s);
    unmark("kiwi/1");
    h = opened(NULL);
    CHECK(history_get(h, 0)->styled && history_get(h, 0)->folded == INT64_MAX);
    history_close(h);
}

static void its_hash_is_of_all_that_a_run_depends_on(void) {
    struct store *s = fresh();
    fill(s);
    end(s);
    struct history *h = opened(NULL);
    uint64_t hash = history_hash(h);
    history_close(h);
    h = opened(NULL);
    CHECK(history_hash(h) == hash);
    history_close(h);
    static const char *const TEXTS[] = {"fours", "four"};
    for (int i = 0; i < 2; i++) { /* another text, another time */
        CHECK_NUMBER(store_open_write(&s, path, &STORE_ENCODER, NULL), 0);
        put_post(s, "kiwi/4", NOON + 4 + i, "Kiwi and Company", TEXTS[i]);
        end(s);
        h = opened(NULL);
        CHECK(history_hash(h) != hash);
        history_close(h);
    }
}

int main(void) {
    folder_new(path);
    RUN(tokens_come_in_the_order_of_the_newest_post_that_they_show);
    RUN(a_post_knows_what_was_before_it);
    RUN(packs_may_come_without_their_samples);
    RUN(pages_without_cells_have_tokens_without_text);
    RUN(accounts_may_have_one_post_or_no_text);
    RUN(an_account_is_opened_by_its_name);
    RUN(what_cannot_be_is_refused);
    RUN(damaged_pages_are_refused);
    RUN(tokens_are_loaded_wherever_they_lie);
    RUN(runs_of_a_page_are_halved_by_themselves);
    RUN(threads_load_at_the_same_time);
    RUN(what_is_seen_is_the_store_as_it_was);
    RUN(halved_tokens_show_what_their_cells_did);
    RUN(what_was_folded_is_a_style);
    RUN(what_was_folded_without_a_mark_is_no_older);
    RUN(its_hash_is_of_all_that_a_run_depends_on);
    folder_end(path);
    return test_finish();
}
