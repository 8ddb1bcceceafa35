/* forget_nest_test.c - passes over stores of nested tokens: what is kept of them, how far they are
 * halved, the facts beside them, and what that is expected to cost. */
#define _DEFAULT_SOURCE /* mkdtemp, usleep */
#include <signal.h>
#include <sys/wait.h>

#include "store/nest.h"
#include "tests/store_folder.h"

#define WEEK ((int64_t)7 * 24 * 3600)
#define FIRST (400 * WEEK) /* ages are counted from here */
enum { LEVELS = 3, MOST = 20 * 40 };

static const char MERGING[] = "{\"nested\":3,\"profiles\":[\"cell10\",\"cell8\"]}";
static const char FIDELITY[] =
    "{\"cell10\":[{\"k\":0,\"words\":1.0,\"numbers\":0.9},{\"k\":1,\"words\":0.8,\"numbers\":0.6},"
    "{\"k\":2,\"words\":0.5,\"numbers\":0.25}]}";
static const char TEXT[] = "Paid $12.50 to @ann on 2024-03-12\f no facts on the second page";

static struct store *nested_store(const char *path) {
    struct store *s = store_new(path);
    CHECK_NUMBER(store_put_note(s, NOTE_MERGING, MERGING, NULL), 0);
    CHECK_NUMBER(store_put_note(s, NOTE_FIDELITY, FIDELITY, NULL), 0);
    return s;
}

static void fill(float *tokens, int cells) {
    for (int i = 0; i < cells * STORE_DIM; i++) {
        tokens[i] = (float)(i % 251 + 1); /* exact in BF16 */
    }
}

/* A sample of two pages of (rows, columns), 100 characters on each. */
static void put_pages(struct store *s, const char *key, int64_t created, int rows, int columns,
                      const char *profile, const char *text) {
    static float tokens[MOST * STORE_DIM];
    struct codec_state *codec = NULL;
    struct bytes packed;
    struct error e = {0};
    fill(tokens, rows * columns);
    bytes_init(&packed, 1 << 24);
    CHECK_NUMBER(codec_open(&codec, NULL), 0);
    CHECK_NUMBER(
        codec_pack(codec, &packed, CODEC_BF16, tokens, rows * columns, STORE_DIM, NULL, NULL), 0);
    struct store_page pages[2];
    for (int i = 0; i < 2; i++) {
        pages[i] = (struct store_page){.page = i,
                                       .rows = rows,
                                       .columns = columns,
                                       .characters = 100,
                                       .codec = CODEC_BF16,
                                       .payload = packed.data,
                                       .size = packed.size};
    }
    const struct store_sample sample = {.key = key,
                                        .created = created,
                                        .json = "{}",
                                        .json_size = 2,
                                        .text = text,
                                        .text_size = strlen(text),
                                        .pages = pages,
                                        .page_count = 2,
                                        .profile = profile,
                                        .input = "x",
                                        .options = "codec=bf16"};
    if (!CHECK_NUMBER(store_put(s, &sample, &e), 0)) {
        printf("# %s\n", e.text);
    }
    bytes_close(&packed);
    codec_close(codec);
}

static struct forget_result pass(struct store *s, int64_t weeks, const struct forget_operator *op) {
    struct forget_options options = WEEKLY;
    struct forget_result result;
    struct error e = {0};
    options.now = FIRST + weeks * WEEK;
    options.shrink = op;
    options.facts = true;
    if (!CHECK_NUMBER(forget_run(s, &options, NULL, &result, &e), 0)) {
        printf("# %s\n", e.text);
    }
    return result;
}

static struct forget_result merge(struct store *s, int64_t weeks) {
    return pass(s, weeks, &FORGET_NEST);
}

/* Whether the payload is that of the tokens. */
static bool holds(const struct token_record *r, const float *tokens) {
    static float stored[MOST * STORE_DIM];
    struct codec_state *codec = NULL;
    size_t count = (size_t)r->header.rows * r->header.columns;
    CHECK_NUMBER(codec_open(&codec, NULL), 0);
    CHECK_NUMBER(codec_unpack(codec, stored, (enum codec)r->header.codec, r->payload,
                              r->header.payload, (int64_t)count, STORE_DIM, NULL),
                 0);
    codec_close(codec);
    return memcmp(stored, tokens, count * STORE_DIM * sizeof *tokens) == 0;
}

/* Pages are what halving makes of the page itself, whichever nights there were in between. */
static void pages_hold_the_beginnings_of_their_cells(void) {
    static const int GRIDS[][2] = {{16, 16}, {20, 40}, {3, 8}, {7, 5}, {1, 1}};
    static const int64_t NIGHTS[] = {1, 2, 3, 7, 9}; /* buckets 1, 1, 2, 3, 3 */
    static float want[MOST * STORE_DIM];
    for (size_t g = 0; g < sizeof GRIDS / sizeof *GRIDS; g++) {
        int rows = GRIDS[g][0], columns = GRIDS[g][1], k = 0;
        int64_t count = rows * columns;
        char path[64];
        folder_new(path);
        struct store *s = nested_store(path);
        put_pages(s, "a/1", FIRST, rows, columns, "cell10", TEXT);
        fill(want, rows * columns);
        for (size_t i = 0; i < sizeof NIGHTS / sizeof *NIGHTS; i++) {
            struct token_record r;
            merge(s, NIGHTS[i]);
            for (; k < forget_bucket(NIGHTS[i] * WEEK, WEEK); k++) {
                CHECK_NUMBER(nest_halve(want, &count, STORE_DIM, k, NULL), 0);
            }
            CHECK_NUMBER(store_get_page(s, "a/1", 1, &r, NULL), 1);
            CHECK_NUMBER(r.header.bucket, k);
            CHECK_NUMBER(r.header.shrunk_by, SHRINK_NEST);
            CHECK_NUMBER(r.header.rows * r.header.columns, count);
            CHECK(r.header.full_rows == rows && r.header.full_columns == columns);
            CHECK(strcmp(r.header.profile, "cell10") == 0);
            CHECK(holds(&r, want));
        }
        store_close(s);
        check_verified(path);
        folder_end(path);
    }
}

static void a_second_pass_changes_nothing(void) {
    char path[64];
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 8, 8, "cell10", TEXT);
    merge(s, 3);
    store_close(s);
    struct bytes before = content(path, "a");
    s = nested_store(path);
    struct forget_result r = merge(s, 3);
    CHECK_NUMBER(r.shrunk + r.facts, 0);
    store_close(s);
    struct bytes after = content(path, "a");
    CHECK(same(&before, &after));
    folder_end(path);
}

/* Past the last halving that was learned a page stays until it is folded; of the style sum it then
 * has the numbers that are left. */
static void halving_ends_where_learning_did(void) {
    char path[64];
    struct account_header header;
    double *sum = NULL;
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 3, 1, "cell10", TEXT);
    struct forget_result r = merge(s, 40); /* bucket 5 */
    CHECK_NUMBER(r.held_levels, 2);
    CHECK_NUMBER(r.levels, LEVELS);
    CHECK_NUMBER(r.after[LEVELS].pages, 2);
    CHECK_NUMBER(r.shrunk, 2);
    r = merge(s, 41);
    CHECK_NUMBER(r.shrunk, 0);
    CHECK_NUMBER(r.held_levels, 2);
    r = merge(s, 300);
    CHECK_NUMBER(r.folded, 2);
    CHECK_NUMBER(r.held_levels, 0);
    CHECK_NUMBER(store_get_account(s, "a", &header, &sum, NULL), 1);
    for (int d = 0; d < STORE_DIM && sum != NULL; d++) { /* cells begin with 1, 9, 17 */
        CHECK_NEAR(sum[d], d == 0 ? 2 * (1 + 9 + 17) / 3.0 : 0, 1e-12);
    }
    free(sum);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void pages_of_other_profiles_stay(void) {
    char path[64];
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 8, 8, "dense", TEXT);
    put_pages(s, "a/2", FIRST, 8, 8, "cell8", TEXT);
    put_pages(s, "a/3", FIRST, 8, 8, NULL, TEXT); /* nobody knows: merged as ever */
    struct forget_result r = merge(s, 1);
    CHECK_NUMBER(r.held_profile, 2);
    CHECK_TEXT(r.held_name, "dense");
    CHECK_NUMBER(r.after[0].pages, 2);
    CHECK_NUMBER(r.after[1].pages, 4);
    store_close(s);
    folder_end(path);
}

/* A store of maps, as it has always been: read10 and clear were learned. */
static int keep_all(void *context, const struct token_record *r, const float *old, int rows,
                    int columns, float *tokens, struct error *e) {
    (void)context;
    (void)e;
    memcpy(tokens, old, (size_t)rows * (size_t)columns * r->header.dim * sizeof *tokens);
    return 1;
}

static void maps_merge_rows_of_16_pixels_alone(void) {
    char path[64];
    const struct forget_operator op = {.shrunk_by = SHRINK_MERGE, .shrink = keep_all};
    folder_new(path);
    struct store *s = store_new(path);
    put_pages(s, "a/1", FIRST, 8, 8, "dense", TEXT);
    put_pages(s, "a/2", FIRST, 8, 8, "read10", TEXT);
    put_pages(s, "a/3", FIRST, 8, 8, NULL, TEXT);
    struct forget_result r = pass(s, 1, &op);
    CHECK_NUMBER(r.held_profile, 2);
    CHECK_NUMBER(r.after[1].pages, 4);
    r = pass(s, 1, NULL); /* means of anything */
    CHECK_NUMBER(r.held_profile, 0);
    CHECK_NUMBER(r.after[1].pages, 6);
    store_close(s);
    folder_end(path);
}

static void nested_tokens_have_no_means(void) {
    char path[64];
    const struct forget_operator op = {.shrunk_by = SHRINK_RENDER, .shrink = keep_all};
    struct token_record page;
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 16, 16, "cell10", TEXT);
    merge(s, 1);
    struct forget_result r = pass(s, 3, NULL);
    CHECK_NUMBER(r.held_means, 2);
    CHECK_NUMBER(r.shrunk, 0);
    pass(s, 3, &op); /* drawn anew, in the grid of a page that never was nested */
    CHECK_NUMBER(store_get_page(s, "a/1", 0, &page, NULL), 1);
    CHECK(page.header.rows == 8 && page.header.columns == 8);
    CHECK_NUMBER(page.header.shrunk_by, SHRINK_RENDER);
    r = merge(s, 7); /* and then it is nested no more */
    CHECK_NUMBER(r.left, 2);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* ---- Facts ---------------------------------------------------------------------------------- */

static const char *facts_of(struct store *s, const char *key, int page) {
    static char text[256];
    struct token_record r;
    CHECK_NUMBER(store_get_page(s, key, page, &r, NULL), 1);
    snprintf(text, sizeof text, "%.*s", (int)r.header.facts, r.facts);
    return text;
}

static void facts_stay_beside_pages_that_are_halved(void) {
    char path[64], other[64], copy[80];
    static const char WANT[] = "$12.50\n@ann\n2024-03-12\n";
    struct store_copied copied;
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 8, 8, "cell10", TEXT);
    put_pages(s, "a/2", FIRST + 2 * WEEK, 8, 8, "cell10", TEXT);
    struct forget_result r = merge(s, 1);
    CHECK_TEXT(facts_of(s, "a/1", 0), WANT);
    CHECK_TEXT(facts_of(s, "a/1", 1), "");
    CHECK_TEXT(facts_of(s, "a/2", 0), "");
    CHECK_NUMBER(r.facts, 3);
    CHECK_NUMBER(r.facts_bytes, strlen(WANT));
    int64_t gone = 0;
    CHECK_NUMBER(store_forget_text(s, "a/1", &gone, NULL), 0); /* they are exact from now on */
    merge(s, 3);
    CHECK_TEXT(facts_of(s, "a/1", 0), WANT);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    check_verified(path);
    s = store_reader(path);
    snprintf(copy, sizeof copy, "%s.copy", path);
    CHECK_NUMBER(store_compact(s, copy, NULL), 0);
    folder_new(other);
    struct store *to = store_new(other);
    CHECK_NUMBER(store_merge(to, s, &copied, NULL, NULL, NULL), 0);
    CHECK_TEXT(facts_of(to, "a/1", 0), WANT);
    merge(to, 7); /* the notes came along: tokens are nested there, too */
    CHECK_TEXT(facts_of(to, "a/2", 0), WANT);
    store_close(to);
    store_close(s);
    check_verified(other);
    check_verified(copy);
    folder_end(other);
    folder_end(path);
}

static void facts_are_kept_only_if_asked_for_and_where_there_is_text(void) {
    char path[64];
    struct forget_options options = WEEKLY;
    struct forget_result r;
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 8, 8, "cell10", TEXT);
    put_pages(s, "a/2", FIRST, 8, 8, "cell10", "");
    options.now = FIRST + WEEK;
    options.shrink = &FORGET_NEST;
    CHECK_NUMBER(forget_run(s, &options, NULL, &r, NULL), 0);
    CHECK_NUMBER(r.facts + r.factless, 0);
    CHECK_TEXT(facts_of(s, "a/1", 0), "");
    r = merge(s, 3); /* asked for later: from the text, as long as it is there */
    CHECK_NUMBER(r.factless, 2);
    CHECK_NUMBER(r.facts, 3);
    put_pages(s, "a/1", FIRST, 8, 8, "cell10", "all new, 77"); /* a changed sample begins anew */
    CHECK_TEXT(facts_of(s, "a/1", 0), "");
    merge(s, 3);
    CHECK_TEXT(facts_of(s, "a/1", 0), "77\n");
    options.now = FIRST + 7 * WEEK; /* what is there stays, whatever is asked for */
    CHECK_NUMBER(forget_run(s, &options, NULL, &r, NULL), 0);
    CHECK_NUMBER(r.shrunk, 4);
    CHECK_TEXT(facts_of(s, "a/1", 0), "77\n");
    store_close(s);
    folder_end(path);
}

static void count_fault(void *context, const char *line) {
    ++*(int *)context;
    CHECK(strstr(line, "facts do not match their hash") != NULL);
}

static void changed_facts_are_found(void) {
    char path[64], file[80];
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 8, 8, "cell10", TEXT);
    merge(s, 1);
    store_close(s);
    snprintf(file, sizeof file, "%s/data.mdb", path);
    FILE *f = fopen(file, "r+");
    static char bytes[1 << 22];
    size_t size = f != NULL ? fread(bytes, 1, sizeof bytes, f) : 0;
    int changed = 0;
    for (size_t i = 0; i + 12 < size; i++) {
        if (memcmp(bytes + i, "$12.50\n@ann\n", 12) == 0) {
            fseek(f, (long)i + 1, SEEK_SET);
            changed += fputc('9', f) == '9';
        }
    }
    CHECK(changed > 0 && fclose(f) == 0);
    int faults = 0;
    s = store_reader(path);
    CHECK_NUMBER(store_verify(s, count_fault, &faults, NULL), 1);
    CHECK_NUMBER(faults, 1);
    store_close(s);
    folder_end(path);
}

/* ---- Costs --------------------------------------------------------------------------------- */

static void a_dry_run_tells_what_can_still_be_read(void) {
    char path[64];
    struct forget_options options = WEEKLY;
    struct forget_result planned;
    folder_new(path);
    struct store *s = nested_store(path);
    put_pages(s, "a/1", FIRST, 8, 8, "cell10", TEXT);              /* to bucket 1 */
    put_pages(s, "a/2", FIRST - 2 * WEEK, 8, 8, "cell10", TEXT);   /* to bucket 2 */
    put_pages(s, "a/3", FIRST, 8, 8, "cell8", TEXT);               /* not measured */
    put_pages(s, "a/4", FIRST + WEEK, 8, 8, "cell10", TEXT);       /* stays */
    put_pages(s, "a/5", FIRST - 300 * WEEK, 8, 8, "cell10", TEXT); /* folded */
    options.now = FIRST + WEEK;
    options.shrink = &FORGET_NEST;
    options.dry_run = true;
    CHECK_NUMBER(forget_run(s, &options, NULL, &planned, NULL), 0);
    CHECK_NUMBER(planned.before[0].pages, 10);
    CHECK_NUMBER(planned.before[0].measured, 800);
    CHECK_NUMBER(planned.after[0].pages, 2);
    CHECK_NUMBER(planned.after[1].pages, 4);
    CHECK_NUMBER(planned.after[2].tokens, 2 * 16);
    CHECK_NUMBER(planned.folded, 2);
    CHECK_NUMBER(planned.characters, 1000);
    CHECK_NUMBER(planned.measured, 800);
    CHECK_NEAR(planned.words_before, 800, 1e-9);
    CHECK_NEAR(planned.words_after, 200 * (1 + 0.8 + 0.5), 1e-9);
    CHECK_NEAR(planned.numbers_before, 720, 1e-9);
    CHECK_NEAR(planned.numbers_after, 200 * (0.9 + 0.6 + 0.25), 1e-9);
    CHECK_NEAR(planned.after[1].words / (double)planned.after[1].measured, 0.8, 1e-9);
    struct forget_result done = merge(s, 1);
    CHECK_NUMBER(done.tokens_after, planned.tokens_after);
    CHECK_NUMBER(done.shrunk, planned.shrunk);
    CHECK_NEAR(done.words_after, planned.words_after, 1e-9);
    store_close(s);
    folder_end(path);
}

/* ---- Passes that end early --------------------------------------------------------------------
 */

static void make_accounts(const char *path) {
    struct store *s = nested_store(path);
    for (int i = 0; i < 240; i++) {
        char key[64];
        snprintf(key, sizeof key, "%c/%04d", 'a' + i % 6, i);
        put_pages(s, key, FIRST + i % 40 * WEEK, 16, 16, i % 3 ? "cell10" : "dense", TEXT);
    }
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
}

static void a_run_that_was_killed_is_completed_by_the_next(void) {
    char clean[64], path[64];
    int cut = 0;
    folder_new(clean);
    make_accounts(clean);
    struct store *s = nested_store(clean);
    merge(s, 40);
    store_close(s);
    for (int round = 0; round < 10; round++) {
        int status;
        folder_new(path);
        make_accounts(path);
        pid_t child = fork();
        if (child == 0) {
            merge(nested_store(path), 40);
            _exit(0);
        }
        usleep((useconds_t)(3000 * round));
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        cut += WIFSIGNALED(status);
        check_verified(path);
        s = nested_store(path);
        merge(s, 40);
        store_close(s);
        for (char name[] = "a"; name[0] <= 'f'; name[0]++) {
            struct bytes want = content(clean, name), got = content(path, name);
            CHECK(same(&want, &got));
        }
        folder_end(path);
    }
    CHECK(cut > 0); /* else the runs were over before they could be killed */
    folder_end(clean);
}

int main(void) {
    RUN(pages_hold_the_beginnings_of_their_cells);
    RUN(a_second_pass_changes_nothing);
    RUN(halving_ends_where_learning_did);
    RUN(pages_of_other_profiles_stay);
    RUN(maps_merge_rows_of_16_pixels_alone);
    RUN(nested_tokens_have_no_means);
    RUN(facts_stay_beside_pages_that_are_halved);
    RUN(facts_are_kept_only_if_asked_for_and_where_there_is_text);
    RUN(changed_facts_are_found);
    RUN(a_dry_run_tells_what_can_still_be_read);
    RUN(a_run_that_was_killed_is_completed_by_the_next);
    return test_finish();
}
