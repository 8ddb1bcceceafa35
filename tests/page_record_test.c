/* page_record_test.c - the member .pages.json, read back by jansson. Fonts and faces are stand-ins,
 * so that names and hashes are known. */
#include "render/page/page_record.h"
#include "render/text/face.h"
#include "store/clock.h"
#include "store/json.h"
#include "tests/test.h"

/* ---- Stand-ins ------------------------------------------------------------- */

const char *const PAGE_PARTS[PART_COUNT + 1] = {"header",   "thumbs",   "description", "script",
                                                "hashtags", "comments", "audio",       NULL};

enum { FONTS = 67 }; /* more than one word of page.fonts_used */

int fonts_count(const struct fonts *f) {
    (void)f;
    return FONTS;
}

const struct font *fonts_get(const struct fonts *f, int index) {
    static const struct font primary = {"DejaVu Sans", "/fonts/dejavu/DejaVuSans.ttf", 0, 0, 0};
    static const struct font hostile = {"A \"quoted\" \\ \t\xFF\xE2\x82 f\xC3\xB6nt", "bare\n.ttf",
                                        2, 0, 0};
    (void)f;
    return index == FONT_PRIMARY ? &primary : &hostile;
}

const struct face *faces_opened(const struct faces *f, int font) {
    static const struct face primary = {.hash = 0x0123456789abcdef}, last = {.hash = UINT64_MAX};
    (void)f;
    return font == FONT_PRIMARY ? &primary : font == FONTS - 1 ? &last : NULL;
}

/* ---- Material --------------------------------------------------------------- */

static struct page_source all[] = {
    {"banana/1", "json", "/account"},       {"banana/1", "000.jpg", NULL},
    {"banana/1", "script.json", "/0/text"}, {"banana/2", "script.json", "/0/text"},
    {"banana/3", "script.json", "/7/text"}, {"banana/2", "comments.json", "/1/author"},
};
static const struct page_sources sources = {.items = all, .count = sizeof all / sizeof *all};
static const struct page_setup setup = {.mode = MODE_BASE, .profile = &PROFILES[PROFILE_READ10]};

static const struct page_box first_boxes[] = {
    {2, 0, 500, 16, PART_HEADER, false, 1, 0, 6},
    {14, 64, 36, 64, PART_THUMBS, false, 2, 0, 0},
    {-1, 1008, 32767, 16, PART_SCRIPT, true, 3, 4294967294, 4294967295},
};
static const struct page_box second_boxes[] = {
    {2, 0, 500, 16, PART_SCRIPT, false, 3, 9, 12},
    {2, 16, 500, 16, PART_SCRIPT, false, 4, 0, 5},
    {2, 32, 500, 16, PART_COMMENTS, false, 6, 0, 5},
    {2, 48, 500, 16, PART_SCRIPT, false, 3, 0, 5},
};
static const uint64_t no_fonts[2], some_fonts[2] = {3, 4};
static const struct page_missing missing[] = {{0x41, 1}, {0xE000, 2}, {0x10FFFF, 3}};

static const struct page first_page = {
    .boxes = first_boxes,
    .box_count = 3,
    .missing = missing,
    .missing_count = 3,
    .fonts_used = some_fonts,
    .counts = {.characters = 3122,
               .rows = 64,
               .cells = 256,
               .inked = 250,
               .ink = 81234,
               .clipped = 7,
               .replaced = 1,
               .dropped = 12345678901},
};
static const struct page second_page = {
    .boxes = second_boxes, .box_count = 4, .fonts_used = no_fonts, .counts = {.cells = 256}};

static struct page_record *open_record(const struct page_setup *s, enum page_format format) {
    struct page_record *r = NULL;
    if (page_record_open(&r, s, format, NULL) < 0) {
        abort();
    }
    return r;
}

/* Ends the record and compares with what jansson makes of `want`. */
static void check_record(struct page_record *r, const char *want) {
    struct bytes out;
    json_error_t reason;
    bytes_init(&out, 1 << 20);
    CHECK_NUMBER(page_record_append(r, &sources, &out, NULL), 0);
    json_t *got = json_loadb(bytes_text(&out), out.size, 0, &reason);
    json_t *wanted = json_loads(want, 0, &reason);
    if (!CHECK(got && wanted && json_equal(got, wanted))) {
        printf("# got %s\n# wanted %s\n# %s\n", bytes_text(&out), want, reason.text);
    }
    json_decref(got);
    json_decref(wanted);
    bytes_close(&out);
}

#define HEAD                                                                                       \
    "{\"mode\": \"base\", \"width\": 1024, \"height\": 1024, \"tokens\": 256,"                     \
    " \"format\": \"pgm\", \"profile\": {\"name\": \"read10\", \"font\": \"DejaVu Sans\","         \
    " \"size\": 10, \"pitch\": 16, \"margin\": 0, \"hash\": "
#define FIRST_PAGE                                                                                 \
    "{\"member\": \"p000.pgm\", \"characters\": 3122, \"rows\": 64, \"ink\": 81234, \"clipped\": " \
    "7,"                                                                                           \
    " \"tokens\": 256, \"inked_tokens\": 250, \"fill\": 0.977, \"replaced\": 1,"                   \
    " \"dropped\": 12345678901, \"missing\": {\"U+0041\": 1, \"U+E000\": 2, \"U+10FFFF\": 3},"     \
    " \"fonts\": ["                                                                                \
    "{\"family\": \"DejaVu Sans\", \"file\": \"DejaVuSans.ttf\", \"index\": 0,"                    \
    " \"hash\": \"0123456789abcdef\"},"                                                            \
    "{\"family\": \"A \\\"quoted\\\" \\\\ \\t\\ufffd\\ufffd f\\u00f6nt\","                         \
    " \"file\": \"bare\\n.ttf\", \"index\": 2, \"hash\": null},"                                   \
    "{\"family\": \"A \\\"quoted\\\" \\\\ \\t\\ufffd\\ufffd f\\u00f6nt\","                         \
    " \"file\": \"bare\\n.ttf\", \"index\": 2, \"hash\": \"ffffffffffffffff\"}],"                  \
    " \"samples\": [0], \"boxes\": [[2, 0, 500, 16, \"header\", 0, 0, 6],"                         \
    " [14, 64, 36, 64, \"thumbs\", 1, 0, 0],"                                                      \
    " [-1, 1008, 32767, 16, \"script\", 2, 4294967294, 4294967295, \"replaced\"]]}"

/* ---- Tests ------------------------------------------------------------------ */

static void pages_read_back(void) {
    struct page_record *r = open_record(&setup, FORMAT_PGM);
    CHECK_NUMBER(page_record_add(r, &first_page, NULL, &sources, "p000.pgm", NULL), 0);
    CHECK_NUMBER(page_record_add(r, &second_page, NULL, &sources, "p001.pgm", NULL), 0);
    check_record(
        r, HEAD
        "\"0123456789abcdef\"}, \"samples\": [\"banana/1\", \"banana/2\"], \"sources\": ["
        "{\"sample\": 0, \"member\": \"json\", \"pointer\": \"/account\"},"
        "{\"sample\": 0, \"member\": \"000.jpg\"},"
        "{\"sample\": 0, \"member\": \"script.json\", \"pointer\": \"/0/text\"},"
        "{\"sample\": 1, \"member\": \"script.json\", \"pointer\": \"/0/text\"},"
        "{\"sample\": 1, \"member\": \"comments.json\", \"pointer\": \"/1/author\"}],"
        "\"pages\": [" FIRST_PAGE ","
        "{\"member\": \"p001.pgm\", \"characters\": 0, \"rows\": 0, \"ink\": 0, \"clipped\": 0,"
        " \"tokens\": 256, \"inked_tokens\": 0, \"fill\": 0.0, \"replaced\": 0,"
        " \"dropped\": 0, \"missing\": {}, \"fonts\": [], \"samples\": [0, 1], \"boxes\": ["
        "[2, 0, 500, 16, \"script\", 2, 9, 12], [2, 16, 500, 16, \"script\", 3, 0, 5],"
        "[2, 32, 500, 16, \"comments\", 4, 0, 5], [2, 48, 500, 16, \"script\", 2, 0, 5]"
        "]}]}");
    page_record_close(r);
}

static void record_begins_anew(void) {
    static const char empty[] = HEAD "null}, \"samples\": [], \"sources\": [], \"pages\": []}";
    static const char one[] =
        HEAD "\"0123456789abcdef\"}, \"samples\": [\"banana/1\"], \"sources\": ["
             "{\"sample\": 0, \"member\": \"json\", \"pointer\": \"/account\"},"
             "{\"sample\": 0, \"member\": \"000.jpg\"},"
             "{\"sample\": 0, \"member\": \"script.json\", \"pointer\": \"/0/text\"}],"
             "\"pages\": [" FIRST_PAGE "]}";
    struct page_record *r = open_record(&setup, FORMAT_PGM);
    check_record(r, empty);
    for (int i = 0; i < 3; i++) {
        CHECK_NUMBER(page_record_add(r, &second_page, NULL, &sources, "p000.pgm", NULL), 0);
        page_record_clear(r);
        CHECK_NUMBER(page_record_add(r, &first_page, NULL, &sources, "p000.pgm", NULL), 0);
        check_record(r, one);
        check_record(r, empty);
    }
    page_record_close(r);
    page_record_close(NULL);
}

static void sizes_and_modes_are_written(void) {
    static const struct {
        int size;
        const char *want;
    } cases[] = {{640, "\"size\":10,"}, {448, "\"size\":7,"},        {672, "\"size\":10.5,"},
                 {641, "0.015625,"},    {703, "\"size\":10.984375"}, {644, "10.0625,"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct profile profile = PROFILES[PROFILE_CLEAR];
        struct page_setup hifi = {.mode = MODE_HIFI, .profile = &profile};
        struct page page = second_page;
        struct bytes out;
        page.counts.cells = 400;
        page.counts.inked = 399;
        profile.size = cases[i].size;
        bytes_init(&out, 1 << 20);
        struct page_record *r = open_record(&hifi, FORMAT_PNG);
        CHECK_NUMBER(page_record_add(r, &page, NULL, &sources, "p000.png", NULL), 0);
        CHECK_NUMBER(page_record_append(r, &sources, &out, NULL), 0);
        const char *text = bytes_text(&out);
        CHECK(strstr(text, cases[i].want) && strstr(text, "\"format\":\"png\""));
        CHECK(strstr(text, "\"margin\":1}") && strstr(text, "\"mode\":\"hifi\",\"width\":1280"));
        CHECK(strstr(text, "\"tokens\":800,\"inked_tokens\":798,\"fill\":0.998,"));
        page_record_close(r);
        bytes_close(&out);
    }
}

static void failure_leaves_no_trace(void) {
    struct page_box stranger[] = {first_boxes[0], {.source = (uint32_t)sources.count + 1}};
    struct page page = second_page;
    struct page_record *r = open_record(&setup, FORMAT_PGM);
    struct error e = {0};
    page.boxes = stranger;
    page.box_count = 2;
    CHECK_NUMBER(page_record_add(r, &page, NULL, &sources, "p000.pgm", &e), ERR_USAGE);
    CHECK_TEXT(e.text, "a box of source 7 of 6");
    stranger[1].source = 0;
    CHECK_NUMBER(page_record_add(r, &page, NULL, &sources, "p000.pgm", &e), ERR_USAGE);
    struct bytes out;
    bytes_init(&out, 400);
    CHECK_NUMBER(bytes_append_text(&out, "before", NULL), 0);
    CHECK_NUMBER(page_record_add(r, &first_page, NULL, &sources, "p000.pgm", NULL), 0);
    CHECK_NUMBER(page_record_append(r, &sources, &out, &e), ERR_LIMIT);
    CHECK_TEXT(bytes_text(&out), "before");
    bytes_close(&out);
    page_record_close(r);
}

/* 20,000 sources of 2,000 samples on 100 pages, as a large account has them. */
static void many_pages_are_quick(void) {
    enum { PAGES = 100, BOXES = 200 };
    static char keys[PAGES * BOXES / 10][16];
    struct page_source *items = calloc(PAGES * BOXES, sizeof *items);
    struct page_box *boxes = calloc(BOXES, sizeof *boxes);
    if (!items || !boxes) {
        abort();
    }
    struct page_record *r = open_record(&setup, FORMAT_PGM);
    for (size_t i = 0; i < PAGES * BOXES; i++) {
        snprintf(keys[i / 10], sizeof keys[0], "a/%zu", i / 10);
        items[i] = (struct page_source){keys[i / 10], "script.json", "/1/text"};
    }
    struct page_sources many = {.items = items};
    double start = clock_cpu_seconds();
    for (size_t p = 0; p < PAGES; p++) {
        for (size_t i = 0; i < BOXES; i++) {
            boxes[i] = first_boxes[0];
            boxes[i].source = (uint32_t)(p * BOXES + i + 1);
        }
        struct page page = second_page;
        page.boxes = boxes;
        page.box_count = BOXES;
        many.count = (p + 1) * BOXES;
        CHECK_NUMBER(page_record_add(r, &page, NULL, &many, "p000.pgm", NULL), 0);
    }
    double seconds = clock_cpu_seconds() - start;
    printf("# %.1f microseconds a page\n", seconds / PAGES * 1e6);
    struct bytes out;
    bytes_init(&out, 1 << 28);
    CHECK_NUMBER(page_record_append(r, &many, &out, NULL), 0);
    json_t *got = json_loadb(bytes_text(&out), out.size, 0, NULL);
    CHECK_NUMBER(json_array_size(json_object_get(got, "sources")), PAGES * BOXES);
    CHECK_NUMBER(json_array_size(json_object_get(got, "samples")), PAGES * BOXES / 10);
    json_decref(got);
    bytes_close(&out);
    page_record_close(r);
    free(items);
    free(boxes);
}

int main(void) {
    RUN(pages_read_back);
    RUN(record_begins_anew);
    RUN(sizes_and_modes_are_written);
    RUN(failure_leaves_no_trace);
    RUN(many_pages_are_quick);
    return test_finish();
}
