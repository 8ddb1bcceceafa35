/* line_work_test.c - lines of long text without spaces take work in proportion to it. Counted are
 * the branches that line.c, parts.c, levels.c and breaks.c take: they are compiled into this
 * program with calls of __sanitizer_cov_trace_pc (see CMakeLists.txt). */
#include "render/text/line.h"
#include "store/utf8.h"
#include "tests/test.h"

enum { WIDTH = 500 << 6, SIZE = 32 << 10 };

static struct {
    struct fonts *fonts;
    struct shaper *shaper;
    struct line_breaker *line_breaker;
} setter;

static uint64_t steps;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
    steps++;
}

static int take(void *context, const struct line *line, struct error *e) {
    (void)e;
    *(size_t *)context += line->count;
    return 0;
}

/* The work for the lines of a paragraph. */
static uint64_t work_of(const struct span *spans, size_t count) {
    struct clean c;
    size_t items = 0;
    clean_init(&c);
    for (size_t i = 0; i < count; i++) {
        size_t used;
        bool line_end;
        CHECK_NUMBER(clean_append(&c, &spans[i], &used, &line_end, NULL), 0);
        CHECK(used == spans[i].size && !line_end);
    }
    steps = 0;
    CHECK_NUMBER(line_breaker_run(setter.line_breaker, &c, WIDTH, take, &items, NULL), 0);
    CHECK(items > 0);
    clean_close(&c);
    return steps;
}

static uint64_t work_of_repeated(const char *unit, size_t size, bool isolates) {
    size_t length = strlen(unit), count = size / length;
    struct span *spans = calloc(count, sizeof *spans);
    struct bytes text;
    bytes_init(&text, SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        bytes_append(&text, unit, length, NULL);
    }
    for (size_t i = 0; isolates && i < count; i++) {
        spans[i] = (struct span){.text = bytes_text(&text) + i * length,
                                 .size = length,
                                 .isolate = (uint32_t)i + 1,
                                 .leads = true};
    }
    if (!isolates) {
        spans[0] = (struct span){.text = bytes_text(&text), .size = text.size};
    }
    uint64_t work = work_of(spans, isolates ? count : 1);
    bytes_close(&text);
    free(spans);
    return work;
}

/* render F9 */
static void work_is_in_proportion_to_the_text(void) {
    static const char *const units[] = {"א",
                                        "אבגד",
                                        "أب",
                                        "אa",
                                        "אבגabc",
                                        "א1",
                                        "א(",
                                        "אב(גד)",
                                        "אa一",
                                        "א一",
                                        "\u2067א\u2069",
                                        "\u2068a",
                                        "\u202Ba",
                                        "א\u202Da",
                                        "a\u2069א",
                                        "א\u0301",
                                        "א😀",
                                        "א#ב",
                                        "א@ab",
                                        "#אב",
                                        "א  ",
                                        "א-",
                                        "ก",
                                        "กא",
                                        "a",
                                        "#fyp",
                                        "@ab#一二",
                                        "一",
                                        "a/",
                                        "http://א",
                                        "ab-",
                                        "א\u200B"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        for (int isolates = 0; isolates < 2; isolates++) {
            uint64_t once = work_of_repeated(units[i], SIZE, isolates);
            uint64_t fourfold = work_of_repeated(units[i], (size_t)4 * SIZE, isolates);
            if (!CHECK(once > 0 && fourfold < 5 * once)) {
                printf("# %s: %llu steps, then %llu\n", units[i], (unsigned long long)once,
                       (unsigned long long)fourfold);
            }
        }
    }
}

/* Words of four letters, Greek and Hebrew in turns, in one chunk: `distinct` ones, then these again
 * and again. */
static uint64_t work_of_words(uint32_t distinct, uint32_t count) {
    struct bytes text;
    bytes_init(&text, SIZE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        char word[16];
        size_t size = 0;
        for (uint32_t k = 0, left = i % distinct; k < 4; k++, left /= 17) {
            size += utf8_encode((i % 2 ? 0x5D0 : 0x3B1) + left % 17, word + size);
        }
        bytes_append(&text, word, size, NULL);
    }
    struct span span = {.text = bytes_text(&text), .size = text.size};
    uint64_t work = work_of(&span, 1);
    bytes_close(&text);
    return work;
}

/* render F9: where the cache of words is full, the line in hand is begun again, and no more. */
static void a_full_cache_costs_a_line(void) {
    enum { FULL = 70000, COUNT = 3 * FULL };
    uint64_t few = work_of_words(1000, COUNT), many = work_of_words(FULL, COUNT);
    if (!CHECK(many < few + few / 4)) {
        printf("# %llu steps, with many words %llu\n", (unsigned long long)few,
               (unsigned long long)many);
    }
}

int main(void) {
    struct error e = {0};
    int rc = fonts_open(&setter.fonts, "DejaVu Sans", &e);
    if (rc == 0) {
        rc = shaper_open(&setter.shaper, setter.fonts, &PROFILES[PROFILE_READ10], &e);
    }
    if (rc == 0) {
        rc = line_breaker_open(&setter.line_breaker, setter.shaper, &e);
    }
    if (rc < 0) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    RUN(work_is_in_proportion_to_the_text);
    RUN(a_full_cache_costs_a_line);
    line_breaker_close(setter.line_breaker);
    shaper_close(setter.shaper);
    fonts_close(setter.fonts);
    return test_finish();
}
