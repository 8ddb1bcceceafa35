/* Labels of pages to learn reading from: they give the text of the page back, each in its place. */
#include "tests/test.h"

#include "render/draw.h"
#include "store/bytes.h"
#include "train/read/labels.h"
#include "train/read/text.h"

static struct alphabet *alphabet;
static struct fonts *fonts[PROFILE_COUNT];

static int cell_width; /* of the page whose labels are sorted */

/* A page of cells is read cell by cell. */
static int by_reading(const void *a, const void *b) {
    const struct read_label *x = a, *y = b;
    const int keys[][2] = {
        {x->row * READING_ROW / CELL, y->row * READING_ROW / CELL},
        {x->column * READING_COLUMN / cell_width, y->column * READING_COLUMN / cell_width},
        {x->row, y->row},
        {x->column, y->column}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i][0] != keys[i][1]) {
            return keys[i][0] < keys[i][1] ? -1 : 1;
        }
    }
    return 0;
}

/* Draws a text and reads its labels. */
static void read_labels(struct bytes *out, struct drawn_page *d, int profile, enum page_mode mode,
                        const char *text, struct page_labels *labels) {
    const struct page_setup setup = {
        .mode = mode, .profile = &PROFILES[profile], .fonts = fonts[profile], .clusters = true};
    *labels = (struct page_labels){.list = NULL};
    drawn_page_init(d);
    bytes_init(out, 1 << 20);
    CHECK_NUMBER(draw_text(d, &setup, text, strlen(text), NULL), 0);
    CHECK_NUMBER(labels_of_page(labels, &d->page, alphabet, NULL), 0);
    cell_width = d->page.columns > 0 ? d->page.width / d->page.columns : d->page.width;
    for (size_t i = 1; i < labels->count; i++) { /* the order that they are promised in */
        const struct read_label *l = &labels->list[i];
        CHECK(l[-1].row < l->row || (l[-1].row == l->row && l[-1].column < l->column));
    }
    struct read_label *sorted = malloc(labels->count * sizeof *sorted + 1);
    memcpy(sorted, labels->list, labels->count * sizeof *sorted);
    qsort(sorted, labels->count, sizeof *sorted, by_reading);
    for (size_t i = 0; i < labels->count; i++) {
        CHECK(sorted[i].row >= 0 && sorted[i].row < d->page.height / READING_ROW);
        CHECK(sorted[i].column >= 0 && sorted[i].column < d->page.width / READING_COLUMN);
        CHECK(bytes_append_text(out, alphabet_text(alphabet, sorted[i].class_index), NULL) == 0);
    }
    free(sorted);
}

/* `wanted` is the text of the labels; NULL: that of the page. */
static void check_labels(int profile, enum page_mode mode, const char *text, const char *wanted) {
    struct bytes read;
    struct drawn_page d;
    struct page_labels labels;
    read_labels(&read, &d, profile, mode, text, &labels);
    CHECK_TEXT(bytes_text(&read), wanted != NULL ? wanted : d.page.text);
    labels_close(&labels);
    drawn_page_close(&d);
    bytes_close(&read);
}

static const char SPACED[] =
    "  two  spaces, \n\n    indented\nł ź ı î ơ ư ặ Ặ «quoted» „so“ – and — so… I'm "
    "WAVE AVATAR illicit fill illness 1,234.56 € #tag @handle_1 https://a.b/?c=d&e=f "
    "Ὀὀ; nothing lost: iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii llllllllllllllllllllllllll";

static void labels_of_cells_are_the_text(void) {
    static const struct {
        int profile;
        enum page_mode mode;
    } KINDS[] = {{PROFILE_CELL10, MODE_TINY},
                 {PROFILE_CELL8, MODE_TINY},
                 {PROFILE_CELL10, MODE_HIFI},
                 {PROFILE_CELL8, MODE_HIFI},
                 {PROFILE_CELL10, MODE_BASE}};
    struct bytes known; /* what is in no class, by its sign */
    bytes_init(&known, 1 << 20);
    for (const char *at = SPACED; *at != '\0';) {
        size_t used;
        int index = alphabet_next(alphabet, at, strlen(at), &used);
        CHECK(bytes_append_text(&known, alphabet_text(alphabet, index), NULL) == 0);
        at += used;
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        check_labels(KINDS[i].profile, KINDS[i].mode, SPACED, bytes_text(&known));
    }
    bytes_close(&known);
}

static void labels_of_long_cells_are_the_text(void) {
    enum { SIZE = 3000 };
    uint64_t random = 5;
    struct bytes text;
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(text_random(&text, alphabet, LETTERS_ALL, SIZE, &random, NULL), 0);
    CHECK(strchr(bytes_text(&text), '\n') == NULL);
    check_labels(PROFILE_CELL10, MODE_BASE, bytes_text(&text), NULL);
    check_labels(PROFILE_CELL8, MODE_TINY, bytes_text(&text), NULL);
    bytes_close(&text);
}

/* Of the same class, and counted once. */
static void what_looks_alike_is_one_class(void) {
    check_labels(PROFILE_CELL10, MODE_TINY, "e\xCC\x81t\xE1\xBB\x8B t\x69\xCC\xA3",
                 "ét\xE1\xBB\x8B t\xE1\xBB\x8B");
    check_labels(PROFILE_CELL10, MODE_TINY, "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD\xF0\x9F\x91\x8D",
                 "👍👍");
    check_labels(PROFILE_CELL10, MODE_TINY,
                 "a\xE2\x80\x8D"
                 "b",
                 "ab"); /* a joiner */
    check_labels(PROFILE_CELL10, MODE_TINY, "s\xCC\xB6", "s\xCC\xB6");
}

static void what_the_alphabet_lacks_is_a_sign(void) {
    check_labels(PROFILE_CELL10, MODE_TINY, "a 漢字 b", "a \uFFFD\uFFFD b");
    check_labels(PROFILE_CELL8, MODE_TINY, "กี x", "\uFFFD x"); /* a letter with its vowel */
}

/* Letters that are 2 pixels wide, and ligatures: every place is taken once, none is lost. */
static void labels_of_rows_are_the_text(void) {
    check_labels(PROFILE_READ10, MODE_TINY, "office, filling ill will", "office, filling ill will");
    check_labels(PROFILE_DENSE, MODE_TINY, "iiiiiiiiiiiiiiiiiiii llllllll",
                 "iiiiiiiiiiiiiiiiiiii llllllll");
}

/* Three in the last column of a cell, one in the first of the next. */
static void labels_give_way_within_their_cell(void) {
    static const struct page_cluster CLUSTERS[] = {{.x = 63 * 64, .text = 0, .size = 1},
                                                   {.x = 63 * 64 + 10, .text = 1, .size = 1},
                                                   {.x = 63 * 64 + 20, .text = 2, .size = 1},
                                                   {.x = 64 * 64 + 1, .text = 3, .size = 1}};
    const struct page page = {.width = 128,
                              .height = 64,
                              .columns = 2,
                              .text = "abcd",
                              .text_size = 4,
                              .clusters = CLUSTERS,
                              .cluster_count = 4};
    struct page_labels labels = {.list = NULL};
    CHECK_NUMBER(labels_of_page(&labels, &page, alphabet, NULL), 0);
    CHECK_NUMBER(labels.count, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_NUMBER(labels.list[i].column, 29 + i);
        const char *text = alphabet_text(alphabet, labels.list[i].class_index);
        CHECK_NUMBER(text[0], page.text[i]);
    }
    labels_close(&labels);
}

static void a_crop_has_the_labels_within(void) {
    struct bytes read;
    struct drawn_page d;
    struct page_labels labels;
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    read_labels(&read, &d, PROFILE_CELL10, MODE_TINY, text, &labels);
    size_t count = 0;
    const struct read_label first = {.row = 64 / READING_ROW, .column = 128 / READING_COLUMN};
    for (size_t i = 0; i < labels.count; i++) {
        const struct read_label *l = &labels.list[i];
        count += l->row >= first.row && l->row < first.row + 64 / READING_ROW &&
                 l->column >= first.column && l->column < first.column + 192 / READING_COLUMN;
    }
    labels_crop(&labels, 128, 64, 192, 64);
    CHECK(count > 60);
    CHECK_NUMBER(labels.count, count);
    CHECK_NUMBER(labels.list[0].row, 0);
    CHECK(labels.list[0].column < 4);
    labels_close(&labels);
    drawn_page_close(&d);
    bytes_close(&read);
}

int main(void) {
    struct error e = {0};
    int rc = alphabet_open(&alphabet, &e);
    for (int i = 0; i < PROFILE_COUNT && rc == 0; i++) {
        rc = fonts_open(&fonts[i], PROFILES[i].family, &e);
    }
    if (rc < 0) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    RUN(labels_of_cells_are_the_text);
    RUN(labels_of_long_cells_are_the_text);
    RUN(what_looks_alike_is_one_class);
    RUN(what_the_alphabet_lacks_is_a_sign);
    RUN(labels_of_rows_are_the_text);
    RUN(labels_give_way_within_their_cell);
    RUN(a_crop_has_the_labels_within);
    for (int i = 0; i < PROFILE_COUNT; i++) {
        fonts_close(fonts[i]);
    }
    alphabet_close(alphabet);
    return test_finish();
}
