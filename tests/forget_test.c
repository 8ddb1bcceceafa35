/* forget_test.c - how pages grow old: buckets, grids, means, style sums, and runs that
 * are killed. */
#define _DEFAULT_SOURCE /* mkdtemp, usleep */
#include "store/forget.h"

#include <signal.h>
#include <sys/wait.h>

#include "tests/store_folder.h"

#define DAY ((int64_t)24 * 3600)
#define WEEK (7 * DAY)

/* ---- Arithmetic ---------------------------------------------------------------------------- */

static void buckets_are_floors_of_logarithms(void) {
    for (int64_t age = -WEEK; age < 4000 * WEEK; age += age < WEEK ? DAY / 24 : WEEK / 3 + 17) {
        int want = age < 0 ? 0 : (int)floor(log2(1 + (double)age / (double)WEEK));
        CHECK_NUMBER(forget_bucket(age < 0 ? 0 : age, WEEK), want);
    }
    for (int k = 0; k < 40; k++) { /* at the borders, exactly */
        int64_t border = (((int64_t)1 << k) - 1) * WEEK;
        CHECK_NUMBER(forget_bucket(border, WEEK), k);
        CHECK_NUMBER(forget_bucket(border + ((int64_t)1 << k) * WEEK - 1, WEEK), k);
    }
    CHECK(forget_bucket(INT64_MAX, 1) <= 62);
}

static void a_grid_is_halved_by_turns_to_exactly_its_share(void) {
    static const int GRIDS[][2] = {{8, 8}, {16, 16}, {16, 32}, {64, 16}, {20, 20}, {20, 40}};
    for (size_t i = 0; i < sizeof GRIDS / sizeof *GRIDS; i++) {
        int full = GRIDS[i][0] * GRIDS[i][1];
        for (int k = 0; full % (1 << k) == 0 && GRIDS[i][0] % 5 != 0; k++) {
            int rows = GRIDS[i][0], columns = GRIDS[i][1];
            forget_grid(&rows, &columns, k);
            CHECK_NUMBER(rows * columns, full >> k);
        }
    }
    static const int HIFI[][2] = {{20, 40}, {20, 20}, {20, 10}, {10, 10}, {10, 5},
                                  {5, 5},   {5, 3},   {3, 3},   {3, 2},   {2, 2}};
    for (int k = 0; k < 10; k++) {
        int rows = 20, columns = 40;
        forget_grid(&rows, &columns, k);
        CHECK(rows == HIFI[k][0] && columns == HIFI[k][1]);
    }
    static const int BASE[][2] = {{16, 16}, {16, 8}, {8, 8}, {8, 4}, {4, 4}};
    for (int k = 0; k < 5; k++) {
        int rows = 16, columns = 16;
        forget_grid(&rows, &columns, k);
        CHECK(rows == BASE[k][0] && columns == BASE[k][1]);
    }
}

static void means_of_even_grids_keep_the_mean_of_the_page(void) {
    enum { SIDE = 16, DIM = 3 };
    float tokens[SIDE * SIDE * DIM];
    double want[DIM] = {0};
    for (int i = 0; i < SIDE * SIDE * DIM; i++) {
        tokens[i] = (float)((i * 7919) % 1000); /* whole numbers: means are exact */
        want[i % DIM] += (double)tokens[i] / (SIDE * SIDE);
    }
    int rows = SIDE, columns = SIDE;
    float left = 0.5f * (tokens[0] + tokens[DIM]);
    forget_pool(tokens, &rows, &columns, DIM);
    CHECK(rows == SIDE && columns == SIDE / 2 && tokens[0] == left);
    while (rows * columns > 1) {
        forget_pool(tokens, &rows, &columns, DIM);
    }
    for (int d = 0; d < DIM; d++) {
        CHECK_NEAR((double)tokens[d], want[d], 1e-4);
    }
}

static void an_odd_edge_stays_as_it_is(void) {
    float tokens[] = {1, 3, 10, 2, 4, 20, 3, 5, 30}; /* 3 x 3 */
    int rows = 3, columns = 3;
    forget_pool(tokens, &rows, &columns, 1);
    CHECK(rows == 3 && columns == 2);
    static const float ACROSS[] = {2, 10, 3, 20, 4, 30};
    CHECK(memcmp(tokens, ACROSS, sizeof ACROSS) == 0);
    forget_pool(tokens, &rows, &columns, 1);
    CHECK(rows == 2 && columns == 2);
    static const float DOWN[] = {2.5f, 15, 4, 30};
    CHECK(memcmp(tokens, DOWN, sizeof DOWN) == 0);
}

/* ---- Passes -------------------------------------------------------------------------------- */

static struct forget_result age(struct store *s, int64_t now, const struct forget_options *other) {
    struct forget_options options = WEEKLY;
    struct forget_result result;
    struct error e = {0};
    options.buckets = 8;
    if (other != NULL) {
        options = *other;
    }
    options.now = now;
    if (!CHECK_NUMBER(forget_run(s, &options, NULL, &result, &e), 0)) {
        printf("# %s\n", e.text);
    }
    return result;
}

/* An account with a page a week, the newest at `last`. */
static void put_weeks(struct store *s, const char *account, int weeks, int64_t last) {
    char key[64];
    for (int i = 0; i < weeks; i++) {
        snprintf(key, sizeof key, "%s/%04d", account, i);
        put_grid(s, key, last - i * WEEK, 1, 16, 16, "x");
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
}

static int check_share(void *context, const struct token_record *r, struct error *e) {
    const int64_t *now = context;
    const struct token_header *h = &r->header;
    (void)e;
    int want = forget_bucket(*now - h->created, WEEK);
    CHECK_NUMBER(h->bucket, want);
    CHECK_NUMBER(h->rows * h->columns, 256 >> want);
    CHECK(h->full_rows == 16 && h->full_columns == 16);
    return 0;
}

static void each_page_keeps_the_share_of_its_bucket(void) {
    char path[64];
    int64_t now = 1000 * WEEK;
    folder_new(path);
    struct store *s = store_new(path);
    put_weeks(s, "a", 300, now);
    struct forget_result r = age(s, now, NULL);
    CHECK_NUMBER(r.pages, 300);
    CHECK_NUMBER(r.folded, 0);
    CHECK_NUMBER(r.shrunk, 299);
    for (int k = 0; k < 8; k++) { /* 2^k pages of 256 / 2^k tokens: the same in each bucket */
        CHECK_NUMBER(r.after[k].pages, 1 << k);
        CHECK_NUMBER(r.after[k].tokens, 256);
    }
    CHECK_NUMBER(store_each(s, NULL, check_share, &now, NULL), 0);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void a_second_pass_changes_nothing(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_weeks(s, "a", 600, 1000 * WEEK);
    age(s, 1000 * WEEK, NULL);
    store_close(s);
    struct bytes before = content(path, "a");
    s = store_new(path);
    struct forget_result r = age(s, 1000 * WEEK, NULL);
    CHECK_NUMBER(r.shrunk + r.folded, 0);
    store_close(s);
    struct bytes after = content(path, "a");
    CHECK(same(&before, &after));
    folder_end(path);
}

static void a_dry_run_counts_and_does_nothing(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_weeks(s, "a", 600, 1000 * WEEK);
    store_close(s);
    struct bytes before = content(path, "a");
    s = store_reader(path);
    struct forget_options dry = WEEKLY;
    dry.buckets = 8;
    dry.dry_run = true;
    struct forget_result planned = age(s, 1000 * WEEK, &dry);
    store_close(s);
    struct bytes after = content(path, "a");
    CHECK(same(&before, &after));
    s = store_new(path);
    struct forget_result done = age(s, 1000 * WEEK, NULL);
    store_close(s);
    CHECK_NUMBER(planned.shrunk, done.shrunk);
    CHECK_NUMBER(planned.folded, done.folded);
    CHECK_NUMBER(planned.tokens_after, done.tokens_after);
    CHECK(done.folded == 600 - 511 && done.bytes_after < done.bytes_before);
    folder_end(path);
}

static void the_style_token_is_the_mean_of_what_was_folded(void) {
    char path[64];
    struct account_header header;
    double *sum = NULL;
    struct bytes text;
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 1, 1, 4, 4, "x"); /* the mean of its tokens: 7.5 and -7.5 */
    put_grid(s, "a/2", 2, 2, 2, 2, "x"); /* 1.5, -1.5; 101.5, -1.5 */
    put_grid(s, "a/3", 9000 * WEEK, 1, 2, 2, "x");
    CHECK_NUMBER(store_commit(s, NULL), 0);
    struct forget_result r = age(s, 9000 * WEEK, NULL);
    CHECK_NUMBER(r.folded, 3);
    CHECK_NUMBER(store_get_account(s, "a", &header, &sum, NULL), 1);
    CHECK_NUMBER(header.folded_pages, 3);
    CHECK_NUMBER(header.folded_characters, 30);
    CHECK_NUMBER(header.aged, 9000 * WEEK);
    for (int d = 0; d < STORE_DIM && sum != NULL; d++) {
        double want = d < STORE_DIM / 2 ? (7.5 + 1.5 + 101.5) / 3 : (-7.5 - 1.5 - 1.5) / 3;
        CHECK_NEAR(sum[d] / (double)header.folded_pages, want, 1e-12);
    }
    free(sum);
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(store_get_text(s, "a/2", &text, NULL), 0); /* forgotten with the last page */
    CHECK_NUMBER(store_get_json(s, "a/2", &text, NULL), 0);
    CHECK_NUMBER(store_get_text(s, "a/3", &text, NULL), 1);
    CHECK_NUMBER(store_is_done(s, "a/2", "x", "codec=bf16", NULL), 1); /* not to come again */
    bytes_close(&text);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void text_is_kept_on_request(void) {
    char path[64];
    struct bytes text;
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 1, 1, 4, 4, "x");
    struct forget_options keep = WEEKLY;
    keep.keep_text = true;
    age(s, 9000 * WEEK, &keep);
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(store_get_text(s, "a/1", &text, NULL), 1);
    bytes_close(&text);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static int pin(struct store *s, const char *key, bool pinned) {
    char copy[STREAM_KEY_BYTES], *const keys[] = {copy};
    snprintf(copy, sizeof copy, "%s", key);
    return store_pin(s, keys, 1, pinned, NULL);
}

static void pinned_samples_do_not_age(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", 1, 2, 4, 4, "x");
    put_grid(s, "a/2", 1, 1, 4, 4, "x");
    CHECK_NUMBER(pin(s, "a/1", true), 0);
    CHECK_NUMBER(pin(s, "a/9", true), ERR_FORMAT);
    struct forget_result r = age(s, 9000 * WEEK, NULL);
    CHECK_NUMBER(r.pinned, 2);
    CHECK_NUMBER(r.folded, 1);
    CHECK_NUMBER(r.tokens_after, 32);
    CHECK_NUMBER(pin(s, "a/1", false), 0);
    r = age(s, 9000 * WEEK, NULL);
    CHECK_NUMBER(r.folded, 2);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void tokens_that_were_given_up_do_not_come_back(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", WEEK, 1, 16, 16, "x");
    age(s, 21 * WEEK, NULL);
    struct forget_result r = age(s, 3 * WEEK, NULL); /* a clock that was set back */
    CHECK_NUMBER(r.after[4].pages, 1);
    CHECK_NUMBER(r.tokens_after, 16);
    store_close(s);
    folder_end(path);
}

static void put_liked(struct store *s, const char *key, int64_t created, int likes) {
    char json[128];
    float tokens[16 * STORE_DIM] = {1};
    struct codec_state *codec = NULL;
    struct bytes packed;
    bytes_init(&packed, 1 << 20);
    CHECK(codec_open(&codec, NULL) == 0 &&
          codec_pack(codec, &packed, CODEC_INT8, tokens, 16, STORE_DIM, NULL, NULL) == 0);
    snprintf(json, sizeof json, "{\"counts\":{\"likes\":%d}}", likes);
    const struct store_page page = {
        .rows = 4, .columns = 4, .codec = CODEC_INT8, .payload = packed.data, .size = packed.size};
    const struct store_sample sample = {.key = key,
                                        .created = created,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .pages = &page,
                                        .page_count = 1,
                                        .input = "",
                                        .options = ""};
    CHECK_NUMBER(store_put(s, &sample, NULL), 0);
    bytes_close(&packed);
    codec_close(codec);
}

static int note_bucket(void *context, const struct token_record *r, struct error *e) {
    return bytes_printf(context, e, "%s:%d ", r->key, r->header.bucket);
}

static void liked_pages_age_slower_where_that_is_asked_for(void) {
    char path[64];
    struct bytes lines;
    folder_new(path);
    struct store *s = store_new(path);
    put_liked(s, "a/1", WEEK, 5);
    put_liked(s, "a/2", WEEK, 500);
    put_liked(s, "a/3", WEEK, 50);
    struct forget_options adaptive = WEEKLY;
    adaptive.adaptive = true;
    age(s, 3 * WEEK, &adaptive); /* as old as 4, 1 and 2 weeks */
    bytes_init(&lines, 1 << 20);
    CHECK_NUMBER(store_each(s, NULL, note_bucket, &lines, NULL), 0);
    CHECK_TEXT(bytes_text(&lines), "a/1:2 a/2:1 a/3:1 ");
    age(s, 4 * WEEK, &adaptive); /* 6, 1.5 and 3 weeks */
    bytes_clear(&lines);
    CHECK_NUMBER(store_each(s, NULL, note_bucket, &lines, NULL), 0);
    CHECK_TEXT(bytes_text(&lines), "a/1:2 a/2:1 a/3:2 ");
    bytes_close(&lines);
    store_close(s);
    folder_end(path);
}

/* ---- Killed -------------------------------------------------------------------------------- */

static void make_accounts(const char *path) {
    struct store *s = store_new(path);
    static const char *const NAMES[] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < 6; i++) {
        put_weeks(s, NAMES[i], 40 * (i + 1), 1000 * WEEK);
    }
    store_close(s);
}

static void a_run_that_was_killed_is_completed_by_the_next(void) {
    char clean[64], path[64];
    struct forget_options few = WEEKLY;
    few.buckets = 5;
    folder_new(clean);
    make_accounts(clean);
    struct store *s = store_new(clean);
    age(s, 1000 * WEEK, &few);
    store_close(s);
    int cut = 0;
    for (int round = 0; round < 12; round++) {
        folder_new(path);
        make_accounts(path);
        pid_t child = fork();
        if (child == 0) {
            s = store_new(path);
            age(s, 1000 * WEEK, &few);
            _exit(0);
        }
        usleep((useconds_t)(1500 * round));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        cut += WIFSIGNALED(status);
        check_verified(path);
        s = store_new(path);
        age(s, 1000 * WEEK, &few);
        store_close(s);
        static const char *const NAMES[] = {"a", "f"};
        for (int i = 0; i < 2; i++) {
            struct bytes want = content(clean, NAMES[i]), got = content(path, NAMES[i]);
            CHECK(same(&want, &got));
        }
        folder_end(path);
    }
    CHECK(cut > 0); /* else the runs were over before they could be killed */
    folder_end(clean);
}

int main(void) {
    RUN(buckets_are_floors_of_logarithms);
    RUN(a_grid_is_halved_by_turns_to_exactly_its_share);
    RUN(means_of_even_grids_keep_the_mean_of_the_page);
    RUN(an_odd_edge_stays_as_it_is);
    RUN(each_page_keeps_the_share_of_its_bucket);
    RUN(a_second_pass_changes_nothing);
    RUN(a_dry_run_counts_and_does_nothing);
    RUN(the_style_token_is_the_mean_of_what_was_folded);
    RUN(text_is_kept_on_request);
    RUN(pinned_samples_do_not_age);
    RUN(tokens_that_were_given_up_do_not_come_back);
    RUN(liked_pages_age_slower_where_that_is_asked_for);
    RUN(a_run_that_was_killed_is_completed_by_the_next);
    return test_finish();
}
