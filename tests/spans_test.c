/* spans_test.c - which text a token stands for: from the record of pages to a store and back. */
#include <lmdb.h>

#include "store/json.h"
#include "store/spans.h"
#include "tests/store_folder.h"

/* Six cells, of which the first is a picture and the last is empty; and a page in rows. The text of
 * the page, 40 bytes, has a mark of one byte before each source. */
static const char RECORD[] =
    "{\"mode\": \"tiny\", \"samples\": [\"a/1\", \"a/2\"],"
    " \"sources\": [{\"sample\": 0, \"member\": \"000.jpg\"},"
    "               {\"sample\": 0, \"member\": \"script.json\", \"pointer\": \"/0/text\"},"
    "               {\"sample\": 1, \"member\": \"json\", \"pointer\": \"/title\"}],"
    " \"pages\": [{\"height\": 64, \"cells\": [[[\"thumbs\", 0, 0, 0]],"
    "   [[\"script\", 1, 0, 11]],"
    "   [[\"script\", 1, 11, 14], [\"script\", 1, 15, 16, \"replaced\"], [\"header\", 2, 0, 3]],"
    "   [[\"header\", 2, 3, 9]], [[\"header\", 2, 9, 19], [\"script\", 1, 2, 4]], []],"
    "   \"ends\": [0, 12, 20, 26, 38, 40]},"
    "  {\"boxes\": [[0, 0, 9, 9, \"script\", 1, 0, 4]]}]}";

static struct bytes pack(const char *record) {
    struct bytes out;
    struct error e = {0};
    bytes_init(&out, 1 << 20);
    json_t *root = json_loads(record, 0, NULL);
    if (!CHECK_NUMBER(spans_pack(&out, root, &e), 1)) {
        printf("# %s\n", e.text);
    }
    json_decref(root);
    return out;
}

static struct spans *open_spans(void) {
    struct bytes packed = pack(RECORD);
    struct spans *s = NULL;
    struct error e = {0};
    if (!CHECK_NUMBER(spans_open(&s, packed.data, packed.size, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    bytes_close(&packed);
    return s;
}

/* The ranges of cells [first, end), as "script.json/0/text 0-11; ...". */
static const char *ranges(struct spans *s, int first, int end) {
    static char out[512];
    size_t count, used = 0;
    const struct span *list = spans_list(s, 0, first, end, &count, NULL);
    out[0] = '\0';
    for (size_t i = 0; CHECK(list != NULL) && i < count; i++) {
        const struct span *r = &list[i];
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s %s%s %u-%u%s",
                                 i > 0 ? "; " : "", r->sample, r->member, r->pointer, r->start,
                                 r->end, r->replaced ? " replaced" : "");
    }
    return out;
}

static void cells_have_text_and_ranges(void) {
    struct spans *s = open_spans();
    size_t from, to;
    CHECK_NUMBER(spans_cells(s, 0), 6);
    CHECK_NUMBER(spans_cells(s, 1), 0);
    CHECK_NUMBER(spans_cells(s, 2), 0);
    CHECK_NUMBER(spans_cells(s, -1), 0);
    CHECK_TEXT(ranges(s, 0, 1), "a/1 000.jpg 0-0");
    CHECK_TEXT(ranges(s, 1, 2), "a/1 script.json/0/text 0-11");
    CHECK_TEXT(ranges(s, 2, 3),
               "a/1 script.json/0/text 11-14; a/1 script.json/0/text 15-16 replaced; "
               "a/2 json/title 0-3");
    CHECK_TEXT(ranges(s, 5, 6), "");
    /* Several cells: in order, what adjoins as one. */
    CHECK_TEXT(ranges(s, 2, 5),
               "a/1 script.json/0/text 11-14; a/1 script.json/0/text 15-16 replaced; "
               "a/2 json/title 0-19; a/1 script.json/0/text 2-4");
    spans_text(s, 0, 2, 3, &from, &to);
    CHECK(from == 12 && to == 20);
    spans_text(s, 0, 0, 1, &from, &to);
    CHECK(from == 0 && to == 0);
    spans_text(s, 0, 0, 6, &from, &to);
    CHECK(from == 0 && to == 40);
    spans_close(s);
}

static void a_byte_of_text_leads_to_its_cell(void) {
    struct spans *s = open_spans();
    for (int cell = 0; cell < 6; cell++) {
        size_t from, to;
        spans_text(s, 0, cell, cell + 1, &from, &to);
        for (size_t at = from; at < to; at++) {
            CHECK_NUMBER(spans_find(s, 0, at), cell);
        }
    }
    CHECK_NUMBER(spans_find(s, 0, 40), -1);
    CHECK_NUMBER(spans_find(s, 1, 0), -1);
    spans_close(s);
}

static void records_without_cells_are_left_out(void) {
    static const char *const WITHOUT[] = {"{}", "[]", "{\"pages\": []}",
                                          "{\"pages\": [{\"boxes\": []}, {\"cells\": []}]}"};
    for (size_t i = 0; i < sizeof WITHOUT / sizeof *WITHOUT; i++) {
        struct bytes out;
        bytes_init(&out, 1 << 20);
        json_t *root = json_loads(WITHOUT[i], 0, NULL);
        CHECK_NUMBER(spans_pack(&out, root, NULL), 0);
        CHECK_NUMBER(out.size, 0);
        json_decref(root);
        bytes_close(&out);
    }
}

/* RECORD with one text in the place of another. */
static char *changed(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    if (!CHECK(at != NULL && out != NULL)) {
        exit(1);
    }
    snprintf(out, strlen(text) + strlen(to) + 1, "%.*s%s%s", (int)(at - text), text, to,
             at + strlen(from));
    return out;
}

static void damaged_records_are_refused(void) {
    static const char *const CHANGES[][2] = {
        {"[0, 12, 20", "[0, 12"},                 /* an end is missing */
        {"[0, 12, 20", "[0, 21, 20"},             /* ends fall */
        {"[0, 12, 20", "[0, -1, 20"},             /* below 0 */
        {"[0, 12, 20", "[0, \"12\", 20"},         /* no number */
        {"1, 0, 11]", "1, 11, 0]"},               /* a range falls */
        {"1, 0, 11]", "1, 0]"},                   /* too short */
        {"[[\"script\", 1, 0, 11]]", "7"},        /* no list */
        {"1, 0, 11]", "1, 0, 4294967296]"},       /* too large */
        {"\"sample\": 1,", "\"sample\": 2,"},     /* a sample that is not there */
        {"\"member\": \"json\",", "\"no\": 1,"}}; /* no member */
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        char *text = changed(RECORD, CHANGES[i][0], CHANGES[i][1]);
        struct bytes out;
        struct error e = {0};
        bytes_init(&out, 1 << 20);
        json_t *root = json_loads(text, 0, NULL);
        CHECK(root != NULL);
        CHECK_NUMBER(spans_pack(&out, root, &e), ERR_FORMAT);
        CHECK(e.text[0] != '\0' && out.size == 0);
        json_decref(root);
        bytes_close(&out);
        free(text);
    }
}

static void damaged_cells_are_refused(void) {
    static const char *const CHANGES[][2] = {{"[0,12,8", "[0,12"},
                                             {"[0,12,8", "[0,-12,8"},
                                             {"[0,12,8", "[0,null,8"},
                                             {"[1,0,11]", "[1,0]"},
                                             {"[1,0,11]", "[9,0,11]"},
                                             {"[1,0,11]", "[-1,0,11]"},
                                             {"[1,0,11]", "[1,-1,11]"},
                                             {"[1,0,11]", "[1,4294967295,11]"},
                                             {"[1,0,11]", "[1,0,9999999999]"},
                                             {"[1,0,11]", "[9223372036854775807,0,1]"},
                                             {"[1,0,11]", "[1,0,-9223372036854775808]"},
                                             {"[1,0,11]", "0"},
                                             {"[0,\"000.jpg\"", "[2,\"000.jpg\""},
                                             {"\"/title\"", "7"},
                                             {"\"a/2\"", "2"},
                                             {"\"pages\"", "\"leaves\""},
                                             {"{\"samples\"", "[\"samples\""}};
    struct bytes packed = pack(RECORD);
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        char *text = changed(bytes_text(&packed), CHANGES[i][0], CHANGES[i][1]);
        struct spans *s = NULL;
        struct error e = {0};
        CHECK_NUMBER(spans_open(&s, text, strlen(text), &e), ERR_FORMAT);
        CHECK(s == NULL && e.text[0] != '\0');
        free(text);
    }
    bytes_close(&packed);
}

/* ---- Tokens ------------------------------------------------------------------------------ */

static void a_token_stands_for_cells_in_reading_order(void) {
    struct token_header h = {.full_rows = 1, .full_columns = 6, .layout = TOKEN_CELLS};
    struct spans *s = open_spans();
    static const char *const HALVED[] = {
        "a/1 000.jpg 0-0; a/1 script.json/0/text 0-11",
        "a/1 script.json/0/text 11-14; a/1 script.json/0/text 15-16 replaced; a/2 json/title 0-9",
        "a/2 json/title 9-19; a/1 script.json/0/text 2-4"};
    int first, end;
    CHECK(spans_of_token(&h, 5, &first, &end) && first == 5 && end == 6);
    h.bucket = 1;
    h.shrunk_by = SHRINK_NEST;
    for (int token = 0; token < 3; token++) {
        CHECK(spans_of_token(&h, token, &first, &end));
        CHECK_TEXT(ranges(s, first, end), HALVED[token]);
        CHECK(spans_token(&h, first) == token && spans_token(&h, end - 1) == token);
    }
    h.bucket = 2; /* the last one stands for what is left */
    CHECK(spans_of_token(&h, 1, &first, &end) && first == 4 && end == 6);
    h.bucket = 15;
    CHECK(spans_of_token(&h, 0, &first, &end) && first == 0 && end == 6);
    for (int how = 0; how < SHRINK_COUNT; how++) {
        h.shrunk_by = (uint8_t)how;
        CHECK(spans_of_token(&h, 0, &first, &end) == (how == SHRINK_NEST));
    }
    h.bucket = h.layout = 0;
    CHECK(!spans_of_token(&h, 0, &first, &end)); /* a page in rows */
    spans_close(s);
}

/* ---- In a store -------------------------------------------------------------------------- */

/* Puts a sample of a page of 6 tokens, with 40 bytes of text, and cells. */
static int put_cells(struct store *s, const char *key, const char *cells, struct error *e) {
    static const char TEXT[] = "0123456789012345678901234567890123456789\fa row\n";
    char json[64];
    float tokens[6 * STORE_DIM] = {0};
    struct codec_state *codec = NULL;
    struct bytes packed;
    bytes_init(&packed, 1 << 20);
    snprintf(json, sizeof json, "{\"id\": \"%s\"}", key);
    if (codec_open(&codec, NULL) < 0 ||
        codec_pack(codec, &packed, CODEC_BF16, tokens, 6, STORE_DIM, NULL, NULL) < 0) {
        exit(1);
    }
    const struct store_page page = {.rows = 1,
                                    .columns = 6,
                                    .characters = 40,
                                    .layout = TOKEN_CELLS,
                                    .codec = CODEC_BF16,
                                    .payload = packed.data,
                                    .size = packed.size};
    const struct store_sample sample = {.key = key,
                                        .json = json,
                                        .json_size = strlen(json),
                                        .text = TEXT,
                                        .text_size = sizeof TEXT - 1,
                                        .cells = cells,
                                        .cells_size = cells != NULL ? strlen(cells) : 0,
                                        .pages = &page,
                                        .page_count = 1,
                                        .input = "x",
                                        .options = "y"};
    int rc = store_put(s, &sample, e);
    codec_close(codec);
    bytes_close(&packed);
    return rc;
}

/* What the store has of a sample's cells; NULL: nothing. */
static const char *cells_of(struct store *s, const char *key) {
    static struct bytes out;
    bytes_init(&out, 1 << 20);
    int rc = store_get_cells(s, key, &out, NULL);
    CHECK(rc >= 0);
    static char text[1024];
    snprintf(text, sizeof text, "%s", bytes_text(&out));
    bytes_close(&out);
    return rc == 1 ? text : NULL;
}

static void keep_fault(void *context, const char *line) {
    snprintf(context, 256, "%s", line);
}

static int64_t faults(const char *path, char line[256]) {
    struct store *s = store_reader(path);
    line[0] = '\0';
    int64_t count = store_verify(s, keep_fault, line, NULL);
    store_close(s);
    return count;
}

static void a_store_keeps_them_with_their_sample(void) {
    char path[64], other[80], line[256];
    struct bytes packed = pack(RECORD);
    const char *cells = bytes_text(&packed);
    folder_new(path);
    struct store *s = store_new(path);
    CHECK_NUMBER(put_cells(s, "a/1", cells, NULL), 0);
    CHECK_NUMBER(put_cells(s, "a/2", cells, NULL), 0);
    CHECK_NUMBER(put_cells(s, "a/3", NULL, NULL), 0);
    CHECK_NUMBER(put_cells(s, "b/4", cells, NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    CHECK_TEXT(cells_of(s, "a/1"), cells);
    CHECK(cells_of(s, "a/3") == NULL);
    /* What is put in its place has its own. */
    CHECK_NUMBER(put_cells(s, "a/2", NULL, NULL), 0);
    CHECK(cells_of(s, "a/2") == NULL);
    int64_t bytes = 0;
    CHECK_NUMBER(store_forget_text(s, "b/4", &bytes, NULL), 0);
    CHECK(cells_of(s, "b/4") == NULL);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    snprintf(other, sizeof other, "%s.copy", path);
    CHECK_NUMBER(store_compact(s, other, NULL), 0);
    store_close(s);
    CHECK_NUMBER(faults(path, line), 0);
    CHECK_NUMBER(faults(other, line), 0);
    struct store *copy = store_reader(other);
    CHECK_TEXT(cells_of(copy, "a/1"), cells);
    store_close(copy);
    bytes_close(&packed);
    folder_end(path);
}

static void merging_and_removing_take_them_along(void) {
    char path[64], other[80], line[256];
    struct bytes packed = pack(RECORD);
    struct store_copied copied;
    folder_new(path);
    snprintf(other, sizeof other, "%s.other", path);
    struct store *s = store_new(path), *from = store_new(other);
    CHECK_NUMBER(put_cells(from, "a/1", bytes_text(&packed), NULL), 0);
    CHECK_NUMBER(put_cells(from, "b/1", bytes_text(&packed), NULL), 0);
    CHECK_NUMBER(store_commit(from, NULL), 0);
    CHECK_NUMBER(store_merge(s, from, &copied, NULL, NULL, NULL), 0);
    store_close(from);
    CHECK_TEXT(cells_of(s, "a/1"), bytes_text(&packed));
    char key[] = "a/1", *keys[] = {key};
    struct store_removal removal = {.samples = 0};
    CHECK_NUMBER(store_remove_samples(s, keys, 1, &removal, NULL), 0);
    CHECK(cells_of(s, "a/1") == NULL);
    CHECK_TEXT(cells_of(s, "b/1"), bytes_text(&packed));
    CHECK_NUMBER(store_remove_account(s, "b", &removal, NULL), 0);
    CHECK(cells_of(s, "b/1") == NULL);
    store_close(s);
    CHECK_NUMBER(faults(path, line), 0);
    bytes_close(&packed);
    folder_end(path);
}

static void verify_finds_cells_that_are_not_those_of_the_text(void) {
    char path[64], line[256];
    struct bytes packed = pack(RECORD);
    char *longer = changed(bytes_text(&packed), "[0,12,8", "[0,12,9");
    folder_new(path);
    struct store *s = store_new(path);
    CHECK_NUMBER(put_cells(s, "a/1", longer, NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    CHECK_NUMBER(faults(path, line), 1);
    CHECK_TEXT(line, "a/1 page 0: its cells hold 41 bytes of text, the page 40");
    s = store_new(path);
    CHECK_NUMBER(put_cells(s, "a/1", "{}", NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    CHECK_NUMBER(faults(path, line), 1);
    CHECK(strstr(line, "a/1: its cells are damaged") != NULL);
    free(longer);
    bytes_close(&packed);
    folder_end(path);
}

/* A store as it was before there were cells. */
static void drop_cells(const char *path) {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi db;
    bool done = mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 16) == 0 &&
                mdb_env_open(env, path, 0, 0666) == 0 && mdb_txn_begin(env, NULL, 0, &txn) == 0 &&
                mdb_dbi_open(txn, "cells", 0, &db) == 0 && mdb_drop(txn, db, 1) == 0 &&
                mdb_txn_commit(txn) == 0;
    CHECK(done);
    mdb_env_close(env);
}

static void stores_of_before_are_used_as_they_are(void) {
    char path[64], other[80], line[256];
    struct bytes packed = pack(RECORD);
    struct store_counts counts;
    struct store *s = NULL;
    struct error e = {0};
    folder_new(path);
    snprintf(other, sizeof other, "%s.copy", path);
    s = store_new(path);
    CHECK_NUMBER(put_cells(s, "a/1", NULL, NULL), 0);
    CHECK_NUMBER(put_cells(s, "a/2", NULL, NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    store_close(s);
    drop_cells(path);
    CHECK_NUMBER(faults(path, line), 0);
    s = store_reader(path);
    CHECK(cells_of(s, "a/1") == NULL);
    CHECK_NUMBER(store_count(s, &counts, NULL), 0);
    CHECK_NUMBER(counts.pages, 2);
    CHECK_NUMBER(store_compact(s, other, NULL), 0);
    store_close(s);
    CHECK_NUMBER(faults(other, line), 0);
    /* Opened without an encoder, as by forget and rm, it gets no new database. */
    CHECK_NUMBER(store_open_write(&s, path, NULL, NULL), 0);
    char key[] = "a/1", *keys[] = {key};
    struct store_removal removal = {.samples = 0};
    CHECK_NUMBER(store_remove_samples(s, keys, 1, &removal, NULL), 0);
    CHECK_NUMBER(put_cells(s, "a/3", bytes_text(&packed), &e), ERR_USAGE);
    store_close(s);
    CHECK_NUMBER(faults(path, line), 0);
    s = store_new(path);
    CHECK_NUMBER(put_cells(s, "a/3", bytes_text(&packed), NULL), 0);
    CHECK_NUMBER(store_commit(s, NULL), 0);
    CHECK_TEXT(cells_of(s, "a/3"), bytes_text(&packed));
    store_close(s);
    CHECK_NUMBER(faults(path, line), 0);
    bytes_close(&packed);
    folder_end(path);
}

int main(void) {
    RUN(cells_have_text_and_ranges);
    RUN(a_byte_of_text_leads_to_its_cell);
    RUN(records_without_cells_are_left_out);
    RUN(damaged_records_are_refused);
    RUN(damaged_cells_are_refused);
    RUN(a_token_stands_for_cells_in_reading_order);
    RUN(a_store_keeps_them_with_their_sample);
    RUN(merging_and_removing_take_them_along);
    RUN(verify_finds_cells_that_are_not_those_of_the_text);
    RUN(stores_of_before_are_used_as_they_are);
    return test_finish();
}
