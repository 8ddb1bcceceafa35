/* reader_test.c - reading heads: files that are refused, merging and back, characters as rows of
 * text, edit distances. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "compress/reader.h"

#include <unistd.h>

#include "compress/readback.h"
#include "compress/text_distance.h"
#include "store/random.h"
#include "store/utf8.h"
#include "tests/reader_file.h"
#include "tests/tested_device.h"

enum { DIM = 6, MOST = 20 * 40 };
static char path[64] = "/tmp/occ-reader-XXXXXX";

static struct reader_session *session_of(const struct reader *r) {
    struct reader_session *s = NULL;
    if (!CHECK_NUMBER(reader_session_open(&s, r, NULL), 0)) {
        exit(1);
    }
    return s;
}

/* ---- Files ---------------------------------------------------------------------------------- */

static void check_refused(const struct reader_file *file, int code, const char *text) {
    struct reader *r = NULL;
    struct error e = {0};
    reader_file_write(path, file);
    CHECK_NUMBER(reader_open(&r, path, tested_backend(), DTYPE_F32, &e), code);
    if (!CHECK(r == NULL && strstr(e.text, text) != NULL)) {
        printf("# %s\n", e.text);
    }
    reader_close(r);
}

static void heads_that_are_not_whole_are_refused(void) {
    static const struct reader_file ABSENT = {.dim = DIM, .left_out = "reader.unfold.weight"};
    static const struct reader_file MISSING = {.dim = DIM, .left_out = "reader.class.bias"};
    static const struct reader_file SHORT = {.dim = DIM, .reshaped = "reader.mix.weight"};
    static const struct reader_file NO_MAP = {
        .dim = DIM, .maps = MAPS_RANDOM, .left_out = "unmerge.rows.weight"};
    static const struct reader_file NO_ALPHABET = {.dim = DIM, .metadata = "{\"channels\":2}"};
    static const struct reader_file NO_JSON = {.dim = DIM, .metadata = "channels"};
    static const struct reader_file HUGE = {
        .dim = DIM,
        .metadata = "{\"channels\":2,\"hidden\":70000,\"embedding\":4,\"alphabet\":[\"a\",\"b\"]}"};
    check_refused(&ABSENT, ERR_UNSUPPORTED, "carries no reading head");
    check_refused(&MISSING, ERR_FORMAT, "reader.class.bias is missing");
    check_refused(&SHORT, ERR_FORMAT, "reader.mix.weight is of another shape");
    check_refused(&NO_MAP, ERR_FORMAT, "unmerge.rows.weight is missing");
    check_refused(&NO_ALPHABET, ERR_FORMAT, "alphabet");
    check_refused(&NO_JSON, ERR_FORMAT, "alphabet");
    check_refused(&HUGE, ERR_FORMAT, "impossible sizes");
}

static void encoders_without_a_head_are_refused(void) {
    struct encoder_config config;
    struct reader *r = NULL;
    struct error e = {0};
    CHECK_NUMBER(config_named(&config, "nano", &e), 0);
    CHECK_NUMBER(model_init(path, &config, 1, DTYPE_BF16, &e), 0);
    CHECK_NUMBER(reader_open(&r, path, tested_backend(), DTYPE_F32, &e), ERR_UNSUPPORTED);
    CHECK(r == NULL && strstr(e.text, "carries no reading head") != NULL);
    CHECK_NUMBER(reader_open(&r, "/nowhere/x.safetensors", tested_backend(), DTYPE_F32, &e),
                 ERR_IO);
}

static const struct reading_page ONE_TOKEN = {.rows = 1, .columns = 1, .column_offsets = 1};

/* What lies between two columns makes both unsure. */
static void characters_are_counted_by_what_columns_add_up_to(void) {
    static const struct {
        double presence[READING_COLUMNS];
        int count, columns[2];
    } CASES[] = {{{0.01, 0.9, 0.01, 0.01}, 1, {1}},   {{0.01, 0.01, 0.45, 0.48}, 1, {3}},
                 {{0.01, 0.6, 0.55, 0.01}, 1, {1}},   {{0.01, 0.9, 0.8, 0.01}, 2, {1, 2}},
                 {{0.01, 0.3, 0.15, 0.01}, 0, {0}},   {{0.9, 0.01, 0.01, 0.9}, 2, {0, 3}},
                 {{0.01, 0.98, 0.3, 0.25}, 2, {1, 2}}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct reader_file file = {.dim = DIM, .presence = CASES[i].presence};
        const struct reading_character *list;
        size_t count;
        float token[DIM] = {0};
        struct reader *r = reader_of(path, &file);
        struct reader_session *s = session_of(r);
        CHECK_NUMBER(reader_run(s, token, &ONE_TOKEN, &list, &count, NULL), 0);
        CHECK_NUMBER(count, READING_ROWS * READING_STEPS * CASES[i].count);
        for (int k = 0; k < CASES[i].count && count > 0; k++) {
            CHECK_NUMBER(list[k].column, CASES[i].columns[k]);
            CHECK(list[k].confidence > 0 &&
                  (double)list[k].confidence <= CASES[i].presence[list[k].column] + 1e-6);
        }
        reader_session_close(s);
        reader_close(r);
    }
}

static void a_head_without_maps_reads_but_does_not_merge(void) {
    static const struct reader_file FILE_OF = {.dim = DIM};
    float tokens[4 * DIM] = {0};
    const struct reading_character *characters;
    size_t count;
    int rows = 2, columns = 2;
    struct error e = {0};
    struct reader *r = reader_of(path, &FILE_OF);
    struct reader_session *s = session_of(r);
    CHECK(!reader_merges(r) && reader_dim(r) == DIM);
    CHECK_NUMBER(alphabet_count(reader_alphabet(r)), 5);
    CHECK_NUMBER(reader_merge(s, tokens, &rows, &columns, &e), ERR_UNSUPPORTED);
    CHECK_NUMBER(reader_unmerge(s, tokens, 2, 2, 1, &e), ERR_UNSUPPORTED);
    CHECK_NUMBER(reader_run(s, tokens,
                            &(struct reading_page){.rows = 2, .columns = 2, .column_offsets = 1},
                            &characters, &count, &e),
                 0);
    reader_session_close(s);
    reader_close(r);
}

/* ---- Merging -------------------------------------------------------------------------------- */

static void fill(float *tokens, int count) {
    uint64_t random = random_stream(7, (uint64_t)count);
    for (int i = 0; i < count * DIM; i++) {
        tokens[i] = (float)random_unit(&random) - 0.5f;
    }
}

static bool near(const float *a, const float *b, int count) {
    for (int i = 0; i < count * DIM; i++) {
        if (!(fabsf(a[i] - b[i]) < 1e-5f)) {
            return false;
        }
    }
    return true;
}

/* With maps that take means, merging is what forget_pool does, and unmerging puts each mean back
 * into the places that it came from. */
static void check_merging(struct reader_session *s, int full_rows, int full_columns) {
    static float merged[MOST * DIM], pooled[MOST * DIM], back[MOST * DIM];
    int rows = full_rows, columns = full_columns, r = rows, c = columns;
    fill(merged, rows * columns);
    memcpy(pooled, merged, sizeof merged);
    for (int bucket = 0; rows * columns > 1; bucket++) {
        int wanted_rows = full_rows, wanted_columns = full_columns;
        forget_grid(&wanted_rows, &wanted_columns, bucket + 1);
        CHECK_NUMBER(reader_merge(s, merged, &rows, &columns, NULL), 0);
        forget_pool(pooled, &r, &c, DIM);
        CHECK(rows == wanted_rows && columns == wanted_columns && rows == r && columns == c);
        CHECK(near(merged, pooled, rows * columns));
        memcpy(back, merged, sizeof merged);
        CHECK_NUMBER(reader_unmerge(s, back, full_rows, full_columns, bucket + 1, NULL), 0);
        int wide = full_columns, high = full_rows; /* back, merged again: the same */
        for (int i = 0; i <= bucket; i++) {
            forget_pool(back, &high, &wide, DIM);
        }
        CHECK(high == rows && wide == columns && near(back, merged, rows * columns));
    }
    CHECK_NUMBER(reader_merge(s, merged, &rows, &columns, NULL), ERR_UNSUPPORTED);
    CHECK(rows == 1 && columns == 1);
    /* Further buckets of a page that is one token: nothing more was halved. */
    CHECK_NUMBER(reader_unmerge(s, merged, 1, 1, 3, NULL), 0);
}

static void grids_of_all_sides_merge_and_come_back(void) {
    static const struct reader_file FILE_OF = {.dim = DIM, .maps = MAPS_MEANS};
    struct reader *r = reader_of(path, &FILE_OF);
    struct reader_session *s = session_of(r);
    CHECK(reader_merges(r));
    static const int GRIDS[][2] = {{8, 8}, {16, 16}, {20, 40}, {5, 3},
                                   {3, 5}, {1, 7},   {7, 1},   {1, 1}};
    for (size_t i = 0; i < sizeof GRIDS / sizeof *GRIDS; i++) {
        check_merging(s, GRIDS[i][0], GRIDS[i][1]);
    }
    reader_session_close(s);
    reader_close(r);
}

/* Each of the four maps is used where it should be: columns and rows have weights of their own. */
static void columns_and_rows_have_maps_of_their_own(void) {
    static const struct reader_file FILE_OF = {.dim = DIM, .maps = MAPS_RANDOM};
    float wide[2 * DIM], high[2 * DIM];
    int rows = 1, columns = 2;
    struct reader *r = reader_of(path, &FILE_OF);
    struct reader_session *s = session_of(r);
    fill(wide, 2);
    memcpy(high, wide, sizeof wide);
    CHECK_NUMBER(reader_merge(s, wide, &rows, &columns, NULL), 0);
    CHECK(rows == 1 && columns == 1);
    rows = 2;
    CHECK_NUMBER(reader_merge(s, high, &rows, &columns, NULL), 0);
    CHECK(rows == 1 && columns == 1);
    CHECK(!near(wide, high, 1));
    memcpy(high, wide, sizeof wide);
    CHECK_NUMBER(reader_unmerge(s, wide, 1, 2, 1, NULL), 0);
    CHECK_NUMBER(reader_unmerge(s, high, 2, 1, 1, NULL), 0);
    CHECK(!near(wide, high, 2));
    reader_session_close(s);
    reader_close(r);
}

/* ---- Pages of a store ----------------------------------------------------------------------- */

struct packed_page {
    struct token_header header;
    struct bytes payload;
};

static void pack(struct packed_page *p, const float *tokens, int rows, int columns, int full_rows,
                 int full_columns, int bucket, enum shrink how) {
    struct codec_state *codec = NULL;
    bytes_init(&p->payload, (size_t)1 << 24);
    CHECK_NUMBER(codec_open(&codec, NULL), 0);
    CHECK_NUMBER(codec_pack(codec, &p->payload, CODEC_BF16, tokens, (int64_t)rows * columns, DIM,
                            NULL, NULL),
                 0);
    codec_close(codec);
    p->header = (struct token_header){.codec = CODEC_BF16,
                                      .bucket = (uint8_t)bucket,
                                      .rows = (uint16_t)rows,
                                      .columns = (uint16_t)columns,
                                      .full_rows = (uint16_t)full_rows,
                                      .full_columns = (uint16_t)full_columns,
                                      .dim = DIM,
                                      .payload = (uint32_t)p->payload.size,
                                      .shrunk_by = (uint8_t)how};
}

/* The text and the number of characters that are read. */
static void read_page(struct readback *b, const struct packed_page *p, struct bytes *text) {
    struct readback_page page;
    struct error e = {0};
    bytes_clear(text);
    if (!CHECK_NUMBER(readback_record(b, &p->header, p->payload.data, &page, &e), 0)) {
        printf("# %s\n", e.text);
        exit(1);
    }
    CHECK(page.characters > 0); /* else nothing is compared */
    CHECK_NUMBER(bytes_printf(text, NULL, "%s%.4f", bytes_text(&page.text->text), page.confidence),
                 0);
}

/* Maps that take means read a merged page and its means alike; a page that was encoded smaller is
 * read as it is. */
static void forgotten_pages_are_read_by_how_they_shrank(void) {
    static const struct reader_file FILE_OF = {.dim = DIM, .maps = MAPS_MEANS};
    static float tokens[MOST * DIM];
    struct reader *r = reader_of(path, &FILE_OF);
    struct readback *b = NULL;
    struct bytes pooled, merged, smaller, fresh;
    CHECK_NUMBER(readback_open(&b, r, NULL), 0);
    struct bytes *const texts[] = {&pooled, &merged, &smaller, &fresh};
    for (int i = 0; i < 4; i++) {
        bytes_init(texts[i], 1 << 20);
    }
    static const int GRIDS[][2] = {{8, 8}, {20, 40}, {5, 3}};
    for (int i = 0; i < 3; i++) {
        for (int bucket = 1; bucket < 6; bucket++) {
            int rows = GRIDS[i][0], columns = GRIDS[i][1];
            struct packed_page p;
            forget_grid(&rows, &columns, bucket);
            fill(tokens, rows * columns);
            pack(&p, tokens, rows, columns, GRIDS[i][0], GRIDS[i][1], bucket, SHRINK_POOL);
            read_page(b, &p, &pooled);
            p.header.shrunk_by = SHRINK_MERGE;
            read_page(b, &p, &merged);
            CHECK_TEXT(bytes_text(&merged), bytes_text(&pooled));
            p.header.shrunk_by = SHRINK_RESIZE;
            read_page(b, &p, &smaller);
            p.header.bucket = 0;
            p.header.full_rows = (uint16_t)rows;
            p.header.full_columns = (uint16_t)columns;
            read_page(b, &p, &fresh);
            CHECK_TEXT(bytes_text(&smaller), bytes_text(&fresh));
            bytes_close(&p.payload);
        }
    }
    for (int i = 0; i < 4; i++) {
        bytes_close(texts[i]);
    }
    readback_close(b);
    reader_close(r);
}

static void grids_that_make_no_sense_are_refused(void) {
    static const struct reader_file FILE_OF = {.dim = DIM, .maps = MAPS_MEANS};
    static float tokens[MOST * DIM];
    struct reader *r = reader_of(path, &FILE_OF);
    struct readback *b = NULL;
    struct readback_page page;
    struct packed_page p;
    CHECK_NUMBER(readback_open(&b, r, NULL), 0);
    fill(tokens, 64);
    pack(&p, tokens, 8, 8, 8, 8, 0, SHRINK_POOL);
    struct token_header good = p.header;
    CHECK_NUMBER(readback_record(b, &good, p.payload.data, &page, NULL), 0);
    p.header.full_rows = 16;
    CHECK_NUMBER(readback_record(b, &p.header, p.payload.data, &page, NULL), ERR_FORMAT);
    p.header = good;
    p.header.bucket = 1;
    CHECK_NUMBER(readback_record(b, &p.header, p.payload.data, &page, NULL), ERR_FORMAT);
    p.header = good;
    p.header.full_rows = p.header.full_columns = 65535;
    CHECK_NUMBER(readback_record(b, &p.header, p.payload.data, &page, NULL), ERR_FORMAT);
    p.header = good;
    p.header.payload -= 1;
    CHECK(readback_record(b, &p.header, p.payload.data, &page, NULL) < 0);
    bytes_close(&p.payload);
    readback_close(b);
    reader_close(r);
}

/* ---- Rows of text --------------------------------------------------------------------------- */

/* "abc" at (row, x), in the order of row, x. */
struct placed {
    int row, x;
    const char *text;
    float confidence;
};

static size_t place(struct reading_character *out, const struct alphabet *alphabet,
                    const struct placed *list, size_t count) {
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        const char *text = list[i].text;
        for (int k = 0; text[k] != '\0'; k++) {
            out[filled++] =
                (struct reading_character){.row = (int16_t)list[i].row,
                                           .column = (int16_t)(list[i].x / READING_COLUMN + 3 * k),
                                           .class_index = alphabet_find(alphabet, text + k, 1),
                                           .confidence = list[i].confidence};
        }
    }
    return filled;
}

/* Printable ASCII and the newline, which pages in cells show by a sign. */
static struct alphabet *alphabet_of_lines(void) {
    struct alphabet *alphabet = NULL;
    json_t *list = json_pack("[s, s]", "\xEF\xBF\xBD", "\n");
    for (char c[] = " "; c[0] < 0x7F; c[0]++) {
        json_array_append_new(list, json_string(c));
    }
    if (!CHECK_NUMBER(alphabet_parse(&alphabet, list, NULL), 0)) {
        exit(1);
    }
    json_decref(list);
    return alphabet;
}

static void check_rows(const struct placed *list, size_t count, int width, const char *want) {
    struct reading_character characters[256];
    struct alphabet *alphabet = NULL;
    struct reading_text t;
    const struct reading_page page = {.rows = 1, .columns = width / 64, .column_offsets = 1};
    CHECK_NUMBER(alphabet_open(&alphabet, NULL), 0);
    reading_text_init(&t);
    size_t filled = place(characters, alphabet, list, count);
    for (int round = 0; round < 2; round++) { /* a used one is emptied first */
        CHECK_NUMBER(reading_text_fill(&t, alphabet, characters, filled, &page, NULL), 0);
        CHECK_TEXT(bytes_text(&t.text), want);
    }
    reading_text_close(&t);
    alphabet_close(alphabet);
}
#define CHECK_ROWS(list, width, want) check_rows((list), sizeof(list) / sizeof *(list), width, want)

static void characters_become_rows(void) {
    static const struct placed ONE[] = {{0, 4, "ab c", 1}, {2, 10, "d", 1}, {7, 2, "ef", 1}};
    CHECK_ROWS(ONE, 512, "ab c\nd\nef\n");
    check_rows(ONE, 0, 512, "");
    /* Wide pages whose rows leave the middle free are two columns. */
    static const struct placed TWO[] = {
        {0, 10, "left", 1}, {0, 600, "right", 1}, {2, 10, "more", 1}, {4, 700, "last", 1}};
    CHECK_ROWS(TWO, 1024, "left\nmore\nright\nlast\n");
    CHECK_ROWS(TWO, 512 + 448, "leftright\nmore\nlast\n"); /* not on narrower pages */
    /* One row of four that crosses the middle is taken for misread, one of three not. */
    static const struct placed CROSSED[] = {{0, 10, "a", 1},  {0, 600, "b", 1}, {2, 10, "c", 1},
                                            {2, 600, "d", 1}, {4, 10, "e", 1},  {4, 600, "f", 1},
                                            {6, 10, "g", 1},  {6, 510, "x", 1}, {6, 600, "h", 1}};
    CHECK_ROWS(CROSSED, 1024, "a\nc\ne\ngx\nb\nd\nf\nh\n");
    check_rows(CROSSED + 2, 7, 1024, "cd\nef\ngxh\n");
}

static void rows_know_their_place_and_confidence(void) {
    static const struct placed LIST[] = {
        {1, 40, "ab", 0.5f}, {1, 60, "c", 0.8f}, {1, 800, "d", 1}, {5, 20, "e", 0.25f}};
    struct reading_character characters[16];
    struct alphabet *alphabet = NULL;
    struct reading_text t;
    const struct reading_page page = {.rows = 1, .columns = 20, .column_offsets = 1};
    CHECK_NUMBER(alphabet_open(&alphabet, NULL), 0);
    reading_text_init(&t);
    size_t count = place(characters, alphabet, LIST, 4);
    CHECK_NUMBER(reading_text_fill(&t, alphabet, characters, count, &page, NULL), 0);
    if (CHECK_NUMBER(t.row_count, 3)) {
        static const struct reading_row WANT[] = {
            {0, 3, 40, 8, 3, 0.6f}, {4, 5, 20, 40, 1, 0.25f}, {6, 7, 800, 8, 1, 1}};
        for (int i = 0; i < 3; i++) {
            CHECK(t.rows[i].start == WANT[i].start && t.rows[i].end == WANT[i].end);
            CHECK(t.rows[i].x == WANT[i].x && t.rows[i].y == WANT[i].y);
            CHECK_NUMBER(t.rows[i].characters, WANT[i].characters);
            CHECK_NEAR((double)t.rows[i].confidence, (double)WANT[i].confidence, 1e-6);
        }
    }
    reading_text_close(&t);
    alphabet_close(alphabet);
}

/* Two tokens wide, two high: first all rows of a token, then those of the next one; the spaces and
 * newlines of the text, and what could not be read, are characters like any other. */
static void characters_of_cells_become_one_run(void) {
    static const struct placed LIST[] = {
        {0, 2, "It is", 1}, {0, 66, "ds", 1},   {2, 2, " on", 1},   {2, 66, "\n", 1},
        {4, 58, "e", 0.5f}, {4, 66, "no", 1},   {6, 0, " thou", 1}, {6, 120, "t", 1},
        {8, 2, "a row", 1}, {9, 2, " of 8", 1}, {9, 64, "!", 1},    {15, 126, ".", 0.25f}};
    static const struct reading_row WANT[] = {{0, 14, 0, 0, 14, 13.5f / 14},
                                              {14, 20, 64, 0, 6, 1},
                                              {20, 30, 0, 64, 10, 1},
                                              {30, 32, 64, 64, 2, 0.625f}};
    const struct reading_page page = {2, 2, 1, 2, 2, 0};
    struct reading_character characters[64];
    struct alphabet *alphabet = alphabet_of_lines();
    struct reading_text t;
    reading_text_init(&t);
    size_t count = place(characters, alphabet, LIST, sizeof LIST / sizeof *LIST);
    CHECK_NUMBER(reading_text_fill(&t, alphabet, characters, count, &page, NULL), 0);
    CHECK_TEXT(bytes_text(&t.text), "It is one thouds\nnota row of 8!.");
    if (CHECK_NUMBER(t.row_count, 4)) {
        for (int i = 0; i < 4; i++) {
            CHECK(t.rows[i].start == WANT[i].start && t.rows[i].end == WANT[i].end);
            CHECK(t.rows[i].x == WANT[i].x && t.rows[i].y == WANT[i].y);
            CHECK_NEAR((double)t.rows[i].confidence, (double)WANT[i].confidence, 1e-6);
        }
    }
    CHECK_NUMBER(reading_text_fill(&t, alphabet, characters, 0, &page, NULL), 0);
    CHECK_TEXT(bytes_text(&t.text), "");
    CHECK_NUMBER(t.row_count, 0);
    reading_text_close(&t);
    alphabet_close(alphabet);
}

/* At two column offsets a token's cell is half as wide. */
static void cells_may_be_smaller_than_a_token(void) {
    static const struct placed LIST[] = {{0, 2, "ab", 1}, {0, 34, "ef", 1}, {0, 66, "ij", 1},
                                         {2, 2, "cd", 1}, {2, 34, "gh", 1}, {2, 98, "k", 1}};
    const struct reading_page page = {1, 4, 2, 1, 4, 0}, smaller = {1, 2, 1, 1, 4, 0};
    struct reading_character characters[64];
    struct alphabet *alphabet = alphabet_of_lines();
    struct reading_text t;
    reading_text_init(&t);
    size_t count = place(characters, alphabet, LIST, sizeof LIST / sizeof *LIST);
    CHECK_NUMBER(reading_text_fill(&t, alphabet, characters, count, &page, NULL), 0);
    CHECK_TEXT(bytes_text(&t.text), "abcdefghijk");
    CHECK_NUMBER(t.row_count, 4);
    CHECK_NUMBER(t.rows[3].x, 96);
    /* So are those of a page that was made smaller: its tokens have several. */
    CHECK_NUMBER(reading_text_fill(&t, alphabet, characters, count, &smaller, NULL), 0);
    CHECK_TEXT(bytes_text(&t.text), "abcdefghijk");
    reading_text_close(&t);
    alphabet_close(alphabet);
}

/* ---- Distances ------------------------------------------------------------------------------ */

enum { LONGEST = 200 };

/* Levenshtein's distance, the whole matrix of it. */
static int plain_distance(const uint32_t *a, int m, const uint32_t *b, int n) {
    static int d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= m; i++) {
        for (int j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            d[i][j] = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
        }
    }
    return d[m][n];
}

static size_t encode(const uint32_t *points, int count, char *text) {
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        char bytes[4];
        size_t length = utf8_encode(points[i], bytes);
        memcpy(text + size, bytes, length);
        size += length;
    }
    return size;
}

/* Half of the strings are others with a few edits, as readings are. */
static int edit(uint32_t *to, const uint32_t *from, int count, int letters, uint64_t *random) {
    int made = 0, rate = (int)random_below(random, 40);
    for (int i = 0; i < count && made < LONGEST - 1; i++) {
        int what = (int)random_below(random, 100);
        if (what >= rate) {
            to[made++] = from[i];
        } else if (what % 3 > 0) {
            to[made++] = (uint32_t)('a' + random_below(random, letters));
            i -= what % 3 == 1; /* put in, else in its place */
        }
    }
    return made;
}

static void distances_are_those_of_the_whole_matrix(void) {
    uint32_t a[LONGEST], b[LONGEST];
    char x[4 * LONGEST], y[4 * LONGEST];
    uint64_t random = random_stream(3, 4);
    for (int round = 0; round < 3000; round++) {
        static const int LETTERS[] = {1, 2, 5, 26, 3000};
        int letters = LETTERS[random_below(&random, 5)];
        int m = (int)random_below(&random, LONGEST), n = (int)random_below(&random, LONGEST);
        for (int i = 0; i < LONGEST; i++) {
            a[i] = (uint32_t)(0x4E00 + random_below(&random, letters)); /* none is folded */
            b[i] = (uint32_t)(0x4E00 + random_below(&random, letters));
        }
        n = round % 2 == 0 ? n : edit(b, a, m, letters < 26 ? letters : 26, &random);
        int64_t distance = -1, length = -1;
        int rc = text_distance(x, encode(a, m, x), y, encode(b, n, y), &distance, &length, NULL);
        CHECK_NUMBER(rc, 0);
        CHECK_NUMBER(length, n);
        if (!CHECK_NUMBER(distance, plain_distance(a, m, b, n))) {
            printf("# round %d: %d and %d characters of %d letters\n", round, m, n, letters);
            return;
        }
    }
}

static void accuracies_are_between_0_and_1(void) {
    static const struct {
        const char *read, *text;
        double want;
    } CASES[] = {{"", "", 1},
                 {"x", "", 0},
                 {"", "abcd", 0},
                 {"abcd", "abcd", 1},
                 {"abxd", "abcd", 0.75},
                 {"ab\ncd", "abcd", 0.75},
                 {"quite another text", "abcd", 0},
                 {"\xc3\xa9\xe4\xb8\xad", "e\xe4\xb8\xad", 0.5},
                 {"a\U0001F44D b", "a\U0001F44D\U0001F3FD\u00a0b", 1},
                 {"\u2764", "\u2764\uFE0F", 1},
                 {"x\u4e2d", "x\uFFFD", 0.5}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        double accuracy = -1;
        CHECK_NUMBER(text_accuracy(CASES[i].read, strlen(CASES[i].read), CASES[i].text,
                                   strlen(CASES[i].text), &accuracy, NULL),
                     0);
        CHECK_NEAR(accuracy, CASES[i].want, 1e-12);
    }
}

int main(void) {
    int fd = mkstemp(path);
    if (fd < 0 || close(fd) != 0) {
        return 1;
    }
    RUN(heads_that_are_not_whole_are_refused);
    RUN(encoders_without_a_head_are_refused);
    RUN(characters_are_counted_by_what_columns_add_up_to);
    RUN(a_head_without_maps_reads_but_does_not_merge);
    RUN(grids_of_all_sides_merge_and_come_back);
    RUN(columns_and_rows_have_maps_of_their_own);
    RUN(forgotten_pages_are_read_by_how_they_shrank);
    RUN(grids_that_make_no_sense_are_refused);
    RUN(characters_become_rows);
    RUN(rows_know_their_place_and_confidence);
    RUN(characters_of_cells_become_one_run);
    RUN(cells_may_be_smaller_than_a_token);
    RUN(distances_are_those_of_the_whole_matrix);
    RUN(accuracies_are_between_0_and_1);
    unlink(path);
    return test_finish();
}
