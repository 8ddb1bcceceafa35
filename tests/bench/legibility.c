/* legibility.c - whether all scripts arrive on the page: texts in many languages, drawn in the
 * profile `clear` on pages of 1024 x 1024, read back with tesseract where it knows the language.
 *
 *     bench-legibility [-p PROFILE] [-s SCALE] TEXT...
 *
 * A text's name is the BCP 47 tag of its language: "golden/texts/zh-Hans.txt". Prints a Markdown
 * table; fails when a character was drawn as a box. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read_back.h"

struct language {
    const char *tag, *pack; /* BCP 47; tesseract's name */
    bool spaces;            /* between words */
};
static const struct language LANGUAGES[] = {
    {"en", "eng", true},  {"de", "deu", true},           {"vi", "vie", true},  {"ru", "rus", true},
    {"el", "ell", true},  {"ar", "ara", true},           {"he", "heb", true},  {"hi", "hin", true},
    {"th", "tha", false}, {"zh-Hans", "chi_sim", false}, {"ja", "jpn", false}, {"ko", "kor", true}};
enum { LANGUAGE_COUNT = sizeof LANGUAGES / sizeof *LANGUAGES };

struct test {
    const struct profile *profile;
    const struct fonts *fonts;
    int scale;
};

/* "a/zh-Hans.txt" -> "zh-Hans" */
static void tag_of(const char *path, char *tag, size_t size) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strcspn(name, ".");
    length = length < size ? length : size - 1;
    memcpy(tag, name, length);
    tag[length] = 0;
}

static const struct language *find_language(const char *tag) {
    for (int i = 0; i < LANGUAGE_COUNT; i++) {
        if (strcmp(LANGUAGES[i].tag, tag) == 0) {
            return &LANGUAGES[i];
        }
    }
    return NULL;
}

/* The whole text once, its first page. */
static int typeset(const struct test *test, const char *path, const char *tag, struct shot *shot,
                   struct error *e) {
    struct page_setup setup = {.mode = MODE_BASE,
                               .profile = test->profile,
                               .fonts = test->fonts,
                               .context = shot,
                               .done = shot_take};
    struct pager *pager = NULL;
    struct bytes text;
    bytes_init(&text, (size_t)16 << 20);
    FILE *file = fopen(path, "rb");
    int rc = file ? 0 : error_set(e, ERR_IO, "%s: cannot be opened", path);
    size_t got = 1;
    while (rc == 0 && got > 0) {
        rc = bytes_reserve(&text, 4096, e);
        if (rc == 0) {
            got = fread(text.data + text.size, 1, 4096, file);
            text.size += got;
        }
    }
    if (rc == 0) {
        rc = pager_open(&pager, &setup, e);
    }
    if (rc == 0) {
        pager_language(pager, tag);
        struct span span = {.text = (char *)text.data, .size = text.size, .source = 1};
        rc = pager_text(pager, PART_SCRIPT, &span, 1, 0, e);
        if (rc == 0) {
            rc = pager_flush(pager, e);
        }
    }
    if (file) {
        fclose(file);
    }
    pager_close(pager);
    bytes_close(&text);
    return rc;
}

static int read_columns(const struct test *test, const struct shot *shot,
                        const struct language *language, double *accuracy, struct error *e) {
    struct reader *reader = NULL;
    struct bytes seen;
    bytes_init(&seen, (size_t)1 << 20);
    int rc = reader_open(&reader, language->pack, e);
    if (rc == 0) {
        rc = reader_read(reader, shot, 0, shot->width / 2, (struct view){.scale = test->scale},
                         &seen, e);
    }
    if (rc == 0 && shot->second) {
        rc = reader_read(reader, shot, shot->width / 2, shot->width,
                         (struct view){.scale = test->scale}, &seen, e);
    }
    if (rc == 0) {
        rc = read_accuracy(&shot->text, &seen, language->spaces, accuracy, e);
    }
    bytes_close(&seen);
    reader_close(reader);
    return rc;
}

/* Adds the number of missing characters to *missing. */
static int test_text(const struct test *test, const char *path, size_t *missing, struct error *e) {
    char tag[32], accuracy_text[16] = "";
    tag_of(path, tag, sizeof tag);
    struct shot shot;
    shot_init(&shot);
    int rc = typeset(test, path, tag, &shot, e);
    const struct language *language = find_language(tag);
    if (rc == 0 && language) {
        double accuracy = 0;
        rc = read_columns(test, &shot, language, &accuracy, e);
        if (rc == 0) {
            snprintf(accuracy_text, sizeof accuracy_text, "%.1f%%", 100 * accuracy);
        } else if (rc == ERR_UNSUPPORTED) {
            rc = 0; /* the language pack is not installed */
        }
    }
    if (rc == 0) {
        printf("| %s | %lld | %zu | %s |\n", tag, (long long)shot.counts.characters, shot.missing,
               accuracy_text);
        *missing += shot.missing;
    }
    shot_close(&shot);
    return rc;
}

int main(int argc, char **argv) {
    struct test test = {.profile = &PROFILES[PROFILE_CLEAR], .scale = 3};
    int option = getopt(argc, argv, "p:s:");
    while (option != -1) {
        if (option == 's') {
            test.scale = (int)strtol(optarg, NULL, 10);
        }
        for (int i = 0; option == 'p' && i < PROFILE_COUNT; i++) {
            test.profile = strcmp(PROFILE_NAMES[i], optarg) == 0 ? &PROFILES[i] : test.profile;
        }
        option = getopt(argc, argv, "p:s:");
    }
    struct error e = {0};
    struct fonts *fonts = NULL;
    size_t missing = 0;
    int rc = fonts_open(&fonts, test.profile->family, &e);
    test.fonts = fonts;
    printf("| language | characters | missing | read back |\n|---|---|---|---|\n");
    for (int i = optind; rc == 0 && i < argc; i++) {
        rc = test_text(&test, argv[i], &missing, &e);
    }
    fonts_close(fonts);
    if (rc < 0) {
        fprintf(stderr, "bench-legibility: %s\n", e.text);
    }
    return rc < 0 || missing > 0;
}
