/* The classes of a reading head, and the places of characters on pages that it learns from. */
#include "compress/alphabet.h"

#include "store/utf8.h"
#include "tests/test.h"
#include "train/read/labels.h"
#include "train/read/text.h"

static struct alphabet *open_alphabet(void) {
    struct alphabet *a;
    if (alphabet_open(&a, NULL) < 0) {
        exit(1);
    }
    return a;
}

static int class_of(const struct alphabet *a, const char *text) {
    return alphabet_find(a, text, strlen(text));
}

static void every_class_is_found_by_its_text(void) {
    struct alphabet *a = open_alphabet();
    CHECK(alphabet_count(a) > 600);
    for (int i = 0; i < alphabet_count(a); i++) {
        const char *text = alphabet_text(a, i);
        CHECK(utf8_is_valid(text, strlen(text)));
        CHECK_NUMBER(class_of(a, text), i);
    }
    static const char *const THERE[] = {" ",      "~",      "\u00e9",     "\u017e",
                                        "\u03c9", "\u0436", "\u2014",     "\u20ac",
                                        "\u2192", "\u0454", "\U0001F602", "\u2764\uFE0F"};
    for (size_t i = 0; i < sizeof THERE / sizeof *THERE; i++) {
        CHECK(class_of(a, THERE[i]) != ALPHABET_OTHER);
    }
    CHECK_NUMBER(class_of(a, "\u4e2d"), ALPHABET_OTHER);
    CHECK_NUMBER(class_of(a, ""), ALPHABET_OTHER);
    CHECK_NUMBER(class_of(a, "ab"), ALPHABET_OTHER);
    alphabet_close(a);
}

static void parts_are_the_whole_but_for_class_0(void) {
    struct alphabet *a = open_alphabet();
    int at = 1;
    for (int part = 0; part < ALPHABET_PARTS; part++) {
        int first, end;
        alphabet_range((enum alphabet_part)part, &first, &end);
        CHECK_NUMBER(first, at);
        CHECK(end > first);
        at = end;
    }
    CHECK_NUMBER(at, alphabet_count(a));
    alphabet_close(a);
}

static void the_list_of_a_file_gives_the_same_classes(void) {
    struct alphabet *a = open_alphabet(), *b;
    json_t *list = alphabet_json(a);
    CHECK_NUMBER(alphabet_parse(&b, list, NULL), 0);
    CHECK_NUMBER(alphabet_count(b), alphabet_count(a));
    CHECK_TEXT(alphabet_text(b, 99), alphabet_text(a, 99));
    alphabet_close(b);
    alphabet_close(a);
    json_decref(list);
}

static void lists_that_are_none_are_refused(void) {
    static const char *const LISTS[] = {"[]",           "[\"a\"]",       "{}",
                                        "[\"a\", 1]",   "[\"a\", \"\"]", "[\"a\", \"b\", \"a\"]",
                                        "[\"a\", null]"};
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++) {
        struct alphabet *a;
        struct error e = {0};
        json_t *list = json_loads(LISTS[i], 0, NULL);
        CHECK_NUMBER(alphabet_parse(&a, list, &e), ERR_FORMAT);
        CHECK(strstr(e.text, "alphabet: ") == e.text);
        CHECK(a == NULL);
        json_decref(list);
    }
}

static void the_longest_class_is_matched(void) {
    static const struct {
        const char *text;
        size_t bytes;
    } CASES[] = {{"ab", 1},          {"a", 1},
                 {"e\u0301", 1},     {"\u2764\uFE0F!", 6},
                 {"\u2764!", 3},     {"\U0001F44D\U0001F3FD", 4},
                 {"\u4e16a", 0},     {"\n", 0},
                 {"\xFF", 0},        {"", 0},
                 {"\u00e9\u00e9", 2}};
    struct alphabet *a = open_alphabet();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CHECK_NUMBER(alphabet_match(a, CASES[i].text, strlen(CASES[i].text)), CASES[i].bytes);
    }
    alphabet_close(a);
}

/* ---- Labels ---------------------------------------------------------------------------- */

static int label(void *context, const struct page *page, struct error *e) {
    struct page_labels *out = context;
    struct alphabet *a = open_alphabet();
    int rc = out->count == 0 ? labels_of_page(out, page, a, e) : 0;
    alphabet_close(a);
    return rc;
}

static void label_text(struct page_labels *out, int profile, const char *text) {
    struct fonts *fonts;
    struct pager *pager;
    CHECK_NUMBER(fonts_open(&fonts, PROFILES[profile].family, NULL), 0);
    const struct page_setup setup = {.mode = MODE_TINY,
                                     .profile = &PROFILES[profile],
                                     .fonts = fonts,
                                     .clusters = true,
                                     .context = out,
                                     .done = label};
    const struct span span = {.text = text, .size = strlen(text)};
    CHECK_NUMBER(pager_open(&pager, &setup, NULL), 0);
    CHECK_NUMBER(pager_text(pager, PART_SCRIPT, &span, 1, 0, NULL), 0);
    CHECK_NUMBER(pager_flush(pager, NULL), 0);
    pager_close(pager);
    fonts_close(fonts);
}

/* In order of row and column, one in a place, ligatures taken apart; rows of 16 pixels are every
 * second row of cells. */
static void labels_spell_the_text_in_its_place(void) {
    static const char TEXT[] = "The office: fi, 10%\n\u017dlu\u0165ou\u010dk\u00fd";
    for (int profile = 0; profile < PROFILE_CELL10; profile++) { /* rows across the page */
        struct page_labels labels = {.list = NULL};
        struct alphabet *a = open_alphabet();
        struct bytes spelled;
        bytes_init(&spelled, 1 << 16);
        label_text(&labels, profile, TEXT);
        for (size_t i = 0; i < labels.count; i++) {
            const struct read_label *l = &labels.list[i], *last = i > 0 ? l - 1 : l;
            int step = PROFILES[profile].pitch / READING_ROW;
            CHECK_NUMBER(l->row % step, 0);
            CHECK(l->row >= last->row);
            CHECK(i == 0 || l->row > last->row || l->column > last->column);
            CHECK(l->column < 512 / READING_COLUMN);
            if (l->row > last->row) {
                CHECK_NUMBER(bytes_append(&spelled, "\n", 1, NULL), 0);
            }
            CHECK_NUMBER(bytes_append_text(&spelled, alphabet_text(a, l->class_index), NULL), 0);
        }
        CHECK_TEXT(bytes_text(&spelled), TEXT);
        bytes_close(&spelled);
        free(labels.list);
        alphabet_close(a);
    }
}

static void random_text_is_of_the_letters_asked_for(void) {
    struct alphabet *a = open_alphabet();
    struct bytes text;
    uint64_t random = 1;
    bytes_init(&text, 1 << 20);
    CHECK_NUMBER(text_random(&text, a, LETTERS_ASCII, 5000, &random, NULL), 0);
    for (size_t i = 0; i < text.size; i++) {
        CHECK(text.data[i] >= 0x20 && text.data[i] < 0x7F);
    }
    bytes_clear(&text);
    CHECK_NUMBER(text_random(&text, a, LETTERS_ALL, 5000, &random, NULL), 0);
    CHECK(utf8_is_valid(bytes_text(&text), text.size));
    CHECK(text.size >= 5000 && text.size < 5400);
    bytes_close(&text);
    alphabet_close(a);
}

int main(void) {
    RUN(every_class_is_found_by_its_text);
    RUN(parts_are_the_whole_but_for_class_0);
    RUN(the_list_of_a_file_gives_the_same_classes);
    RUN(lists_that_are_none_are_refused);
    RUN(the_longest_class_is_matched);
    RUN(labels_spell_the_text_in_its_place);
    RUN(random_text_is_of_the_letters_asked_for);
    return test_finish();
}
