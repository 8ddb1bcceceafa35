/* face_file_test.c - font files that are cut short, damaged or gone. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "tests/face_draw.h"

/* The list is made while the file is whole; then it is replaced. */
static void broken_files_do_no_harm(void) {
    static const size_t sizes[] = {0,     1,     11,     12,     100,    300,    1000,   5000,
                                   20000, 60000, 100000, 150000, 200000, 300000, 500000, 700000};
    const char *whole = fonts_get(fonts, FONT_PRIMARY)->path;
    struct font_folder folder;
    folder_open(&folder);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        folder_copy(&folder, whole, "a/sans.ttf", SIZE_MAX);
        struct fonts *own = NULL;
        struct error e = {0};
        CHECK_NUMBER(fonts_open(&own, "DejaVu Sans", NULL), 0);
        folder_copy(&folder, whole, "a/sans.ttf", sizes[i]);
        struct faces *f = NULL;
        int rc = faces_open(&f, own, &PROFILES[PROFILE_READ10], &e);
        CHECK(rc == 0 || (rc == ERR_FORMAT && strstr(e.text, "a/sans.ttf") && !f));
        for (uint32_t id = 0; rc == 0 && id < 6000; id += 7) {
            CHECK(is_in_row(f, &PROFILES[PROFILE_READ10], draw(f, 0, id, id % GLYPH_PHASES)));
        }
        faces_close(f);
        fonts_close(own);
    }
    folder_close(&folder);
}

static void flip(const char *path, unsigned seed) {
    FILE *file = fopen(path, "r+b");
    if (!CHECK(file != NULL) || !CHECK(fseek(file, 0, SEEK_END) == 0)) {
        abort();
    }
    long size = ftell(file);
    for (int i = 0; i < 200; i++) {
        seed = seed * 1664525U + 1013904223U;
        /* Half of them among the tables' heads. */
        long at = (long)(seed >> 8) % (i % 2 ? size : 400);
        CHECK(fseek(file, at, SEEK_SET) == 0 && fputc((int)(seed & 0xFF), file) != EOF);
    }
    CHECK(fclose(file) == 0);
}

static void garbage_does_no_harm(void) {
    const char *whole = fonts_get(fonts, FONT_PRIMARY)->path;
    char path[FOLDER_PATH];
    struct font_folder folder;
    folder_open(&folder);
    folder_path(&folder, "a/sans.ttf", path);
    for (unsigned seed = 1; seed <= 20; seed++) {
        folder_copy(&folder, whole, "a/sans.ttf", SIZE_MAX);
        struct fonts *own = NULL;
        CHECK_NUMBER(fonts_open(&own, "DejaVu Sans", NULL), 0);
        flip(path, seed);
        struct faces *f = NULL;
        int rc = faces_open(&f, own, &PROFILES[PROFILE_CLEAR], NULL);
        CHECK(rc == 0 || rc == ERR_FORMAT);
        for (uint32_t id = 0; rc == 0 && id < 6000; id += 13) {
            CHECK(is_in_row(f, &PROFILES[PROFILE_CLEAR], draw(f, 0, id, 0)));
        }
        faces_close(f);
        fonts_close(own);
    }
    folder_close(&folder);
}

static void a_failure_is_remembered(void) {
    const char *whole = fonts_get(fonts, FONT_PRIMARY)->path;
    const char *other = NULL;
    for (int i = 0; i < fonts_count(fonts); i++) {
        const struct font *font = fonts_get(fonts, i);
        other = strcmp(font->family, "DejaVu Serif") == 0 ? font->path : other;
    }
    if (!other) {
        printf("# skipped: DejaVu Serif is not installed\n");
        return;
    }
    struct font_folder folder;
    folder_open(&folder);
    folder_copy(&folder, whole, "a/sans.ttf", SIZE_MAX);
    folder_copy(&folder, other, "b/serif.ttf", SIZE_MAX);
    struct fonts *own = NULL;
    CHECK_NUMBER(fonts_open(&own, "DejaVu Sans", NULL), 0);
    CHECK_NUMBER(fonts_count(own), 2);
    char path[FOLDER_PATH];
    folder_path(&folder, "b/serif.ttf", path);
    CHECK(remove(path) == 0);
    struct faces *f = open_faces(own, &PROFILES[PROFILE_READ10]);
    struct error e = {0};
    CHECK(faces_get(f, 1, &e) == NULL);
    CHECK_NUMBER(e.code, ERR_IO);
    CHECK(strstr(e.text, "b/serif.ttf") != NULL);
    folder_copy(&folder, other, "b/serif.ttf", SIZE_MAX);
    struct error again = {0};
    CHECK(faces_get(f, 1, &again) == NULL && faces_opened(f, 1) == NULL);
    CHECK_NUMBER(again.code, e.code);
    CHECK_TEXT(again.text, e.text);
    CHECK(faces_get(f, 1, NULL) == NULL);
    faces_close(f);
    fonts_close(own);
    folder_close(&folder);
}

int main(void) {
    struct error e;
    if (fonts_open(&fonts, "DejaVu Sans", &e) < 0) {
        printf("Bail out! %s\n", e.text);
        return EXIT_FAILURE;
    }
    RUN(broken_files_do_no_harm);
    RUN(garbage_does_no_harm);
    RUN(a_failure_is_remembered);
    fonts_close(fonts);
    return test_finish();
}
