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
    CHECK(alphabet_count(a) > 1800);
    for (int i = 0; i < alphabet_count(a); i++) {
        const char *text = alphabet_text(a, i);
        CHECK(utf8_is_valid(text, strlen(text)));
        CHECK_NUMBER(class_of(a, text), i);
    }
    static const char *const THERE[] = {" ",
                                        "~",
                                        "\u00e9",
                                        "\u017e",
                                        "\u03c9",
                                        "\u0436",
                                        "\u2014",
                                        "\u20ac",
                                        "\u2192",
                                        "\u0454",
                                        "\U0001F602",
                                        "\u2764\uFE0F",
                                        "\n",
                                        "\u0336",
                                        "\u25A3",
                                        "\u25A7",
                                        "\u01B0",
                                        "\u1EC7",
                                        "\u1EF8",
                                        "\u20AB",
                                        "\u00B7",
                                        "\u04D9",
                                        "\U0001F979",
                                        "\U0001F6D2",
                                        "\U0001F1FA\U0001F1F8",
                                        "7\uFE0F\u20E3"};
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

static void variants_are_of_one_class(void) {
    static const struct {
        const char *text, *same;
    } CASES[] = {{"\U0001F44D\U0001F3FD", "\U0001F44D"},
                 {"\u263A", "\u263A\uFE0F"},
                 {"\U0001F926\U0001F3FB\u200D\u2642\uFE0F", "\U0001F926"},
                 {"\U0001F469\u200D\U0001F373", "\U0001F9D1\u200D\U0001F373"},
                 {"\u2764\u200D\U0001F525", "\u2764\uFE0F\u200D\U0001F525"},
                 {"5\u20E3", "5\uFE0F\u20E3"},
                 {"\u00A0", " "},
                 {"\u0335", "\u0336"},
                 {"e\uFE0F", "e"}};
    struct alphabet *a = open_alphabet();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CHECK(class_of(a, CASES[i].same) != ALPHABET_OTHER);
        CHECK_NUMBER(class_of(a, CASES[i].text), class_of(a, CASES[i].same));
    }
    /* a letter of the font and a coloured picture */
    CHECK(class_of(a, "\u2665") != class_of(a, "\u2665\uFE0F"));
    CHECK_NUMBER(class_of(a, "\U0001F415\u200D\U0001F9BA"), ALPHABET_OTHER); /* in a vest */
    alphabet_close(a);
}

/* Files from before variants were folded. */
static void old_lists_fold_too(void) {
    struct alphabet *a;
    json_t *list =
        json_pack("[s,s,s,s,s]", "\uFFFD", " ", "\u2764", "\u2764\uFE0F", "\u270C\uFE0F");
    CHECK_NUMBER(alphabet_parse(&a, list, NULL), 0);
    CHECK_NUMBER(class_of(a, "\u2764"), 2);
    CHECK_NUMBER(class_of(a, "\u2764\uFE0F"), 3);
    CHECK_NUMBER(class_of(a, "\u270C\U0001F3FD"), 4);
    CHECK_NUMBER(class_of(a, "\u270C"), 4);
    alphabet_close(a);
    json_decref(list);
}

static void texts_are_taken_apart_into_classes(void) {
    enum { NONE = ALPHABET_OTHER, THERE = 1 };
    static const struct {
        const char *text;
        int kind;
        size_t bytes;
    } CASES[] = {{"ab", THERE, 1},
                 {"a", THERE, 1},
                 {"e\u0301", THERE, 1},
                 {"\u0301", NONE, 2},
                 {"\u2764\uFE0F!", THERE, 6},
                 {"\u2764!", THERE, 3},
                 {"\U0001F44D\U0001F3FD", THERE, 8},
                 {"\U0001F415\u200D\U0001F9BA", NONE, 4},
                 {"\u4e16a", NONE, 3},
                 {"\u200Ba", ALPHABET_NOTHING, 3},
                 {"\n", THERE, 1},
                 {"\xFF", NONE, 1},
                 {"\u00e9\u00e9", THERE, 2}};
    struct alphabet *a = open_alphabet();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        size_t used;
        int index = alphabet_next(a, CASES[i].text, strlen(CASES[i].text), &used);
        CHECK_NUMBER(index > 0 ? THERE : index, CASES[i].kind);
        CHECK_NUMBER(used, CASES[i].bytes);
    }
    alphabet_close(a);
}

/* ---- Labels ---------------------------------------------------------------------------- */

static int label(void *context, const struct page *page, struct error *e) {
    struct page_labels *out = context;
    struct alphabet *a = open_alphabet();
    CHECK_NUMBER(page->missing_count, 0);
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
 * second row of cells. Of pages of cells: page_labels_test.c. */
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
        labels_close(&labels);
        alphabet_close(a);
    }
}

/* Every emoji is in the fonts and one cluster: eighty on a page, with words between. */
static void emoji_are_labelled_as_they_stand(void) {
    struct alphabet *a = open_alphabet();
    int first, end;
    alphabet_range(ALPHABET_EMOJI, &first, &end);
    for (int from = first; from < end; from += 80) {
        struct page_labels labels = {.list = NULL};
        struct bytes text;
        int to = from + 80 < end ? from + 80 : end;
        bytes_init(&text, 1 << 16);
        for (int i = from; i < to; i++) {
            CHECK_NUMBER(bytes_append_text(&text, alphabet_text(a, i), NULL), 0);
            CHECK_NUMBER(bytes_append_text(&text, " x ", NULL), 0);
        }
        label_text(&labels, PROFILE_READ10, bytes_text(&text));
        int found = from;
        for (size_t i = 0; i < labels.count; i++) {
            int index = labels.list[i].class_index;
            if (index >= first || index == ALPHABET_OTHER) {
                CHECK_NUMBER(index, found);
                found++;
            }
        }
        CHECK_NUMBER(found, to);
        bytes_close(&text);
        labels_close(&labels);
    }
    alphabet_close(a);
}

static void clusters_of_several_characters_have_a_label_for_each(void) {
    static const struct {
        const char *text, *labels;
    } CASES[] = {{"a\u0336b\u0336", "a\u0336b\u0336"},
                 {"\U0001F44D\U0001F3FD", "\U0001F44D"},
                 {"x\u0335", "x\u0336"},
                 {"\u4e16a", "\uFFFDa"}};
    struct alphabet *a = open_alphabet();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct page_labels labels = {.list = NULL};
        struct bytes spelled;
        bytes_init(&spelled, 1 << 16);
        label_text(&labels, PROFILE_READ10, CASES[i].text);
        for (size_t k = 0; k < labels.count; k++) {
            const char *text = alphabet_text(a, labels.list[k].class_index);
            CHECK_NUMBER(bytes_append_text(&spelled, text, NULL), 0);
        }
        CHECK_TEXT(bytes_text(&spelled), CASES[i].labels);
        bytes_close(&spelled);
        labels_close(&labels);
    }
    alphabet_close(a);
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
    RUN(variants_are_of_one_class);
    RUN(old_lists_fold_too);
    RUN(texts_are_taken_apart_into_classes);
    RUN(labels_spell_the_text_in_its_place);
    RUN(emoji_are_labelled_as_they_stand);
    RUN(clusters_of_several_characters_have_a_label_for_each);
    RUN(random_text_is_of_the_letters_asked_for);
    return test_finish();
}
