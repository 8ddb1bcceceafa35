/* content_fuzz.c - any bytes as each of a sample's members: every span that reaches the pager is
 * what its source has at that place, and nothing but a warning comes of what cannot be read. */
#include <stdint.h>

#include "render/content/content.h"
#include "tests/pager_stub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int promise) {
    if (!promise) {
        abort();
    }
}

static void check_warnings(const json_t *warnings) {
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        require(json_string_length(json_array_get(warnings, i)) > 0);
    }
}

/* Returns how many paragraphs and pictures came of it. */
static int check_sample(const struct stream_sample *sample, const struct content_options *o) {
    struct page_sources sources = {0};
    struct pager pager;
    struct error e = {0};
    json_t *warnings = json_array();
    require(warnings && arena_open(&sources.arena, (size_t)1 << 30, NULL) == 0);
    stub_open(&pager, sample, &sources);
    int rc = content_layout(&pager, sample, o, &sources, warnings, &e);
    require(rc == 0 && e.code == 0);
    require(pager.broken == 0);
    check_warnings(warnings);
    int calls = pager.calls;
    stub_close(&pager);
    arena_close(sources.arena);
    json_decref(warnings);
    return calls;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const members[] = {"json", "script.json", "comments.json", "000.jpg",
                                          "mel.pgm"};
    enum { COUNT = sizeof members / sizeof *members };
    struct stream_member m[COUNT];
    struct stream_sample sample = {.key = "fuzz/1", .members = m, .count = COUNT};
    for (size_t i = 0; i < COUNT; i++) {
        m[i] = (struct stream_member){members[i], data, size};
    }
    int calls = 0;
    for (int marks = MARKS_NONE; marks <= MARKS_SPEAKER; marks++) {
        struct content_options o = {.marks = marks, .comments = marks == MARKS_TIME ? 3 : 0};
        require(content_parse_parts(&o, "header,thumbs,description,script,hashtags,comments,audio",
                                    NULL) == 0);
        int now = check_sample(&sample, &o);
        require(marks != MARKS_TIME || now <= calls); /* fewer comments, a script of one piece */
        calls = now;
    }
    return 0;
}
