/* forget_merge_test.c - pages that shrink by the maps of their encoder: nested, once only, marked
 * in the store, and not mixed with means. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "compress/readback.h"

#include "tests/reader_file.h"
#include "tests/store_folder.h"

#define WEEK ((int64_t)7 * 24 * 3600)
#define FIRST WEEK /* the date of the oldest page; ages are counted from here */
enum { MOST = 20 * 40 };

static char model[64] = "/tmp/occ-maps-XXXXXX";
static struct reader *reader;
static struct reader_session *session;

static struct forget_result age(struct store *s, int64_t weeks, const struct forget_operator *op) {
    struct forget_options options = WEEKLY;
    struct forget_result result;
    struct error e = {0};
    options.now = FIRST + weeks * WEEK;
    options.shrink = op;
    if (!CHECK_NUMBER(forget_run(s, &options, NULL, &result, &e), 0)) {
        printf("# %s\n", e.text);
    }
    return result;
}

static struct forget_result merge_to(struct store *s, int64_t weeks) {
    struct forget_operator op = merge_operator(session);
    return age(s, weeks, &op);
}

struct copy {
    struct token_header header;
    float tokens[MOST * STORE_DIM];
    struct bytes payload;
};

static int copy_page(void *context, const struct token_record *r, struct error *e) {
    struct copy *c = context;
    struct codec_state *codec = NULL;
    c->header = r->header;
    CHECK_NUMBER(codec_open(&codec, e), 0);
    CHECK_NUMBER(codec_unpack(codec, c->tokens, (enum codec)r->header.codec, r->payload,
                              r->header.payload, (int64_t)r->header.rows * r->header.columns,
                              STORE_DIM, e),
                 0);
    codec_close(codec);
    bytes_clear(&c->payload);
    return bytes_append(&c->payload, r->payload, r->header.payload, e);
}

/* The first page of a sample; c->payload is the caller's. */
static void get_page(struct store *s, const char *key, struct copy *c) {
    bytes_init(&c->payload, (size_t)1 << 24);
    CHECK_NUMBER(store_each_page(s, key, copy_page, c, NULL), 0);
}

/* Whether c's payload is that of these tokens. */
static void check_payload(const struct copy *c, const float *tokens) {
    struct codec_state *codec = NULL;
    struct bytes packed;
    bytes_init(&packed, (size_t)1 << 24);
    CHECK_NUMBER(codec_open(&codec, NULL), 0);
    CHECK_NUMBER(codec_pack(codec, &packed, (enum codec)c->header.codec, tokens,
                            (int64_t)c->header.rows * c->header.columns, STORE_DIM, NULL, NULL),
                 0);
    CHECK(packed.size == c->payload.size && memcmp(packed.data, c->payload.data, packed.size) == 0);
    bytes_close(&packed);
    codec_close(codec);
}

/* From bucket to bucket the merges of what is stored, and nothing else. */
static void check_nested(int rows, int columns, const int *weeks, int count) {
    static struct copy before, after;
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", FIRST, 1, rows, columns, "x");
    for (int i = 0; i < count; i++) {
        get_page(s, "a/1", &before);
        struct forget_result r = merge_to(s, weeks[i]);
        get_page(s, "a/1", &after);
        int bucket = forget_bucket(weeks[i] * WEEK, WEEK);
        CHECK_NUMBER(r.unshrinkable, 0);
        CHECK_NUMBER(after.header.bucket, bucket);
        CHECK_NUMBER(after.header.shrunk_by, SHRINK_MERGE);
        int r_now = before.header.rows, c_now = before.header.columns;
        int r_want = rows, c_want = columns;
        forget_grid(&r_want, &c_want, bucket);
        while (r_now * c_now > r_want * c_want) {
            CHECK_NUMBER(reader_merge(session, before.tokens, &r_now, &c_now, NULL), 0);
        }
        CHECK(after.header.rows == r_now && after.header.columns == c_now);
        CHECK(after.header.full_rows == rows && after.header.full_columns == columns);
        check_payload(&after, before.tokens);
        bytes_close(&before.payload);
        r = merge_to(s, weeks[i]); /* nothing is left to do */
        CHECK_NUMBER(r.shrunk, 0);
        get_page(s, "a/1", &before);
        CHECK(memcmp(&before.header, &after.header, sizeof before.header) == 0);
        CHECK(before.payload.size == after.payload.size &&
              memcmp(before.payload.data, after.payload.data, after.payload.size) == 0);
        bytes_close(&before.payload);
        bytes_close(&after.payload);
    }
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static void buckets_are_merges_of_what_is_stored(void) {
    static const int SLOWLY[] = {1, 3, 7, 15, 31, 63}, AT_ONCE[] = {20, 100};
    check_nested(16, 16, SLOWLY, 6);
    check_nested(16, 16, AT_ONCE, 2);
    check_nested(20, 40, SLOWLY, 6);
    check_nested(5, 3, SLOWLY, 5);
    check_nested(1, 1, SLOWLY, 2); /* a single token stays as it is */
}

static int note_page(void *context, const struct token_record *r, struct error *e) {
    return bytes_printf(context, e, "%s:%d:%s ", r->key, r->header.bucket,
                        SHRINK_NAMES[r->header.shrunk_by]);
}

static void check_pages(struct store *s, const char *want) {
    struct bytes lines;
    bytes_init(&lines, 1 << 20);
    CHECK_NUMBER(store_each(s, NULL, note_page, &lines, NULL), 0);
    CHECK_TEXT(bytes_text(&lines), want);
    bytes_close(&lines);
}

static void means_and_merges_do_not_mix(void) {
    char path[64];
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/old", FIRST, 1, 8, 8, "x");
    put_grid(s, "a/young", FIRST + 2 * WEEK, 1, 8, 8, "x");
    age(s, 1, NULL);
    check_pages(s, "a/old:1:pool a/young:0:pool ");
    struct forget_result r = merge_to(s, 3); /* ages 3 and 1 */
    CHECK_NUMBER(r.shrunk, 2);
    CHECK_NUMBER(r.unshrinkable, 1);
    check_pages(s, "a/old:2:pool a/young:1:merge ");
    age(s, 5, NULL); /* ages 5 and 3: means of what was merged are but means */
    check_pages(s, "a/old:2:pool a/young:2:pool ");
    r = merge_to(s, 9); /* ages 9 and 7 */
    CHECK_NUMBER(r.unshrinkable, 2);
    check_pages(s, "a/old:3:pool a/young:3:pool ");
    store_close(s);
    check_verified(path);
    folder_end(path);
}

static int draw_anew(void *context, const struct token_record *record, const float *old, int rows,
                     int columns, float *tokens, struct error *e) {
    (void)record;
    (void)old;
    (void)e;
    for (int i = 0; i < rows * columns * STORE_DIM; i++) {
        tokens[i] = 1;
    }
    return *(int *)context;
}

static void the_last_operator_that_drew_a_page_is_what_made_it(void) {
    char path[64];
    int can = 1;
    struct forget_operator op = {.shrunk_by = SHRINK_RENDER, .context = &can, .shrink = draw_anew};
    folder_new(path);
    struct store *s = store_new(path);
    put_grid(s, "a/1", FIRST, 1, 8, 8, "x");
    merge_to(s, 1);
    check_pages(s, "a/1:1:merge ");
    age(s, 3, &op);
    check_pages(s, "a/1:2:render ");
    op.shrunk_by = SHRINK_RESIZE;
    age(s, 7, &op);
    check_pages(s, "a/1:3:resize ");
    can = 0; /* has lost its text */
    struct forget_result r = age(s, 15, &op);
    CHECK(r.unshrinkable == 1 && r.left == 1 && r.shrunk == 0 && r.tokens_after == 8);
    check_pages(s, "a/1:3:resize ");
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* ---- What was measured ---------------------------------------------------------------------- */

static void accuracies_are_kept_to_four_digits(void) {
    CHECK_NUMBER(token_accuracy(-1), 0);
    CHECK_NUMBER(token_accuracy((double)NAN), 0);
    CHECK_NUMBER(token_accuracy(0), 1);
    CHECK_NUMBER(token_accuracy(1), 10001);
    CHECK_NUMBER(token_accuracy(1.5), 10001);
    CHECK_NUMBER(token_accuracy(0.98765), 9878);
    CHECK(token_accuracy_share(0) < 0 && token_accuracy_share(1) == 0);
    for (int i = 0; i <= TOKEN_ACCURACY; i++) {
        CHECK_NUMBER(token_accuracy(token_accuracy_share((uint16_t)(i + 1))), i + 1);
    }
}

static void column_offsets_follow_from_the_layout(void) {
    static const struct {
        int rows, columns, layout, offsets;
    } CASES[] = {{8, 8, 0, 1},
                 {20, 40, 0, 2}, /* a page in rows, or of a store without layouts */
                 {4, 8, TOKEN_CELLS, 1},
                 {20, 40, TOKEN_CELLS | TOKEN_TWO_OFFSETS, 2},
                 {3, 40, TOKEN_CELLS | TOKEN_TWO_OFFSETS, 2}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct token_header h = {.full_rows = (uint16_t)CASES[i].rows,
                                       .full_columns = (uint16_t)CASES[i].columns,
                                       .layout = (uint8_t)CASES[i].layout};
        CHECK_NUMBER(token_column_offsets(&h), CASES[i].offsets);
    }
}

static void a_profile_that_does_not_fit_is_unknown(void) {
    char profile[TOKEN_PROFILE + 1] = "????????????";
    token_profile(profile, "read10");
    CHECK_TEXT(profile, "read10");
    token_profile(profile, "a profile of somebody else's");
    CHECK_TEXT(profile, "");
    token_profile(profile, "Gothic");
    CHECK_TEXT(profile, "");
}

static void what_a_page_was_stays_while_it_shrinks(void) {
    static struct copy page;
    char path[64];
    float tokens[16 * STORE_DIM] = {1};
    struct codec_state *codec = NULL;
    struct bytes packed;
    folder_new(path);
    struct store *s = store_new(path);
    bytes_init(&packed, 1 << 20);
    CHECK_NUMBER(codec_open(&codec, NULL), 0);
    CHECK_NUMBER(codec_pack(codec, &packed, CODEC_INT8, tokens, 16, STORE_DIM, NULL, NULL), 0);
    const struct store_page stored = {.rows = 4,
                                      .columns = 4,
                                      .accuracy = token_accuracy(0.75),
                                      .layout = TOKEN_CELLS,
                                      .codec = CODEC_INT8,
                                      .payload = packed.data,
                                      .size = packed.size};
    const struct store_sample sample = {.key = "a/1",
                                        .created = FIRST,
                                        .json = "{}",
                                        .json_size = 2,
                                        .pages = &stored,
                                        .page_count = 1,
                                        .profile = "read10",
                                        .input = "",
                                        .options = ""};
    CHECK_NUMBER(store_put(s, &sample, NULL), 0);
    merge_to(s, 3);
    char key[] = "a/1", *const keys[] = {key};
    CHECK_NUMBER(store_pin(s, keys, 1, true, NULL), 0);
    get_page(s, "a/1", &page);
    CHECK(page.header.bucket == 2 && page.header.shrunk_by == SHRINK_MERGE &&
          page.header.flags == TOKEN_PINNED);
    CHECK_NEAR(token_accuracy_share(page.header.accuracy), 0.75, 1e-9);
    CHECK_NUMBER(page.header.layout, TOKEN_CELLS);
    CHECK_TEXT(page.header.profile, "read10");
    bytes_close(&page.payload);
    bytes_close(&packed);
    codec_close(codec);
    store_close(s);
    check_verified(path);
    folder_end(path);
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static void check_text(const char *text, int page, const char *want) {
    size_t size = 0;
    const char *found = store_text_page(text, strlen(text), page, &size);
    if (CHECK((found == NULL) == (want == NULL)) && want != NULL) {
        CHECK(size == strlen(want) && memcmp(found, want, size) == 0);
    }
}

static void pages_of_a_text_are_between_form_feeds(void) {
    check_text("one\ntwo\n", 0, "one\ntwo\n");
    check_text("one\ntwo\n", 1, NULL);
    check_text("one\f\fthree", 0, "one");
    check_text("one\f\fthree", 1, "");
    check_text("one\f\fthree", 2, "three");
    check_text("one\f\fthree", 3, NULL);
    check_text("one\f", 1, "");
    check_text("", 0, "");
    check_text("", 1, NULL);
}

int main(void) {
    static const struct reader_file FILE_OF = {.dim = STORE_DIM, .maps = MAPS_RANDOM};
    int fd = mkstemp(model);
    if (fd < 0 || close(fd) != 0) {
        return 1;
    }
    reader = reader_of(model, &FILE_OF);
    if (reader_session_open(&session, reader, NULL) < 0) {
        return 1;
    }
    RUN(buckets_are_merges_of_what_is_stored);
    RUN(means_and_merges_do_not_mix);
    RUN(the_last_operator_that_drew_a_page_is_what_made_it);
    RUN(accuracies_are_kept_to_four_digits);
    RUN(column_offsets_follow_from_the_layout);
    RUN(a_profile_that_does_not_fit_is_unknown);
    RUN(what_a_page_was_stays_while_it_shrinks);
    RUN(pages_of_a_text_are_between_form_feeds);
    reader_session_close(session);
    reader_close(reader);
    unlink(model);
    return test_finish();
}
