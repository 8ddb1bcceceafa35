/* cells_test.c - pages of cells: each cell holds one run of the text, drawn where it says, and the
 * text comes back exactly. */
#include "tests/test.h"

#include <math.h>

#include "render/draw.h"
#include "render/text/sign.h"
#include "store/bytes.h"
#include "store/utf8.h"
#include "tests/kept_pages.h"

static const int CELL_PROFILES[] = {PROFILE_CELL10, PROFILE_CELL8};
enum { KINDS = sizeof CELL_PROFILES / sizeof *CELL_PROFILES };
static struct fonts *fonts_of[KINDS];

static struct page_setup setup_of(int kind, enum page_mode mode, struct kept *kept) {
    return (struct page_setup){.mode = mode,
                               .profile = &PROFILES[CELL_PROFILES[kind]],
                               .fonts = fonts_of[kind],
                               .clusters = true,
                               .context = kept,
                               .done = kept_add};
}

static struct pager *open_pager(const struct page_setup *setup) {
    struct pager *p = NULL;
    struct error e = {0};
    if (!CHECK(pager_open(&p, setup, &e) == 0)) {
        printf("Bail out! %s\n", e.text);
        exit(1);
    }
    return p;
}

static void put(struct pager *p, enum page_part part, const char *text) {
    const struct span span = {.text = text, .size = strlen(text)};
    CHECK(pager_text(p, part, &span, 1, 0, NULL) == 0);
}

/* The pages of one text that is no part of a sample. */
static void set_plain(int kind, enum page_mode mode, const char *text, struct kept *kept) {
    const struct page_setup setup = setup_of(kind, mode, kept);
    struct pager *p = open_pager(&setup);
    put(p, PART_NONE, text);
    CHECK(pager_flush(p, NULL) == 0);
    pager_close(p);
}

static int ink_in(const struct kept_page *page, int x, int y, int width, int height) {
    int ink = 0;
    for (int row = y; row < y + height; row++) {
        for (int column = x; column < x + width; column++) {
            ink += 255 - page->grey[(size_t)row * (size_t)page->side + (size_t)column];
        }
    }
    return ink;
}

/* ---- Text -------------------------------------------------------------------- */

static void a_text_comes_back_exactly(void) {
    static const char TEXT[] = "One two  three   four.\n\n  Indented\n"
                               "\xC3\x89t\xC3\xA9 \xF0\x9F\x98\x82\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA "
                               "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D abc \xD7\x90\n"
                               "a_b__c  ";
    for (int kind = 0; kind < KINDS; kind++) {
        for (int mode = 0; mode < MODE_COUNT; mode++) {
            struct kept kept = {0};
            set_plain(kind, (enum page_mode)mode, TEXT, &kept);
            CHECK_NUMBER(kept.count, 1);
            CHECK_TEXT(kept.pages[0].text, TEXT);
            CHECK(cells_are_in_order(&kept.pages[0]));
            kept_release(&kept);
        }
    }
}

/* Forgetting draws the text of a page once more: its signs must not get signs of their own, and it
 * must fit where it was. */
static void a_page_can_be_drawn_again_from_its_text(void) {
    static const char *const TEXTS[] = {"A title", "Two  spaces,\n\n a newline.",
                                        " \u25A5 is a sign"};
    for (int kind = 0; kind < KINDS; kind++) {
        struct kept whole = {0}, again = {0};
        const struct page_setup setup = setup_of(kind, MODE_TINY, &whole);
        struct pager *p = open_pager(&setup);
        for (int i = 0; i < 3; i++) {
            put(p, (enum page_part)(PART_HEADER + i), TEXTS[i]);
        }
        CHECK(pager_flush(p, NULL) == 0);
        pager_close(p);
        set_plain(kind, MODE_TINY, whole.pages[0].text, &again);
        CHECK_TEXT(again.pages[0].text, whole.pages[0].text);
        CHECK(again.count == 1 && again.pages[0].height <= whole.pages[0].height);
        kept_release(&whole);
        set_plain(kind, MODE_TINY, again.pages[0].text, &whole);
        CHECK_NUMBER(whole.pages[0].height, again.pages[0].height);
        CHECK(memcmp(whole.pages[0].grey, again.pages[0].grey,
                     (size_t)(again.pages[0].side * again.pages[0].height)) == 0);
        kept_release(&whole);
        kept_release(&again);
    }
}

static void newlines_of_all_kinds_are_one_sign(void) {
    struct kept kept = {0};
    set_plain(0, MODE_TINY,
              "a\r\nb\rc\vd\xE2\x80\xA8"
              "e\xC2\x85"
              "f",
              &kept);
    CHECK_TEXT(kept.pages[0].text, "a\nb\nc\nd\ne\nf");
    CHECK_NUMBER(kept.pages[0].cluster_count, 11);
    kept_release(&kept);
}

/* Sentences whose words are long and short. */
static void write_prose(struct bytes *text, size_t size) {
    static const char *const WORDS[] = {"a",   "banana",   "opens", "from",
                                        "the", "wrong",    "end",   "incomprehensibilities",
                                        "of",  "Illinois", "it."};
    uint32_t state = 7;
    while (text->size < size) {
        state = state * 1664525 + 1013904223;
        CHECK(bytes_append_text(text, WORDS[(state >> 16) % 11], NULL) == 0);
        CHECK(bytes_append_text(text, " ", NULL) == 0);
    }
}

/* No row ends before it must. */
static void rows_are_full(void) {
    struct bytes text;
    bytes_init(&text, 1 << 20);
    write_prose(&text, 6000);
    for (int kind = 0; kind < KINDS; kind++) {
        struct kept kept = {0};
        set_plain(kind, MODE_HIFI, bytes_text(&text), &kept);
        const struct kept_page *page = &kept.pages[0];
        int rows = 0;
        for (size_t i = 0; i + 1 < page->cluster_count; i++) {
            const struct page_cluster *c = &page->clusters[i], *next = c + 1;
            if (next->y == c->y && kept_cell(page, c) == kept_cell(page, next)) {
                continue;
            }
            rows++;
            int32_t used =
                c->x % (32 * 64) + c->advance - 64; /* a pixel is kept free at both ends */
            bool space = page->text[next->text] == ' ';
            CHECK(used <= 30 * 64);
            CHECK(used + (space ? 4 * 64 : next->advance) > 30 * 64);
        }
        CHECK(rows > 100);
        kept_release(&kept);
    }
    bytes_close(&text);
}

static void a_page_is_as_high_as_its_text(void) {
    struct bytes text;
    bytes_init(&text, 1 << 20);
    write_prose(&text, 60000);
    for (int kind = 0; kind < KINDS; kind++) {
        struct kept kept = {0};
        set_plain(kind, MODE_TINY, "", &kept);
        CHECK_NUMBER(kept.count, 0);
        set_plain(kind, MODE_TINY, "x", &kept);
        CHECK_NUMBER(kept.pages[0].height, 64);
        CHECK_NUMBER(kept.pages[0].counts.cells, 8);
        CHECK_NUMBER(kept.pages[0].counts.inked, 1);
        kept_release(&kept);
        set_plain(kind, MODE_TINY, bytes_text(&text), &kept);
        CHECK(kept.count > 4);
        for (size_t i = 0; i < kept.count; i++) {
            const struct kept_page *page = &kept.pages[i];
            CHECK(i + 1 == kept.count || page->height == 512);
            CHECK_NUMBER(page->counts.cells, page->height / 64 * 8);
            CHECK(page->counts.inked > page->counts.cells - 8);
            CHECK(ink_in(page, 0, page->height - 64, 64, 64) > 0);
        }
        kept_release(&kept);
    }
    bytes_close(&text);
}

/* A pager of part of a page uses no more. */
static void only_the_cells_asked_for_are_filled(void) {
    struct bytes text;
    struct kept kept = {0};
    bytes_init(&text, 1 << 20);
    write_prose(&text, 3000);
    struct page_setup setup = setup_of(0, MODE_HIFI, &kept);
    setup.rows = 3;
    setup.columns = 5;
    struct pager *p = open_pager(&setup);
    put(p, PART_NONE, bytes_text(&text));
    CHECK(pager_flush(p, NULL) == 0);
    pager_close(p);
    CHECK(kept.count > 1);
    CHECK_NUMBER(kept.pages[0].height, 3 * 64);
    CHECK_NUMBER(kept.pages[0].counts.cells, 3 * 10);
    CHECK_NUMBER(ink_in(&kept.pages[0], 320, 0, 1280 - 320, 192), 0);
    kept_release(&kept);
    bytes_close(&text);
}

/* ---- Spaces and signs ---------------------------------------------------------- */

static void spaces_that_would_not_be_seen_are_drawn(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        struct kept kept = {0};
        set_plain(kind, MODE_TINY, " .  . ", &kept);
        const struct kept_page *page = &kept.pages[0];
        const struct page_cluster *c = page->clusters;
        CHECK_NUMBER(page->cluster_count, 6);
        /* first; after a letter; after another; last: open boxes of three pixels */
        static const bool DRAWN[] = {true, false, false, true, false, true};
        for (size_t i = 0; i < 6; i++) {
            int x = (c[i].x + 8) / 64, ink = 0;
            for (int row = 0; row < PROFILES[CELL_PROFILES[kind]].pitch; row++) {
                const uint8_t *at = page->grey + (size_t)row * 512 + (size_t)x;
                ink += at[1] == 0 && at[2] == 0 && at[3] == 0;
            }
            CHECK(page->text[i] != ' ' || (ink > 0) == DRAWN[i]);
        }
        kept_release(&kept);
    }
}

static void a_part_begins_a_row_with_its_sign(void) {
    static const struct {
        enum page_part part;
        const char *sign;
    } PARTS[] = {{PART_HEADER, "\u25A3"},
                 {PART_DESCRIPTION, "\u25A4"},
                 {PART_SCRIPT, "\u25A5"},
                 {PART_HASHTAGS, "\u25A6"},
                 {PART_COMMENTS, "\u25A7"}};
    enum { COUNT = sizeof PARTS / sizeof *PARTS };
    for (int kind = 0; kind < KINDS; kind++) {
        struct kept kept = {0};
        const struct page_setup setup = setup_of(kind, MODE_TINY, &kept);
        struct pager *p = open_pager(&setup);
        char want[64] = "";
        for (size_t i = 0; i < COUNT; i++) {
            put(p, PARTS[i].part, "a");
            put(p, PARTS[i].part, "b");
            snprintf(want + strlen(want), sizeof want - strlen(want), "%sab", PARTS[i].sign);
        }
        CHECK(pager_clear(p, NULL) == 0);
        put(p, PART_COMMENTS, "c"); /* of another sample */
        snprintf(want + strlen(want), sizeof want - strlen(want), "%sc", PARTS[COUNT - 1].sign);
        CHECK(pager_flush(p, NULL) == 0);
        pager_close(p);
        const struct kept_page *page = &kept.pages[0];
        int pitch = setup.profile->pitch, rows = CELL / pitch;
        CHECK_TEXT(page->text, want);
        for (size_t i = 0; i < COUNT; i++) {
            const struct page_cluster *c = &page->clusters[3 * i];
            CHECK_NUMBER(c->size, 3);
            CHECK_NUMBER(c->y, (int)i % rows * pitch);
            CHECK_NUMBER(kept_cell(page, c), (int)i / rows);
            CHECK_NUMBER(c->x % (64 * 64), 64);
        }
        const struct page_cluster *last = &page->clusters[3 * COUNT];
        CHECK_NUMBER(last->y, 0);
        CHECK_NUMBER(kept_cell(page, last), (COUNT - 1) / rows + 1);
        kept_release(&kept);
    }
}

/* Shapes in the first row of a cell, 1 is black. */
enum { SHAPE = 16 * 64 };
static void draw_shape(int kind, const char *text, double shape[SHAPE]) {
    static struct drawn_page pages[KINDS];
    static struct pager *pagers[KINDS]; /* opening one takes longer than a page */
    struct drawn_page *d = &pages[kind];
    if (pagers[kind] == NULL) {
        struct page_setup setup = setup_of(kind, MODE_TINY, NULL);
        drawn_page_init(d);
        setup.context = d;
        setup.done = drawn_page_take;
        pagers[kind] = open_pager(&setup);
    }
    drawn_page_clear(d);
    put(pagers[kind], PART_NONE, text);
    CHECK(pager_flush(pagers[kind], NULL) == 0);
    memset(shape, 0, SHAPE * sizeof *shape);
    for (int y = 0; d->drawn && y < PROFILES[CELL_PROFILES[kind]].pitch; y++) {
        for (int x = 0; x < 64; x++) { /* a soft hyphen draws nothing */
            shape[y * 64 + x] = (255 - d->page.grey[y * 512 + x]) / 255.0;
        }
    }
}

static double distance_of(const double a[SHAPE], const double b[SHAPE]) {
    double sum = 0;
    for (int i = 0; i < SHAPE; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sqrt(sum);
}

static void signs_look_like_nothing_else(void) {
    static const char *const SIGNS[] = {"\n",     " ",      "\u25A3", "\u25A4",
                                        "\u25A5", "\u25A6", "\u25A7"};
    enum { COUNT = sizeof SIGNS / sizeof *SIGNS };
    static double shapes[COUNT][SHAPE], letter[SHAPE];
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < COUNT; i++) {
            draw_shape(kind, SIGNS[i], shapes[i]);
            for (int k = 0; k < i; k++) {
                CHECK(distance_of(shapes[i], shapes[k]) > 2.5);
            }
        }
        for (uint32_t c = '!'; c < 0x500; c = c == '~' ? 0xA1 : c + 1) {
            char text[8] = {0};
            size_t size = utf8_encode(c, text);
            draw_shape(kind, text, letter);
            for (int i = 0; i < COUNT; i++) {
                bool apart = distance_of(shapes[i], letter) > (i < 2 ? 1.2 : 2.5);
                if (!CHECK(apart)) {
                    printf("# sign %d and %.*s\n", i, (int)size, text);
                }
            }
        }
    }
}

static void letters_that_are_mixed_up_elsewhere_differ(void) {
    static const char *const PAIRS[][2] = {
        {"I", "l"}, {"0", "O"}, {"1", "l"}, {"I", "1"}, {"I", "|"}};
    static double a[SHAPE], b[SHAPE];
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
            draw_shape(kind, PAIRS[i][0], a);
            draw_shape(kind, PAIRS[i][1], b);
            if (!CHECK(distance_of(a, b) > 0.75)) {
                printf("# %s and %s: %.2f\n", PAIRS[i][0], PAIRS[i][1], distance_of(a, b));
            }
        }
    }
}

/* ---- Scripts ------------------------------------------------------------------- */

static void repeat(struct bytes *text, const char *part, int times) {
    bytes_init(text, 1 << 20);
    for (int i = 0; i < times; i++) {
        CHECK(bytes_append_text(text, part, NULL) == 0);
    }
}

static void text_from_right_to_left_fills_rows_from_the_right(void) {
    struct kept kept = {0};
    struct bytes text;
    repeat(&text, "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D", 60); /* no spaces */
    set_plain(0, MODE_TINY, bytes_text(&text), &kept);
    const struct kept_page *page = &kept.pages[0];
    int rows = 0;
    for (size_t i = 0; i < page->cluster_count; i++) {
        const struct page_cluster *c = &page->clusters[i], *before = c - 1;
        bool first = i == 0 || before->y != c->y || kept_cell(page, before) != kept_cell(page, c);
        if (first) {
            CHECK_NUMBER(c->x % (64 * 64) + c->advance, 63 * 64);
            rows++;
        } else {
            CHECK_NUMBER(c->x + c->advance, before->x);
        }
    }
    CHECK(rows > 15);
    CHECK_TEXT(page->text, bytes_text(&text));
    kept_release(&kept);
    bytes_close(&text);
}

/* "ab: ..., likes" as content lays a comment out, after one from left to right. */
static void isolates_keep_their_place_in_a_row(void) {
    struct kept kept = {0};
    const struct page_setup setup = setup_of(1, MODE_TINY, &kept);
    struct pager *p = open_pager(&setup);
    static const struct span SPANS[] = {
        {.text = "ab", .size = 2, .isolate = 1},
        {.text = ": ", .size = 2},
        {.text = "\xD7\xA9\xD7\x9C!", .size = 5, .isolate = 2, .leads = true},
        {.text = " ", .size = 1},
        {.text = "\xE2\x99\xA5"
                 "83",
         .size = 5,
         .isolate = 3}};
    CHECK(pager_text(p, PART_NONE, SPANS, sizeof SPANS / sizeof *SPANS, 0, NULL) == 0);
    CHECK(pager_flush(p, NULL) == 0);
    pager_close(p);
    /* From right to left: ab with its colon, the text with its mark, the likes; each in its own
     * direction. */
    static const int FROM_LEFT[] = {8, 9, 10, 7, 6, 5, 4, 3, 2, 0, 1};
    const struct page_cluster *c = kept.pages[0].clusters;
    CHECK_TEXT(kept.pages[0].text, "ab: \xD7\xA9\xD7\x9C! \xE2\x99\xA5"
                                   "83");
    CHECK_NUMBER(kept.pages[0].cluster_count, 11);
    for (size_t i = 1; i < 11 && kept.pages[0].cluster_count == 11; i++) {
        CHECK_NUMBER(c[FROM_LEFT[i]].x, c[FROM_LEFT[i - 1]].x + c[FROM_LEFT[i - 1]].advance);
    }
    kept_release(&kept);
}

/* Beh, of which a row's last would be a final and a row's first an initial form. */
static void letters_join_across_rows(void) {
    struct kept kept = {0};
    struct bytes text;
    repeat(&text, "\xD8\xA8", 100);
    set_plain(0, MODE_HIFI, bytes_text(&text), &kept);
    bytes_close(&text);
    const struct kept_page *page = &kept.pages[0];
    CHECK_NUMBER(page->cluster_count, 100);
    int rows = 1;
    for (size_t i = 2; i + 1 < page->cluster_count; i++) {
        CHECK_NUMBER(page->clusters[i].advance, page->clusters[1].advance);
        rows += page->clusters[i].y != page->clusters[i - 1].y;
    }
    CHECK(rows > 4);
    kept_release(&kept);
}

/* An Arabic ligature of four words. */
static void a_cluster_wider_than_a_row_is_drawn_smaller(void) {
    uint32_t wide = 0xFDFD;
    if (fonts_choose(fonts_of[0], &wide, 1, false) == FONT_NONE) {
        printf("# skipped: no font has U+FDFD\n");
        return;
    }
    struct kept kept = {0};
    set_plain(0, MODE_HIFI,
              "a\xEF\xB7\xBD"
              "b",
              &kept);
    const struct kept_page *page = &kept.pages[0];
    CHECK_NUMBER(page->cluster_count, 3);
    CHECK_NUMBER(page->clusters[1].y, 16);
    CHECK(page->clusters[1].advance <= 30 * 64 && page->clusters[1].advance > 20 * 64);
    CHECK_NUMBER(page->counts.clipped, 0);
    CHECK(ink_in(page, 0, 16, 32, 16) > 255);
    CHECK_NUMBER(page->clusters[2].y, 32);
    kept_release(&kept);
}

/* Pages do not depend on what the words before them left in memory. */
static void pages_do_not_depend_on_what_was_set_before(void) {
    struct bytes text, before;
    bytes_init(&text, 1 << 24);
    bytes_init(&before, 1 << 24);
    for (int i = 0; i < 90000; i++) { /* more words than are kept */
        CHECK(bytes_printf(&text, NULL, "%x\xC3\xA9 ", i * 7919) == 0);
    }
    for (int i = 0; i < 40000; i++) {
        CHECK(bytes_printf(&before, NULL, "%d ", i) == 0);
    }
    static struct kept plain, late;
    const struct page_setup setup = setup_of(1, MODE_LARGE, &plain);
    set_plain(1, MODE_LARGE, bytes_text(&text), &plain);
    struct page_setup other = setup;
    other.context = &late;
    struct pager *p = open_pager(&other);
    put(p, PART_NONE, bytes_text(&before));
    CHECK(pager_flush(p, NULL) == 0);
    kept_release(&late);
    put(p, PART_NONE, bytes_text(&text));
    CHECK(pager_flush(p, NULL) == 0);
    pager_close(p);
    CHECK(plain.count > 10);
    CHECK_NUMBER(late.count, plain.count);
    for (size_t i = 0; i < plain.count; i++) {
        size_t pixels = (size_t)plain.pages[i].side * (size_t)plain.pages[i].height;
        CHECK_NUMBER(late.pages[i].height, plain.pages[i].height);
        CHECK(memcmp(late.pages[i].grey, plain.pages[i].grey, pixels) == 0);
        CHECK_TEXT(late.pages[i].text, plain.pages[i].text);
    }
    kept_release(&plain);
    kept_release(&late);
    bytes_close(&text);
    bytes_close(&before);
}

/* ---- Pictures ------------------------------------------------------------------ */

static void pictures_take_whole_cells_and_text_the_others(void) {
    static uint8_t pixels[64 * 64];
    const struct picture picture = {.width = 40, .height = 64, .pixels = pixels};
    for (int hifi = 0; hifi < 2; hifi++) {
        struct kept kept = {0};
        const struct page_setup setup = setup_of(0, hifi ? MODE_HIFI : MODE_TINY, &kept);
        struct pager *p = open_pager(&setup);
        struct page_picture pictures[2] = {{.picture = &picture, .source = 1},
                                           {.picture = &picture, .source = 2}};
        struct bytes text;
        bytes_init(&text, 1 << 20);
        write_prose(&text, 3000);
        put(p, PART_SCRIPT, "before");
        CHECK(pager_clear(p, NULL) == 0);
        CHECK(pager_pictures(p, PART_THUMBS, pictures, 2, NULL) == 0);
        put(p, PART_SCRIPT, bytes_text(&text));
        CHECK(pager_flush(p, NULL) == 0);
        pager_close(p);
        bytes_close(&text);
        const struct kept_page *page = &kept.pages[0];
        int each = hifi ? 2 : 1, columns = page->columns; /* cells of a picture */
        CHECK_NUMBER(columns, hifi ? 40 : 8);
        CHECK_NUMBER(page->range_count, 2 * each);
        for (int i = 0; i < 2 * each; i++) {
            CHECK_NUMBER(page->ranges[i].cell, columns + i);
            CHECK_NUMBER(page->ranges[i].source, 1 + i / each);
            CHECK_NUMBER(page->ranges[i].end, 0);
        }
        CHECK_NUMBER(page->box_count, 2);
        CHECK_NUMBER(page->boxes[1].x, 64 + 12);
        CHECK_NUMBER(page->boxes[1].y, 64);
        /* the first row of cells has one word, the second text from the third picture's place on */
        CHECK_NUMBER(kept_cell(page, &page->clusters[0]), 0);
        CHECK_NUMBER(kept_cell(page, &page->clusters[7]), columns + 2 * each);
        bool beside = false, below = false;
        for (size_t i = 7; i < page->cluster_count; i++) {
            int cell = kept_cell(page, &page->clusters[i]);
            CHECK(cell >= columns + 2 * each);
            beside = beside || cell == 2 * columns - 1;
            below = below || cell == 2 * columns;
        }
        CHECK(beside && below);
        CHECK(cells_are_in_order(page));
        kept_release(&kept);
    }
}

int main(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        struct error e = {0};
        if (fonts_open(&fonts_of[kind], PROFILES[CELL_PROFILES[kind]].family, &e) < 0) {
            printf("Bail out! %s\n", e.text);
            return 1;
        }
    }
    RUN(a_text_comes_back_exactly);
    RUN(a_page_can_be_drawn_again_from_its_text);
    RUN(newlines_of_all_kinds_are_one_sign);
    RUN(rows_are_full);
    RUN(a_page_is_as_high_as_its_text);
    RUN(only_the_cells_asked_for_are_filled);
    RUN(spaces_that_would_not_be_seen_are_drawn);
    RUN(a_part_begins_a_row_with_its_sign);
    RUN(signs_look_like_nothing_else);
    RUN(letters_that_are_mixed_up_elsewhere_differ);
    RUN(text_from_right_to_left_fills_rows_from_the_right);
    RUN(isolates_keep_their_place_in_a_row);
    RUN(letters_join_across_rows);
    RUN(a_cluster_wider_than_a_row_is_drawn_smaller);
    RUN(pages_do_not_depend_on_what_was_set_before);
    RUN(pictures_take_whole_cells_and_text_the_others);
    for (int kind = 0; kind < KINDS; kind++) {
        fonts_close(fonts_of[kind]);
    }
    return test_finish();
}
