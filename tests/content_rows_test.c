/* content_rows_test.c - parts of a sample as rows on a page: those that run in both directions are
 * set as if alone and keep their order; what belongs together stays on one row. */
#include "render/content/content.h"
#include "tests/kept_pages.h"
#include "tests/test.h"

enum { LOOKS = 1 << 16 };

static struct fonts *fonts;

/* A cluster and where it stands. */
struct placed {
    const struct page_cluster *cluster;
    size_t order;
};

static int by_place(const void *a, const void *b) {
    const struct placed *x = a, *y = b;
    if (x->cluster->y != y->cluster->y) {
        return x->cluster->y < y->cluster->y ? -1 : 1;
    }
    if (x->cluster->x != y->cluster->x) {
        return x->cluster->x < y->cluster->x ? -1 : 1;
    }
    return (x->order > y->order) - (x->order < y->order);
}

/* Appends a cluster without the characters that only say which way text runs. */
static size_t show(char *looks, size_t size, const char *text, size_t text_size) {
    for (size_t i = 0; i < text_size;) {
        uint32_t c;
        bool valid;
        size_t step = utf8_decode(text + i, text_size - i, &c, &valid);
        bool seen = (c < 0x202A || c > 0x202E) && (c < 0x2066 || c > 0x2069);
        if (seen && size + step < LOOKS) {
            memcpy(looks + size, text + i, step);
            size += step;
        }
        i += step;
    }
    looks[size] = 0;
    return size;
}

/* The rows of a page as one reads them on it; '>' in front of those that are flush right. */
static void look_at(const struct kept_page *page, char looks[LOOKS]) {
    struct placed *placed = malloc((page->cluster_count + 1) * sizeof *placed);
    size_t size = 0;
    for (size_t i = 0; i < page->cluster_count; i++) {
        placed[i] = (struct placed){&page->clusters[i], i};
    }
    qsort(placed, page->cluster_count, sizeof *placed, by_place);
    for (size_t i = 0; i < page->cluster_count; i++) {
        const struct page_cluster *c = placed[i].cluster;
        if (i == 0 || c->y != placed[i - 1].cluster->y) {
            bool right = c->x > 64 * 64;
            size += (size_t)snprintf(looks + size, LOOKS - size, "%s%s", i ? "\n" : "",
                                     right ? ">" : "");
        }
        size = show(looks, size, page->text + c->text, c->size);
    }
    free(placed);
}

/* The first page, `columns` cells wide (0: all), with a part of a sample that has this member. */
static void set_part(struct kept *kept, const char *suffix, const char *json, const char *part,
                     int marks, int columns) {
    struct stream_member members[] = {{"json", "{}", 2}, {suffix, json, strlen(json)}};
    bool about = strcmp(suffix, "json") == 0;
    struct stream_sample sample = {"banana/1", members + about, about ? 1 : 2};
    struct page_setup setup = {.mode = MODE_TINY,
                               .profile = &PROFILES[PROFILE_READ10],
                               .fonts = fonts,
                               .clusters = true,
                               .columns = columns,
                               .context = kept,
                               .done = kept_add};
    struct content_options options = {.marks = marks};
    struct page_sources sources = {0};
    struct pager *pager = NULL;
    json_t *warnings = json_array();
    CHECK_NUMBER(content_parse_parts(&options, part, NULL), 0);
    CHECK_NUMBER(arena_open(&sources.arena, (size_t)1 << 20, NULL), 0);
    CHECK_NUMBER(pager_open(&pager, &setup, NULL), 0);
    CHECK_NUMBER(content_layout(pager, &sample, &options, &sources, warnings, NULL), 0);
    CHECK_NUMBER(pager_flush(pager, NULL), 0);
    CHECK_NUMBER(kept->count, 1);
    pager_close(pager);
    arena_close(sources.arena);
    json_decref(warnings);
}

/* ---- Direction ----------------------------------------------------------- */

/* How a member with this JSON looks on a page with that part. */
static void check_looks(const char *suffix, const char *json, const char *part, int marks,
                        const char *want) {
    struct kept kept = {0};
    static char looks[LOOKS];
    set_part(&kept, suffix, json, part, marks, 0);
    look_at(&kept.pages[0], looks);
    if (!CHECK_TEXT(looks, want)) {
        printf("# of %s\n", json);
    }
    kept_release(&kept);
}

static void check_comment(const char *author, const char *text, const char *want) {
    char json[1000];
    snprintf(json, sizeof json, "[{\"author\": \"%s\", \"text\": \"%s\", \"likes\": 45000}]",
             author, text);
    check_looks("comments.json", json, "comments", MARKS_NONE, want);
}

/* א then ב looks like בא; brackets are mirrored from right to left, which this does not show. */

/* render F3 */
static void parts_of_a_comment_keep_their_order(void) {
    check_comment("dana", "אני 100", ">♥45K 100 ינא :dana");
    check_comment("dana", "hi", "dana: hi ♥45K");
    check_comment("דנה", "hello (1), all 2.", "הנד: hello (1), all 2. ♥45K");
    check_comment("דנה", "אני!", ">♥45K !ינא :הנד");
    check_comment("דנה 7", "12 + 5", "7 הנד: 12 + 5 ♥45K"); /* no letters in the text */
    check_comment("דנה", "a\\nב", "הנד: a ב ♥45K");
    check_looks("comments.json", "[{\"text\": \"אב\", \"by_creator\": true, \"likes\": 7}]",
                "comments", MARKS_NONE, ">♥7 בא :★");
    check_looks("comments.json",
                "[{\"id\": \"a\", \"author\": \"x\", \"text\": \"אב\", \"likes\": 9},"
                " {\"parent\": \"a\", \"author\": \"אב\", \"text\": \"y\"},"
                " {\"parent\": \"a\", \"author\": \"y\", \"text\": \"ג\"}]",
                "comments", MARKS_NONE, ">♥9 בא :x\nבא: y\n>ג :y");
}

/* render F3 */
static void what_a_part_leaves_open_ends_with_it(void) {
    check_comment("\\u202Eevil", "hello 12", "live: hello 12 ♥45K");
    check_comment("\\u2067a!", "hello 12", "!a: hello 12 ♥45K");
    check_comment("a\\u2069\\u202Ebc", "hello", "acb: hello ♥45K");
    check_comment("a\\u2069", "\\u2066b\\u2069\\u2069 אב", ">♥45K בא b :a");
    check_comment("a", "\\u2068\\u2067\\u202Ebc", "a: cb ♥45K");
    check_comment("a\\u202C\\u202C", "b\\u202B!", "a: b! ♥45K");
}

/* render F3 */
static void header_and_hashtags_keep_their_order(void) {
    check_looks("json", "{\"account\": \"דנה\", \"created\": 0, \"counts\": {\"views\": 5}}",
                "header", MARKS_NONE, "הנד@ · 1970-01-01 · 5 views");
    check_looks("json", "{\"hashtags\": [\"אב\", \"a\\u202Eb\", \"c\"]}", "hashtags", MARKS_NONE,
                "בא# #ab #c");
    check_looks("json", "{\"hashtags\": [\"a\", \"אב\", \"גד\"]}", "hashtags", MARKS_NONE,
                ">דג# בא# #a");
}

/* render F4 */
static void cues_keep_their_direction_for_themselves(void) {
    check_looks("script.json",
                "[{\"text\": \"Intro.\"}, {\"text\": \"\\u202Bאב!\"},"
                " {\"text\": \"Hello, world (1)!\"}]",
                "script", MARKS_NONE, "Intro. !בא Hello, world (1)!");
    check_looks("script.json",
                "[{\"text\": \"\\u202Eab\"}, {\"text\": \"\\u2067c\"}, {\"text\": \"d.\"}]",
                "script", MARKS_NONE, "ba c d.");
    check_looks("script.json", "[{\"text\": \"אב.\"}, {\"text\": \"ab (1).\"}, {\"text\": \"cd\"}]",
                "script", MARKS_NONE, ".בא ab (1). cd");
    check_looks("script.json", "[{\"text\": \"a\"}, {\"text\": \"אב.\"}, {\"text\": \"1.\"}]",
                "script", MARKS_NONE, ">1. .בא a");
    check_looks("script.json", "[{\"text\": \"12\"}, {\"text\": \"3 (4)\"}]", "script", MARKS_NONE,
                "12 3 (4)");
}

/* render F4 */
static void marks_keep_their_place_in_the_script(void) {
    check_looks("script.json",
                "[{\"start_ms\": 0, \"text\": \"אב. \"}, {\"start_ms\": 11000, \"text\": \"Ab.\"},"
                " {\"start_ms\": 65000, \"text\": \"\\u202Bגד\"}, {\"text\": \"אב\"}]",
                "script", MARKS_TIME, ">בא דג ]1:05[ Ab. ]0:11[ .בא ]0:00[");
    check_looks("script.json",
                "[{\"text\": \"אב. ab\", \"speaker\": \"c\"},"
                " {\"text\": \"ab\", \"speaker\": \"דנה\"}]",
                "script", MARKS_SPEAKER, ">ab .בא :c\nהנד: ab");
    check_looks("script.json",
                "[{\"start_ms\": 0, \"text\": \"A b. אב.\"}, {\"start_ms\": 20000, \"text\": "
                "\"אב. B c.\"}]",
                "script", MARKS_TIME, "[0:00] A b. בא. [0:20] .B c .בא");
}

/* ---- Breaks -------------------------------------------------------------- */

/* No row of the page begins with this. */
static bool no_row_begins(const struct kept_page *page, const char *with) {
    const char *row = page->text;
    while (row && strncmp(row, with, strlen(with)) != 0) {
        row = strchr(row, '\n');
        row = row ? row + 1 : NULL;
    }
    if (row) {
        printf("# a row begins with %s in %s\n", with, page->text);
    }
    return !row;
}

/* render F14 */
static void likes_do_not_stand_alone(void) {
    static const char *const units[] = {"ab cde ", "x", "ก", "食", "אב ", "א", "a-", "#ab", "😀"};
    enum { LONGEST = 26 };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        char text[LONGEST * 8] = "", json[sizeof text + 100];
        for (int length = 1; length <= LONGEST; length++) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s", units[i]);
            snprintf(json, sizeof json,
                     "[{\"author\": \"ann\", \"text\": \"%s\", "
                     "\"likes\": 45000}]",
                     text);
            struct kept kept = {0};
            set_part(&kept, "comments.json", json, "comments", MARKS_NONE, 2);
            CHECK(no_row_begins(&kept.pages[0], "♥"));
            CHECK(strstr(kept.pages[0].text, " ♥45K\n") != NULL);
            kept_release(&kept);
        }
    }
}

/* render F14 */
static void numbers_stay_with_their_words(void) {
    for (int name = 1; name < 30; name++) {
        char json[200];
        snprintf(json, sizeof json,
                 "{\"account\": \"%0*d\", \"created\": 0, \"counts\": {\"views\": 1204553,"
                 " \"likes\": 34999, \"comments\": 120}}",
                 name, 1);
        struct kept kept = {0};
        set_part(&kept, "json", json, "header", MARKS_NONE, 3);
        CHECK(no_row_begins(&kept.pages[0], "views"));
        CHECK(no_row_begins(&kept.pages[0], "likes"));
        CHECK(no_row_begins(&kept.pages[0], "comments"));
        kept_release(&kept);
    }
}

int main(void) {
    struct error e = {0};
    if (fonts_open(&fonts, "DejaVu Sans", &e) < 0) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    RUN(parts_of_a_comment_keep_their_order);
    RUN(what_a_part_leaves_open_ends_with_it);
    RUN(header_and_hashtags_keep_their_order);
    RUN(cues_keep_their_direction_for_themselves);
    RUN(marks_keep_their_place_in_the_script);
    RUN(likes_do_not_stand_alone);
    RUN(numbers_stay_with_their_words);
    fonts_close(fonts);
    return test_finish();
}
