/* layout_targets_test.c - which posts are to be foreseen, in which set and order, of how many. */
#include "store/clock.h"
#include "tests/layout_rows.h"

/* ---- Targets ------------------------------------------------------------------------------ */

static void targets_are_those_of_the_corpus(void) {
    struct store *s = fresh();
    put_random(s, 9);
    put_post(s, "q/long", NOON, "q", "This goes on for more than a row: it is cut, and not lost.");
    end(s);
    struct layout_options o = options_of(CONTEXT_NONE);
    o.held_out = 0.2;
    o.row = 37;
    o.positions = 7;
    o.target = 29;
    struct corpus_options c = corpus_options_of(&folder);
    c.held_out = 0.2;
    c.context = 29;
    struct corpus *corpus = corpus_of(&c, store_path);
    struct opened x = opened(&o);
    for (int set = 0; set < CORPUS_SETS; set++) {
        struct corpus_counts n = corpus_counts(corpus, (enum corpus_set)set);
        struct layout_counts m = layout_counts(x.l, (enum corpus_set)set);
        CHECK_NUMBER(m.rows, n.rows);
        CHECK_NUMBER(m.targets, n.targets);
        CHECK(m.rows > 8 && m.longest == (set == CORPUS_TRAINING ? 29 : m.longest));
        for (int64_t i = 0; i < m.rows; i++) { /* each is a row of the corpus */
            struct context_row row;
            bool found = false;
            CHECK_NUMBER(layout_row(x.l, x.space, (enum corpus_set)set, 0, i, &row, NULL), 0);
            for (int64_t k = 0; k < n.rows && !found; k++) {
                struct corpus_row other = corpus_row(corpus, (enum corpus_set)set, 0, k);
                size_t bytes = (size_t)row.tokens * sizeof *row.inputs;
                found = other.tokens == row.tokens && memcmp(other.ids, row.inputs, bytes) == 0 &&
                        memcmp(other.labels, row.labels, bytes) == 0;
            }
            CHECK(found);
        }
    }
    closed(&x);
    corpus_close(corpus);
}

static void accounts_are_told_apart_by_their_keys(void) {
    struct store *s = fresh();
    put_post(s, "a/1", NOON + 1, "Same", "a one");
    put_post(s, "a/2", NOON + 2, "Same", "a two");
    put_post(s, "b/1", NOON + 3, "Before", "b one");
    put_post(s, "b/2", NOON + 4, "Same", "b two");
    end(s);
    struct layout_options o = options_of(CONTEXT_NONE);
    struct corpus_options c = corpus_options_of(&folder);
    o.held_out = c.held_out = 0.5;
    struct corpus *corpus = corpus_of(&c, store_path);
    check_sequences(corpus, CORPUS_TRAINING,
                    "Account: Before/Caption:[ b one$]\nAccount: Same/Caption:[ a one$]\n");
    check_sequences(corpus, CORPUS_HELD_OUT,
                    "Account: Same/Caption:[ a two$]\nAccount: Same/Caption:[ b two$]\n");
    corpus_close(corpus);
    struct opened x = opened(&o);
    CHECK_NUMBER(layout_counts(x.l, CORPUS_TRAINING).rows, 2);
    CHECK_NUMBER(layout_counts(x.l, CORPUS_TRAINING).accounts, 2);
    CHECK_NUMBER(layout_counts(x.l, CORPUS_HELD_OUT).accounts, 2);
    CHECK_TEXT(row_of(&x, "b/1"), "Account: Before/Caption:[ b one$]");
    CHECK_TEXT(row_of(&x, "b/2"), "Account: Same/Caption:[ b two$]");
    closed(&x);
}

static void each_piece_of_a_long_target_has_its_context(void) {
    struct store *s = fresh();
    put_alone(s, "k/a", NOON, "k", 3);
    put_post(s, "k/b", NOON + 1, "k", "a longer text");
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.target = 22;
    struct opened x = opened(&o);
    struct context_row row;
    bool first = false, second = false;
    CHECK_NUMBER(layout_counts(x.l, CORPUS_TRAINING).rows, 3);
    for (int64_t i = 0; i < 3; i++) {
        CHECK_NUMBER(layout_row(x.l, x.space, CORPUS_TRAINING, 0, i, &row, NULL), 0);
        const char *text = shown(&row);
        first = first || strcmp(text, "<page><0>(3)<end>Account: k/Caption:[ a l]") == 0;
        second = second || strcmp(text, "<page><0>(3)<end>l[onger text$]") == 0;
    }
    CHECK(first && second);
    closed(&x);
}

static void the_newest_of_each_and_some_accounts_are_held_out(void) {
    struct store *s = fresh();
    char key[32], account[16];
    for (int i = 0; i < 200; i++) {
        snprintf(account, sizeof account, "a%d", i / 10);
        snprintf(key, sizeof key, "%s/%d", account, i);
        put_post(s, key, NOON + i, account, "text");
    }
    put_post(s, "one/1", NOON, "one", "alone");
    put_post(s, "mute/1", NOON, "mute", NULL);
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.held_out = 0.2;
    struct opened x = opened(&o);
    CHECK_NUMBER(layout_counts(x.l, CORPUS_HELD_OUT).rows, 40);
    CHECK_NUMBER(layout_counts(x.l, CORPUS_HELD_OUT).accounts, 20);
    CHECK_NUMBER(layout_counts(x.l, CORPUS_TRAINING).accounts, 21);
    for (int64_t i = 0; i < 40; i++) {
        const struct history_account *a;
        const struct history_post *post;
        layout_target(x.l, CORPUS_HELD_OUT, 0, i, &a, &post);
        CHECK(post >= a->posts + 8);
    }
    closed(&x);
    o.held_accounts = 0.25; /* of 22 */
    x = opened(&o);
    const struct layout_counts n = layout_counts(x.l, CORPUS_TRAINING);
    CHECK(n.accounts > 8 && n.accounts < 21 && n.rows >= 8 * (n.accounts - 1));
    for (int64_t i = 0; i < layout_counts(x.l, CORPUS_HELD_OUT).rows; i++) {
        const struct history_account *held, *learned;
        const struct history_post *post;
        bool all = true;
        layout_target(x.l, CORPUS_HELD_OUT, 0, i, &held, &post);
        for (int64_t k = 0; k < n.rows && all; k++) {
            layout_target(x.l, CORPUS_TRAINING, 0, k, &learned, &post);
            all = learned != held;
        }
        layout_target(x.l, CORPUS_HELD_OUT, 0, i, &held, &post);
        CHECK(all || post >= held->posts + 8);
    }
    closed(&x);
}

static void orders_follow_from_the_seed(void) {
    struct store *s = fresh();
    put_random(s, 3);
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    struct opened x = opened(&o), y = opened(&o);
    const int64_t rows = layout_counts(x.l, CORPUS_TRAINING).rows;
    bool *seen = calloc((size_t)rows, sizeof *seen);
    int same = 0;
    for (int64_t i = 0; i < rows; i++) {
        const struct history_account *account;
        const struct history_post *a, *b, *c;
        layout_target(x.l, CORPUS_TRAINING, 4, i, &account, &a);
        layout_target(y.l, CORPUS_TRAINING, 4, i, &account, &b);
        CHECK_TEXT(b->key, a->key);
        layout_target(x.l, CORPUS_TRAINING, 5, i, &account, &c);
        same += a == c;
        size_t number = (size_t)strtol(strchr(a->key, '/') + 1, NULL, 10);
        CHECK(number < (size_t)rows && !seen[number]);
        seen[number] = true;
    }
    CHECK(same < rows / 4 && layout_hash(x.l) == layout_hash(y.l));
    free(seen);
    closed(&y);
    o.tau_seconds = DAY;
    y = opened(&o);
    CHECK(layout_hash(x.l) != layout_hash(y.l));
    closed(&y);
    closed(&x);
}

/* ---- Many --------------------------------------------------------------------------------- */

#ifdef NDEBUG
enum { MANY = 100000, A_PACK = 250 };
#else /* with sanitizers a tenth takes as long */
enum { MANY = 10000, A_PACK = 250 };
#endif

static void put_many(struct store *s) {
    static char keys[A_PACK][32], texts[A_PACK][64];
    static struct cell cells[A_PACK];
    struct bytes json;
    bytes_init(&json, 1 << 20);
    for (int first = 0; first < MANY; first += A_PACK) {
        bytes_clear(&json);
        CHECK_NUMBER(bytes_append_text(&json, "{\"samples\": [", NULL), 0);
        for (int i = 0; i < A_PACK; i++) {
            int number = (first + i) * 7 % MANY; /* not in order of their keys */
            snprintf(keys[i], sizeof keys[i], "many/%d", number);
            snprintf(texts[i], sizeof texts[i], "Post %d says that it is one of many.", number);
            cells[i] = (struct cell){keys[i], texts[i]};
            put_post(s, keys[i], NOON + first + i, "many", texts[i]);
            CHECK_NUMBER(bytes_printf(&json, NULL, "%s\"%s\"", i > 0 ? ", " : "", keys[i]), 0);
        }
        CHECK_NUMBER(bytes_append_text(&json, "]}", NULL), 0);
        char key[32];
        snprintf(key, sizeof key, "many/pack%%3A%d", first);
        put_cells(s, &(struct cell_page){.key = key,
                                         .json = bytes_text(&json),
                                         .created = NOON + first + A_PACK - 1,
                                         .cells = cells,
                                         .count = A_PACK,
                                         .codec = CODEC_INT8});
    }
    bytes_close(&json);
}

static void an_account_may_have_very_many_posts(void) {
    struct store *s = fresh();
    put_many(s);
    end(s);
    struct layout_options o = options_of(CONTEXT_VISUAL);
    o.tau_seconds = 1000;
    o.held_out = 0.01;
    const double from = clock_cpu_seconds();
    struct opened x = opened(&o);
    const double took = clock_cpu_seconds() - from;
    printf("# opened in %.2f s of a core, %zu bytes of memory\n", took,
           history_bytes(x.h) + layout_bytes(x.l));
    const struct history_account *a = history_get(x.h, 0);
    CHECK(a->post_count == MANY && a->token_count == MANY);
    bool ordered = true;
    for (size_t i = 0; i < MANY && ordered; i++) {
        ordered = a->posts[i].created == NOON + (int64_t)i && a->tokens[i].post == i &&
                  a->posts[i].first == i && a->posts[i].caption_size == a->tokens[i].size &&
                  memcmp(a->posts[i].caption, a->text + a->tokens[i].text, a->tokens[i].size) == 0;
    }
    CHECK(ordered);
    const struct layout_counts n = layout_counts(x.l, CORPUS_TRAINING);
    CHECK(n.rows == MANY / 100 * 99 && n.context > n.rows * 98 && n.shown > 20 * n.context);
    CHECK(history_bytes(x.h) + layout_bytes(x.l) < (size_t)MANY * 1024);
    closed(&x);
}

int main(void) {
    corpus_folder_new(&folder);
    folder_new(store_path);
    RUN(targets_are_those_of_the_corpus);
    RUN(accounts_are_told_apart_by_their_keys);
    RUN(each_piece_of_a_long_target_has_its_context);
    RUN(the_newest_of_each_and_some_accounts_are_held_out);
    RUN(orders_follow_from_the_seed);
    RUN(an_account_may_have_very_many_posts);
    folder_end(store_path);
    corpus_folder_end(&folder);
    return test_finish();
}
