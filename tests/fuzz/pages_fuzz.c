/* pages_fuzz.c - any bytes become pages: bounded, and each box leads back to its bytes. The first
 * byte chooses mode, profile and language. */
#include "tests/kept_pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const LANGUAGES[] = {NULL, "ja", "zh-Hant", "ar", "not a language"};
    enum { COUNT = sizeof LANGUAGES / sizeof *LANGUAGES, TEXT_MOST = 20000 };
    static struct fonts *fonts; /* once: finding them takes longer than a page */
    if (size == 0 || size > TEXT_MOST) {
        return 0;
    }
    struct error e = {0};
    require(fonts || fonts_open(&fonts, "DejaVu Sans", &e) == 0, e.text);
    const char *text = (const char *)data + 1;
    size--;
    struct kept kept = {0};
    struct page_setup setup = {.mode = data[0] % 4 == 0 ? MODE_BASE : MODE_TINY,
                               .profile = &PROFILES[data[0] / 4 % PROFILE_COUNT],
                               .fonts = fonts,
                               .color = data[0] & 128,
                               .clusters = true,
                               .context = &kept,
                               .done = kept_add};
    struct pager *p = NULL;
    struct span span = {.text = text, .size = size, .source = 1};
    require(pager_open(&p, &setup, &e) == 0, e.text);
    pager_language(p, LANGUAGES[data[0] % COUNT]);
    int rc = pager_text(p, PART_SCRIPT, &span, 1, data[0] % 8, &e);
    if (rc == 0) {
        rc = pager_flush(p, &e);
    }
    pager_close(p);
    require(rc == 0 || kept.count == KEPT_MOST, e.text);
    require(rc < 0 || traces_back(&kept, text, size), "a box leads back to its text");
    kept_release(&kept);
    return 0;
}
