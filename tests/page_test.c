/* page_test.c - pages: what is drawn is what the sources say, and where it says it is. */
#include "tests/test.h"

#include <unicode/uchar.h>

#include "render/text/clean.h"
#include "store/utf8.h"
#include "tests/kept_pages.h"

static struct fonts *fonts;

static struct page_setup setup_for(struct kept *kept) {
    return (struct page_setup){.mode = MODE_TINY,
                               .profile = &PROFILES[PROFILE_READ10],
                               .fonts = fonts,
                               .clusters = true,
                               .context = kept,
                               .done = kept_add};
}

/* The pages of one text from source 1. */
static bool set_text(const struct page_setup *setup, const char *text, size_t size) {
    struct pager *p = NULL;
    struct error e = {0};
    struct span span = {.text = text, .size = size, .source = 1};
    int rc = pager_open(&p, setup, &e);
    if (rc == 0) {
        rc = pager_text(p, PART_SCRIPT, &span, 1, 0, &e);
    }
    if (rc == 0) {
        rc = pager_flush(p, &e);
    }
    pager_close(p);
    if (rc < 0) {
        printf("# %s\n", e.text);
    }
    return rc == 0;
}

static void a_text_comes_back_row_by_row(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    static const char TEXT[] =
        "Everyone opens a banana from the wrong end. Monkeys pinch the tip. Try "
        "it once and you will never go back.\nThe end.";
    CHECK(set_text(&setup, TEXT, strlen(TEXT)));
    CHECK_NUMBER(kept.count, 1);
    CHECK_TEXT(kept.pages[0].text,
               "Everyone opens a banana from the wrong end. Monkeys pinch the tip. "
               "Try it once and you will never\ngo back.\nThe end.\n");
    CHECK_NUMBER(kept.pages[0].counts.rows, 3);
    CHECK_NUMBER(kept.pages[0].box_count, 3);
    CHECK_NUMBER(kept.pages[0].missing, 0);
    CHECK_NUMBER(kept.pages[0].boxes[1].y, 16);
    CHECK(!kept.pages[0].color);
    kept_release(&kept);
}

/* ---- Tracing back --------------------------------------------------------- */

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % limit;
}

/* Characters of all kinds, the nasty ones often. */
static uint32_t random_character(void) {
    static const uint32_t RANGES[][2] = {
        {0x20, 0x7E},       {0x61, 0x7A},       {0xA0, 0x24F},      {0x300, 0x36F},
        {0x370, 0x52F},     {0x5D0, 0x5EA},     {0x600, 0x6FF},     {0x900, 0x97F},
        {0xE00, 0xE7F},     {0x1100, 0x11FF},   {0x2000, 0x206F},   {0x3000, 0x30FF},
        {0x4E00, 0x4E80},   {0xAC00, 0xAC80},   {0xFE00, 0xFE0F},   {0xFF00, 0xFF60},
        {0x1F1E6, 0x1F1FF}, {0x1F3FB, 0x1F3FF}, {0x1F468, 0x1F469}, {0x1F600, 0x1F640},
        {0xE0020, 0xE007F}, {0x0, 0x1F},        {0x200B, 0x200F},   {0xE000, 0xE010},
    };
    enum { COUNT = sizeof RANGES / sizeof *RANGES };
    static uint32_t range;
    if (random_below(4) == 0) {
        range = random_below(COUNT + 1);
    }
    if (range == COUNT) {
        uint32_t c = random_below(0x110000);
        return c >= 0xD800 && c < 0xE000 ? 0xFFFD : c;
    }
    return RANGES[range][0] + random_below(RANGES[range][1] - RANGES[range][0] + 1);
}

static size_t random_text(char *text, size_t limit) {
    size_t size = 0;
    while (size + 4 < limit) {
        uint32_t kind = random_below(60);
        if (kind == 0) {
            text[size++] = (char)random_below(256); /* most often ill-formed */
        } else if (kind < 8) {
            text[size++] = ' ';
        } else {
            size += utf8_encode(random_character(), text + size);
        }
    }
    return size;
}

static void every_box_leads_back_to_its_text(void) {
    enum { ROUNDS = 60, SIZE = 4000 };
    static char text[SIZE];
    for (int round = 0; round < ROUNDS; round++) {
        random_state = (uint32_t)round;
        size_t size = random_text(text, SIZE);
        struct kept kept = {0};
        struct page_setup setup = setup_for(&kept);
        setup.profile = &PROFILES[round % PROFILE_COUNT];
        setup.mode = round % 5 == 0 ? MODE_BASE : MODE_TINY;
        if (!CHECK(set_text(&setup, text, size)) || !CHECK(traces_back(&kept, text, size))) {
            printf("# round %d\n", round);
        }
        kept_release(&kept);
    }
}

/* ---- Labels --------------------------------------------------------------- */

/* Bytes of characters that leave no trace, such as joiners that join nothing; newlines
 * after them. */
static size_t without_shape(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint32_t c;
        bool valid;
        size_t step = utf8_decode(text + at, size - at, &c, &valid);
        if (!u_hasBinaryProperty((UChar32)c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) &&
            (c != '\n' || at == 0)) {
            break;
        }
        at += step;
    }
    return at;
}

static void clusters_cover_the_rows(void) {
    enum { SIZE = 3000 };
    static char text[SIZE];
    random_state = 99;
    size_t size = random_text(text, SIZE);
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    CHECK(set_text(&setup, text, size));
    for (size_t i = 0; i < kept.count; i++) {
        const struct kept_page *page = &kept.pages[i];
        size_t at = 0;
        for (size_t k = 0; k < page->cluster_count; k++) {
            const struct page_cluster *c = &page->clusters[k];
            at += page->text[at] == '\n';
            at += without_shape(page->text + at, c->text - at);
            if (!CHECK_NUMBER(c->text, at)) {
                break;
            }
            at += c->size;
            CHECK(c->advance >= 0 && c->x >= 0 && c->x + c->advance <= (page->side + 16) * 64);
        }
        at += without_shape(page->text + at, page->text_size - 1 - at);
        CHECK_NUMBER(at + 1, page->text_size);
    }
    kept_release(&kept);
}

/* The ink of a letter lies within its cluster: an "l" alone in each place. */
static void a_cluster_is_where_its_ink_is(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    CHECK(set_text(&setup, "l    l     l", 12));
    const struct kept_page *page = &kept.pages[0];
    for (int x = 0; x < 100; x++) {
        bool ink = false, inside = false;
        for (int y = 0; y < 16; y++) {
            ink = ink || page->grey[y * page->side + x] < 200;
        }
        for (size_t k = 0; k < page->cluster_count; k++) {
            const struct page_cluster *c = &page->clusters[k];
            inside = inside || (page->text[c->text] == 'l' && x * 64 + 63 >= c->x &&
                                x * 64 < c->x + c->advance);
        }
        CHECK(!ink || inside);
    }
    kept_release(&kept);
}

/* ---- Hostile text --------------------------------------------------------- */

static void floods_are_bounded_and_counted(void) {
    enum { SIZE = 300000 };
    static const char *const PARTS[] = {"a",
                                        "\xCC\x81",
                                        "\xE2\x80\x8B",
                                        "\xE2\x80\x8D",
                                        "\xF0\x9F\x91\xA9\xE2\x80\x8D",
                                        "\x01",
                                        "\xE0\xB9\x80",
                                        "\xD7\x90",
                                        "\xE2\x80\xAE",
                                        "\xFF",
                                        "#",
                                        "\xE4\xB8\x80",
                                        "\xE0\xB8\x81\xE0\xB8\xB3",
                                        "http://a/",
                                        "\xF0\x9F\x87\xA9",
                                        "\xC2\xAD"};
    char *text = malloc(SIZE);
    for (size_t i = 0; text && i < sizeof PARTS / sizeof *PARTS; i++) {
        size_t length = strlen(PARTS[i]), size = 0;
        for (; size + length <= SIZE; size += length) {
            memcpy(text + size, PARTS[i], length);
        }
        struct kept kept = {0};
        struct page_setup setup = setup_for(&kept);
        setup.clusters = false;
        struct pager *p = NULL;
        struct span span = {.text = text, .size = size, .source = 1};
        CHECK(pager_open(&p, &setup, NULL) == 0);
        int rc = pager_text(p, PART_COMMENTS, &span, 1, 0, NULL);
        CHECK(rc == 0 || rc == ERR_LIMIT); /* more than the pages that are kept */
        pager_close(p);
        kept_release(&kept);
    }
    free(text);
}

static void marks_are_capped_and_counted(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    char text[2 * 20 + 2] = "e";
    for (size_t i = 0; i < 20; i++) {
        memcpy(text + 1 + 2 * i, "\xCC\x81", 2);
    }
    CHECK(set_text(&setup, text, 1 + 2 * 20));
    CHECK_NUMBER(kept.pages[0].counts.dropped, 20 - CLEAN_MARKS);
    CHECK_NUMBER(kept.pages[0].counts.characters, 1 + CLEAN_MARKS);
    kept_release(&kept);
}

static void ill_formed_bytes_are_shown_and_counted(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    CHECK(set_text(&setup, "a\xFFz\xE2\x82", 5));
    CHECK_TEXT(kept.pages[0].text, "a\xEF\xBF\xBDz\xEF\xBF\xBD\n");
    CHECK_NUMBER(kept.pages[0].counts.replaced, 2);
    CHECK_NUMBER(kept.pages[0].box_count, 4);
    CHECK(kept.pages[0].boxes[3].replaced);
    CHECK_NUMBER(kept.pages[0].boxes[3].start, 3);
    CHECK_NUMBER(kept.pages[0].boxes[3].end, 5);
    kept_release(&kept);
}

static void what_no_font_has_is_counted(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    CHECK(set_text(&setup, "a\xF3\xB0\x80\x80z\xF3\xB0\x80\x80", 10)); /* private use */
    CHECK_NUMBER(kept.pages[0].missing, 2);
    kept_release(&kept);
}

/* ---- Lines ---------------------------------------------------------------- */

static const char *rows_of(struct kept *kept, const char *text) {
    struct page_setup setup = setup_for(kept);
    return set_text(&setup, text, strlen(text)) ? kept->pages[0].text : "";
}

static void hashtags_and_handles_are_not_broken(void) {
    struct kept kept = {0};
    const char *rows = rows_of(
        &kept, "This row is filled up with words until there is just not enough room for the next "
               "#hashtag_\xE7\xBE\x8E\xE9\xA3\x9F\xE6\x8E\xA8\xE8\x8D\x90\xE7\xBE\x8E\xE9\xA3\x9F "
               "and again a row full of words to the end of it, for someone has a name like "
               "@\xE7\xBE\x8E\xE9\xA3\x9F\xE6\x8E\xA8\xE8\x8D\x90");
    CHECK(strstr(rows, "\n#hashtag") != NULL || strstr(rows, " #hashtag") != NULL);
    CHECK(
        strstr(
            rows,
            "#hashtag_\xE7\xBE\x8E\xE9\xA3\x9F\xE6\x8E\xA8\xE8\x8D\x90\xE7\xBE\x8E\xE9\xA3\x9F") !=
        NULL);
    CHECK(strstr(rows, "@\xE7\xBE\x8E\xE9\xA3\x9F\xE6\x8E\xA8\xE8\x8D\x90") != NULL);
    kept_release(&kept);
}

/* Appends a tag of random letters of one kind. */
static size_t random_tag(char *text) {
    static const char *const starts[] = {"#", "@", "\uFF03", "\uFF20"};
    static const uint32_t letters[] = {'a', 0xE0, 0x5D0, 0x3042, 0x4E00, 0x4E00, 0xAC00, 0xE01};
    const char *start = starts[random_below(4)];
    uint32_t first = letters[random_below(8)], count = 1 + random_below(5);
    size_t size = strlen(start);
    memcpy(text, start, size);
    for (uint32_t i = 0; i < count; i++) {
        size += utf8_encode(first + random_below(20), text + size);
    }
    return size;
}

/* render F7 */
static void lines_end_between_tags_and_not_inside(void) {
    enum { ROUNDS = 100, TAGS = 60 };
    for (uint32_t round = 0; round < ROUNDS; round++) {
        static char text[TAGS * 64];
        bool begins[sizeof text] = {false}; /* a tag, at this byte */
        size_t size = 0;
        random_state = round;
        for (int i = 0; i < TAGS; i++) {
            size += i > 0 && random_below(8) == 0 ? utf8_encode(0x3001, text + size) : 0; /* 、 */
            begins[size] = true;
            size += random_tag(text + size);
        }
        struct kept kept = {0};
        struct page_setup setup = setup_for(&kept);
        setup.columns = 2;
        CHECK(set_text(&setup, text, size));
        CHECK(kept.pages[0].counts.rows > 10);
        size_t at = 0;
        for (const char *row = kept.pages[0].text; *row; row++) {
            at += *row != '\n';
            if (*row == '\n' && at < size && !CHECK(begins[at])) {
                printf("# round %u: %.*s|%.20s\n", round, at < 20 ? (int)at : 20,
                       text + at - (at < 20 ? at : 20), text + at);
            }
        }
        CHECK_NUMBER(at, size);
        kept_release(&kept);
    }
}

static void urls_break_at_their_punctuation(void) {
    struct kept kept = {0};
    const char *rows = rows_of(
        &kept, "See https://www.example.org/a/rather/long/path/that/goes/on/and/on/index.html?with="
               "parameters&and=more&and=more_of_it#and-a-fragment for more.");
    CHECK(strchr(rows, '\n') != NULL);
    const char *end = strchr(rows, '\n');
    CHECK(end && end > rows && (end[-1] == '/' || strchr(".?&=#%_-", end[1])));
    kept_release(&kept);
}

static void chinese_punctuation_begins_no_row(void) {
    struct kept kept = {0};
    char text[6001] = "";
    for (size_t i = 0; i + 15 <= 6000; i += 15) { /* 一一一一。 with one more now and then */
        memcpy(text + i, "\xE4\xB8\x80\xE4\xB8\x80\xE4\xB8\x80\xE4\xB8\x80\xE3\x80\x82", 15);
    }
    const char *rows = rows_of(&kept, text + 3);
    CHECK(strlen(rows) > 100);
    CHECK(strstr(rows, "\n\xE3\x80\x82") == NULL);
    kept_release(&kept);
}

static void a_word_wider_than_the_column_is_split(void) {
    struct kept kept = {0};
    char text[2001];
    memset(text, 'x', 2000);
    text[2000] = 0;
    const char *rows = rows_of(&kept, text);
    size_t letters = 0;
    for (const char *at = rows; *at; at++) {
        letters += *at == 'x';
    }
    CHECK_NUMBER(letters, 2000);
    CHECK(kept.pages[0].counts.rows > 15 && kept.pages[0].counts.rows < 30);
    kept_release(&kept);
}

static void a_text_goes_on_over_columns_and_pages(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    setup.mode = MODE_BASE;
    enum { SIZE = 30000 };
    char *text = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = i % 6 == 5 ? ' ' : "abcdefg"[i % 7];
    }
    CHECK(set_text(&setup, text, SIZE));
    CHECK_NUMBER(kept.count, 3);
    CHECK(traces_back(&kept, text, SIZE));
    const struct kept_page *page = &kept.pages[0];
    CHECK_NUMBER(page->counts.rows, 128);
    CHECK_NUMBER(page->counts.inked, 256);
    CHECK_NUMBER(page->boxes[64].x, 520 + 2);
    CHECK_NUMBER(page->boxes[64].y, 0);
    free(text);
    kept_release(&kept);
}

/* ---- Pictures ------------------------------------------------------------- */

/* A column of red, at most as high as a cell. */
static const uint8_t *red(void) {
    static uint8_t pixels[CELL * CELL * 3];
    for (size_t i = 0; i < sizeof pixels; i += 3) {
        pixels[i] = 200;
    }
    return pixels;
}

static int text_at(struct pager *p, const char *text, uint32_t source) {
    struct span span = {.text = text, .size = strlen(text), .source = source};
    return pager_text(p, PART_SCRIPT, &span, 1, 0, NULL);
}

static void text_stands_beside_pictures_and_goes_on_below(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    setup.color = true;
    struct pager *p = NULL;
    struct picture picture = {.width = 36, .height = 64, .color = true, .pixels = red()};
    struct page_picture pictures[] = {{&picture, 7}, {&picture, 8}};
    CHECK(pager_open(&p, &setup, NULL) == 0);
    CHECK(text_at(p, "above", 1) == 0);
    CHECK(pager_pictures(p, PART_THUMBS, pictures, 2, NULL) == 0);
    CHECK(text_at(p, "1\n2\n3\n4\n5", 2) == 0);
    CHECK(pager_pictures(p, PART_THUMBS, pictures, 1, NULL) == 0);
    CHECK(text_at(p, "beside", 3) == 0);
    CHECK(pager_clear(p, NULL) == 0);
    CHECK(text_at(p, "below", 4) == 0);
    CHECK(pager_flush(p, NULL) == 0);
    pager_close(p);
    static const int wanted[][4] = {/* source, x, y, width or 0 */
                                    {1, 2, 0, 0},     {7, 14, 64, 36}, {8, 78, 64, 36},
                                    {2, 130, 64, 0},  {2, 130, 80, 0}, {2, 130, 96, 0},
                                    {2, 130, 112, 0}, {2, 2, 128, 0},  {7, 14, 192, 36},
                                    {3, 66, 192, 0},  {4, 2, 256, 0}};
    const struct kept_page *page = &kept.pages[0];
    CHECK_NUMBER(page->box_count, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < page->box_count; i++) {
        CHECK_NUMBER(page->boxes[i].source, wanted[i][0]);
        CHECK_NUMBER(page->boxes[i].x, wanted[i][1]);
        CHECK_NUMBER(page->boxes[i].y, wanted[i][2]);
        CHECK(wanted[i][3] == 0 || page->boxes[i].width == wanted[i][3]);
    }
    CHECK(page->color);
    CHECK_NUMBER(page->grey[64 * 512 + 14], (77 * 200 + 128) >> 8);
    CHECK_NUMBER(page->counts.inked, 1 + 3 + 1 + 2 + 1);
    kept_release(&kept);
}

static void pictures_go_on_to_the_next_strip_and_page(void) {
    struct kept kept = {0};
    struct page_setup setup = setup_for(&kept);
    struct pager *p = NULL;
    struct picture picture = {.width = 64, .height = 64, .color = true, .pixels = red()};
    struct page_picture pictures[70];
    for (size_t i = 0; i < 70; i++) {
        pictures[i] = (struct page_picture){&picture, (uint32_t)i + 1};
    }
    CHECK(pager_open(&p, &setup, NULL) == 0);
    CHECK(pager_pictures(p, PART_THUMBS, pictures, 70, NULL) == 0);
    CHECK(pager_flush(p, NULL) == 0);
    pager_close(p);
    CHECK_NUMBER(kept.count, 2);
    CHECK_NUMBER(kept.pages[0].box_count, 64);
    CHECK_NUMBER(kept.pages[0].boxes[63].x, 448);
    CHECK_NUMBER(kept.pages[0].boxes[63].y, 448);
    CHECK_NUMBER(kept.pages[1].boxes[5].x, 5 * 64);
    CHECK(!kept.pages[0].color); /* not asked for */
    kept_release(&kept);
}

/* ---- The same bytes ------------------------------------------------------- */

/* Pages do not depend on what the pager drew before. */
static void pages_do_not_depend_on_the_cache(void) {
    enum { SIZE = 6000 };
    static char text[SIZE], other[SIZE];
    random_state = 7;
    size_t size = random_text(text, SIZE);
    size_t other_size = random_text(other, SIZE);
    struct kept fresh = {0}, used = {0};
    struct page_setup setup = setup_for(&fresh);
    CHECK(set_text(&setup, text, size));
    struct pager *p = NULL;
    setup.context = &used;
    CHECK(pager_open(&p, &setup, NULL) == 0);
    struct span first = {.text = other, .size = other_size, .source = 1};
    struct span second = {.text = text, .size = size, .source = 1};
    CHECK(pager_text(p, PART_SCRIPT, &first, 1, 0, NULL) == 0 && pager_flush(p, NULL) == 0);
    kept_release(&used);
    used = (struct kept){0};
    CHECK(pager_text(p, PART_SCRIPT, &second, 1, 0, NULL) == 0 && pager_flush(p, NULL) == 0);
    pager_close(p);
    CHECK_NUMBER(used.count, fresh.count);
    for (size_t i = 0; i < used.count && i < fresh.count; i++) {
        size_t pixels = (size_t)fresh.pages[i].side * fresh.pages[i].side;
        CHECK(memcmp(used.pages[i].grey, fresh.pages[i].grey, pixels) == 0);
        CHECK_TEXT(used.pages[i].text, fresh.pages[i].text);
    }
    kept_release(&fresh);
    kept_release(&used);
}

int main(void) {
    struct error e = {0};
    if (fonts_open(&fonts, "DejaVu Sans", &e) < 0) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    RUN(a_text_comes_back_row_by_row);
    RUN(every_box_leads_back_to_its_text);
    RUN(clusters_cover_the_rows);
    RUN(a_cluster_is_where_its_ink_is);
    RUN(floods_are_bounded_and_counted);
    RUN(marks_are_capped_and_counted);
    RUN(ill_formed_bytes_are_shown_and_counted);
    RUN(what_no_font_has_is_counted);
    RUN(hashtags_and_handles_are_not_broken);
    RUN(lines_end_between_tags_and_not_inside);
    RUN(urls_break_at_their_punctuation);
    RUN(chinese_punctuation_begins_no_row);
    RUN(a_word_wider_than_the_column_is_split);
    RUN(a_text_goes_on_over_columns_and_pages);
    RUN(text_stands_beside_pictures_and_goes_on_below);
    RUN(pictures_go_on_to_the_next_strip_and_page);
    RUN(pages_do_not_depend_on_the_cache);
    fonts_close(fonts);
    return test_finish();
}
