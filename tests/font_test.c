/* font_test.c - the list of fonts of this machine (DejaVu must be there; what needs Noto is skipped
 * with a line where it is not), and lists of folders made for the purpose. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include "render/text/font.h"

#include "tests/font_folder.h"

static const char *program; /* this one */

static struct fonts *open_fonts(void) {
    struct fonts *f = NULL;
    struct error e;
    if (!CHECK_NUMBER(fonts_open(&f, "DejaVu Sans", &e), 0)) {
        printf("Bail out! %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    return f;
}

static const char *path_of(const char *family) {
    static char path[512];
    struct fonts *f = open_fonts();
    path[0] = 0;
    for (int i = fonts_count(f) - 1; i >= 0; i--) {
        if (strcmp(fonts_get(f, i)->family, family) == 0) {
            snprintf(path, sizeof path, "%s", fonts_get(f, i)->path);
        }
    }
    fonts_close(f);
    if (!path[0]) {
        printf("# skipped a part: %s is not installed\n", family);
    }
    return path[0] ? path : NULL;
}

static int choose(const struct fonts *f, const uint32_t *cluster, bool emoji) {
    size_t count = 0;
    while (cluster[count]) {
        count++;
    }
    return fonts_choose(f, cluster, count, emoji);
}

#define CLUSTER(...) ((const uint32_t[]){__VA_ARGS__, 0})

/* One line a font. */
static void print_list(const struct fonts *f, FILE *to) {
    for (int i = 0; i < fonts_count(f); i++) {
        const struct font *font = fonts_get(f, i);
        fprintf(to, "%s|%s|%d|%d|%d\n", font->family, font->path, font->index, font->color,
                font->han);
    }
}

/* ---- The list ---------------------------------------------------------------- */

static void the_primary_comes_first_and_emoji_second(void) {
    struct fonts *f = open_fonts();
    CHECK_TEXT(fonts_get(f, FONT_PRIMARY)->family, "DejaVu Sans");
    CHECK(!fonts_get(f, FONT_PRIMARY)->color && !fonts_get(f, FONT_PRIMARY)->han);
    CHECK(strstr(fonts_get(f, FONT_PRIMARY)->path, "DejaVuSans.ttf") != NULL);
    for (int i = 2; i < fonts_count(f); i++) {
        CHECK(!fonts_get(f, i)->color || fonts_get(f, 1)->color);
    }
    fonts_close(f);
}

static void no_font_is_listed_twice(void) {
    struct fonts *f = open_fonts();
    for (int i = 0; i < fonts_count(f); i++) {
        for (int k = 0; k < i; k++) {
            CHECK(strcmp(fonts_get(f, i)->path, fonts_get(f, k)->path) != 0 ||
                  fonts_get(f, i)->index != fonts_get(f, k)->index);
        }
    }
    fonts_close(f);
}

static void a_missing_family_is_an_error(void) {
    struct fonts *f = NULL;
    struct error e;
    CHECK_NUMBER(fonts_open(&f, "No Such Family", &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "No Such Family") != NULL);
    CHECK(f == NULL);
    struct font_folder folder;
    folder_open(&folder);
    CHECK_NUMBER(fonts_open(&f, "DejaVu Sans", &e), ERR_UNSUPPORTED);
    CHECK(strstr(e.text, "fonts-dejavu-core") != NULL);
    folder_close(&folder);
}

/* In processes of their own: fontconfig asks for the locale once. */
static void the_locale_does_not_matter(void) {
    static const char *const locales[] = {"C", "ja_JP.UTF-8", "zh_TW.UTF-8", "ar_EG.UTF-8"};
    static char first[1 << 16], text[1 << 16];
    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        char command[1024];
        snprintf(command, sizeof command, "env -u FC_LANG LC_ALL=%s '%s' --list", locales[i],
                 program);
        FILE *list = popen(command, "r");
        if (!CHECK(list != NULL)) {
            return;
        }
        memset(text, 0, sizeof text);
        CHECK(fread(text, 1, sizeof text - 1, list) > 0);
        CHECK(pclose(list) == 0);
        if (i == 0) {
            memcpy(first, text, sizeof first);
        }
        CHECK(strcmp(first, text) == 0);
    }
}

static void the_order_of_folders_does_not_matter(void) {
    static const char *const names[] = {"DejaVu Sans Mono", "DejaVu Serif", "Noto Sans Thai",
                                        "Noto Sans Hebrew", "Noto Sans Armenian"};
    struct font_folder folder;
    char path[512];
    char paths[5][512] = {{0}};
    for (int i = 0; i < 5; i++) {
        const char *from = path_of(names[i]);
        snprintf(paths[i], sizeof paths[i], "%s", from ? from : "");
    }
    struct fonts *f = open_fonts();
    snprintf(path, sizeof path, "%s", fonts_get(f, FONT_PRIMARY)->path);
    fonts_close(f);
    folder_open(&folder);
    folder_copy(&folder, path, "a/sans.ttf", SIZE_MAX);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%d.ttf", i % 2 ? "a" : "b", i);
        if (paths[i][0]) {
            folder_copy(&folder, paths[i], path, SIZE_MAX);
        }
    }
    f = open_fonts();
    folder_use(&folder, "b", "a");
    struct fonts *g = open_fonts();
    CHECK_NUMBER(fonts_count(f), fonts_count(g));
    CHECK(fonts_count(f) > 1 && fonts_count(f) <= 6);
    for (int i = 0; i < fonts_count(f) && i < fonts_count(g); i++) {
        CHECK_TEXT(fonts_get(f, i)->path, fonts_get(g, i)->path);
    }
    fonts_close(f);
    fonts_close(g);
    folder_close(&folder);
}

static void what_is_no_font_is_left_out(void) {
    struct fonts *f = open_fonts();
    char path[512];
    snprintf(path, sizeof path, "%s", fonts_get(f, FONT_PRIMARY)->path);
    fonts_close(f);
    struct font_folder folder;
    folder_open(&folder);
    folder_copy(&folder, path, "a/sans.ttf", SIZE_MAX);
    folder_copy(&folder, path, "a/cut.ttf", 5000);
    folder_copy(&folder, path, "a/head.ttf", 12);
    folder_copy(&folder, path, "a/empty.ttf", 0);
    folder_copy(&folder, program, "b/program.ttf", SIZE_MAX);
    f = open_fonts();
    CHECK_NUMBER(fonts_count(f), 1);
    CHECK(strstr(fonts_get(f, 0)->path, "/a/sans.ttf") != NULL);
    fonts_close(f);
    folder_close(&folder);
}

/* ---- The choice ---------------------------------------------------------------- */

static void the_primary_draws_what_it_has(void) {
    struct fonts *f = open_fonts();
    for (uint32_t c = 0x21; c < 0x17F; c++) {
        CHECK(c == 0x7F || (c >= 0x80 && c < 0xA1) ||
              fonts_choose(f, &c, 1, false) == FONT_PRIMARY);
    }
    CHECK_NUMBER(choose(f, CLUSTER('e', 0x301), false), FONT_PRIMARY);
    CHECK_NUMBER(choose(f, CLUSTER(0x43F), false), FONT_PRIMARY);
    CHECK_NUMBER(choose(f, CLUSTER(0x263A), false), FONT_PRIMARY);         /* smiling face */
    CHECK_NUMBER(choose(f, CLUSTER(0x263A, 0xFE0E), false), FONT_PRIMARY); /* as text */
    fonts_close(f);
}

static void ignorables_need_no_glyph(void) {
    struct fonts *f = open_fonts();
    CHECK_NUMBER(choose(f, CLUSTER(0x200D), false), FONT_PRIMARY);
    CHECK_NUMBER(choose(f, CLUSTER(0x2066, 0xFE0F, 0xE0041), true), FONT_PRIMARY);
    CHECK_NUMBER(choose(f, CLUSTER(0x2060, 'a', 0x200D, 0xE0100), false), FONT_PRIMARY);
    fonts_close(f);
}

static void what_no_font_has_has_none(void) {
    struct font_folder folder;
    char path[512];
    struct fonts *f = open_fonts();
    snprintf(path, sizeof path, "%s", fonts_get(f, FONT_PRIMARY)->path);
    CHECK_NUMBER(choose(f, CLUSTER(0xFFFFE), false), FONT_NONE);
    CHECK_NUMBER(choose(f, CLUSTER(0x110000), false), FONT_NONE);
    CHECK_NUMBER(choose(f, CLUSTER(0xFFFFFFFF), true), FONT_NONE);
    fonts_close(f);
    folder_open(&folder);
    folder_copy(&folder, path, "a/sans.ttf", SIZE_MAX);
    f = open_fonts();
    CHECK_NUMBER(fonts_count(f), 1);
    CHECK_NUMBER(choose(f, CLUSTER(0x4E2D), false), FONT_NONE);
    CHECK_NUMBER(choose(f, CLUSTER(0x1F600), true), FONT_PRIMARY);     /* DejaVu has a few */
    CHECK_NUMBER(choose(f, CLUSTER(0x1F9E0), true), FONT_NONE);        /* but no brain */
    CHECK_NUMBER(choose(f, CLUSTER('a', 0x93C), false), FONT_PRIMARY); /* by the first alone */
    fonts_close(f);
    folder_close(&folder);
}

static void emoji_come_from_the_colour_font(void) {
    struct fonts *f = open_fonts();
    if (fonts_count(f) < 2 || !fonts_get(f, 1)->color) {
        printf("# skipped: no colour emoji font is installed\n");
        fonts_close(f);
        return;
    }
    static const uint32_t clusters[][9] = {
        {0x1F600},
        {0x1F468, 0x200D, 0x1F469, 0x200D, 0x1F467, 0x200D, 0x1F466}, /* family */
        {0x1F44D, 0x1F3FD},                                           /* thumb, skin tone */
        {0x2764, 0xFE0F},                                             /* heart */
        {0x31, 0xFE0F, 0x20E3},                                       /* keycap */
        {0x1F1EA, 0x1F1F8},                                           /* flag */
        {0x1F3F4, 0xE0067, 0xE0062, 0xE0065, 0xE006E, 0xE0067, 0xE007F}};
    for (size_t i = 0; i < sizeof clusters / sizeof *clusters; i++) {
        CHECK_NUMBER(choose(f, clusters[i], true), 1);
    }
    CHECK_NUMBER(choose(f, CLUSTER(0x263A, 0xFE0F), true), 1);
    int text = choose(f, CLUSTER(0x2764), false);
    CHECK(text != FONT_NONE && !fonts_get(f, text)->color);
    CHECK_NUMBER(choose(f, CLUSTER(0x1F9E0), false), 1); /* nothing else has it */
    CHECK_NUMBER(choose(f, CLUSTER(0x416), true), FONT_PRIMARY);
    fonts_close(f);
}

static void a_cluster_stays_in_one_font(void) {
    if (!path_of("Noto Sans Devanagari")) {
        return;
    }
    struct fonts *f = open_fonts();
    int font = choose(f, CLUSTER(0x915, 0x94D, 0x937, 0x93F), false);
    CHECK(font > 0);
    CHECK_TEXT(fonts_get(f, font)->family, "Noto Sans Devanagari");
    /* The primary has the dotted circle, but no sign to put on it. */
    CHECK_NUMBER(choose(f, CLUSTER(0x25CC), false), FONT_PRIMARY);
    font = choose(f, CLUSTER(0x25CC, 0x93F), false);
    CHECK(font > 0);
    fonts_close(f);
}

/* render F1: strokes and rings do not change the font of a letter. */
static void letters_keep_their_fonts_under_borrowed_marks(void) {
    static const uint32_t letters[] = {'a', 0x5927, 0x3042, 0xAC00, 0xE01, 0x915, 0xB95, 0x5D0},
                          marks[] = {0x336, 0x332, 0x20DD, 0x20E0, 0x300};
    struct fonts *f = open_fonts();
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
            CHECK_NUMBER(choose(f, CLUSTER(letters[i], marks[k]), false),
                         choose(f, CLUSTER(letters[i]), false));
        }
    }
    uint32_t face = 0x1F600;
    CHECK_NUMBER(choose(f, CLUSTER(0x1F600, 0x302), true), fonts_choose(f, &face, 1, true));
    CHECK(fonts_have(f, FONT_PRIMARY, 'a') && fonts_have(f, FONT_NONE, 0x200D));
    CHECK(!fonts_have(f, FONT_NONE, 'a') && !fonts_have(f, FONT_PRIMARY, 0x5927));
    fonts_close(f);
}

static void the_scripts_of_the_world_have_fonts(void) {
    if (!path_of("Noto Sans") || !path_of("Noto Sans Thai")) {
        return;
    }
    static const uint32_t samples[] = {
        0x391,  0x416,  0x531,  0x5D0,  0x627,  0x710,  0x780,  0x905,  0x985,  0xA05,
        0xA85,  0xB05,  0xB85,  0xC05,  0xC85,  0xD05,  0xD85,  0xE01,  0xE81,  0xF40,
        0x1000, 0x10D0, 0x1200, 0x13A0, 0x1401, 0x1780, 0x1820, 0x2C00, 0xA000, 0x10330};
    struct fonts *f = open_fonts();
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        if (!CHECK(fonts_choose(f, &samples[i], 1, false) != FONT_NONE)) {
            printf("# U+%04X\n", samples[i]);
        }
    }
    int thai = choose(f, CLUSTER(0xE01, 0xE49), false);
    CHECK_TEXT(thai < 0 ? NULL : fonts_get(f, thai)->family, "Noto Sans Thai");
    fonts_close(f);
}

static void chinese_characters_come_in_simplified_shapes(void) {
    if (!path_of("Noto Sans CJK SC")) {
        return;
    }
    struct fonts *f = open_fonts();
    for (const uint32_t *c = CLUSTER(0x4E2D, 0x76F4, 0x3042, 0xAC00, 0x20B9F); *c; c++) {
        int font = fonts_choose(f, c, 1, false);
        CHECK_TEXT(font < 0 ? NULL : fonts_get(f, font)->family, "Noto Sans CJK SC");
        CHECK(font > 0 && fonts_get(f, font)->han);
    }
    fonts_close(f);
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        struct fonts *f = open_fonts();
        print_list(f, stdout);
        fonts_close(f);
        return EXIT_SUCCESS;
    }
    RUN(the_primary_comes_first_and_emoji_second);
    RUN(no_font_is_listed_twice);
    RUN(a_missing_family_is_an_error);
    RUN(the_locale_does_not_matter);
    RUN(the_order_of_folders_does_not_matter);
    RUN(what_is_no_font_is_left_out);
    RUN(the_primary_draws_what_it_has);
    RUN(ignorables_need_no_glyph);
    RUN(what_no_font_has_has_none);
    RUN(emoji_come_from_the_colour_font);
    RUN(a_cluster_stays_in_one_font);
    RUN(letters_keep_their_fonts_under_borrowed_marks);
    RUN(the_scripts_of_the_world_have_fonts);
    RUN(chinese_characters_come_in_simplified_shapes);
    return test_finish();
}
